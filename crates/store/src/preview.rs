//! Previews: projects that run a pull request of another one.
//!
//! Guarantee: of a request there is one preview at most, and none is made for a project that is gone or
//! does not want any.

use tose_api::ProjectId;
use tose_model::access::WorkspaceScope;
use tose_model::project::Project;

use crate::database::{Store, Tx};
use crate::error::{Error, Result};
use crate::project::{NewPreview, fact_columns, project_columns};
use crate::project_record::{ProjectRecord, RecordRow, select_record};

impl Store {
    /// The previews of a project with all that their views show, newest request first.
    pub async fn list_preview_records(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<ProjectRecord>> {
        let rows: Vec<RecordRow> = sqlx::query_as(select_record!(
            "WHERE p.workspace_id = $1 AND p.preview_of = $2 AND p.deleted_at IS NULL
             ORDER BY p.preview_number DESC"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list previews"))?;
        rows.into_iter().map(RecordRow::into_record).collect()
    }

    /// The preview of this request, if there is one.
    pub async fn find_preview(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        number: u32,
    ) -> Result<Option<Project>> {
        let previews = self.list_preview_records(scope, project_id).await?;
        let found = previews
            .into_iter()
            .map(|record| record.project)
            .find(|project| {
                project
                    .preview
                    .as_ref()
                    .is_some_and(|preview| preview.number == number)
            });
        Ok(found)
    }
}

/// Passes if the project still wants a preview and has room for one.
///
/// # Errors
/// `NotFound` if it does not want any, `Conflict` if it has as many as it may.
pub(crate) async fn check_room(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    preview: &NewPreview,
) -> Result<()> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT g.preview_limit, (SELECT COUNT(*) FROM projects x
                WHERE x.preview_of = p.id AND x.deleted_at IS NULL)
         FROM projects p JOIN git_connections g ON g.project_id = p.id AND g.previews = 1
         WHERE p.workspace_id = $1 AND p.id = $2 AND p.deleted_at IS NULL",
    )
    .bind(scope.id().to_string())
    .bind(preview.project_id.to_string())
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::query("count previews"))?;
    let (limit, count) = found.ok_or(Error::NotFound("project with previews"))?;
    if count >= limit {
        return Err(Error::Conflict(
            "the project has as many previews as it may",
        ));
    }
    Ok(())
}

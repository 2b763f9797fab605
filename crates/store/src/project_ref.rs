//! References to projects: what the reconciler and the sweep go through.

use tose_api::{ProjectId, WorkspaceId};

use crate::database::Store;
use crate::error::{Error, Result};
use crate::row;

/// A project that the reconciler has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectRef {
    /// The project.
    pub id: ProjectId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// Whether it was deleted and has to go.
    pub is_deleted: bool,
    /// Whether a deployment of it waits, is under way or is live.
    pub is_active: bool,
}

#[derive(sqlx::FromRow)]
struct RefRow {
    id: String,
    workspace_id: String,
    deleted_at: Option<i64>,
    is_active: i64,
}

/// Everything that a reference is read from; a `WHERE` or `ORDER BY` clause follows.
macro_rules! select_ref {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, deleted_at,
                    CASE WHEN EXISTS (SELECT 1 FROM deployments x WHERE x.project_id = projects.id
                        AND x.status IN ('queued', 'building', 'deploying', 'running'))
                    THEN 1 ELSE 0 END AS is_active
             FROM projects ",
            $rest
        )
    };
}

impl RefRow {
    fn to_ref(&self) -> Result<ProjectRef> {
        Ok(ProjectRef {
            id: row::parse("projects.id", &self.id)?,
            workspace_id: row::parse("projects.workspace_id", &self.workspace_id)?,
            is_deleted: self.deleted_at.is_some(),
            is_active: self.is_active != 0,
        })
    }
}

impl Store {
    /// Every project of every workspace, the deleted ones that still have a row included.
    pub async fn list_projects_for_task(&self) -> Result<Vec<ProjectRef>> {
        let rows: Vec<RefRow> = sqlx::query_as(select_ref!("ORDER BY id"))
            .fetch_all(self.readers())
            .await
            .map_err(Error::query("list all projects"))?;
        rows.iter().map(RefRow::to_ref).collect()
    }

    /// The project with this id, whosever it is, also if it was deleted.
    pub async fn find_project_ref_for_task(&self, id: ProjectId) -> Result<Option<ProjectRef>> {
        let found: Option<RefRow> = sqlx::query_as(select_ref!("WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("find a project"))?;
        found.as_ref().map(RefRow::to_ref).transpose()
    }
}

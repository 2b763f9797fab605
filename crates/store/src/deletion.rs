//! Deleting projects, with their previews.
//!
//! Not here: the rows of deleted projects, which stay until the engine holds nothing of them
//! (`Store::purge_project`).

use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};

impl Store {
    /// Marks the project and its previews as deleted. Its slug and host names are free at once, its secrets are gone;
    /// the row goes when the engine holds nothing of it any more.
    pub async fn delete_project(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        delete(&mut tx, scope, id, DeletionOf::Project, now).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Deletes every preview of a project, as [`Store::delete_project`] does.
    pub async fn delete_previews(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        delete(&mut tx, scope, project_id, DeletionOf::Previews, now).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

/// What is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeletionOf {
    /// The project and its previews.
    Project,
    /// Its previews alone.
    Previews,
}

/// The projects that a deletion is of: `$1` is the workspace, `$2` the project, `$3` whether it goes too.
macro_rules! in_deletion {
    ($statement:literal, $column:literal) => {
        concat!(
            $statement,
            $column,
            " IN (SELECT id FROM projects WHERE workspace_id = $1 AND deleted_at IS NULL
                  AND (preview_of = $2 OR (id = $2 AND $3)))"
        )
    };
}

/// Deletes what belongs to the projects, then marks them: the order matters to the statements' condition.
async fn delete(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    id: ProjectId,
    of: DeletionOf,
    now: Timestamp,
) -> Result<()> {
    for (statement, has_time) in [
        (
            in_deletion!("DELETE FROM env_vars WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM git_connections WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM registry_credentials WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM domains WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!(
                "UPDATE deployments SET status = 'cancelled', finished_at = $4
                 WHERE status IN ('queued', 'building', 'deploying') AND ",
                "project_id"
            ),
            true,
        ),
        (
            in_deletion!(
                "UPDATE deployments SET status = 'stopped', finished_at = $4
                 WHERE status = 'running' AND ",
                "project_id"
            ),
            true,
        ),
        (
            in_deletion!(
                "UPDATE projects SET deleted_at = $4, desired = 'stopped',
                     generation = generation + 1 WHERE ",
                "id"
            ),
            true,
        ),
    ] {
        let query = sqlx::query(statement)
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .bind(of == DeletionOf::Project);
        let query = if has_time {
            query.bind(now.as_nanos())
        } else {
            query
        };
        let done = query.execute(&mut **tx).await;
        done.map_err(Error::query("delete a project"))?;
    }
    Ok(())
}

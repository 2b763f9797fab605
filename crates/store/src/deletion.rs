//! Deleting projects, with their previews.
//!
//! Not here: the rows of deleted projects, which stay until the engine holds nothing of them
//! (`Store::purge_project`).

use std::time::Duration;

use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};

/// For how long a host name that the platform gave stays with the workspace of a project that is gone.
pub(crate) const COOL_OFF: Duration = Duration::from_secs(30 * 24 * 3600);

impl Store {
    /// Marks the project and its previews as deleted. Its slug is free at once, its secrets are gone; the
    /// host name that the platform gave is free for its workspace at once, and for others after 30 days;
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

/// Notes the host names that the platform gave to the projects, and forgets those of long ago.
async fn release_hostnames(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    id: ProjectId,
    of: DeletionOf,
    now: Timestamp,
) -> Result<()> {
    let over = now.saturating_sub(COOL_OFF);
    sqlx::query("DELETE FROM released_hostnames WHERE released_at <= $1")
        .bind(over.as_nanos())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("forget released host names"))?;
    let released = concat!(
        in_deletion!(
            "INSERT INTO released_hostnames (hostname, workspace_id, released_at)
             SELECT hostname, workspace_id, $4 FROM domains WHERE is_default = 1 AND ",
            "project_id"
        ),
        " ON CONFLICT (hostname) DO UPDATE SET workspace_id = $1, released_at = $4"
    );
    sqlx::query(released)
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(of == DeletionOf::Project)
        .bind(now.as_nanos())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("note released host names"))?;
    Ok(())
}

/// Deletes what belongs to the projects, then marks them: the order matters to the statements' condition.
async fn delete(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    id: ProjectId,
    of: DeletionOf,
    now: Timestamp,
) -> Result<()> {
    release_hostnames(tx, scope, id, of, now).await?;
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
            in_deletion!("DELETE FROM drains WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM alerts WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM alert_firings WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM monitors WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM autoscaling WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM notices WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM maintenance_projects WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM status_page_projects WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM databases WHERE ", "project_id"),
            false,
        ),
        (
            in_deletion!("DELETE FROM backups WHERE ", "project_id"),
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

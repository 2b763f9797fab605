//! Workspaces.

use tose_api::workspace::Role;
use tose_api::{Slug, Timestamp, TransactionId, UserId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::ledger::Entry;
use tose_model::money::Money;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::ledger::{self, NewEntry};
use crate::member;
use crate::row;
use crate::wallet;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name in URLs.
    pub slug: Slug,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// A fresh id.
    pub id: WorkspaceId,
    /// Its name in URLs.
    pub slug: Slug,
    /// What people call it.
    pub name: String,
    /// When.
    pub now: Timestamp,
    /// What its owner is given if they were given nothing before, with a fresh id for that.
    pub credit: Option<(TransactionId, Money)>,
}

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    id: String,
    slug: String,
    name: String,
    created_at: i64,
}

impl WorkspaceRow {
    fn into_workspace(self) -> Result<Workspace> {
        Ok(Workspace {
            id: row::parse("workspaces.id", &self.id)?,
            slug: row::parse("workspaces.slug", &self.slug)?,
            name: self.name,
            created_at: row::to_time(self.created_at),
        })
    }
}

impl Store {
    /// Makes a workspace that `owner` owns.
    ///
    /// # Errors
    /// `Taken` when the slug is in use.
    pub async fn create_workspace(
        &self,
        new: &NewWorkspace,
        owner: UserId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, new, owner).await?;
        event::insert(&mut tx, new.id, event).await?;
        commit(tx).await
    }

    /// The workspace of the scope.
    pub async fn get_workspace(&self, scope: &WorkspaceScope) -> Result<Workspace> {
        let found: Option<WorkspaceRow> = sqlx::query_as(
            "SELECT id, slug, name, created_at FROM workspaces WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a workspace"))?;
        found.ok_or(Error::NotFound("workspace"))?.into_workspace()
    }

    /// Gives the workspace another name.
    pub async fn rename_workspace(
        &self,
        scope: &WorkspaceScope,
        name: &str,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query("UPDATE workspaces SET name = $2 WHERE id = $1 AND deleted_at IS NULL")
            .bind(scope.id().to_string())
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("rename a workspace"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Marks the workspace and all its projects as deleted. Its slug and host names are free at
    /// once, its keys are void; the rows go when the engine holds nothing of it any more.
    pub async fn delete_workspace(
        &self,
        scope: &WorkspaceScope,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let id = scope.id().to_string();
        event::insert(&mut tx, scope.id(), event).await?;
        for statement in [
            "UPDATE workspaces SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
            "UPDATE projects SET deleted_at = $2, desired = 'stopped', generation = generation + 1
             WHERE workspace_id = $1 AND deleted_at IS NULL",
            "UPDATE deployments SET status = 'cancelled', finished_at = $2
             WHERE workspace_id = $1 AND status IN ('queued', 'building', 'deploying')",
            "UPDATE deployments SET status = 'stopped', finished_at = $2
             WHERE workspace_id = $1 AND status = 'running'",
        ] {
            sqlx::query(statement)
                .bind(&id)
                .bind(now.as_nanos())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("delete a workspace"))?;
        }
        for statement in [
            "DELETE FROM api_keys WHERE workspace_id = $1",
            "DELETE FROM invitations WHERE workspace_id = $1",
            "DELETE FROM github_states WHERE workspace_id = $1",
            "DELETE FROM github_repositories WHERE workspace_id = $1",
            "DELETE FROM github_installations WHERE workspace_id = $1",
            "DELETE FROM env_vars WHERE workspace_id = $1",
            "DELETE FROM git_connections WHERE workspace_id = $1",
            "DELETE FROM registry_credentials WHERE workspace_id = $1",
            "DELETE FROM drains WHERE workspace_id = $1",
            "DELETE FROM alerts WHERE workspace_id = $1",
            "DELETE FROM notices WHERE workspace_id = $1",
            "DELETE FROM notification_channels WHERE workspace_id = $1",
            "DELETE FROM notice_messages WHERE workspace_id = $1",
            "DELETE FROM databases WHERE workspace_id = $1",
            "DELETE FROM backups WHERE workspace_id = $1",
            "DELETE FROM domains WHERE workspace_id = $1",
        ] {
            sqlx::query(statement)
                .bind(&id)
                .execute(&mut *tx)
                .await
                .map_err(Error::query("delete a workspace's rows"))?;
        }
        tx.changes_credentials();
        commit(tx).await
    }

    /// Workspaces that were deleted and have no project left: only their network and row remain.
    pub async fn list_empty_deleted_workspaces_for_task(&self) -> Result<Vec<WorkspaceId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM workspaces WHERE deleted_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM projects WHERE workspace_id = workspaces.id)",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list deleted workspaces"))?;
        ids.iter()
            .map(|id| row::parse("workspaces.id", id))
            .collect()
    }

    /// Which of `ids` are workspaces, deleted or not.
    pub async fn has_workspace_for_task(&self, id: WorkspaceId) -> Result<bool> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM workspaces WHERE id = $1")
            .bind(id.to_string())
            .fetch_one(self.readers())
            .await
            .map_err(Error::query("look for a workspace"))?;
        Ok(count > 0)
    }

    /// Removes the row of a deleted workspace.
    pub async fn purge_workspace_for_task(&self, id: WorkspaceId) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM workspaces WHERE id = $1 AND deleted_at IS NOT NULL")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("purge a workspace"))?;
        commit(tx).await
    }
}

/// Refuses a workspace that is gone: nothing new is made in it.
pub(crate) async fn require(tx: &mut Tx, scope: &WorkspaceScope) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM workspaces WHERE id = $1 AND deleted_at IS NULL")
            .bind(scope.id().to_string())
            .fetch_one(&mut **tx)
            .await
            .map_err(Error::query("look for a workspace"))?;
    if count == 0 {
        return Err(Error::NotFound("workspace"));
    }
    Ok(())
}

pub(crate) async fn find_id(tx: &mut Tx, slug: &Slug) -> Result<Option<WorkspaceId>> {
    let id: Option<String> =
        sqlx::query_scalar("SELECT id FROM workspaces WHERE slug = $1 AND deleted_at IS NULL")
            .bind(slug.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::query("find a workspace"))?;
    row::parse_optional("workspaces.id", id.as_deref())
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewWorkspace, owner: UserId) -> Result<()> {
    sqlx::query("INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, $2, $3, $4)")
        .bind(new.id.to_string())
        .bind(new.slug.as_str())
        .bind(&new.name)
        .bind(new.now.as_nanos())
        .execute(&mut **tx)
        .await
        .map_err(Error::insert("write a workspace", "the workspace's slug"))?;
    member::insert(tx, new.id, owner, Role::Owner, new.now).await?;
    wallet::insert(tx, new.id, &new.slug).await?;
    if let Some((id, amount)) = new.credit {
        let credit = NewEntry {
            id,
            entry: Entry::signup_credit(new.id, amount),
            reference: format!("signup/{owner}"),
            reason: "credit to begin with".to_owned(),
            at: new.now,
        };
        ledger::post(tx, &credit).await?;
    }
    Ok(())
}

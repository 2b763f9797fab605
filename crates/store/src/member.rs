//! Members of a workspace.
//!
//! Invariant: a workspace has an owner. The last one is neither removed nor lowered, which is
//! checked in the transaction that would do it.

use tose_api::workspace::Role;
use tose_api::{Timestamp, UserId, WorkspaceId};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;
use crate::workspace;

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub user_id: UserId,
    /// Its address.
    pub email: String,
    /// What people call the person.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}

const LAST_OWNER: Error = Error::Conflict(
    "the workspace's last owner can be neither removed nor lowered; make somebody else owner first",
);

impl Store {
    /// The workspace's members, in the order in which they came.
    pub async fn list_members(&self, scope: &WorkspaceScope) -> Result<Vec<Member>> {
        let rows: Vec<(String, String, Option<String>, String, i64)> = sqlx::query_as(
            "SELECT m.user_id, u.email, u.name, m.role, m.created_at
             FROM members m JOIN users u ON u.id = m.user_id
             WHERE m.workspace_id = $1 ORDER BY m.created_at, m.user_id",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list members"))?;
        rows.into_iter()
            .map(|(user_id, email, name, role, created_at)| {
                Ok(Member {
                    user_id: row::parse("members.user_id", &user_id)?,
                    email,
                    name,
                    role: row::parse_enum("members.role", role)?,
                    created_at: row::to_time(created_at),
                })
            })
            .collect()
    }

    /// Makes an account a member.
    ///
    /// # Errors
    /// `NotFound` when there is no such account, `Taken` when it is one already.
    pub async fn add_member(
        &self,
        scope: &WorkspaceScope,
        user_id: UserId,
        role: Role,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        workspace::require(&mut tx, scope).await?;
        let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE id = $1")
            .bind(user_id.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::query("look for a user"))?;
        if known == 0 {
            return Err(Error::NotFound("user"));
        }
        insert(&mut tx, scope.id(), user_id, role, event.at).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        tx.changes_credentials();
        commit(tx).await
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `NotFound` when it is none, `Conflict` when it is the last owner and would not be any more.
    pub async fn change_role(
        &self,
        scope: &WorkspaceScope,
        user_id: UserId,
        role: Role,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let before = find_role(&mut tx, scope.id(), user_id)
            .await?
            .ok_or(Error::NotFound("member"))?;
        if before == Role::Owner && role != Role::Owner && is_last_owner(&mut tx, scope).await? {
            return Err(LAST_OWNER);
        }
        set_role(&mut tx, scope.id(), user_id, role).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        tx.changes_credentials();
        commit(tx).await
    }

    /// Takes a member out, with the keys that it has for the workspace.
    ///
    /// # Errors
    /// As for [`Store::change_role`]; `highest` is the highest role that the caller may take out,
    /// `Conflict` above it when it changed since the caller looked.
    pub async fn remove_member(
        &self,
        scope: &WorkspaceScope,
        user_id: UserId,
        highest: Role,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let role = find_role(&mut tx, scope.id(), user_id)
            .await?
            .ok_or(Error::NotFound("member"))?;
        if role > highest {
            return Err(Error::Conflict("the member's role was changed; try again"));
        }
        if role == Role::Owner && is_last_owner(&mut tx, scope).await? {
            return Err(LAST_OWNER);
        }
        for statement in [
            "DELETE FROM members WHERE workspace_id = $1 AND user_id = $2",
            "DELETE FROM api_keys WHERE workspace_id = $1 AND user_id = $2",
        ] {
            sqlx::query(statement)
                .bind(scope.id().to_string())
                .bind(user_id.to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("remove a member"))?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        tx.changes_credentials();
        commit(tx).await
    }
}

pub(crate) async fn set_role(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
    user_id: UserId,
    role: Role,
) -> Result<()> {
    sqlx::query("UPDATE members SET role = $3 WHERE workspace_id = $1 AND user_id = $2")
        .bind(workspace_id.to_string())
        .bind(user_id.to_string())
        .bind(role.as_str())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("change a role"))?;
    Ok(())
}

async fn is_last_owner(tx: &mut Tx, scope: &WorkspaceScope) -> Result<bool> {
    let owners: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM members WHERE workspace_id = $1 AND role = 'owner'",
    )
    .bind(scope.id().to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("count owners"))?;
    Ok(owners <= 1)
}

pub(crate) async fn find_role(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
    user_id: UserId,
) -> Result<Option<Role>> {
    let role: Option<String> =
        sqlx::query_scalar("SELECT role FROM members WHERE workspace_id = $1 AND user_id = $2")
            .bind(workspace_id.to_string())
            .bind(user_id.to_string())
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::query("read a membership"))?;
    role.map(|role| row::parse_enum("members.role", role))
        .transpose()
}

pub(crate) async fn insert(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
    user_id: UserId,
    role: Role,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(workspace_id.to_string())
    .bind(user_id.to_string())
    .bind(role.as_str())
    .bind(now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::insert(
        "write a membership",
        "the account's place in the workspace",
    ))?;
    Ok(())
}

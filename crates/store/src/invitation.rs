//! Invitations: single use, bound to an address. A token is stored as its SHA-256 only.

use tose_api::workspace::Role;
use tose_api::{Email, InvitationId, Timestamp, UserId};
use tose_model::access::{Membership, WorkspaceScope};

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::member;
use crate::row;
use crate::workspace;

/// An invitation that was not accepted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// The address of who invited them.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps an invitation, in place of one for the same address.
    pub async fn create_invitation(
        &self,
        scope: &WorkspaceScope,
        new: &Invitation,
        token_hash: &[u8; 32],
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        workspace::require(&mut tx, scope).await?;
        sqlx::query("DELETE FROM invitations WHERE workspace_id = $1 AND email = $2")
            .bind(scope.id().to_string())
            .bind(new.email.as_str())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("replace an invitation"))?;
        sqlx::query(
            "INSERT INTO invitations (id, workspace_id, email, role, token_hash, invited_by,
                 created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new.id.to_string())
        .bind(scope.id().to_string())
        .bind(new.email.as_str())
        .bind(new.role.as_str())
        .bind(token_hash.as_slice())
        .bind(&new.invited_by)
        .bind(new.created_at.as_nanos())
        .bind(new.expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write an invitation"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The invitations that can still be accepted, newest first.
    pub async fn list_invitations(
        &self,
        scope: &WorkspaceScope,
        now: Timestamp,
    ) -> Result<Vec<Invitation>> {
        let rows: Vec<(String, String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT id, email, role, invited_by, created_at, expires_at FROM invitations
             WHERE workspace_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id DESC",
        )
        .bind(scope.id().to_string())
        .bind(now.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list invitations"))?;
        rows.into_iter()
            .map(|(id, email, role, invited_by, created_at, expires_at)| {
                Ok(Invitation {
                    id: row::parse("invitations.id", &id)?,
                    email: row::parse("invitations.email", &email)?,
                    role: row::parse_enum("invitations.role", role)?,
                    invited_by,
                    created_at: row::to_time(created_at),
                    expires_at: row::to_time(expires_at),
                })
            })
            .collect()
    }

    /// Takes an invitation back.
    pub async fn delete_invitation(
        &self,
        scope: &WorkspaceScope,
        id: InvitationId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query("DELETE FROM invitations WHERE workspace_id = $1 AND id = $2")
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("delete an invitation"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("invitation"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Whether a token belongs to an invitation of this address that can be accepted.
    pub async fn is_invited(
        &self,
        token_hash: &[u8; 32],
        email: &Email,
        now: Timestamp,
    ) -> Result<bool> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM invitations i
             JOIN workspaces w ON w.id = i.workspace_id AND w.deleted_at IS NULL
             WHERE i.token_hash = $1 AND i.email = $2 AND i.expires_at > $3",
        )
        .bind(token_hash.as_slice())
        .bind(email.as_str())
        .bind(now.as_nanos())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("look for an invitation"))?;
        Ok(count > 0)
    }

    /// Takes an invitation and makes the account a member; one that has a higher role keeps it.
    ///
    /// # Errors
    /// `NotFound` when the token is unknown, used, too old, or for another address.
    pub async fn accept_invitation(
        &self,
        token_hash: &[u8; 32],
        user_id: UserId,
        email: &str,
        event: &NewEvent,
    ) -> Result<Membership> {
        let mut tx = self.begin().await?;
        let found: Option<(String, String, String)> = sqlx::query_as(
            "SELECT w.id, w.slug, i.role FROM invitations i
             JOIN workspaces w ON w.id = i.workspace_id AND w.deleted_at IS NULL
             WHERE i.token_hash = $1 AND i.email = $2 AND i.expires_at > $3",
        )
        .bind(token_hash.as_slice())
        .bind(email)
        .bind(event.at.as_nanos())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("read an invitation"))?;
        let invited = found.ok_or(Error::NotFound("invitation"))?;
        let mut membership = crate::session::into_membership(invited)?;
        let workspace_id = membership.workspace_id;
        sqlx::query("DELETE FROM invitations WHERE token_hash = $1")
            .bind(token_hash.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("take an invitation"))?;
        match member::find_role(&mut tx, workspace_id, user_id).await? {
            Some(role) if role >= membership.role => membership.role = role,
            Some(_) => member::set_role(&mut tx, workspace_id, user_id, membership.role).await?,
            None => {
                member::insert(&mut tx, workspace_id, user_id, membership.role, event.at).await?;
            }
        }
        event::insert(&mut tx, workspace_id, event).await?;
        tx.changes_credentials();
        commit(tx).await?;
        Ok(membership)
    }
}

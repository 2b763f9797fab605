//! Logins. A session's token is stored as its SHA-256 only.

use tose_api::{SessionId, Slug, Timestamp, UserId};
use tose_model::access::Membership;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::row;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The account.
    pub user_id: UserId,
    /// That account's address.
    pub email: String,
    /// Whether it may do what concerns the whole installation.
    pub is_operator: bool,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// A login to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// A fresh id.
    pub id: SessionId,
    /// The account.
    pub user_id: UserId,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When.
    pub now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: String,
    user_id: String,
    email: String,
    is_operator: i64,
    token_hash: Vec<u8>,
    last_seen_at: i64,
    expires_at: i64,
}

impl Store {
    /// Keeps a login, and drops the account's ended ones.
    pub async fn create_session(&self, new: &NewSession) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2")
            .bind(new.user_id.to_string())
            .bind(new.now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("drop ended logins"))?;
        sqlx::query(
            "INSERT INTO sessions (id, token_hash, user_id, created_at, last_seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $4, $5)",
        )
        .bind(new.id.to_string())
        .bind(new.token_hash.as_slice())
        .bind(new.user_id.to_string())
        .bind(new.now.as_nanos())
        .bind(new.expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a login"))?;
        commit(tx).await
    }

    /// The login with this token, if it has not ended at `now`.
    pub async fn find_session(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let found: Option<SessionRow> = sqlx::query_as(
            "SELECT s.id, s.user_id, u.email, u.is_operator, s.token_hash, s.last_seen_at,
                    s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.token_hash = $1 AND s.expires_at > $2",
        )
        .bind(token_hash.as_slice())
        .bind(now.as_nanos())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a login"))?;
        found
            .map(|found| {
                Ok(Session {
                    id: row::parse("sessions.id", &found.id)?,
                    user_id: row::parse("sessions.user_id", &found.user_id)?,
                    email: found.email,
                    is_operator: found.is_operator != 0,
                    token_hash: found.token_hash,
                    last_seen_at: row::to_time(found.last_seen_at),
                    expires_at: row::to_time(found.expires_at),
                })
            })
            .transpose()
    }

    /// Notes that a login was used.
    pub async fn touch_session(&self, id: SessionId, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE sessions SET last_seen_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("note a login's use"))?;
        commit(tx).await
    }

    /// Ends a login.
    pub async fn delete_session(&self, id: SessionId) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("end a login"))?;
        tx.changes_credentials();
        commit(tx).await
    }

    /// The account's place in the workspace with this slug, if it has one.
    pub async fn find_membership(
        &self,
        user_id: UserId,
        workspace: &str,
    ) -> Result<Option<Membership>> {
        let found: Option<(String, String, String)> = sqlx::query_as(
            "SELECT w.id, w.slug, m.role FROM workspaces w
             JOIN members m ON m.workspace_id = w.id AND m.user_id = $1
             WHERE w.slug = $2 AND w.deleted_at IS NULL",
        )
        .bind(user_id.to_string())
        .bind(workspace)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a membership"))?;
        found.map(into_membership).transpose()
    }

    /// Every workspace that the account is a member of, newest first.
    pub async fn list_memberships(&self, user_id: UserId) -> Result<Vec<Membership>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT w.id, w.slug, m.role FROM members m
             JOIN workspaces w ON w.id = m.workspace_id AND w.deleted_at IS NULL
             WHERE m.user_id = $1 ORDER BY w.created_at DESC, w.id DESC",
        )
        .bind(user_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list memberships"))?;
        rows.into_iter().map(into_membership).collect()
    }
}

pub(crate) fn into_membership((id, slug, role): (String, String, String)) -> Result<Membership> {
    let workspace: Slug = row::parse("workspaces.slug", &slug)?;
    Ok(Membership {
        workspace_id: row::parse("workspaces.id", &id)?,
        workspace,
        role: row::parse_enum("members.role", role)?,
    })
}

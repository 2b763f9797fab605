//! API keys. A key is stored as its SHA-256 only.

use tose_api::{ApiKeyId, Timestamp, UserId, WorkspaceId};
use tose_model::access::{Caller, Credential, WorkspaceScope};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::member;
use crate::row;
use crate::session::into_membership;
use crate::workspace;

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// A fresh id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// The part that may be shown.
    pub prefix: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A key as it is stored, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// The part that may be shown.
    pub prefix: String,
    /// Whose role it carries.
    pub user_id: UserId,
    /// That account's address.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// The holder of a key, as the store has it.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// Who calls, with their role of this moment.
    pub caller: Caller,
    /// The key.
    pub api_key_id: ApiKeyId,
    /// Whether they may do what concerns the whole installation.
    pub is_operator: bool,
    /// The stored hash, for a comparison in constant time.
    pub key_hash: Vec<u8>,
    /// When the key ends.
    pub expires_at: Option<Timestamp>,
    /// When the key was last seen.
    pub last_used_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct HolderRow {
    api_key_id: String,
    user_id: String,
    email: String,
    is_operator: i64,
    workspace_id: String,
    workspace: String,
    role: String,
    key_hash: Vec<u8>,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl Store {
    /// Who holds the key with this hash. `None` if there is no such key, it has ended, or its holder
    /// is no member any more.
    pub async fn find_key_holder(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<KeyHolder>> {
        let found: Option<HolderRow> = sqlx::query_as(
            "SELECT k.id AS api_key_id, k.user_id, u.email, u.is_operator, k.workspace_id,
                    w.slug AS workspace, m.role, k.key_hash, k.expires_at, k.last_used_at
             FROM api_keys k
             JOIN users u ON u.id = k.user_id
             JOIN workspaces w ON w.id = k.workspace_id AND w.deleted_at IS NULL
             JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id
             WHERE k.key_hash = $1 AND (k.expires_at IS NULL OR k.expires_at > $2)",
        )
        .bind(hash.as_slice())
        .bind(now.as_nanos())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a key"))?;
        found.map(HolderRow::into_holder).transpose()
    }

    /// Notes that a key was used.
    pub async fn touch_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("note a key's use"))?;
        commit(tx).await
    }

    /// Keeps a key of `user_id`.
    pub async fn create_api_key(
        &self,
        scope: &WorkspaceScope,
        user_id: UserId,
        key: &NewApiKey,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        workspace::require(&mut tx, scope).await?;
        if member::find_role(&mut tx, scope.id(), user_id)
            .await?
            .is_none()
        {
            return Err(Error::NotFound("member"));
        }
        insert(&mut tx, scope.id(), user_id, key, event.at).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The workspace's keys, newest first.
    pub async fn list_api_keys(&self, scope: &WorkspaceScope) -> Result<Vec<ApiKey>> {
        #[derive(sqlx::FromRow)]
        struct KeyRow {
            id: String,
            name: String,
            key_prefix: String,
            user_id: String,
            email: String,
            created_at: i64,
            expires_at: Option<i64>,
            last_used_at: Option<i64>,
        }
        let rows: Vec<KeyRow> = sqlx::query_as(
            "SELECT k.id, k.name, k.key_prefix, k.user_id, u.email, k.created_at, k.expires_at,
                    k.last_used_at
             FROM api_keys k JOIN users u ON u.id = k.user_id
             WHERE k.workspace_id = $1 ORDER BY k.created_at DESC, k.id DESC",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list keys"))?;
        rows.into_iter()
            .map(|found| {
                Ok(ApiKey {
                    id: row::parse("api_keys.id", &found.id)?,
                    name: found.name,
                    prefix: found.key_prefix,
                    user_id: row::parse("api_keys.user_id", &found.user_id)?,
                    email: found.email,
                    created_at: row::to_time(found.created_at),
                    expires_at: found.expires_at.map(row::to_time),
                    last_used_at: found.last_used_at.map(row::to_time),
                })
            })
            .collect()
    }

    /// Ends a key; `NotFound` if there is none with this id.
    pub async fn delete_api_key(
        &self,
        scope: &WorkspaceScope,
        id: ApiKeyId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query("DELETE FROM api_keys WHERE workspace_id = $1 AND id = $2")
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("delete a key"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("API key"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        tx.changes_credentials();
        commit(tx).await
    }
}

impl HolderRow {
    fn into_holder(self) -> Result<KeyHolder> {
        let api_key_id = row::parse("api_keys.id", &self.api_key_id)?;
        let membership = into_membership((self.workspace_id, self.workspace, self.role))?;
        Ok(KeyHolder {
            caller: Caller {
                user_id: row::parse("members.user_id", &self.user_id)?,
                email: self.email,
                credential: Credential::ApiKey {
                    id: api_key_id,
                    membership,
                },
                ip: None,
                idempotency: None,
            },
            api_key_id,
            is_operator: self.is_operator != 0,
            key_hash: self.key_hash,
            expires_at: self.expires_at.map(row::to_time),
            last_used_at: self.last_used_at.map(row::to_time),
        })
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
    user_id: UserId,
    key: &NewApiKey,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO api_keys (id, workspace_id, user_id, name, key_hash, key_prefix, created_at,
             expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key.id.to_string())
    .bind(workspace_id.to_string())
    .bind(user_id.to_string())
    .bind(&key.name)
    .bind(key.hash.as_slice())
    .bind(&key.prefix)
    .bind(now.as_nanos())
    .bind(key.expires_at.map(Timestamp::as_nanos))
    .execute(&mut **tx)
    .await
    .map_err(Error::insert("write a key", "the key"))?;
    Ok(())
}

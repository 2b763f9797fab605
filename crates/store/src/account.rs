//! Users, memberships and API keys. A key is stored as its SHA-256 only.

use sqlx::{Sqlite, Transaction};
use tose_api::workspace::Role;
use tose_api::{ApiKeyId, Timestamp, UserId, WorkspaceId};
use tose_model::access::Caller;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::row;
use crate::workspace::{self, NewWorkspace};

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
}

/// Ids for what [`Store::bootstrap`] may have to make.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The person.
    pub email: String,
    /// A fresh id, used if the person is new.
    pub user_id: UserId,
    /// The workspace, used if its slug is new.
    pub workspace: NewWorkspace,
    /// The key.
    pub api_key: NewApiKey,
    /// When.
    pub now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct CallerRow {
    api_key_id: String,
    user_id: String,
    email: String,
    workspace_id: String,
    workspace: String,
    role: String,
    key_hash: Vec<u8>,
    last_used_at: Option<i64>,
}

impl Store {
    /// Makes sure that there are a user, a workspace that they own, and one more key for them.
    /// Answers the user's id, whether new or not.
    ///
    /// # Errors
    /// `Taken` when the workspace exists and the user is no member of it.
    pub async fn bootstrap(&self, new: &Bootstrap) -> Result<UserId> {
        let mut tx = self.begin().await?;
        let user_id = ensure_user(&mut tx, new).await?;
        let workspace_id = match workspace::find_id(&mut tx, &new.workspace.slug).await? {
            Some(id) => {
                if find_role(&mut tx, id, user_id).await?.is_none() {
                    return Err(Error::Taken("the workspace's slug"));
                }
                id
            }
            None => {
                workspace::insert(&mut tx, &new.workspace, user_id).await?;
                new.workspace.id
            }
        };
        insert_api_key(&mut tx, workspace_id, user_id, &new.api_key, new.now).await?;
        commit(tx).await?;
        Ok(user_id)
    }

    /// Who holds the key with this hash, with their role of this moment; also the stored hash (for a
    /// constant-time comparison) and when the key was last seen. `None` if there is no such key,
    /// it has expired, or its holder is no member any more.
    pub async fn find_caller(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(Caller, Vec<u8>, Option<Timestamp>)>> {
        let found: Option<CallerRow> = sqlx::query_as(
            "SELECT k.id AS api_key_id, k.user_id, u.email, k.workspace_id, w.slug AS workspace,
                    m.role, k.key_hash, k.last_used_at
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
        found.map(CallerRow::into_caller).transpose()
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
}

impl CallerRow {
    fn into_caller(self) -> Result<(Caller, Vec<u8>, Option<Timestamp>)> {
        let caller = Caller {
            user_id: row::parse("members.user_id", &self.user_id)?,
            email: self.email,
            api_key_id: row::parse("api_keys.id", &self.api_key_id)?,
            workspace_id: row::parse("workspaces.id", &self.workspace_id)?,
            workspace: row::parse("workspaces.slug", &self.workspace)?,
            role: row::parse_enum("members.role", self.role)?,
        };
        Ok((caller, self.key_hash, self.last_used_at.map(row::to_time)))
    }
}

async fn ensure_user(tx: &mut Transaction<'static, Sqlite>, new: &Bootstrap) -> Result<UserId> {
    sqlx::query(
        "INSERT INTO users (id, email, created_at) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING",
    )
    .bind(new.user_id.to_string())
    .bind(&new.email)
    .bind(new.now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("write a user"))?;
    let id: String = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
        .bind(&new.email)
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::query("read a user"))?;
    row::parse("users.id", &id)
}

async fn find_role(
    tx: &mut Transaction<'static, Sqlite>,
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

async fn insert_api_key(
    tx: &mut Transaction<'static, Sqlite>,
    workspace_id: WorkspaceId,
    user_id: UserId,
    key: &NewApiKey,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO api_keys (id, workspace_id, user_id, name, key_hash, key_prefix, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(key.id.to_string())
    .bind(workspace_id.to_string())
    .bind(user_id.to_string())
    .bind(&key.name)
    .bind(key.hash.as_slice())
    .bind(&key.prefix)
    .bind(now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::insert("write a key", "the key"))?;
    Ok(())
}

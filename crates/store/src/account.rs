//! The first account of an installation, and its workspace.

use tose_api::{Timestamp, UserId};

use crate::api_key::{self, NewApiKey};
use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::member;
use crate::row;
use crate::workspace::{self, NewWorkspace};

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
                if member::find_role(&mut tx, id, user_id).await?.is_none() {
                    return Err(Error::Taken("the workspace's slug"));
                }
                id
            }
            None => {
                workspace::insert(&mut tx, &new.workspace, user_id).await?;
                new.workspace.id
            }
        };
        api_key::insert(&mut tx, workspace_id, user_id, &new.api_key, new.now).await?;
        commit(tx).await?;
        Ok(user_id)
    }
}

async fn ensure_user(tx: &mut Tx, new: &Bootstrap) -> Result<UserId> {
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

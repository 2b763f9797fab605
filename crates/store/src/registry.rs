//! What projects pull their images with. Passwords arrive and leave sealed.

use tose_api::{ProjectId, RegistryHost, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// A project's credentials for one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// The registry that they are for.
    pub registry: RegistryHost,
    /// The user name.
    pub username: String,
    /// The password or token, sealed with workspace and project.
    pub password: Sealed,
    /// When they were set.
    pub updated_at: Timestamp,
}

impl Store {
    /// Keeps a project's credentials, in place of those before.
    ///
    /// # Errors
    /// `NotFound` when there is no such project.
    pub async fn put_registry_login(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        login: &RegistryLogin,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "INSERT INTO registry_credentials (project_id, workspace_id, registry, username,
                 password, updated_at)
             SELECT id, workspace_id, $3, $4, $5, $6 FROM projects
             WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
             ON CONFLICT (project_id) DO UPDATE SET registry = excluded.registry,
                 username = excluded.username, password = excluded.password,
                 updated_at = excluded.updated_at",
        )
        .bind(project_id.to_string())
        .bind(scope.id().to_string())
        .bind(login.registry.as_str())
        .bind(&login.username)
        .bind(login.password.as_bytes())
        .bind(login.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write registry credentials"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("project"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The project's credentials, if it has any.
    pub async fn find_registry_login(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<RegistryLogin>> {
        let found: Option<(String, String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT registry, username, password, updated_at FROM registry_credentials
             WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read registry credentials"))?;
        let login = |(registry, username, password, updated_at): (String, String, Vec<u8>, i64)| {
            Ok(RegistryLogin {
                registry: row::parse("registry_credentials.registry", &registry)?,
                username,
                password: Sealed::from_bytes(password),
                updated_at: row::to_time(updated_at),
            })
        };
        found.map(login).transpose()
    }

    /// Forgets them; `NotFound` if there are none.
    pub async fn delete_registry_login(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "DELETE FROM registry_credentials WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("delete registry credentials"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("registry credentials"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

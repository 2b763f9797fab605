//! Environment variables. Values arrive and leave sealed.

use std::collections::BTreeMap;

use tose_api::env_var::EnvVarsChanged;
use tose_api::{EnvKey, ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// A variable as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// The variable.
    pub key: EnvKey,
    /// Its value, sealed with workspace, project and key.
    pub value: Sealed,
    /// Whether answers mask it.
    pub is_secret: bool,
    /// When it was last set.
    pub updated_at: Timestamp,
}

/// A variable to be set.
#[derive(Debug, Clone)]
pub struct NewEnvVar {
    /// Its value, sealed with workspace, project and key.
    pub value: Sealed,
    /// Whether answers mask it; `None` keeps what it was (`false` for a new one).
    pub is_secret: Option<bool>,
}

impl Store {
    /// The project's variables by name.
    pub async fn list_env_vars(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<EnvVar>> {
        let rows: Vec<(String, Vec<u8>, i64, i64)> = sqlx::query_as(
            "SELECT key, value, is_secret, updated_at FROM env_vars
             WHERE workspace_id = $1 AND project_id = $2 ORDER BY key",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list variables"))?;
        rows.into_iter()
            .map(|(key, value, is_secret, updated_at)| {
                Ok(EnvVar {
                    key: row::parse("env_vars.key", &key)?,
                    value: Sealed::from_bytes(value),
                    is_secret: is_secret != 0,
                    updated_at: row::to_time(updated_at),
                })
            })
            .collect()
    }

    /// Sets one variable; answers whether it is secret.
    pub async fn set_env_var(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        key: &EnvKey,
        variable: &NewEnvVar,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<bool> {
        let mut tx = self.begin_in(scope).await?;
        let is_secret = upsert(&mut tx, scope, project_id, key, variable, now).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await?;
        Ok(is_secret)
    }

    /// Sets variables in one transaction; with `keep_others` false, all others are removed.
    pub async fn set_env_vars(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        variables: &BTreeMap<EnvKey, NewEnvVar>,
        keep_others: KeepOthers,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<EnvVarsChanged> {
        let mut tx = self.begin_in(scope).await?;
        let before: Vec<String> = sqlx::query_scalar(
            "SELECT key FROM env_vars WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(&mut *tx)
        .await
        .map_err(Error::query("list variables"))?;
        let mut changed = EnvVarsChanged {
            created: 0,
            updated: 0,
            deleted: 0,
        };
        for (key, variable) in variables {
            if before.iter().any(|name| name == key.as_str()) {
                changed.updated += 1;
            } else {
                changed.created += 1;
            }
            upsert(&mut tx, scope, project_id, key, variable, now).await?;
        }
        if keep_others == KeepOthers::No {
            let is_named = |name: &String| variables.keys().any(|key| key.as_str() == name);
            for name in before.iter().filter(|name| !is_named(name)) {
                delete(&mut tx, scope, project_id, name).await?;
                changed.deleted += 1;
            }
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await?;
        Ok(changed)
    }

    /// Removes a variable; `NotFound` if there is none.
    pub async fn delete_env_var(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        key: &str,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        if delete(&mut tx, scope, project_id, key).await? == 0 {
            return Err(Error::NotFound("variable"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

/// What happens to variables that are not named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepOthers {
    /// They stay.
    Yes,
    /// They are removed.
    No,
}

async fn upsert(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    key: &EnvKey,
    variable: &NewEnvVar,
    now: Timestamp,
) -> Result<bool> {
    let is_secret: Option<i64> = sqlx::query_scalar(
        "INSERT INTO env_vars (project_id, workspace_id, key, value, is_secret, updated_at)
         SELECT id, workspace_id, $3, $4, COALESCE($5, 0), $6 FROM projects
         WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
         ON CONFLICT (project_id, key) DO UPDATE SET value = excluded.value,
             is_secret = COALESCE($5, env_vars.is_secret), updated_at = excluded.updated_at
         RETURNING is_secret",
    )
    .bind(project_id.to_string())
    .bind(scope.id().to_string())
    .bind(key.as_str())
    .bind(variable.value.as_bytes())
    .bind(variable.is_secret.map(i64::from))
    .bind(now.as_nanos())
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::query("write a variable"))?;
    is_secret
        .map(|is_secret| is_secret != 0)
        .ok_or(Error::NotFound("project"))
}

async fn delete(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    key: &str,
) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM env_vars WHERE workspace_id = $1 AND project_id = $2 AND key = $3",
    )
    .bind(scope.id().to_string())
    .bind(project_id.to_string())
    .bind(key)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("delete a variable"))?;
    Ok(done.rows_affected())
}

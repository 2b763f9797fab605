//! The audit log: written in the transaction of the change that it tells of.

use sqlx::{Sqlite, Transaction};
use tose_api::{EventId, Timestamp, WorkspaceId};

use crate::error::{Error, Result};

/// Who did what to what.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// A fresh id.
    pub id: EventId,
    /// The e-mail address of who did it.
    pub actor: String,
    /// What was done, such as `project.create`.
    pub action: &'static str,
    /// What it was done to: a slug, key or id.
    pub target: String,
    /// When.
    pub at: Timestamp,
}

pub(crate) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    workspace_id: WorkspaceId,
    event: &NewEvent,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO events (id, workspace_id, actor, action, target, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(event.id.to_string())
    .bind(workspace_id.to_string())
    .bind(&event.actor)
    .bind(event.action)
    .bind(&event.target)
    .bind(event.at.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("write an event"))?;
    Ok(())
}

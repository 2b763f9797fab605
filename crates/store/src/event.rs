//! The audit log: written in the transaction of the change that it tells of.

use tose_api::envelope::Paging;
use tose_api::event::EventView;
use tose_api::{EventId, Timestamp, WorkspaceId};
use tose_model::access::{Actor, WorkspaceScope};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;

/// Who did what to what.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// A fresh id.
    pub id: EventId,
    /// Who did it.
    pub actor: Actor,
    /// What was done, such as `project.create`.
    pub action: &'static str,
    /// What it was done to: a slug, key or id.
    pub target: String,
    /// When.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    id: String,
    actor: String,
    action: String,
    target: String,
    user_id: Option<String>,
    via: Option<String>,
    ip: Option<String>,
    created_at: i64,
}

impl Store {
    /// Writes an event that tells of no change in the store.
    pub async fn add_event(&self, scope: &WorkspaceScope, event: &NewEvent) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// One page of the workspace's events, newest first, and how many there are.
    pub async fn list_events(
        &self,
        scope: &WorkspaceScope,
        paging: Paging,
    ) -> Result<(Vec<EventView>, u64)> {
        let rows: Vec<EventRow> = sqlx::query_as(
            "SELECT id, actor, action, target, user_id, via, ip, created_at FROM events
             WHERE workspace_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",
        )
        .bind(scope.id().to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list events"))?;
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events WHERE workspace_id = $1")
            .bind(scope.id().to_string())
            .fetch_one(self.readers())
            .await
            .map_err(Error::query("count events"))?;
        let events = rows
            .into_iter()
            .map(EventRow::into_view)
            .collect::<Result<_>>()?;
        Ok((events, row::to_u64("count", total)?))
    }
}

impl EventRow {
    fn into_view(self) -> Result<EventView> {
        Ok(EventView {
            id: row::parse("events.id", &self.id)?,
            action: self.action,
            target: self.target,
            actor: self.actor,
            user_id: row::parse_optional("events.user_id", self.user_id.as_deref())?,
            via: self
                .via
                .map(|via| row::parse_enum("events.via", via))
                .transpose()?,
            ip: self.ip,
            created_at: row::to_time(self.created_at),
        })
    }
}

pub(crate) async fn insert(tx: &mut Tx, workspace_id: WorkspaceId, event: &NewEvent) -> Result<()> {
    sqlx::query(
        "INSERT INTO events (id, workspace_id, actor, action, target, user_id, via, ip,
             idempotency, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(event.id.to_string())
    .bind(workspace_id.to_string())
    .bind(&event.actor.name)
    .bind(event.action)
    .bind(&event.target)
    .bind(event.actor.user_id.map(|id| id.to_string()))
    .bind(event.actor.via.as_str())
    .bind(event.actor.ip.map(|ip| ip.to_string()))
    .bind(&event.actor.idempotency)
    .bind(event.at.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("write an event"))?;
    Ok(())
}

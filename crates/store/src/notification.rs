//! Channels of notifications: whom a workspace tells of what. Secrets arrive and leave sealed.
//!
//! Not here: what is told, and what became of it (`notice.rs`).

use tose_api::notification::{ChannelKind, NoticeEvent};
use tose_api::{NotificationChannelId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// How the last message to a channel fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    /// When.
    pub at: Timestamp,
    /// Why it was not taken; `None` if it was.
    pub problem: Option<String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationChannel {
    /// Its id.
    pub id: NotificationChannelId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Whether it is told.
    pub is_enabled: bool,
    /// What it is told of; empty: everything.
    pub events: Vec<NoticeEvent>,
    /// Of which projects; empty: all.
    pub projects: Vec<Slug>,
    /// What may be shown of where it leads.
    pub target: String,
    /// Where it leads and what opens it, sealed with workspace and channel.
    pub secrets: Option<Sealed>,
    /// How the last message fared.
    pub last: Option<LastMessage>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings were changed last.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
pub(crate) struct ChannelRow {
    id: String,
    workspace_id: String,
    name: String,
    kind: String,
    enabled: bool,
    events: String,
    projects: String,
    target: String,
    secrets: Option<Vec<u8>>,
    last_at: Option<i64>,
    last_reason: Option<String>,
    created_at: i64,
    updated_at: i64,
}

macro_rules! select_channel {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, kind, enabled, events, projects, target, secrets, last_at,
                    last_reason, created_at, updated_at
             FROM notification_channels ",
            $rest
        )
    };
}

impl ChannelRow {
    fn into_channel(self) -> Result<NotificationChannel> {
        let last_reason = self.last_reason;
        Ok(NotificationChannel {
            id: row::parse("notification_channels.id", &self.id)?,
            workspace_id: row::parse("notification_channels.workspace_id", &self.workspace_id)?,
            name: self.name,
            kind: row::parse_enum("notification_channels.kind", self.kind)?,
            is_enabled: self.enabled,
            events: row::parse_json("notification_channels.events", &self.events)?,
            projects: row::parse_json("notification_channels.projects", &self.projects)?,
            target: self.target,
            secrets: self.secrets.map(Sealed::from_bytes),
            last: self.last_at.map(|at| LastMessage {
                at: row::to_time(at),
                problem: last_reason,
            }),
            created_at: row::to_time(self.created_at),
            updated_at: row::to_time(self.updated_at),
        })
    }
}

impl Store {
    /// Makes a channel.
    ///
    /// # Errors
    /// `Taken` when the workspace has one with this name, `Conflict` when it has `most` already.
    pub async fn create_notification_channel(
        &self,
        scope: &WorkspaceScope,
        channel: &NotificationChannel,
        most: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM notification_channels WHERE workspace_id = $1",
        )
        .bind(scope.id().to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::query("count channels"))?;
        if count >= i64::from(most) {
            return Err(Error::Conflict("the workspace has too many channels"));
        }
        sqlx::query(
            "INSERT INTO notification_channels (id, workspace_id, name, kind, enabled, events, projects,
                 target, secrets, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        )
        .bind(channel.id.to_string())
        .bind(scope.id().to_string())
        .bind(&channel.name)
        .bind(channel.kind.as_str())
        .bind(channel.is_enabled)
        .bind(row::to_json("notification_channels.events", &channel.events)?)
        .bind(row::to_json("notification_channels.projects", &channel.projects)?)
        .bind(&channel.target)
        .bind(channel.secrets.as_ref().map(Sealed::as_bytes))
        .bind(channel.created_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a channel", "the channel's name"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Puts `channel`'s settings in place of those that there are. What waits for one that is switched off goes.
    ///
    /// # Errors
    /// `Taken` when another one of the workspace has its name, `NotFound`.
    pub async fn update_notification_channel(
        &self,
        scope: &WorkspaceScope,
        channel: &NotificationChannel,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE notification_channels SET name = $3, enabled = $4, events = $5, projects = $6,
                 target = $7, secrets = $8, updated_at = $9
             WHERE id = $1 AND workspace_id = $2",
        )
        .bind(channel.id.to_string())
        .bind(scope.id().to_string())
        .bind(&channel.name)
        .bind(channel.is_enabled)
        .bind(row::to_json(
            "notification_channels.events",
            &channel.events,
        )?)
        .bind(row::to_json(
            "notification_channels.projects",
            &channel.projects,
        )?)
        .bind(&channel.target)
        .bind(channel.secrets.as_ref().map(Sealed::as_bytes))
        .bind(channel.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("change a channel", "the channel's name"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("channel"));
        }
        if !channel.is_enabled {
            drop_waiting(&mut tx, scope, channel).await?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Removes a channel with everything that waits for it.
    pub async fn delete_notification_channel(
        &self,
        scope: &WorkspaceScope,
        id: NotificationChannelId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done =
            sqlx::query("DELETE FROM notification_channels WHERE id = $1 AND workspace_id = $2")
                .bind(id.to_string())
                .bind(scope.id().to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("delete a channel"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("channel"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// A workspace's channels, by their names.
    pub async fn list_notification_channels(
        &self,
        scope: &WorkspaceScope,
    ) -> Result<Vec<NotificationChannel>> {
        let rows: Vec<ChannelRow> =
            sqlx::query_as(select_channel!("WHERE workspace_id = $1 ORDER BY name"))
                .bind(scope.id().to_string())
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list channels"))?;
        rows.into_iter().map(ChannelRow::into_channel).collect()
    }

    /// A channel.
    pub async fn find_notification_channel(
        &self,
        scope: &WorkspaceScope,
        id: NotificationChannelId,
    ) -> Result<Option<NotificationChannel>> {
        let found: Option<ChannelRow> =
            sqlx::query_as(select_channel!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read a channel"))?;
        found.map(ChannelRow::into_channel).transpose()
    }

    /// Notes how a message to a channel fared that is in no outbox, such as a test.
    pub async fn note_channel_message(
        &self,
        scope: &WorkspaceScope,
        id: NotificationChannelId,
        last: &LastMessage,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        note_message(&mut tx, Some(scope.id()), id, last).await?;
        commit(tx).await
    }
}

/// The channels of a workspace that are told of anything.
pub(crate) async fn list_enabled(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
) -> Result<Vec<NotificationChannel>> {
    let rows: Vec<ChannelRow> =
        sqlx::query_as(select_channel!("WHERE workspace_id = $1 AND enabled = 1"))
            .bind(workspace_id.to_string())
            .fetch_all(&mut **tx)
            .await
            .map_err(Error::query("list channels that are told"))?;
    rows.into_iter().map(ChannelRow::into_channel).collect()
}

pub(crate) async fn note_message(
    tx: &mut Tx,
    workspace_id: Option<WorkspaceId>,
    id: NotificationChannelId,
    last: &LastMessage,
) -> Result<()> {
    sqlx::query(
        "UPDATE notification_channels SET last_at = $3, last_ok = $4, last_reason = $5
         WHERE id = $1 AND workspace_id = $2",
    )
    .bind(id.to_string())
    .bind(workspace_id.map(|id| id.to_string()))
    .bind(last.at.as_nanos())
    .bind(last.problem.is_none())
    .bind(&last.problem)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note how a message fared"))?;
    Ok(())
}

async fn drop_waiting(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    channel: &NotificationChannel,
) -> Result<()> {
    sqlx::query(
        "UPDATE notice_deliveries SET state = 'failed', ended_at = $3, reason = 'the channel was switched off'
         WHERE channel_id = $1 AND workspace_id = $2 AND state = 'waiting'",
    )
    .bind(channel.id.to_string())
    .bind(scope.id().to_string())
    .bind(channel.updated_at.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("drop what waits for a channel"))?;
    Ok(())
}

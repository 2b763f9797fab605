//! The outbox: what happened, who is told of it, and what became of that.
//!
//! Guarantees: what has the same key in the same workspace is noted once, however often it is said, and is told to each
//! outlet once; notice and deliveries are written together. A delivery ends once.
//! Not here: the channels (`notification.rs`), and sending.

use std::time::Duration;

use tose_api::notification::{DeliveryState, NoticeDeliveryView, NoticeEvent};
use tose_api::{NoticeId, NotificationChannelId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::notice::{Item, Outlet, is_wanted};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::notification::{self, LastMessage};
use crate::row;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// The workspace; `None` is for operators.
    pub workspace_id: Option<WorkspaceId>,
    /// The project, if it is of one.
    pub project_id: Option<ProjectId>,
    /// What happened.
    pub event: NoticeEvent,
    /// What makes two notices of a workspace the same one.
    pub key: String,
    /// What happened, in a line.
    pub title: String,
    /// What else there is to say.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// An outlet for which something is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueOutlet {
    /// The workspace; operators have none.
    pub workspace_id: Option<WorkspaceId>,
    /// Where it goes.
    pub outlet: Outlet,
}

/// What waits for an outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingNotice {
    /// What it is about.
    pub item: Item,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it waits.
    pub created_at: Timestamp,
}

/// What became of an attempt for one notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// The message told only that there were more.
    LeftOut,
    /// It is given up.
    GivenUp,
    /// It is tried again.
    Again,
}

/// What an attempt to reach an outlet led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What became of each notice that was in it.
    pub fates: Vec<(NoticeId, Fate)>,
    /// Why the message was not taken; `None` if it was.
    pub problem: Option<String>,
    /// When.
    pub at: Timestamp,
    /// When the outlet may get the next message at the earliest.
    pub next_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    id: String,
    project_id: Option<String>,
    project: Option<String>,
    event: String,
    title: String,
    text: String,
    at: i64,
    attempts: i64,
    created_at: i64,
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: String,
    project: Option<String>,
    event: String,
    title: String,
    at: i64,
    state: String,
    attempts: i64,
    next_at: i64,
    ended_at: Option<i64>,
    reason: Option<String>,
}

impl Store {
    /// Whether a notice with this key was noted.
    pub async fn is_noted(&self, workspace_id: Option<WorkspaceId>, key: &str) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM notices WHERE COALESCE(workspace_id, '') = $1 AND dedupe = $2",
        )
        .bind(text_of(workspace_id))
        .bind(key)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("look for a notice"))?;
        Ok(found.is_some())
    }

    /// Notes what happened, for the channels whose rules want it and for `outlets`. An outlet that got a message within
    /// the last `pace` gets the next one when that is over. Answers whether it is news: not if it was noted before, or
    /// if its project or workspace is gone.
    pub async fn note_notice(
        &self,
        notice: &Notice,
        outlets: &[Outlet],
        pace: Duration,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        let is_news = insert_notice(&mut tx, notice, outlets, pace).await?;
        if is_news {
            commit(tx).await?;
        }
        Ok(is_news)
    }

    /// The outlets for which something is due, those that wait longest first.
    pub async fn list_due_outlets_for_task(
        &self,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<DueOutlet>> {
        let rows: Vec<(Option<String>, String)> = sqlx::query_as(
            "SELECT workspace_id, outlet FROM notice_deliveries
             WHERE state = 'waiting' AND next_at <= $1
             GROUP BY workspace_id, outlet ORDER BY MIN(next_at) LIMIT $2",
        )
        .bind(now.as_nanos())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list due outlets"))?;
        rows.into_iter()
            .map(|(workspace_id, outlet)| {
                let column = "notice_deliveries.workspace_id";
                Ok(DueOutlet {
                    workspace_id: row::parse_optional(column, workspace_id.as_deref())?,
                    outlet: row::parse("notice_deliveries.outlet", &outlet)?,
                })
            })
            .collect()
    }

    /// What waits for an outlet, the oldest first.
    pub async fn list_waiting_for_task(
        &self,
        due: &DueOutlet,
        most: u32,
    ) -> Result<Vec<WaitingNotice>> {
        let rows: Vec<WaitingRow> = sqlx::query_as(
            "SELECT n.id, n.project_id, p.slug AS project, n.event, n.title, n.text, n.at, d.attempts,
                    d.created_at
             FROM notice_deliveries d JOIN notices n ON n.id = d.notice_id
             LEFT JOIN projects p ON p.id = n.project_id
             WHERE d.outlet = $1 AND COALESCE(d.workspace_id, '') = $2 AND d.state = 'waiting'
             ORDER BY d.created_at, n.id LIMIT $3",
        )
        .bind(due.outlet.to_string())
        .bind(text_of(due.workspace_id))
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list what waits for an outlet"))?;
        rows.into_iter()
            .map(|row| {
                let (id, slug) = (row.project_id.as_deref(), row.project.as_deref());
                Ok(WaitingNotice {
                    item: Item {
                        id: row::parse("notices.id", &row.id)?,
                        event: Some(row::parse_enum("notices.event", row.event)?),
                        project: row::parse_optional("projects.slug", slug)?,
                        title: row.title,
                        text: row.text,
                        at: row::to_time(row.at),
                    },
                    project_id: row::parse_optional("notices.project_id", id)?,
                    attempts: row::to_u32("notice_deliveries.attempts", row.attempts)?,
                    created_at: row::to_time(row.created_at),
                })
            })
            .collect()
    }

    /// How many messages an outlet got since then, and when the first of them was sent.
    pub async fn count_messages_for_task(
        &self,
        due: &DueOutlet,
        since: Timestamp,
    ) -> Result<(u32, Option<Timestamp>)> {
        let (count, first): (i64, Option<i64>) = sqlx::query_as(
            "SELECT COUNT(*), MIN(at) FROM notice_messages
             WHERE outlet = $1 AND COALESCE(workspace_id, '') = $2 AND at > $3",
        )
        .bind(due.outlet.to_string())
        .bind(text_of(due.workspace_id))
        .bind(since.as_nanos())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count messages"))?;
        let count = row::to_u32("notice_messages.count", count)?;
        Ok((count, first.map(row::to_time)))
    }

    /// Lets an outlet wait until then.
    pub async fn postpone_outlet_for_task(&self, due: &DueOutlet, until: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        postpone(&mut tx, due, until).await?;
        commit(tx).await
    }

    /// Notes what an attempt led to.
    pub async fn note_attempt_for_task(&self, due: &DueOutlet, attempt: &Attempt) -> Result<()> {
        let mut tx = self.begin().await?;
        for (id, fate) in &attempt.fates {
            let (state, ended_at) = match fate {
                Fate::Delivered => (DeliveryState::Delivered, Some(attempt.at)),
                Fate::LeftOut => (DeliveryState::LeftOut, Some(attempt.at)),
                Fate::GivenUp => (DeliveryState::Failed, Some(attempt.at)),
                Fate::Again => (DeliveryState::Waiting, None),
            };
            sqlx::query(
                "UPDATE notice_deliveries SET state = $4, attempts = attempts + 1, ended_at = $5, reason = $6
                 WHERE notice_id = $1 AND outlet = $2 AND COALESCE(workspace_id, '') = $3
                   AND state = 'waiting'",
            )
            .bind(id.to_string())
            .bind(due.outlet.to_string())
            .bind(text_of(due.workspace_id))
            .bind(state.as_str())
            .bind(ended_at.map(Timestamp::as_nanos))
            .bind(&attempt.problem)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("note a delivery"))?;
        }
        if attempt.problem.is_none() {
            sqlx::query(
                "INSERT INTO notice_messages (outlet, workspace_id, at) VALUES ($1, $2, $3)",
            )
            .bind(due.outlet.to_string())
            .bind(due.workspace_id.map(|id| id.to_string()))
            .bind(attempt.at.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("note a message"))?;
        }
        postpone(&mut tx, due, attempt.next_at).await?;
        if let Outlet::Channel(id) = due.outlet {
            let last = LastMessage {
                at: attempt.at,
                problem: attempt.problem.clone(),
            };
            notification::note_message(&mut tx, due.workspace_id, id, &last).await?;
        }
        commit(tx).await
    }

    /// What a channel was or is to be told, the newest first.
    pub async fn list_notice_deliveries(
        &self,
        scope: &WorkspaceScope,
        id: NotificationChannelId,
        most: u32,
    ) -> Result<Vec<NoticeDeliveryView>> {
        let rows: Vec<DeliveryRow> = sqlx::query_as(
            "SELECT n.id, p.slug AS project, n.event, n.title, n.at, d.state, d.attempts, d.next_at,
                    d.ended_at, d.reason
             FROM notice_deliveries d JOIN notices n ON n.id = d.notice_id
             LEFT JOIN projects p ON p.id = n.project_id
             WHERE d.channel_id = $1 AND d.workspace_id = $2
             ORDER BY d.created_at DESC, n.id DESC LIMIT $3",
        )
        .bind(id.to_string())
        .bind(scope.id().to_string())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list deliveries"))?;
        rows.into_iter()
            .map(|row| {
                let slug = row.project.as_deref();
                let state = row::parse_enum("notice_deliveries.state", row.state)?;
                let next_at = row::to_time(row.next_at);
                Ok(NoticeDeliveryView {
                    id: row::parse("notices.id", &row.id)?,
                    event: row::parse_enum("notices.event", row.event)?,
                    project: row::parse_optional("projects.slug", slug)?,
                    title: row.title,
                    at: row::to_time(row.at),
                    state,
                    attempts: row::to_u32("notice_deliveries.attempts", row.attempts)?,
                    next_at: (state == DeliveryState::Waiting).then_some(next_at),
                    ended_at: row.ended_at.map(row::to_time),
                    reason: row.reason,
                })
            })
            .collect()
    }

    /// Forgets what happened before `notices`, and messages that were sent before `messages`.
    pub async fn forget_notices_for_task(
        &self,
        notices: Timestamp,
        messages: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM notices WHERE at < $1")
            .bind(notices.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget notices"))?;
        sqlx::query("DELETE FROM notice_messages WHERE at < $1")
            .bind(messages.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget messages"))?;
        commit(tx).await
    }
}

/// A workspace's id as it is compared, or nothing for operators.
fn text_of(workspace_id: Option<WorkspaceId>) -> String {
    workspace_id.map(|id| id.to_string()).unwrap_or_default()
}

/// Does what [`Store::note_notice`] does, as a part of what it tells of.
pub(crate) async fn insert_notice(
    tx: &mut Tx,
    notice: &Notice,
    outlets: &[Outlet],
    pace: Duration,
) -> Result<bool> {
    let project = match notice.project_id {
        None => None,
        Some(id) => match find_slug(tx, notice.workspace_id, id).await? {
            Some(slug) => Some(slug),
            None => return Ok(false),
        },
    };
    let done = sqlx::query(
        "INSERT INTO notices (id, workspace_id, project_id, event, dedupe, title, text, at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE $2 IS NULL OR EXISTS
             (SELECT 1 FROM workspaces WHERE id = $2 AND deleted_at IS NULL)
         ON CONFLICT DO NOTHING",
    )
    .bind(notice.id.to_string())
    .bind(notice.workspace_id.map(|id| id.to_string()))
    .bind(notice.project_id.map(|id| id.to_string()))
    .bind(notice.event.as_str())
    .bind(&notice.key)
    .bind(&notice.title)
    .bind(&notice.text)
    .bind(notice.at.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("write a notice"))?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let mut all = outlets.to_vec();
    if let Some(workspace_id) = notice.workspace_id {
        let channels = notification::list_enabled(tx, workspace_id).await?;
        let wanting = channels.into_iter().filter(|channel| {
            let (events, projects) = (&channel.events, &channel.projects);
            is_wanted(events, projects, notice.event, project.as_ref())
        });
        all.extend(wanting.map(|channel| Outlet::Channel(channel.id)));
    }
    for outlet in &all {
        queue(tx, notice, outlet, pace).await?;
    }
    Ok(true)
}

async fn find_slug(
    tx: &mut Tx,
    workspace_id: Option<WorkspaceId>,
    id: ProjectId,
) -> Result<Option<Slug>> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT slug FROM projects WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL",
    )
    .bind(id.to_string())
    .bind(text_of(workspace_id))
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::query("read a project's slug"))?;
    row::parse_optional("projects.slug", found.as_deref())
}

/// Puts a notice into the outbox of an outlet: beside what waits there, or after the last message and a pause.
async fn queue(tx: &mut Tx, notice: &Notice, outlet: &Outlet, pace: Duration) -> Result<()> {
    let channel_id = match outlet {
        Outlet::Channel(id) => Some(id.to_string()),
        Outlet::MonitorDiscord(_) | Outlet::MonitorEmail(_) | Outlet::Mail(_) => None,
    };
    let pace = i64::try_from(pace.as_nanos()).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO notice_deliveries (notice_id, outlet, workspace_id, channel_id, state, attempts,
             created_at, next_at)
         VALUES ($1, $2, $3, $4, 'waiting', 0, $5, COALESCE(
             (SELECT MIN(next_at) FROM notice_deliveries
              WHERE outlet = $2 AND COALESCE(workspace_id, '') = COALESCE($3, '') AND state = 'waiting'),
             (SELECT CASE WHEN MAX(at) + $6 > $5 AND MAX(at) <= $5 THEN MAX(at) + $6 END
              FROM notice_messages
              WHERE outlet = $2 AND COALESCE(workspace_id, '') = COALESCE($3, '')),
             $5))",
    )
    .bind(notice.id.to_string())
    .bind(outlet.to_string())
    .bind(notice.workspace_id.map(|id| id.to_string()))
    .bind(channel_id)
    .bind(notice.at.as_nanos())
    .bind(pace)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("write a delivery"))?;
    Ok(())
}

async fn postpone(tx: &mut Tx, due: &DueOutlet, until: Timestamp) -> Result<()> {
    sqlx::query(
        "UPDATE notice_deliveries SET next_at = $3
         WHERE outlet = $1 AND COALESCE(workspace_id, '') = $2 AND state = 'waiting' AND next_at < $3",
    )
    .bind(due.outlet.to_string())
    .bind(text_of(due.workspace_id))
    .bind(until.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("let an outlet wait"))?;
    Ok(())
}

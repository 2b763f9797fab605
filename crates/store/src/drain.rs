//! Log drains. Secrets arrive and leave sealed.
//!
//! Guarantee: who delivers notes how far it came only while the drain is as it was when it began to
//! ([`Drain::revision`]).

use tose_api::drain::{DrainKind, DrainState};
use tose_api::{DrainId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// What somebody set of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSettings {
    /// Its name, unique in the project.
    pub name: Slug,
    /// How the service is spoken to.
    pub kind: DrainKind,
    /// Where it is.
    pub url: String,
    /// Token and headers, sealed with workspace and drain.
    pub secrets: Option<Sealed>,
    /// Whether there is a token among them.
    pub has_token: bool,
    /// The names of the headers among them.
    pub headers: Vec<String>,
    /// Whether lines are forwarded.
    pub is_enabled: bool,
}

/// A drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Its id.
    pub id: DrainId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// What was set.
    pub settings: DrainSettings,
    /// Grows with each change of the settings, and when it is set going again.
    pub revision: u64,
    /// The number of the last line that was delivered, or dropped.
    pub position: u64,
    /// Whether lines are taken.
    pub state: DrainState,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Since when nothing but refusals came.
    pub refused_since: Option<Timestamp>,
    /// When lines were taken last.
    pub last_delivered_at: Option<Timestamp>,
    /// How many lines were taken.
    pub delivered_lines: u64,
    /// How many lines were gone before they could be delivered.
    pub dropped_lines: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings were changed last.
    pub updated_at: Timestamp,
}

/// A drain that has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDrain {
    /// Its id.
    pub id: DrainId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// See [`Drain::revision`].
    pub revision: u64,
}

/// A batch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The number of the last line that it was about.
    pub position: u64,
    /// How many lines it had.
    pub lines: u64,
    /// How many lines were gone before it.
    pub dropped: u64,
    /// When.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DrainRow {
    id: String,
    workspace_id: String,
    project_id: String,
    name: String,
    kind: String,
    url: String,
    secrets: Option<Vec<u8>>,
    has_token: bool,
    headers: String,
    enabled: bool,
    revision: i64,
    position: i64,
    state: String,
    last_error: Option<String>,
    refused_since: Option<i64>,
    last_delivered_at: Option<i64>,
    delivered_lines: i64,
    dropped_lines: i64,
    created_at: i64,
    updated_at: i64,
}

macro_rules! select_drain {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, project_id, name, kind, url, secrets, has_token, headers, enabled,
                    revision, position, state, last_error, refused_since, last_delivered_at,
                    delivered_lines, dropped_lines, created_at, updated_at
             FROM drains ",
            $rest
        )
    };
}

impl DrainRow {
    fn into_drain(self) -> Result<Drain> {
        Ok(Drain {
            id: row::parse("drains.id", &self.id)?,
            workspace_id: row::parse("drains.workspace_id", &self.workspace_id)?,
            project_id: row::parse("drains.project_id", &self.project_id)?,
            settings: DrainSettings {
                name: row::parse("drains.name", &self.name)?,
                kind: row::parse_enum("drains.kind", self.kind)?,
                url: self.url,
                secrets: self.secrets.map(Sealed::from_bytes),
                has_token: self.has_token,
                headers: row::parse_json("drains.headers", &self.headers)?,
                is_enabled: self.enabled,
            },
            revision: row::to_u64("drains.revision", self.revision)?,
            position: row::to_u64("drains.position", self.position)?,
            state: row::parse_enum("drains.state", self.state)?,
            last_error: self.last_error,
            refused_since: self.refused_since.map(row::to_time),
            last_delivered_at: self.last_delivered_at.map(row::to_time),
            delivered_lines: row::to_u64("drains.delivered_lines", self.delivered_lines)?,
            dropped_lines: row::to_u64("drains.dropped_lines", self.dropped_lines)?,
            created_at: row::to_time(self.created_at),
            updated_at: row::to_time(self.updated_at),
        })
    }
}

impl Store {
    /// Makes a drain; its counts and its state are what `drain` says.
    ///
    /// # Errors
    /// `NotFound` when there is no such project, `Taken` when it has a drain with this name, `Conflict` when it
    /// has `most` already.
    pub async fn create_drain(
        &self,
        scope: &WorkspaceScope,
        drain: &Drain,
        most: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        check_name(&mut tx, drain).await?;
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM drains WHERE project_id = $1")
            .bind(drain.project_id.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::query("count drains"))?;
        if count >= i64::from(most) {
            return Err(Error::Conflict("the project has too many drains"));
        }
        let settings = &drain.settings;
        let done = sqlx::query(
            "INSERT INTO drains (id, project_id, workspace_id, name, kind, url, secrets, has_token,
                 headers, enabled, revision, position, state, delivered_lines, dropped_lines,
                 created_at, updated_at)
             SELECT $3, id, workspace_id, $4, $5, $6, $7, $8, $9, $10, 1, $11, 'ok', 0, 0, $12, $12
             FROM projects WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL",
        )
        .bind(drain.project_id.to_string())
        .bind(scope.id().to_string())
        .bind(drain.id.to_string())
        .bind(settings.name.as_str())
        .bind(settings.kind.as_str())
        .bind(&settings.url)
        .bind(settings.secrets.as_ref().map(Sealed::as_bytes))
        .bind(settings.has_token)
        .bind(row::to_json("drains.headers", &settings.headers)?)
        .bind(settings.is_enabled)
        .bind(i64::try_from(drain.position).unwrap_or(i64::MAX))
        .bind(drain.created_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a drain"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("project"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Puts `drain`'s settings in place of those that there are, if those are still what they were when it was
    /// read. It is set going again from where it stands.
    ///
    /// # Errors
    /// `Taken` when another one of the project has its name, `Conflict` when it was changed meanwhile.
    pub async fn update_drain(
        &self,
        scope: &WorkspaceScope,
        drain: &Drain,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        check_name(&mut tx, drain).await?;
        let settings = &drain.settings;
        let done = sqlx::query(
            "UPDATE drains SET name = $4, kind = $5, url = $6, secrets = $7, has_token = $8,
                 headers = $9, enabled = $10, updated_at = $11, revision = revision + 1,
                 state = 'ok', last_error = NULL, refused_since = NULL
             WHERE id = $1 AND workspace_id = $2 AND revision = $3",
        )
        .bind(drain.id.to_string())
        .bind(scope.id().to_string())
        .bind(i64::try_from(drain.revision).unwrap_or(i64::MAX))
        .bind(settings.name.as_str())
        .bind(settings.kind.as_str())
        .bind(&settings.url)
        .bind(settings.secrets.as_ref().map(Sealed::as_bytes))
        .bind(settings.has_token)
        .bind(row::to_json("drains.headers", &settings.headers)?)
        .bind(settings.is_enabled)
        .bind(drain.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change a drain"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the drain was changed meanwhile"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// A project's drains, by their names.
    pub async fn list_drains(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Drain>> {
        let rows: Vec<DrainRow> = sqlx::query_as(select_drain!(
            "WHERE workspace_id = $1 AND project_id = $2 ORDER BY name"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list drains"))?;
        rows.into_iter().map(DrainRow::into_drain).collect()
    }

    /// A project's drain.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_drain(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DrainId,
    ) -> Result<Drain> {
        let found = self.find_drain(scope, id).await?;
        found
            .filter(|drain| drain.project_id == project_id)
            .ok_or(Error::NotFound("drain"))
    }

    /// A drain of the workspace.
    pub async fn find_drain(&self, scope: &WorkspaceScope, id: DrainId) -> Result<Option<Drain>> {
        let found: Option<DrainRow> =
            sqlx::query_as(select_drain!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read a drain"))?;
        found.map(DrainRow::into_drain).transpose()
    }

    /// Forgets a drain.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_drain(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DrainId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "DELETE FROM drains WHERE workspace_id = $1 AND project_id = $2 AND id = $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("delete a drain"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("drain"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The drains by which lines are forwarded: those that are enabled and not paused.
    pub async fn list_due_drains_for_task(&self) -> Result<Vec<DueDrain>> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT id, workspace_id, revision FROM drains WHERE enabled = 1 AND state <> 'paused'",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the drains that forward lines"))?;
        let due = |(id, workspace_id, revision): (String, String, i64)| {
            Ok(DueDrain {
                id: row::parse("drains.id", &id)?,
                workspace_id: row::parse("drains.workspace_id", &workspace_id)?,
                revision: row::to_u64("drains.revision", revision)?,
            })
        };
        rows.into_iter().map(due).collect()
    }

    /// Sets a paused drain going again from where it stands; changes no other one.
    pub async fn resume_drain(&self, scope: &WorkspaceScope, id: DrainId) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE drains SET state = 'ok', last_error = NULL, refused_since = NULL,
                 revision = revision + 1
             WHERE id = $1 AND workspace_id = $2 AND state = 'paused'",
        )
        .bind(id.to_string())
        .bind(scope.id().to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("set a drain going again"))?;
        commit(tx).await
    }

    /// Notes that a batch was taken. `false` when the drain was changed or deleted meanwhile: nothing is noted.
    pub async fn note_delivered(
        &self,
        scope: &WorkspaceScope,
        due: &DueDrain,
        delivered: &Delivered,
    ) -> Result<bool> {
        // Nothing that is kept of answers tells of it, so this moves no revision of the workspace.
        let mut tx = self.begin().await?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let done = sqlx::query(
            "UPDATE drains SET position = $4, delivered_lines = delivered_lines + $5,
                 dropped_lines = dropped_lines + $6, last_delivered_at = $7,
                 state = 'ok', last_error = NULL, refused_since = NULL
             WHERE id = $1 AND workspace_id = $2 AND revision = $3",
        )
        .bind(due.id.to_string())
        .bind(scope.id().to_string())
        .bind(number(due.revision))
        .bind(number(delivered.position))
        .bind(number(delivered.lines))
        .bind(number(delivered.dropped))
        .bind(delivered.at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note what was delivered"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a batch was not taken, and will be sent again. `false` as in [`Store::note_delivered`].
    pub async fn note_undelivered(
        &self,
        scope: &WorkspaceScope,
        due: &DueDrain,
        problem: &str,
        refused_since: Option<Timestamp>,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        let is_noted = fail(
            &mut tx,
            scope,
            due,
            DrainState::Retrying,
            problem,
            refused_since,
        )
        .await?;
        commit(tx).await?;
        Ok(is_noted)
    }

    /// Notes that nothing is sent any more, for this reason. `false` as in [`Store::note_delivered`].
    pub async fn pause_drain(
        &self,
        scope: &WorkspaceScope,
        due: &DueDrain,
        problem: &str,
        event: &NewEvent,
    ) -> Result<bool> {
        let mut tx = self.begin_in(scope).await?;
        let is_noted = fail(&mut tx, scope, due, DrainState::Paused, problem, None).await?;
        if is_noted {
            event::insert(&mut tx, scope.id(), event).await?;
        }
        commit(tx).await?;
        Ok(is_noted)
    }
}

async fn check_name(tx: &mut Tx, drain: &Drain) -> Result<()> {
    let others: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM drains WHERE project_id = $1 AND name = $2 AND id <> $3",
    )
    .bind(drain.project_id.to_string())
    .bind(drain.settings.name.as_str())
    .bind(drain.id.to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("look for a drain's name"))?;
    match others {
        0 => Ok(()),
        _ => Err(Error::Taken("the drain's name")),
    }
}

async fn fail(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    due: &DueDrain,
    state: DrainState,
    problem: &str,
    refused_since: Option<Timestamp>,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE drains SET state = $4, last_error = $5, refused_since = $6
         WHERE id = $1 AND workspace_id = $2 AND revision = $3",
    )
    .bind(due.id.to_string())
    .bind(scope.id().to_string())
    .bind(i64::try_from(due.revision).unwrap_or(i64::MAX))
    .bind(state.as_str())
    .bind(problem)
    .bind(refused_since.map(|since| since.as_nanos()))
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note what was not delivered"))?;
    Ok(done.rows_affected() > 0)
}

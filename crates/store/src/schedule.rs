//! Schedules.
//!
//! Guarantee: of the times at which a schedule is due, each leads to one job at most.

use tose_api::{ProjectId, Slug, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::schedule::Schedule;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::job::{self, NewJob};
use crate::row;

/// What becomes of a time at which a schedule is due.
#[derive(Debug, Clone)]
pub enum Run {
    /// A job is queued, unless the one before has not ended.
    Job(NewJob),
    /// Nothing, for this reason.
    Skip(String),
}

/// Why a run does not begin while another one goes on.
const STILL_RUNNING: &str = "the run before has not ended";

#[derive(sqlx::FromRow)]
struct ScheduleRow {
    project_id: String,
    workspace_id: String,
    name: String,
    cron: String,
    timezone: String,
    command: String,
    timeout_seconds: i64,
    next_at: Option<i64>,
    skipped_at: Option<i64>,
    skip_reason: Option<String>,
    updated_by: String,
    updated_at: i64,
    last_job: Option<String>,
}

macro_rules! select_schedule {
    ($rest:literal) => {
        concat!(
            "SELECT s.project_id, s.workspace_id, s.name, s.cron, s.timezone, s.command,
                    s.timeout_seconds, s.next_at, s.skipped_at, s.skip_reason, s.updated_by,
                    s.updated_at,
                    (SELECT j.id FROM jobs j WHERE j.project_id = s.project_id
                       AND j.schedule = s.name ORDER BY j.number DESC LIMIT 1) AS last_job
             FROM schedules s ",
            $rest
        )
    };
}

impl ScheduleRow {
    fn into_schedule(self) -> Result<Schedule> {
        Ok(Schedule {
            workspace_id: row::parse("schedules.workspace_id", &self.workspace_id)?,
            project_id: row::parse("schedules.project_id", &self.project_id)?,
            name: row::parse("schedules.name", &self.name)?,
            cron: self.cron,
            timezone: self.timezone,
            command: row::parse_json("schedules.command", &self.command)?,
            timeout_seconds: row::to_u32("schedules.timeout_seconds", self.timeout_seconds)?,
            next_at: self.next_at.map(row::to_time),
            last_job: row::parse_optional("jobs.id", self.last_job.as_deref())?,
            last_skip: self.skipped_at.map(row::to_time).zip(self.skip_reason),
            updated_by: self.updated_by,
            updated_at: row::to_time(self.updated_at),
        })
    }
}

impl Store {
    /// Keeps a schedule, in place of the one with its name.
    ///
    /// # Errors
    /// `NotFound` when there is no such project, `Conflict` when it would have more than `most`.
    pub async fn put_schedule(
        &self,
        scope: &WorkspaceScope,
        schedule: &Schedule,
        most: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "INSERT INTO schedules (project_id, workspace_id, name, cron, timezone, command,
                 timeout_seconds, next_at, updated_by, updated_at)
             SELECT id, workspace_id, $3, $4, $5, $6, $7, $8, $9, $10 FROM projects
             WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
             ON CONFLICT (project_id, name) DO UPDATE SET cron = excluded.cron,
                 timezone = excluded.timezone, command = excluded.command,
                 timeout_seconds = excluded.timeout_seconds, next_at = excluded.next_at,
                 updated_by = excluded.updated_by, updated_at = excluded.updated_at",
        )
        .bind(schedule.project_id.to_string())
        .bind(scope.id().to_string())
        .bind(schedule.name.as_str())
        .bind(&schedule.cron)
        .bind(&schedule.timezone)
        .bind(row::to_json("schedules.command", &schedule.command)?)
        .bind(i64::from(schedule.timeout_seconds))
        .bind(schedule.next_at.map(|at| at.as_nanos()))
        .bind(&schedule.updated_by)
        .bind(schedule.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a schedule"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("project"));
        }
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM schedules WHERE project_id = $1")
            .bind(schedule.project_id.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::query("count schedules"))?;
        if count > i64::from(most) {
            return Err(Error::Conflict("the project has too many schedules"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// A project's schedules, by their names.
    pub async fn list_schedules(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Schedule>> {
        let rows: Vec<ScheduleRow> = sqlx::query_as(select_schedule!(
            "WHERE s.workspace_id = $1 AND s.project_id = $2 ORDER BY s.name"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list schedules"))?;
        rows.into_iter().map(ScheduleRow::into_schedule).collect()
    }

    /// Forgets a schedule. Its jobs stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_schedule(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        name: &Slug,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "DELETE FROM schedules WHERE workspace_id = $1 AND project_id = $2 AND name = $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(name.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("delete a schedule"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("schedule"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The schedules that are due, the longest overdue first, `limit` at most.
    pub async fn list_due_schedules_for_task(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Schedule>> {
        let rows: Vec<ScheduleRow> = sqlx::query_as(select_schedule!(
            "WHERE s.next_at <= $1 ORDER BY s.next_at LIMIT $2"
        ))
        .bind(now.as_nanos())
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the schedules that are due"))?;
        rows.into_iter().map(ScheduleRow::into_schedule).collect()
    }

    /// When the next schedule is due, or was.
    pub async fn find_next_schedule_time_for_task(&self) -> Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar("SELECT MIN(next_at) FROM schedules")
            .fetch_one(self.readers())
            .await
            .map_err(Error::query("find the next time of a schedule"))?;
        Ok(next.map(row::to_time))
    }

    /// Does what a schedule was due for, and notes when it is due next, both at once.
    ///
    /// # Errors
    /// `Conflict` when it is not due at that time any more: somebody else did it, or changed it.
    pub async fn run_schedule(
        &self,
        scope: &WorkspaceScope,
        due: &Schedule,
        next_at: Option<Timestamp>,
        run: &Run,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let open: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM jobs WHERE workspace_id = $1 AND project_id = $2
               AND schedule = $3 AND status IN ('queued', 'running')",
        )
        .bind(scope.id().to_string())
        .bind(due.project_id.to_string())
        .bind(due.name.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::query("count a schedule's open jobs"))?;
        let reason = match run {
            Run::Skip(reason) => Some(reason.as_str()),
            Run::Job(_) if open > 0 => Some(STILL_RUNNING),
            Run::Job(_) => None,
        };
        let skipped_at = due.next_at.filter(|_| reason.is_some());
        let done = sqlx::query(
            "UPDATE schedules SET next_at = $5, skipped_at = COALESCE($6, skipped_at),
                 skip_reason = COALESCE($7, skip_reason)
             WHERE workspace_id = $1 AND project_id = $2 AND name = $3 AND next_at = $4",
        )
        .bind(scope.id().to_string())
        .bind(due.project_id.to_string())
        .bind(due.name.as_str())
        .bind(due.next_at.map(|at| at.as_nanos()))
        .bind(next_at.map(|at| at.as_nanos()))
        .bind(skipped_at.map(|at| at.as_nanos()))
        .bind(reason)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a schedule's next time"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the schedule is not due any more"));
        }
        if let (Run::Job(new), None) = (run, reason) {
            job::insert(&mut tx, scope, new).await?;
        }
        commit(tx).await
    }
}

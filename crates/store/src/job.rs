//! Jobs.
//!
//! Guarantee: a job's status changes by compare-and-swap, and never once it has ended.

use tose_api::envelope::Paging;
use tose_api::job::JobStatus;
use tose_api::{DeploymentId, JobId, ProjectId, Slug, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::job::Job;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// How many ended jobs of a project are kept.
const KEPT: i64 = 200;

/// A job to be noted.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// A fresh id.
    pub id: JobId,
    /// The project.
    pub project_id: ProjectId,
    /// The deployment whose image and variables it has.
    pub deployment_id: DeploymentId,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u32,
    /// The e-mail address of who asked for it.
    pub created_by: String,
    /// Whether it is the deployment's release command.
    pub is_release: bool,
    /// The schedule that it is a run of.
    pub schedule: Option<Slug>,
    /// When.
    pub now: Timestamp,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// `Succeeded`, `Failed` or `Cancelled`.
    pub status: JobStatus,
    /// Its exit code, if it ended by itself.
    pub exit_code: Option<i64>,
    /// Why it failed, where the exit code does not say.
    pub error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct JobRow {
    id: String,
    project_id: String,
    deployment_id: String,
    number: i64,
    command: String,
    status: String,
    timeout_seconds: i64,
    cancel_requested: i64,
    exit_code: Option<i64>,
    error: Option<String>,
    created_by: String,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    is_release: i64,
    schedule: Option<String>,
}

macro_rules! select_job {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, deployment_id, number, command, status, timeout_seconds,
                    cancel_requested, exit_code, error, created_by, created_at, started_at, finished_at, is_release,
                    schedule
             FROM jobs ",
            $rest
        )
    };
}

impl JobRow {
    fn into_job(self) -> Result<Job> {
        Ok(Job {
            id: row::parse("jobs.id", &self.id)?,
            project_id: row::parse("jobs.project_id", &self.project_id)?,
            deployment_id: row::parse("jobs.deployment_id", &self.deployment_id)?,
            number: row::to_u32("jobs.number", self.number)?,
            command: row::parse_json("jobs.command", &self.command)?,
            status: row::parse_enum("jobs.status", self.status)?,
            timeout_seconds: row::to_u32("jobs.timeout_seconds", self.timeout_seconds)?,
            cancel_requested: self.cancel_requested != 0,
            exit_code: self.exit_code,
            error: self.error,
            created_by: self.created_by,
            created_at: row::to_time(self.created_at),
            started_at: self.started_at.map(row::to_time),
            finished_at: self.finished_at.map(row::to_time),
            is_release: self.is_release != 0,
            schedule: row::parse_optional("jobs.schedule", self.schedule.as_deref())?,
        })
    }
}

impl Store {
    /// Queues a job, and forgets the project's oldest that have ended.
    ///
    /// # Errors
    /// `Conflict` when `most_open` jobs of the project have not ended.
    pub async fn create_job(
        &self,
        scope: &WorkspaceScope,
        new: &NewJob,
        most_open: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let open: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM jobs WHERE project_id = $1 AND status IN ('queued', 'running')",
        )
        .bind(new.project_id.to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::query("count open jobs"))?;
        if open >= i64::from(most_open) {
            return Err(Error::Conflict("too many jobs of the project are open"));
        }
        insert(&mut tx, scope, new).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Queues the job of a deployment's release command, if there is none so far.
    pub async fn create_release_job(&self, scope: &WorkspaceScope, new: &NewJob) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM jobs WHERE deployment_id = $1 AND is_release = 1",
        )
        .bind(new.deployment_id.to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::query("look for a release"))?;
        if count == 0 {
            insert(&mut tx, scope, new).await?;
        }
        commit(tx).await
    }

    /// The job of a deployment's release command.
    pub async fn find_release_job(
        &self,
        scope: &WorkspaceScope,
        deployment_id: DeploymentId,
    ) -> Result<Option<Job>> {
        let found: Option<JobRow> = sqlx::query_as(select_job!(
            "WHERE workspace_id = $1 AND deployment_id = $2 AND is_release = 1"
        ))
        .bind(scope.id().to_string())
        .bind(deployment_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a release"))?;
        found.map(JobRow::into_job).transpose()
    }

    /// One job of a project.
    pub async fn get_job(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: JobId,
    ) -> Result<Job> {
        let found: Option<JobRow> = sqlx::query_as(select_job!(
            "WHERE workspace_id = $1 AND project_id = $2 AND id = $3"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a job"))?;
        found.ok_or(Error::NotFound("job"))?.into_job()
    }

    /// One page of a project's jobs, newest first, and how many there are.
    pub async fn list_jobs(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        paging: Paging,
    ) -> Result<(Vec<Job>, u64)> {
        let rows: Vec<JobRow> = sqlx::query_as(select_job!(
            "WHERE workspace_id = $1 AND project_id = $2 ORDER BY number DESC LIMIT $3 OFFSET $4"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list jobs"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM jobs WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count jobs"))?;
        let jobs: Result<Vec<_>> = rows.into_iter().map(JobRow::into_job).collect();
        Ok((jobs?, row::to_u64("count", total)?))
    }

    /// The project's jobs that have not ended, oldest first.
    pub async fn list_open_jobs(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Job>> {
        let rows: Vec<JobRow> = sqlx::query_as(select_job!(
            "WHERE workspace_id = $1 AND project_id = $2 AND status IN ('queued', 'running')
             ORDER BY number"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list open jobs"))?;
        rows.into_iter().map(JobRow::into_job).collect()
    }

    /// The projects that have a job that has not ended.
    pub async fn list_projects_with_jobs_for_task(&self) -> Result<Vec<ProjectId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT project_id FROM jobs WHERE status IN ('queued', 'running')",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list projects with jobs"))?;
        ids.iter()
            .map(|id| row::parse("jobs.project_id", id))
            .collect()
    }

    /// Notes that a job has started.
    ///
    /// # Errors
    /// `Conflict` when it is not queued any more.
    pub async fn start_job(&self, scope: &WorkspaceScope, id: JobId, now: Timestamp) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE jobs SET status = 'running', started_at = $3
             WHERE workspace_id = $1 AND id = $2 AND status = 'queued'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("start a job"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the job is in another state by now"));
        }
        commit(tx).await
    }

    /// Notes how a job ended.
    ///
    /// # Errors
    /// `Conflict` when it had ended before.
    pub async fn end_job(
        &self,
        scope: &WorkspaceScope,
        id: JobId,
        end: &JobEnd,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE jobs SET status = $3, exit_code = $4, error = $5, finished_at = $6
             WHERE workspace_id = $1 AND id = $2 AND status IN ('queued', 'running')",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(end.status.as_str())
        .bind(end.exit_code)
        .bind(&end.error)
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("end a job"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the job has ended already"));
        }
        commit(tx).await
    }

    /// Asks a job to end.
    ///
    /// # Errors
    /// `Conflict` when it has ended.
    pub async fn request_job_cancel(
        &self,
        scope: &WorkspaceScope,
        id: JobId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE jobs SET cancel_requested = 1
             WHERE workspace_id = $1 AND id = $2 AND status IN ('queued', 'running')",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("ask a job to end"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the job has ended already"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

/// Writes a job under the project's next number, and forgets the oldest that have ended.
pub(crate) async fn insert(tx: &mut Tx, scope: &WorkspaceScope, new: &NewJob) -> Result<()> {
    sqlx::query(
        "INSERT INTO jobs (id, project_id, workspace_id, deployment_id, number, command, status,
             timeout_seconds, created_by, created_at, is_release, schedule)
         SELECT $1, $2, $3, $4, COALESCE(MAX(number), 0) + 1, $5, 'queued', $6, $7, $8, $9, $10
         FROM jobs WHERE project_id = $2",
    )
    .bind(new.id.to_string())
    .bind(new.project_id.to_string())
    .bind(scope.id().to_string())
    .bind(new.deployment_id.to_string())
    .bind(row::to_json("jobs.command", &new.command)?)
    .bind(i64::from(new.timeout_seconds))
    .bind(&new.created_by)
    .bind(new.now.as_nanos())
    .bind(i64::from(new.is_release))
    .bind(new.schedule.as_ref().map(Slug::as_str))
    .execute(&mut **tx)
    .await
    .map_err(Error::insert("write a job", "the job"))?;
    sqlx::query(
        "DELETE FROM jobs WHERE project_id = $1 AND status NOT IN ('queued', 'running')
           AND number <= (SELECT MAX(number) FROM jobs WHERE project_id = $1) - $2",
    )
    .bind(new.project_id.to_string())
    .bind(KEPT)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("forget old jobs"))?;
    Ok(())
}

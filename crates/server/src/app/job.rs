//! Jobs: asking for one, looking at them, calling one off. The project's pass runs them.

use tose_api::JobId;
use tose_api::deployment::DeploymentLogView;
use tose_api::envelope::{Meta, Paging};
use tose_api::job::{CreateJob, JobView};
use tose_logs::StreamId;
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::job::Job;
use tose_model::project::Project;
use tose_store::NewJob;

use crate::app::Platform;
use crate::app::exec::check_command;

/// How many jobs of a project may be open at once.
const MOST_OPEN: u32 = 5;
/// How long a job may take when its author does not say, and at most.
const DEFAULT_TIMEOUT_SECONDS: u32 = 3600;
const MAX_TIMEOUT_SECONDS: u32 = 86_400;

/// How long a job may take, in seconds.
pub(super) fn parse_timeout(given: Option<u32>) -> Result<u32> {
    let seconds = given.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    if (1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    let problem = format!("must be between 1 and {MAX_TIMEOUT_SECONDS}");
    Err(Error::invalid_field("timeout_seconds", problem))
}

impl Platform {
    /// Queues a job with the image and variables of the version that is live, or was last.
    pub(crate) async fn create_job(
        &self,
        access: &Access,
        slug: &str,
        input: CreateJob,
    ) -> Result<JobView> {
        check_command(&input.command)?;
        let timeout_seconds = parse_timeout(input.timeout_seconds)?;
        let project = self.find_project(access, slug).await?;
        let last = self.find_current_version(access, &project).await?;
        self.require_funds(access.scope()).await?;
        let new = NewJob {
            id: JobId::from_uuid(self.ids.uuid()),
            project_id: project.id,
            deployment_id: last.id,
            command: input.command,
            timeout_seconds,
            created_by: access.actor().name.clone(),
            is_release: false,
            schedule: None,
            now: self.now(),
        };
        let event = self.event(access, "job.create", format!("{}/{}", project.slug, new.id));
        let created = self
            .store
            .create_job(access.scope(), &new, MOST_OPEN, &event)
            .await;
        match created {
            Err(tose_store::Error::Conflict(_)) => {
                return Err(Error::conflict(
                    "too_many_jobs",
                    format!(
                        "{MOST_OPEN} jobs of the project have not ended; wait for one, or stop it"
                    ),
                ));
            }
            other => other?,
        }
        self.signals.project(project.id);
        let job = self
            .store
            .get_job(access.scope(), project.id, new.id)
            .await?;
        Ok(view(job))
    }

    pub(crate) async fn get_job(&self, access: &Access, slug: &str, id: &str) -> Result<JobView> {
        Ok(view(self.find_job(access, slug, id).await?.1))
    }

    pub(crate) async fn list_jobs(
        &self,
        access: &Access,
        slug: &str,
        paging: Paging,
    ) -> Result<(Vec<JobView>, Meta)> {
        let project = self.find_project(access, slug).await?;
        let (jobs, total) = self
            .store
            .list_jobs(access.scope(), project.id, paging)
            .await?;
        Ok((jobs.into_iter().map(view).collect(), paging.meta(total)))
    }

    /// Asks a job to end: with SIGTERM, and ten seconds later for good.
    pub(crate) async fn stop_job(&self, access: &Access, slug: &str, id: &str) -> Result<JobView> {
        let (project, job) = self.find_job(access, slug, id).await?;
        let event = self.event(access, "job.stop", format!("{}/{}", project.slug, job.id));
        let asked = self
            .store
            .request_job_cancel(access.scope(), job.id, &event)
            .await;
        match asked {
            Err(tose_store::Error::Conflict(_)) => {
                return Err(Error::conflict("job_ended", "the job has ended already"));
            }
            other => other?,
        }
        self.signals.project(project.id);
        self.get_job(access, slug, id).await
    }

    /// A part of what a job wrote.
    pub(crate) async fn job_log(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeploymentLogView> {
        let (project, job) = self.find_job(access, slug, id).await?;
        self.read_log(StreamId::Job(project.id, job.number), after, limit)
            .await
    }

    async fn find_job(&self, access: &Access, slug: &str, id: &str) -> Result<(Project, Job)> {
        let project = self.find_project(access, slug).await?;
        let id: JobId = id.parse().map_err(|_| Error::NotFound("job"))?;
        let job = self.store.get_job(access.scope(), project.id, id).await?;
        Ok((project, job))
    }
}

fn view(job: Job) -> JobView {
    JobView {
        id: job.id,
        command: job.command,
        status: job.status,
        deployment_id: job.deployment_id,
        is_release: job.is_release,
        schedule: job.schedule,
        exit_code: job.exit_code,
        error: job.error,
        timeout_seconds: job.timeout_seconds,
        created_by: job.created_by,
        created_at: job.created_at,
        started_at: job.started_at,
        finished_at: job.finished_at,
    }
}

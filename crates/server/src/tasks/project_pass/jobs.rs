//! Jobs: each runs once, and its end is noted before its container goes.
//!
//! Invariant: a job's container is made only while its record says `queued`; one that says `running`
//! and has none has failed.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::job::JobStatus;
use tose_model::driver::{
    DriverError, EngineStep, ObservedReplica, ReplicaName, ReplicaState, TERMINATION_GRACE,
};
use tose_model::error::{Error, Result};
use tose_model::job::Job;
use tose_store::JobEnd;

use crate::tasks::capture::stream_of;
use crate::tasks::project_pass::removal::remove;
use crate::tasks::project_pass::{Memory, Pass, is_authors_fault};

/// When a start that failed through no fault of the job is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Pass<'_> {
    /// Looks at each job that has not ended, and takes away what is left of those that have. Answers
    /// when to look again.
    pub(super) async fn run_jobs(
        &self,
        observed: &[ObservedReplica],
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>> {
        let scene = self.scene;
        let open = self
            .platform
            .store
            .list_open_jobs(&scene.scope, scene.project.id)
            .await?;
        if open.is_empty() && observed.is_empty() {
            return Ok(None);
        }
        let now = self.platform.now();
        if !self.take_lease(now).await? {
            return Ok(Some(now.saturating_add(RETRY)));
        }
        let outcome = self.look_at_jobs(&open, observed, memory).await;
        self.release_lease().await?;
        outcome
    }

    async fn look_at_jobs(
        &self,
        open: &[Job],
        observed: &[ObservedReplica],
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>> {
        let mut wake_at: Option<Timestamp> = None;
        for job in open {
            let name = ReplicaName::new(&self.scene.project.slug, &job.key());
            let found = observed.iter().find(|replica| replica.name == name);
            let next = match (job.status, found) {
                (JobStatus::Queued, None) => self.start_job(job).await?,
                (_, None) => {
                    let reason = "its container was removed before it ended";
                    self.end_job(job, JobStatus::Failed, None, Some(reason.to_owned()))
                        .await?;
                    None
                }
                (_, Some(replica)) => self.follow_job(job, replica, memory).await?,
            };
            wake_at = wake_at.into_iter().chain(next).min();
        }
        for left in observed {
            let is_open = open.iter().any(|job| job.key() == left.key);
            if !is_open {
                remove(
                    self.platform,
                    self.capture,
                    self.scene.project.id,
                    &left.name,
                )
                .await?;
                memory.forget(&left.name);
            }
        }
        Ok(wake_at)
    }

    async fn start_job(&self, job: &Job) -> Result<Option<Timestamp>> {
        if job.cancel_requested || self.is_pointless(job) {
            self.end_job(job, JobStatus::Cancelled, None, None).await?;
            return Ok(None);
        }
        let scene = self.scene;
        let deployment = self
            .platform
            .store
            .get_deployment(&scene.scope, scene.project.id, job.deployment_id)
            .await?;
        self.ensure_network().await?;
        let spec = self.spec_of(&deployment, job.key(), Some(job.command.clone()))?;
        let step = EngineStep::StartReplica(Box::new(spec));
        match self.platform.driver.apply(&step).await {
            Ok(()) => {
                let now = self.platform.now();
                self.platform
                    .store
                    .start_job(&scene.scope, job.id, now)
                    .await?;
                Ok(Some(now))
            }
            Err(error) if is_authors_fault(&error) => {
                // The container that cannot start may be there.
                let name = ReplicaName::new(&scene.project.slug, &job.key());
                self.end_job(job, JobStatus::Failed, None, Some(error.to_string()))
                    .await?;
                let step = EngineStep::RemoveReplica { name };
                self.platform.driver.apply(&step).await?;
                Ok(None)
            }
            Err(DriverError::Stale { .. }) => Ok(Some(self.platform.now().saturating_add(RETRY))),
            Err(error) => Err(error.into()),
        }
    }

    async fn follow_job(
        &self,
        job: &Job,
        replica: &ObservedReplica,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>> {
        let now = self.platform.now();
        if job.status == JobStatus::Queued && replica.state != ReplicaState::Created {
            // It was started, and the server ended before it noted that.
            self.platform
                .store
                .start_job(&self.scene.scope, job.id, now)
                .await?;
        }
        let started_at = job.started_at.unwrap_or(now);
        let limit = Duration::from_secs(u64::from(job.timeout_seconds));
        let overdue_at = started_at.saturating_add(limit);
        let is_overdue = overdue_at <= now;
        let reason = || {
            let seconds = job.timeout_seconds;
            is_overdue.then(|| format!("it took longer than {seconds} s and was ended"))
        };
        let is_called_off = job.cancel_requested || self.is_pointless(job);
        let ending = match (is_called_off, is_overdue) {
            (true, _) => Some(JobStatus::Cancelled),
            (false, true) => Some(JobStatus::Failed),
            (false, false) => None,
        };
        match (replica.state, ending) {
            (ReplicaState::Created, None) => self.start_job(job).await,
            (ReplicaState::Exited { exit_code, .. }, None) => {
                let status = match exit_code {
                    0 => JobStatus::Succeeded,
                    _ => JobStatus::Failed,
                };
                let error = self.explain(replica.state);
                self.finish(job, replica, status, Some(exit_code), error, memory)
                    .await
            }
            (ReplicaState::Exited { .. } | ReplicaState::Created, Some(status)) => {
                self.finish(job, replica, status, None, reason(), memory)
                    .await
            }
            (_, None) => Ok(Some(overdue_at)),
            (_, Some(status)) => match memory.terminated_at.get(&replica.name) {
                Some(at) if at.saturating_add(TERMINATION_GRACE) <= now => {
                    self.finish(job, replica, status, None, reason(), memory)
                        .await
                }
                Some(at) => Ok(Some(at.saturating_add(TERMINATION_GRACE))),
                None => {
                    let name = replica.name.clone();
                    let step = EngineStep::TerminateReplica { name: name.clone() };
                    self.platform.driver.apply(&step).await?;
                    memory.terminated_at.insert(name, now);
                    Ok(Some(now.saturating_add(TERMINATION_GRACE)))
                }
            },
        }
    }

    fn explain(&self, state: ReplicaState) -> Option<String> {
        let is_out_of_memory = matches!(
            state,
            ReplicaState::Exited {
                out_of_memory: true,
                ..
            }
        );
        is_out_of_memory
            .then(|| "it used more memory than it may; give the project more with `ram`".to_owned())
    }

    /// Notes the end once all that the job wrote is stored, and takes its container away.
    async fn finish(
        &self,
        job: &Job,
        replica: &ObservedReplica,
        status: JobStatus,
        exit_code: Option<i64>,
        error: Option<String>,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>> {
        if !matches!(replica.state, ReplicaState::Exited { .. }) {
            // It did not end when it was asked to; now it has no choice.
            remove(
                self.platform,
                self.capture,
                self.scene.project.id,
                &replica.name,
            )
            .await?;
        }
        self.capture.finish(&replica.name).await;
        self.end_job(job, status, exit_code, error).await?;
        remove(
            self.platform,
            self.capture,
            self.scene.project.id,
            &replica.name,
        )
        .await?;
        memory.forget(&replica.name);
        Ok(None)
    }

    async fn end_job(
        &self,
        job: &Job,
        status: JobStatus,
        exit_code: Option<i64>,
        error: Option<String>,
    ) -> Result<()> {
        let end = JobEnd {
            status,
            exit_code,
            error,
        };
        // Whoever sees the end finds the whole log; a crash in between comes here again.
        let finished = self.platform.logs.finish(stream_of(&job.key())).await;
        finished.map_err(|error| Error::internal("a job's log could not be completed", error))?;
        let (scope, now) = (&self.scene.scope, self.platform.now());
        match self.platform.store.end_job(scope, job.id, &end, now).await {
            Ok(()) if job.is_release => self.show_release(job).await?,
            Ok(()) | Err(tose_store::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(job_id = %job.id, status = status.as_str(), exit_code, "job ended");
        self.platform.signals.project(self.scene.project.id);
        Ok(())
    }
}

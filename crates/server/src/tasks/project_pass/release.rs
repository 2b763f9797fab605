//! The release command: what runs once, to its end, before a version starts.
//!
//! Invariant: no replica of a version with a release command starts before that has succeeded.

use std::time::Duration;

use tose_api::deployment::Trigger;
use tose_api::job::JobStatus;
use tose_api::log::LogSource;
use tose_api::{JobId, Timestamp};
use tose_model::command;
use tose_model::deployment::Deployment;
use tose_model::deployment::state::Event;
use tose_model::error::Result;
use tose_model::job::Job;
use tose_store::NewJob;

use crate::tasks::capture::stream_of;
use crate::tasks::project_pass::Pass;

/// How many lines of what it wrote are in the deployment's log, too.
const SHOWN_LINES: usize = 1000;

/// Whether the version that is to take over may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// It may: its command succeeded at this time, or it has none.
    Done(Option<Timestamp>),
    /// It may not, so far.
    Waits,
}

impl Pass<'_> {
    /// Sees to the release command of the version that is to take over.
    pub(super) async fn release(&self) -> Result<Release> {
        let Some(target) = self.scene.target.as_ref() else {
            return Ok(Release::Done(None));
        };
        let Some(command) = release_command(target) else {
            return Ok(Release::Done(None));
        };
        let store = &self.platform.store;
        match store.find_release_job(&self.scene.scope, target.id).await? {
            None => {
                self.begin_release(target, command).await?;
                Ok(Release::Waits)
            }
            Some(job) if job.status == JobStatus::Succeeded => Ok(Release::Done(job.finished_at)),
            Some(job) if job.status.is_open() => Ok(Release::Waits),
            Some(job) => {
                let reason = failure(&job);
                let settled = self.platform.settle(target, Event::Failure, Some(&reason));
                settled.await?;
                self.platform.signals.project(self.scene.project.id);
                Ok(Release::Waits)
            }
        }
    }

    async fn begin_release(&self, target: &Deployment, command: &str) -> Result<()> {
        let limit = self.platform.config.limits.build_timeout;
        let new = NewJob {
            id: JobId::from_uuid(self.platform.ids.uuid()),
            project_id: self.scene.project.id,
            deployment_id: target.id,
            command: command::split(command)?,
            timeout_seconds: seconds(limit),
            created_by: target.created_by.clone(),
            is_release: true,
            schedule: None,
            now: self.platform.now(),
        };
        let text = format!("running the release command: {command}");
        self.platform.say(target.id, text).await;
        let store = &self.platform.store;
        store.create_release_job(&self.scene.scope, &new).await?;
        self.platform.signals.project(self.scene.project.id);
        Ok(())
    }

    /// Adds what a release command wrote to its deployment's log.
    pub(super) async fn show_release(&self, job: &Job) -> Result<()> {
        let stream = stream_of(&job.key());
        let logs = &self.platform.logs;
        let records = logs
            .read(stream, None, SHOWN_LINES)
            .await
            .map_err(crate::app::log::log_error)?;
        let lines = records
            .into_iter()
            .map(|record| String::from_utf8_lossy(&record.line.text).into_owned());
        self.platform
            .log_build(job.deployment_id, LogSource::Build, lines.collect())
            .await;
        Ok(())
    }

    /// Whether a job is the release command of a version that nobody waits for any more, or of a workspace that is
    /// suspended.
    pub(super) fn is_pointless(&self, job: &Job) -> bool {
        if self.scene.facts.suspended.is_some() {
            return true;
        }
        let target = self.scene.target.as_ref();
        job.is_release && target.is_none_or(|target| target.id != job.deployment_id)
    }
}

/// The command that has to succeed first. What has run already only starts again, so it has none.
fn release_command(target: &Deployment) -> Option<&str> {
    let is_again = matches!(
        target.trigger,
        Trigger::Start | Trigger::Restart | Trigger::AutoRollback
    );
    target.run.release_command.as_deref().filter(|_| !is_again)
}

fn failure(job: &Job) -> String {
    match (&job.error, job.exit_code) {
        (Some(error), _) => format!("the release command failed: {error}"),
        (None, Some(code)) => format!("the release command ended with exit code {code}"),
        (None, None) => "the release command was called off".to_owned(),
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

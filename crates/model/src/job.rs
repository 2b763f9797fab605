//! Jobs: a command that runs once beside a project's replicas.
//!
//! Guarantee: a job is started at most once. Where it is not known how one ended, it has failed.

use tose_api::job::JobStatus;
use tose_api::{DeploymentId, JobId, ProjectId, Slug, Timestamp};

use crate::driver::ReplicaKey;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The project.
    pub project_id: ProjectId,
    /// The deployment whose image and variables it has.
    pub deployment_id: DeploymentId,
    /// Counts the project's jobs, from 1.
    pub number: u32,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How far it is.
    pub status: JobStatus,
    /// How long it may take, in seconds.
    pub timeout_seconds: u32,
    /// Whether it was called off.
    pub cancel_requested: bool,
    /// Its exit code, once it has ended by itself.
    pub exit_code: Option<i64>,
    /// Why it failed, where the exit code does not say.
    pub error: Option<String>,
    /// The e-mail address of who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Whether it is the deployment's release command.
    pub is_release: bool,
    /// The schedule that it is a run of.
    pub schedule: Option<Slug>,
}

impl Job {
    /// Its replica.
    pub fn key(&self) -> ReplicaKey {
        ReplicaKey::of_job(self.project_id, self.deployment_id, self.number)
    }
}

//! Jobs: a command that runs once, in a container of its own, with a project's image, variables and
//! volumes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeploymentId, JobId, Slug, Timestamp};

/// Body of `POST P/jobs`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateJob {
    /// The program and its arguments, 1 to 100 of them; no shell reads them.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(max = 4096), regex(pattern = "^[^\\x00]*$")),
        extend("prefixItems" = [{"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[^\\x00]+$"}])
    )]
    pub command: Vec<String>,
    /// How long it may take, 1 to 86,400 s; 3,600 when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<u32>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It has not started.
    Queued,
    /// It runs.
    Running,
    /// It ended with the exit code 0.
    Succeeded,
    /// It ended with another one, could not start, took too long, or was lost.
    Failed,
    /// It was called off.
    Cancelled,
}

impl JobStatus {
    /// As it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it may still come to another end.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How far it is.
    pub status: JobStatus,
    /// The deployment whose image and variables it has.
    pub deployment_id: DeploymentId,
    /// Whether it is the deployment's release command.
    pub is_release: bool,
    /// The schedule that it is a run of.
    pub schedule: Option<Slug>,
    /// Its exit code, once it has ended by itself.
    pub exit_code: Option<i64>,
    /// Why it failed, where the exit code does not say.
    pub error: Option<String>,
    /// How long it may take.
    pub timeout_seconds: u32,
    /// The e-mail address of who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

//! Deployments: attempts to bring a version to life.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::AnalysisView;
use crate::log::LogLineView;
use crate::{BranchName, DeploymentId, Slug, Timestamp};

/// How far a deployment is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Waits for its turn.
    Queued,
    /// Its image is being fetched or built.
    Building,
    /// Its replicas are being started and checked.
    Deploying,
    /// It is live: visitors get it.
    Running,
    /// It did not come to life; `error` says why.
    Failed,
    /// It was live and was stopped on request.
    Stopped,
    /// It was called off before it was live.
    Cancelled,
    /// Another one took its place.
    Superseded,
}

impl DeploymentStatus {
    /// Every status, in the order of a deployment's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Building,
        Self::Deploying,
        Self::Running,
        Self::Failed,
        Self::Stopped,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// Whether it is still on its way to a result.
    pub const fn is_in_progress(self) -> bool {
        matches!(self, Self::Queued | Self::Building | Self::Deploying)
    }

    /// The status as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Deploying => "deploying",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

/// What made a deployment start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A call of the API, the CLI or the dashboard.
    Manual,
    /// The current image again with today's variables, without a build.
    Redeploy,
    /// The current image again, because the project was started.
    Start,
    /// The current image again, because the project was restarted.
    Restart,
    /// An earlier deployment's image, settings and variables again.
    Rollback,
    /// A source tree that was sent along.
    Upload,
    /// A call of the project's deploy hook.
    Hook,
    /// A push to the connected repository.
    Push,
    /// A push to this server.
    GitPush,
    /// The version before, because the one that went live broke soon after.
    AutoRollback,
}

impl Trigger {
    /// The trigger as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Redeploy => "redeploy",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Rollback => "rollback",
            Self::Upload => "upload",
            Self::Hook => "hook",
            Self::Push => "push",
            Self::GitPush => "git_push",
            Self::AutoRollback => "auto_rollback",
        }
    }
}

/// Body of `POST P/deployments`; an empty body is a body without fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDeployment {
    /// The full id of the commit to build; the branch's newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-fA-F]{40}$"))]
    pub commit: Option<String>,
    /// The branch to build; the connection's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
    /// Builds every layer anew.
    #[serde(default)]
    pub no_cache: bool,
}

/// The commit that a deployment was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitView {
    /// Its id.
    pub sha: String,
    /// The first line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentView {
    /// Its id.
    pub id: DeploymentId,
    /// How far it is.
    pub status: DeploymentStatus,
    /// What made it start.
    pub trigger: Trigger,
    /// What it was built from, once that is known.
    pub commit: Option<CommitView>,
    /// The image that it runs, once there is one.
    pub image: Option<String>,
    /// Why it failed, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What its output says of why it failed, if it failed and that is likely enough.
    #[serde(default)]
    pub analysis: Option<AnalysisView>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its build began.
    pub build_started_at: Option<Timestamp>,
    /// When its build ended.
    pub build_finished_at: Option<Timestamp>,
    /// When visitors first got it.
    pub live_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The e-mail address of who asked for it.
    pub created_by: String,
}

/// Answer of `GET P/deployments/:id/logs`: a part of what was said about a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentLogView {
    /// The lines, oldest first.
    pub lines: Vec<LogLineView>,
    /// What to send as `after` for the lines that follow; absent when there are none so far.
    pub next: Option<u64>,
    /// Whether the log is complete: nothing will be added.
    pub complete: bool,
}

/// Answer of `GET` and `POST P/webhooks/deploy`: the address that deploys the project when it is called.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployHookView {
    /// The project whose hook it is.
    pub project: Slug,
    /// What to `POST` to, in the answer that made it only: it holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

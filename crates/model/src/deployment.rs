//! Deployments: what is to run, and how it gets there.
//!
//! Invariant: of one project at most one deployment is live, one is being built or rolled out, and
//! one waits. The store's unique indexes hold that; [`state`] says which way a deployment can go.

pub mod failure;
pub mod state;

use tose_api::analysis::AnalysisView;
use tose_api::deployment::{CommitView, DeploymentStatus, Trigger};
use tose_api::{BranchName, DeploymentId, ProjectId, Timestamp, WorkspaceId};

use crate::project::RunSpec;
use crate::secret::Sealed;

/// One attempt to bring a version of a project to life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// The project.
    pub project_id: ProjectId,
    /// The project's workspace.
    pub workspace_id: WorkspaceId,
    /// The project's generation when it was made: later deployments have higher ones.
    pub generation: u64,
    /// How far it is.
    pub status: DeploymentStatus,
    /// What made it start.
    pub trigger: Trigger,
    /// The commit that was asked for, or (later) built.
    pub commit: Option<CommitView>,
    /// The branch to build, where it is not the connection's.
    pub branch: Option<BranchName>,
    /// Whether every layer is built anew.
    pub no_cache: bool,
    /// The image it runs; absent until it was built.
    pub image: Option<String>,
    /// What it runs with.
    pub run: RunSpec,
    /// Its environment, sealed with the deployment's id: a JSON object of texts.
    pub env: Sealed,
    /// Why it failed.
    pub error: Option<String>,
    /// What its output says of why it failed.
    pub analysis: Option<AnalysisView>,
    /// Whether it was called off while it was being built.
    pub cancel_requested: bool,
    /// When the phase it is in must be over.
    pub deadline_at: Timestamp,
    /// Whether the version before it has to go first, for want of room.
    pub in_place: bool,
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

//! Projects: what the user wants to run.

use serde::{Deserialize, Serialize};
use tose_api::project::{BuildOptions, ProjectStatus, Source, Volume};
use tose_api::{
    BranchName, Cpu, Hostname, ImageRef, Port, ProjectId, Ram, Slug, Timestamp, WorkspaceId,
};

use crate::process::{Processes, Scale, total};
use crate::recipe::manifest::RunWishes;

/// The port of a project that names none.
pub const DEFAULT_PORT: u16 = 3000;

/// Whether a project is to run. Set by the user alone, never by what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesiredState {
    /// Its live version is to run.
    Running,
    /// Nothing of it is to run.
    Stopped,
}

impl DesiredState {
    /// The state as the store keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// What kind of project it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectKind {
    /// An app.
    App,
    /// A managed database.
    Database,
    /// An instance of the template with this key.
    Template(String),
}

/// What a version runs with. Each deployment keeps the one it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The port that the app is to listen on.
    pub port: Port,
    /// Cores a replica.
    pub cpu: Cpu,
    /// Memory a replica.
    pub ram: Ram,
    /// The path that answers 2xx or 3xx once a replica is ready.
    pub health_check_path: Option<String>,
    /// What runs in place of the image's own entrypoint and command; see [`crate::command::split`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_command: Option<String>,
    /// What runs once, to its end, before a version takes over; see [`crate::command::split`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_command: Option<String>,
    /// What runs beside the process that answers visitors.
    #[serde(default, skip_serializing_if = "Processes::is_empty")]
    pub processes: Processes,
    /// Folders that outlive replicas. With any, two versions never run at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// What the source's own file says of all this. A deployment of the same image heeds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<RunWishes>,
}

/// Whether a path can be asked for as a health path.
pub fn is_health_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 200
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The workspace it belongs to.
    pub workspace_id: WorkspaceId,
    /// That workspace's slug.
    pub workspace: Slug,
    /// What people call it.
    pub name: String,
    /// Its name in URLs and on the workspace's network.
    pub slug: Slug,
    /// Where its image comes from.
    pub source: Source,
    /// The image to run when `source` is `Image`.
    pub image: Option<ImageRef>,
    /// What the next deployment runs with.
    pub run: RunSpec,
    /// How its image is built.
    pub build: Option<BuildOptions>,
    /// Where it runs.
    pub region: Slug,
    /// How many replicas run while it is not stopped.
    pub replicas: u32,
    /// How many replicas of its other processes run, where that is not what a version says.
    pub scale: Scale,
    /// Whether it is to run.
    pub desired: DesiredState,
    /// Grows with every change of intent.
    pub generation: u64,
    /// The host name that the platform gave it.
    pub hostname: Hostname,
    /// The pull request that it runs, if it is a preview.
    pub preview: Option<Preview>,
    /// What kind of project it is.
    pub kind: ProjectKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its configuration last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// How many replicas a version of it has that runs with this.
    pub fn replicas_of(&self, run: &RunSpec) -> u32 {
        self.replicas
            .saturating_add(total(&run.processes, &self.scale))
    }

    /// The project whose repository it is built from: its own, unless it is a preview.
    pub fn connected_id(&self) -> ProjectId {
        let preview = self.preview.as_ref();
        preview.map_or(self.id, |preview| preview.project_id)
    }
}

/// The pull request that a project runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The project that it is a preview of.
    pub project_id: ProjectId,
    /// The request's number in the repository.
    pub number: u32,
    /// The branch with its changes.
    pub branch: BranchName,
}

/// What a project's status is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFacts {
    /// Whether it is to run.
    pub desired: DesiredState,
    /// Whether a deployment is on its way.
    pub in_progress: bool,
    /// Whether a version is live.
    pub live: bool,
    /// Whether the newest deployment failed.
    pub newest_failed: bool,
    /// Live replicas that are ready, less the workers that do not run.
    pub ready: u32,
    /// Replicas that are wanted, workers left out.
    pub wanted: u32,
    /// Whether nothing of its workspace runs for want of money.
    pub suspended: bool,
}

/// A project's status.
pub fn status(facts: &StatusFacts) -> ProjectStatus {
    if facts.suspended && facts.desired == DesiredState::Running {
        ProjectStatus::Suspended
    } else if facts.in_progress {
        ProjectStatus::Deploying
    } else if facts.desired == DesiredState::Stopped {
        ProjectStatus::Stopped
    } else if facts.live && facts.ready >= facts.wanted {
        ProjectStatus::Running
    } else if facts.live {
        ProjectStatus::Degraded
    } else if facts.newest_failed {
        ProjectStatus::Failed
    } else {
        ProjectStatus::Created
    }
}

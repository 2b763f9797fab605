//! Projects and their live status.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::deployment::DeploymentView;
use crate::git::GitConnectionView;
use crate::{Cpu, DeploymentId, EnvKey, ImageRef, Port, ProjectId, Ram, RepoPath, Slug, Timestamp};

/// Where a project's image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Built from the connected Git repository.
    Git,
    /// The image that `image` names.
    Image,
}

/// What a project is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectStatus {
    /// Nothing was deployed so far.
    Created,
    /// A deployment is on its way.
    Deploying,
    /// Every replica of the live version is ready.
    Running,
    /// Some replicas of the live version are not ready.
    Degraded,
    /// Stopped on request; nothing runs.
    Stopped,
    /// The last deployment failed and nothing is live.
    Failed,
    /// Stopped because the wallet is empty.
    Suspended,
}

impl ProjectStatus {
    /// The status as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Deploying => "deploying",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
        }
    }
}

/// Body of `POST W/projects`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// 1 to 100 characters.
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: String,
    /// Made from the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// The port that the app listens on; it also gets it as `PORT`. 3000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// How many replicas run, 1 when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub replicas: Option<u32>,
    /// Cores a replica, `"0.5"` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// GB of memory a replica, `"0.5"` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
    /// `git` when absent, or `image` when `image` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The image to run when `source` is `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// The path that answers 2xx or 3xx once a replica is ready; without it, the port must accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = HEALTH_PATH_PATTERN))]
    pub health_check_path: Option<String>,
    /// What runs in place of the image's own entrypoint and command. It is split like a command
    /// line, and no shell reads it: `sh -c "…"` brings one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = START_COMMAND_PATTERN))]
    pub start_command: Option<String>,
    /// Folders that outlive replicas and deployments, 5 at most. A project with volumes has one
    /// replica, and a new version starts after the old one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    pub volumes: Option<Vec<Volume>>,
    /// How its image is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildOptions>,
    /// Where it runs: the server's own region, which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Slug>,
}

/// Body of `PUT P`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateProject {
    /// 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: Option<String>,
    /// Applies from the next deployment or restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Applies at once.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub replicas: Option<u32>,
    /// Applies from the next deployment or restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Applies from the next deployment or restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
    /// Applies from the next deployment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Applies from the next deployment on; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub image: Option<Option<ImageRef>>,
    /// Applies from the next deployment or restart on; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(regex(pattern = HEALTH_PATH_PATTERN))]
    pub health_check_path: Option<Option<String>>,
    /// Applies from the next deployment or restart on; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(regex(pattern = START_COMMAND_PATTERN))]
    pub start_command: Option<Option<String>>,
    /// Applies from the next deployment or restart on. One that is not named is kept with its data
    /// until the project is deleted, and no longer mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    pub volumes: Option<Vec<Volume>>,
    /// Applies from the next build on; `null` takes all of it away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub build: Option<Option<BuildOptions>>,
    /// The server's own region; there is no other to move to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Slug>,
}

/// Body of `POST P/scale`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleProject {
    /// Applies at once.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub replicas: Option<u32>,
    /// How many replicas of its other processes run, by their names, 0 to the most that `replicas`
    /// may be; those that are not named keep theirs. Applies at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub processes: Option<BTreeMap<Slug, u32>>,
    /// Cores a replica; a running project is restarted with them, new beside old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// GB of memory a replica; a running project is restarted with them, new beside old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
}

/// A folder that outlives replicas and deployments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name, unique in the project: the data belongs to it.
    pub name: Slug,
    /// Where replicas see it: an absolute path, not of the system's own folders.
    #[schemars(regex(pattern = MOUNT_PATH_PATTERN))]
    pub path: String,
}

/// How a project's image is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildOptions {
    /// The folder that is built; the root when absent. What the Git connection says goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_directory: Option<RepoPath>,
    /// Relative to that folder; `Dockerfile` when absent. What the Git connection says goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_path: Option<RepoPath>,
    /// The stage of the Dockerfile that becomes the image; the last when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Slug>,
    /// Values for the Dockerfile's `ARG`s, 50 at most. They stay in the image's history: no secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub args: BTreeMap<EnvKey, String>,
}

/// What a health path looks like.
const HEALTH_PATH_PATTERN: &str = "^/[!\"$-~]{0,199}$";
/// What a start command looks like: one line, and not only spaces.
const START_COMMAND_PATTERN: &str = crate::name::DISPLAY_NAME_PATTERN;
/// What a mount path looks like; which folders are the system's is said by the server.
const MOUNT_PATH_PATTERN: &str = r"^/[^\s:,\\\x00-\x1f\x7f-\x9f]{1,254}$";

/// Tells a field that was sent as `null` (`Some(None)`) from one that was not sent (`None`).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The pull request that a project runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewView {
    /// Its number in the repository.
    pub number: u32,
    /// The branch with its changes.
    pub branch: crate::BranchName,
}

/// A project as the members of its workspace see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectView {
    /// The project's id.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Its name in URLs.
    pub slug: Slug,
    /// The workspace it belongs to.
    pub workspace: Slug,
    /// What it is doing.
    pub status: ProjectStatus,
    /// Where visitors reach it.
    pub url: String,
    /// Where its image comes from.
    pub source: Source,
    /// The image to run when `source` is `image`.
    pub image: Option<ImageRef>,
    /// The port that the app listens on.
    pub port: Port,
    /// How many replicas run when it is not stopped.
    pub replicas: u32,
    /// Cores a replica.
    pub cpu: Cpu,
    /// GB of memory a replica.
    pub ram: Ram,
    /// The path that tells whether a replica is ready.
    pub health_check_path: Option<String>,
    /// What runs in place of the image's own entrypoint and command.
    pub start_command: Option<String>,
    /// Folders that outlive replicas and deployments.
    pub volumes: Vec<Volume>,
    /// How its image is built.
    pub build: Option<BuildOptions>,
    /// Where it runs.
    pub region: Slug,
    /// The repository it is built from.
    pub git_connection: Option<GitConnectionView>,
    /// The version that visitors get.
    pub live_deployment: Option<DeploymentView>,
    /// Whether that has a password in its variables which was changed since: deploy again.
    pub needs_redeploy: bool,
    /// The key of the template that it is an instance of.
    pub template: Option<String>,
    /// The pull request that it runs, if it is a preview.
    pub preview: Option<PreviewView>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its configuration last changed.
    pub updated_at: Timestamp,
}

/// Answer of `GET P/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The project.
    pub project: StatusProject,
    /// Its replicas.
    pub pods: PodsView,
    /// What they use, all together, as Kubernetes quantities.
    pub resources: ResourcesView,
}

/// The project of a [`StatusView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusProject {
    /// Its name in URLs.
    pub slug: Slug,
    /// What it is doing.
    pub status: ProjectStatus,
}

/// The replicas of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodsView {
    /// How many are ready.
    pub ready: u32,
    /// How many there are, without those on their way out.
    pub total: u32,
    /// Each of them.
    pub items: Vec<PodView>,
}

/// What a replica is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PodStatus {
    /// Made, but not started.
    Pending,
    /// Started, not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Was ready, and is not any more.
    Unhealthy,
    /// Ended.
    Crashed,
    /// On its way out.
    Stopping,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodView {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub status: PodStatus,
    /// Whether visitors reach it; of other processes, whether it has run for a moment.
    pub ready: bool,
    /// How often it was started again after a crash.
    pub restarts: u32,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// The process that it runs, if that answers no visitors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Slug>,
    /// The deployment it belongs to.
    pub deployment_id: DeploymentId,
    /// Cores in use, such as `12m`.
    pub cpu: String,
    /// Memory in use, such as `64Mi`.
    pub memory: String,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the replicas use and may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourcesView {
    /// Cores, such as `500m`.
    pub cpu: UsageView,
    /// Memory, such as `512Mi`.
    pub memory: UsageView,
}

/// One resource as Kubernetes quantities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// In use.
    pub used: String,
    /// Allowed.
    pub limit: String,
}

//! The engine, as the rest of the platform sees it.
//!
//! A [`Driver`] tells what there is ([`Driver::observe`]) and brings about one step at a time
//! ([`Driver::apply`]). Steps are idempotent: applying one twice leaves the engine as applying it
//! once did, so an answer that got lost is simply asked for again.
//!
//! Guarantees: a driver touches only objects that carry the labels of this installation; it never
//! replaces a replica by one of an older generation.
//! Assumptions: one control plane per installation applies steps to one project at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Sink;
use futures_util::stream::BoxStream;
use tose_api::{
    Cpu, DeploymentId, EnvKey, ImageRef, Port, ProjectId, Ram, Slug, Timestamp, WorkspaceId,
};

use crate::log::LogLine;
use crate::quota::Load;
use crate::secret::SecretString;

/// Names one installation of the platform on an engine that may serve several: 8 lower-case hex
/// digits, made once per data directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstallationId(Box<str>);

impl InstallationId {
    /// The id that these 8 lower-case hex digits are, if they are.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 8 && text.bytes().all(is_hex)).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which replica: a place in a deployment of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    /// The project.
    pub project_id: ProjectId,
    /// The deployment whose version it runs.
    pub deployment_id: DeploymentId,
    /// Its place among the replicas of that deployment that answer visitors, from 0; of others see
    /// [`ReplicaKey::worker_index`] and [`ReplicaKey::of_job`].
    pub index: u32,
}

/// The places from here on are those of jobs.
const FIRST_JOB: u32 = 1 << 31;
/// The places from here on are those of processes that answer no visitors: so many for each of them.
const FIRST_WORKER: u32 = 1 << 30;
const PLACES: u32 = 1 << 16;

impl ReplicaKey {
    /// The replica of a project's job, by the job's number (below 2³¹): it has the version of that
    /// deployment, runs once, and is not reached by the project's name.
    pub const fn of_job(project_id: ProjectId, deployment_id: DeploymentId, number: u32) -> Self {
        Self {
            project_id,
            deployment_id,
            index: FIRST_JOB | number,
        }
    }

    /// The place of a replica of the process with this slot (below 2¹⁴) of a version, from 0 to 65,535.
    /// It is not reached by the project's name either.
    pub const fn worker_index(slot: u32, place: u32) -> u32 {
        FIRST_WORKER + slot * PLACES + place
    }

    /// The slot of the process that it runs and its place there, if it answers no visitors and is no
    /// job's.
    pub const fn worker(&self) -> Option<(u32, u32)> {
        if self.index >= FIRST_JOB {
            return None;
        }
        match self.index.checked_sub(FIRST_WORKER) {
            Some(place) => Some((place / PLACES, place % PLACES)),
            None => None,
        }
    }

    /// Whether it is one of those that answer visitors.
    pub const fn is_web(&self) -> bool {
        self.index < FIRST_WORKER
    }

    /// The number of the job that it runs, if it is a job's.
    pub const fn job_number(&self) -> Option<u32> {
        self.index.checked_sub(FIRST_JOB)
    }
}

/// A replica's name: the same for the same key, and unique within an installation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaName(Box<str>);

impl ReplicaName {
    /// The name of the replica `key` of the project called `project`; of one that runs a process
    /// beside the one that answers visitors, see [`ReplicaName::of_process`].
    pub fn new(project: &Slug, key: &ReplicaKey) -> Self {
        let version = version(key.deployment_id);
        Self(match key.job_number() {
            Some(number) => format!("{project}-{version}-job-{number}").into(),
            None => format!("{project}-{version}-{}", key.index).into(),
        })
    }

    /// The name of the replica with this place that runs the process called `process`.
    pub fn of_process(project: &Slug, key: &ReplicaKey, process: &Slug, place: u32) -> Self {
        let version = version(key.deployment_id);
        Self(format!("{project}-{version}-{process}-{place}").into())
    }

    /// Takes a name as an engine's label has it.
    pub fn from_label(label: &str) -> Self {
        Self(label.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a replica with this name runs this deployment.
    pub fn is_of(name: &str, deployment_id: DeploymentId) -> bool {
        let version = version(deployment_id);
        name.match_indices(version.as_str())
            .any(|(at, _)| name[..at].ends_with('-') && name[at + version.len()..].starts_with('-'))
    }
}

/// What a replica's name says of its deployment.
fn version(deployment_id: DeploymentId) -> String {
    let deployment = deployment_id.as_uuid().simple().to_string();
    // The tail of a UUIDv7 is its random part; its head is the time and often equal.
    deployment[20..].to_owned()
}

impl fmt::Display for ReplicaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that a replica is started with.
#[derive(Debug, Clone)]
pub struct ReplicaSpec {
    /// Its name, from `key`.
    pub name: ReplicaName,
    /// Which replica it is.
    pub key: ReplicaKey,
    /// Grows with each deployment of the project.
    pub generation: u64,
    /// The newest generation of the project that the caller knows of. If the engine has a newer one, the
    /// caller is out of date, and refused; so the version that serves can be started beside a newer
    /// one, and never in ignorance of it.
    pub known_generation: u64,
    /// The workspace whose network it joins.
    pub workspace_id: WorkspaceId,
    /// The workspace's slug, for labels.
    pub workspace: Slug,
    /// The project's slug: its name on the workspace's network.
    pub project: Slug,
    /// The image: a tag of ours or a reference that was pulled.
    pub image: String,
    /// What runs in place of the image's own entrypoint and command; an argument list, no shell,
    /// never empty.
    pub command: Option<Vec<String>>,
    /// The environment, `PORT` included.
    pub env: Vec<(EnvKey, SecretString)>,
    /// The port that the app is to listen on.
    pub port: Port,
    /// The most processor time it may use.
    pub cpu: Cpu,
    /// The most memory it may use; there is no swap beyond it.
    pub ram: Ram,
    /// Named volumes of the project, mounted read-write.
    pub volumes: Vec<VolumeMount>,
}

impl ReplicaSpec {
    /// Refuses a caller who does not know the newest of the generations that there are.
    ///
    /// # Errors
    /// `Stale`.
    pub fn check_fence(&self, there_are: impl Iterator<Item = u64>) -> DriverResult<()> {
        let known = self.known_generation.max(self.generation);
        match there_are.max() {
            Some(running) if running > known => Err(DriverError::Stale { known, running }),
            _ => Ok(()),
        }
    }
}

/// A volume of a project, and where a replica has it. The volume is made with the first replica
/// that mounts it and outlives them all, until [`EngineStep::RemoveVolumes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// Its name, unique in the project.
    pub name: Slug,
    /// The absolute path inside the replica.
    pub path: String,
}

/// One change to the engine.
#[derive(Debug, Clone)]
pub enum EngineStep {
    /// There is a network for the workspace.
    EnsureNetwork {
        workspace_id: WorkspaceId,
        workspace: Slug,
    },
    /// The replica exists and runs; one that ended is started again.
    StartReplica(Box<ReplicaSpec>),
    /// The replica was asked to end (SIGTERM). Nothing happens if it is gone or has ended.
    TerminateReplica { name: ReplicaName },
    /// The replica is gone, killed where need be, with its anonymous volumes. The project's own
    /// volumes stay.
    RemoveReplica { name: ReplicaName },
    /// The workspace's network is gone.
    RemoveNetwork { workspace_id: WorkspaceId },
    /// The image that was built for this deployment is gone. One that is in use stays.
    RemoveImage {
        project_id: ProjectId,
        deployment_id: DeploymentId,
    },
    /// Every volume of the project is gone, with what is in it. Fails while a replica has one.
    RemoveVolumes { project_id: ProjectId },
}

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything of this installation.
    Installation,
    /// What belongs to one project.
    Project(ProjectId),
}

/// A replica as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObservedReplica {
    /// Its name.
    pub name: ReplicaName,
    /// Which replica it is.
    pub key: ReplicaKey,
    /// The workspace whose network it is on.
    pub workspace_id: WorkspaceId,
    /// The generation that it was started with.
    pub generation: u64,
    /// What it does.
    pub state: ReplicaState,
    /// Its address on the workspace's network while it runs.
    pub ip: Option<IpAddr>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended; before `started_at` if it was started again.
    pub ended_at: Option<Timestamp>,
    /// The cores and the memory that it was given.
    pub load: Load,
    /// How often the engine started it again after a crash.
    pub restarts: u32,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaState {
    /// Made and never started.
    Created,
    /// Its process runs.
    Running,
    /// It crashed, and the engine is about to start it again.
    Restarting { exit_code: i64, out_of_memory: bool },
    /// It ended.
    Exited { exit_code: i64, out_of_memory: bool },
}

/// What a replica uses at the moment, and what it has moved over its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Thousandths of a core, averaged since the last look (or since the start).
    pub cpu_milli: u64,
    /// Bytes of memory, without the page cache that can be dropped.
    pub memory_bytes: u64,
    /// Bytes received over its network since its start; 0 where that is not known.
    pub received_bytes: u64,
    /// Bytes sent over its network since its start; 0 where that is not known.
    pub sent_bytes: u64,
}

/// What the engine's machine has left, as far as it can be seen from here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spare {
    /// Bytes of memory that new replicas could have.
    pub memory_bytes: Option<u64>,
    /// Where the engine keeps images and containers.
    pub disk: Option<Disk>,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are in use.
    pub used_bytes: u64,
    /// Bytes that anybody may still use. Both are less than the whole where some are kept for root.
    pub free_bytes: u64,
}

impl Disk {
    /// How full it is: 0 to 100, rounded down.
    pub fn used_percent(self) -> u64 {
        let (used, free) = (self.used_bytes >> 10, self.free_bytes >> 10);
        (used * 100).checked_div(used + free).unwrap_or(0)
    }
}

/// A socket that a replica's processes listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listening {
    /// The address inside the replica; a loopback address cannot be reached from outside.
    pub addr: SocketAddr,
}

/// What to build.
pub struct BuildRequest {
    /// The project it is for.
    pub project_id: ProjectId,
    /// The deployment it is for: the image is named after it.
    pub deployment_id: DeploymentId,
    /// The workspace, for labels.
    pub workspace_id: WorkspaceId,
    /// The build context as an uncompressed tar stream.
    pub context: BoxStream<'static, std::io::Result<Bytes>>,
    /// The Dockerfile's path inside the context.
    pub dockerfile: String,
    /// The stage of the Dockerfile that is built; the last one when absent.
    pub target: Option<String>,
    /// Values for `ARG`s of the Dockerfile; they stay in the image's history, so no secrets.
    pub args: BTreeMap<String, String>,
    /// What a Dockerfile that was translated reads its secrets from; see [`crate::build_secret`].
    pub secrets: Option<SecretString>,
    /// Whether every layer is built anew.
    pub no_cache: bool,
    /// Whose layers may be used otherwise.
    pub cache: LayerCache,
    /// The most that a build step may write, in bytes; looked at every few seconds.
    pub disk_bytes: u64,
    /// The most memory that a build step may use, in bytes.
    pub memory_bytes: u64,
    /// The most processor time that a build step may use.
    pub cpu: Cpu,
}

/// Whose layers a build may use instead of making them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCache {
    /// Those of the same project's builds.
    Project,
    /// Those of every build on the machine, also of other workspaces.
    Machine,
}

/// An image that was built for a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The deployment it was built for.
    pub deployment_id: DeploymentId,
    /// Its reference, to start replicas from.
    pub image: String,
}

/// A user name and a password (or token) for one registry.
#[derive(Debug, Clone)]
pub struct RegistryCredentials {
    /// Who pulls.
    pub username: String,
    /// The password or token.
    pub password: SecretString,
}

/// An image that is pulled with credentials, for one deployment.
#[derive(Debug, Clone)]
pub struct PrivatePull {
    /// The project whose credentials they are.
    pub project_id: ProjectId,
    /// The deployment it is for: the image is named after it.
    pub deployment_id: DeploymentId,
    /// Its reference in the registry.
    pub image: ImageRef,
    /// What the registry is shown.
    pub credentials: RegistryCredentials,
}

/// A command to run in a replica, beside its process.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The argument list, never empty; no shell.
    pub command: Vec<String>,
    /// Variables besides the replica's own. They are for what no argument may show: whoever looks at the
    /// replica's processes sees those.
    pub env: Vec<(EnvKey, SecretString)>,
    /// A terminal of this size; without one the command has plain pipes.
    pub tty: Option<TtySize>,
}

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtySize {
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
}

/// Names a command that was started by [`Driver::exec`]; the engine's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecId(Box<str>);

impl ExecId {
    /// Takes an id as the engine has it.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A piece of what a command writes: what came at once, not a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    /// To its standard output, or to its terminal.
    Stdout(Bytes),
    /// To its standard error.
    Stderr(Bytes),
}

/// A command that runs, and the way to talk with it.
///
/// Dropping the input is closing it. With a terminal that is Ctrl-D, which a program need not obey.
/// Dropping the output leaves the command alone: one that reads no further input runs on, at the
/// longest until its replica ends.
pub struct ExecSession {
    /// Which command it is.
    pub id: ExecId,
    /// What the command writes, until it ends. With a terminal everything is `Stdout`. After the
    /// stream's end the exit code is known.
    pub output: BoxStream<'static, DriverResult<ExecOutput>>,
    /// The command's standard input; closing it is its end.
    pub input: Pin<Box<dyn Sink<Bytes, Error = DriverError> + Send>>,
}

/// Something happened to a replica; look at its project again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineEvent {
    /// The project.
    pub project_id: ProjectId,
}

/// What the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The engine's kind: `docker`.
    pub kind: &'static str,
    /// Its version.
    pub version: String,
    /// The API version that was agreed on.
    pub api_version: String,
}

/// Why the engine did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// It does not answer; nothing is known of what there is.
    #[error("the container engine does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such image, neither here nor (for these credentials) in its registry.
    #[error("image {image} could not be pulled: {reason}")]
    ImageUnavailable { image: String, reason: String },
    /// The build ran and failed; the log has the step's output.
    #[error("{0}")]
    BuildFailed(String),
    /// A generation of the project was started that the caller does not know.
    #[error("generation {running} was started already, and only {known} is known here")]
    Stale { known: u64, running: u64 },
    /// The object is gone.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The replica's process could not be started, for a reason that its author can mend.
    #[error("{0}")]
    CannotStart(String),
    /// Anything else, with what was tried.
    #[error("the container engine could not {operation}")]
    Failed {
        operation: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a driver answers.
pub type DriverResult<T> = Result<T, DriverError>;

/// An engine that runs replicas: Docker today, Kubernetes through the same trait.
#[async_trait]
pub trait Driver: Send + Sync {
    /// What the engine is; fails when it does not answer.
    async fn info(&self) -> DriverResult<EngineInfo>;

    /// The replicas of `scope`, whatever their state. An error means "not known", never "none".
    async fn observe(&self, scope: Scope) -> DriverResult<Vec<ObservedReplica>>;

    /// Brings about one step. Idempotent.
    async fn apply(&self, step: &EngineStep) -> DriverResult<()>;

    /// Makes sure that `image` is here, pulling it if it is not. The lines tell the progress.
    async fn ensure_image(
        &self,
        image: &str,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>>;

    /// Pulls an image with a project's credentials, also if it is here: the registry decides each time.
    /// The stream's end without an error means that the image is there under [`Driver::built_image`],
    /// and that this pull left it under no name by which another project could run it.
    async fn pull_private_image(
        &self,
        pull: PrivatePull,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>>;

    /// Builds an image. The lines are the build's output; the stream's end without an error means
    /// that the image is there under [`Driver::built_image`]. Dropping the stream ends the build.
    async fn build(
        &self,
        request: BuildRequest,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>>;

    /// The reference of the image that is (or would be) built for a deployment.
    fn built_image(&self, project_id: ProjectId, deployment_id: DeploymentId) -> String;

    /// The images that were built for a project.
    async fn list_images(&self, project_id: ProjectId) -> DriverResult<Vec<BuiltImage>>;

    /// Whether an image of [`Driver::list_images`] is (still) here, by its reference.
    async fn has_image(&self, image: &str) -> DriverResult<bool>;

    /// Puts what keeps the workspaces' networks apart back in place, should something on the machine have
    /// taken it away: a reboot, a firewall that was loaded anew. Making a network does it as well.
    async fn guard_networks(&self) -> DriverResult<()>;

    /// The workspaces of this installation that have a network.
    async fn list_networks(&self) -> DriverResult<Vec<WorkspaceId>>;

    /// The projects of this installation that have a volume.
    async fn list_volumes(&self) -> DriverResult<Vec<ProjectId>>;

    /// A replica's output from `since` on (inclusive), then as it comes until the replica ends.
    /// Lines come in the order in which the engine read them.
    async fn logs(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> DriverResult<BoxStream<'static, DriverResult<LogLine>>>;

    /// What the engine's machine has left.
    async fn spare(&self) -> DriverResult<Spare>;

    /// What a running replica uses.
    async fn usage(&self, name: &ReplicaName) -> DriverResult<Usage>;

    /// How many bytes a replica has written beside its volumes. Nothing is said of what its image holds.
    /// Costs the engine a look at each file that was written: not for every few seconds.
    async fn written_bytes(&self, name: &ReplicaName) -> DriverResult<u64>;

    /// The sockets that a running replica listens on; `None` when that cannot be seen here.
    async fn listening(&self, name: &ReplicaName) -> DriverResult<Option<Vec<Listening>>>;

    /// Runs a command in a running replica, beside its process, with the replica's own rights and
    /// limits. Fails with `NotFound` when there is no such replica, with `CannotStart` when it does
    /// not run. A program that is not in the image, or may not be executed, is no error here: the
    /// session ends at once, and the exit code is 126 or 127. The output ends once the exit code is
    /// known, or a few seconds after a command that closed its output and goes on.
    async fn exec(&self, name: &ReplicaName, request: &ExecRequest) -> DriverResult<ExecSession>;

    /// Tells a terminal its new size. Nothing happens when its command has ended.
    async fn resize_exec(&self, id: &ExecId, size: TtySize) -> DriverResult<()>;

    /// The exit code of a command that ended; `None` while it runs. An engine forgets a command
    /// some time after its end, or with its replica: then it is `NotFound`.
    async fn exec_exit_code(&self, id: &ExecId) -> DriverResult<Option<i64>>;

    /// What happens to replicas from now on. Ends when the engine goes away.
    async fn events(&self) -> DriverResult<BoxStream<'static, DriverResult<EngineEvent>>>;
}

/// How long a replica has between the request to end and being killed.
pub const TERMINATION_GRACE: Duration = Duration::from_secs(10);

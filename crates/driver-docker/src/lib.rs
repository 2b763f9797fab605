//! The Docker Engine: everything that is said to its API.
//!
//! Invariants: an object is touched only when its name and its labels both say that it belongs to
//! this installation (an image is known by its name alone); every container's spec comes from one function (`spec.rs`).
//! Not here: when to do what (`tose-model`, the planner) and building recipes.

mod apply;
mod build;
mod cache;
mod engine;
mod error;
mod events;
mod exec;
mod firewall;
mod hijack;
mod image;
mod labels;
mod listening;
mod logs;
mod network;
mod observe;
mod private_image;
mod repeats;
mod spare;
mod spec;
mod step_containers;
mod usage;
mod volume;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tose_api::{DeploymentId, ProjectId, Timestamp, WorkspaceId};
use tose_model::driver::{
    BuildRequest, BuiltImage, Driver, DriverResult, EngineEvent, EngineInfo, EngineStep, ExecId,
    ExecRequest, ExecSession, InstallationId, Listening, ObservedReplica, PrivatePull, ReplicaName,
    Scope, Spare, TtySize, Usage,
};
use tose_model::log::LogLine;

pub use network::{InvalidPool, NetworkPool};
pub use spec::Profile;

use engine::Engine;
use firewall::Firewall;
use labels::Labels;
use usage::Samples;

/// The engine's address when none is configured.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// How to reach an engine, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose objects are touched.
    pub installation: InstallationId,
    /// `unix:///path`, `tcp://host:port` or `http://host:port`.
    pub host: String,
    /// How long the engine may take to answer one call. Builds, pulls and streams have no limit
    /// here; their callers have deadlines.
    pub timeout: Duration,
    /// Where the workspaces' networks take their addresses from.
    pub network_pool: NetworkPool,
    /// What replicas may do inside their container.
    pub profile: Profile,
}

impl Options {
    /// The local engine's socket and the defaults of everything else.
    pub fn new(installation: InstallationId) -> Self {
        Self {
            installation,
            host: DEFAULT_HOST.to_owned(),
            timeout: Duration::from_secs(60),
            network_pool: NetworkPool::default(),
            profile: Profile::Compat,
        }
    }
}

/// A [`Driver`] for a Docker Engine that speaks API 1.41 (20.10) or newer.
pub struct DockerDriver {
    engine: Engine,
    labels: Labels,
    pool: NetworkPool,
    profile: Profile,
    samples: Samples,
    /// Which of [`spec::OPEN_FILES`] the engine gives; found by trying.
    open_files: AtomicUsize,
    /// Held while a network is made: the engine allows two of one name, and two of one range would
    /// collide.
    making_network: tokio::sync::Mutex<()>,
    firewall: Firewall,
    /// The names of each project's images, as far as they are known.
    image_names: Arc<cache::ImageNames>,
    /// Whether the engine runs on this machine.
    is_here: bool,
    /// Where the engine keeps everything, once it was asked.
    root_dir: tokio::sync::OnceCell<Option<PathBuf>>,
    /// References that are being pulled with credentials.
    private_pulls: private_image::Pulls,
}

impl DockerDriver {
    /// Makes a driver. Fails only when the address is none; an engine that is down is met (and met
    /// again once it is back) by each call.
    pub fn connect(options: Options) -> DriverResult<Self> {
        let is_here = options.host.starts_with("unix://");
        let firewall = Firewall::new(options.installation.as_str());
        Ok(Self {
            firewall,
            is_here,
            root_dir: tokio::sync::OnceCell::new(),
            engine: Engine::new(&options.host, options.timeout)?,
            labels: Labels::new(options.installation),
            pool: options.network_pool,
            profile: options.profile,
            samples: Samples::default(),
            image_names: Arc::default(),
            open_files: AtomicUsize::new(0),
            making_network: tokio::sync::Mutex::new(()),
            private_pulls: private_image::Pulls::default(),
        })
    }
}

#[async_trait]
impl Driver for DockerDriver {
    async fn info(&self) -> DriverResult<EngineInfo> {
        self.engine.info().await
    }

    async fn observe(&self, scope: Scope) -> DriverResult<Vec<ObservedReplica>> {
        self.observe_replicas(scope).await
    }

    async fn apply(&self, step: &EngineStep) -> DriverResult<()> {
        match step {
            EngineStep::EnsureNetwork {
                workspace_id,
                workspace,
            } => self.ensure_network(*workspace_id, workspace).await,
            EngineStep::StartReplica(spec) => self.start_replica(spec).await,
            EngineStep::TerminateReplica { name } => self.terminate_replica(name).await,
            EngineStep::RemoveReplica { name } => self.remove_replica(name).await,
            EngineStep::RemoveNetwork { workspace_id } => self.remove_network(*workspace_id).await,
            EngineStep::RemoveImage {
                project_id,
                deployment_id,
            } => self.remove_image(*project_id, *deployment_id).await,
            EngineStep::RemoveVolumes { project_id } => self.remove_volumes(*project_id).await,
        }
    }

    async fn ensure_image(
        &self,
        image: &str,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        self.pull_missing_image(image).await
    }

    async fn pull_private_image(
        &self,
        pull: PrivatePull,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        self.pull_private(pull).await
    }

    async fn build(
        &self,
        request: BuildRequest,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        self.build_image(request).await
    }

    fn built_image(&self, project_id: ProjectId, deployment_id: DeploymentId) -> String {
        self.labels.image(project_id, deployment_id)
    }

    async fn list_images(&self, project_id: ProjectId) -> DriverResult<Vec<BuiltImage>> {
        self.list_built_images(project_id).await
    }

    async fn has_image(&self, image: &str) -> DriverResult<bool> {
        self.is_here(image).await
    }

    async fn guard_networks(&self) -> DriverResult<()> {
        self.guard().await
    }

    async fn list_networks(&self) -> DriverResult<Vec<WorkspaceId>> {
        self.list_workspace_networks().await
    }

    async fn list_volumes(&self) -> DriverResult<Vec<ProjectId>> {
        self.list_projects_with_volumes().await
    }

    async fn logs(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> DriverResult<BoxStream<'static, DriverResult<LogLine>>> {
        self.follow_logs(name, since).await
    }

    async fn spare(&self) -> DriverResult<Spare> {
        self.measure_spare().await
    }

    async fn usage(&self, name: &ReplicaName) -> DriverResult<Usage> {
        self.measure_usage(name).await
    }

    async fn written_bytes(&self, name: &ReplicaName) -> DriverResult<u64> {
        self.measure_written(name).await
    }

    async fn listening(&self, name: &ReplicaName) -> DriverResult<Option<Vec<Listening>>> {
        self.list_listening(name).await
    }

    async fn exec(&self, name: &ReplicaName, request: &ExecRequest) -> DriverResult<ExecSession> {
        self.run_command(name, request).await
    }

    async fn resize_exec(&self, id: &ExecId, size: TtySize) -> DriverResult<()> {
        self.resize_terminal(id, size).await
    }

    async fn exec_exit_code(&self, id: &ExecId) -> DriverResult<Option<i64>> {
        self.find_exit_code(id).await
    }

    async fn events(&self) -> DriverResult<BoxStream<'static, DriverResult<EngineEvent>>> {
        self.watch_events().await
    }
}

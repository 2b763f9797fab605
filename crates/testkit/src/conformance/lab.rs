//! What a case works with: a driver with an installation of its own, and short words for what
//! cases do all the time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tose_api::{DeploymentId, EnvKey, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::IdGen;
use tose_model::driver::{
    BuildRequest, Driver, DriverError, DriverResult, EngineStep, InstallationId, LayerCache,
    ObservedReplica, ReplicaKey, ReplicaName, ReplicaSpec, ReplicaState, Scope,
};
use tose_model::log::LogLine;

use super::Subject;
use crate::context::Context;
use crate::ids::SeededIds;
use crate::program::Program;

/// How long something may take to become true.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often one looks whether it has.
const PERIOD: Duration = Duration::from_millis(20);
/// The port that apps get.
pub(super) const PORT: u16 = 8080;

/// A case's workplace.
pub struct Lab {
    /// The driver under test.
    pub driver: Arc<dyn Driver>,
    /// Another installation's driver on the same engine.
    pub neighbour: Arc<dyn Driver>,
    /// What images are made from.
    pub base_image: String,
    ids: SeededIds,
    built: Mutex<Vec<(ProjectId, DeploymentId)>>,
}

/// A project in a workspace.
#[derive(Debug, Clone)]
pub struct App {
    pub(super) workspace_id: WorkspaceId,
    pub(super) workspace: Slug,
    pub(super) project_id: ProjectId,
    pub(super) project: Slug,
}

impl Lab {
    pub(super) fn new(subject: &Subject, seed: u64) -> Self {
        let ids = SeededIds::new(seed);
        let installation = || {
            let mut bytes = [0; 4];
            ids.fill(&mut bytes);
            let hex = format!("{:08x}", u32::from_be_bytes(bytes));
            InstallationId::parse(&hex).expect("8 hex digits")
        };
        Self {
            driver: (subject.connect)(installation()),
            neighbour: (subject.connect)(installation()),
            base_image: subject.base_image.clone(),
            ids,
            built: Mutex::new(Vec::new()),
        }
    }

    /// A new project in a new workspace that has a network.
    pub(super) async fn app(&self, project: &str) -> App {
        let workspace_id = WorkspaceId::from_uuid(self.ids.uuid());
        let app = self.app_in(workspace_id, project);
        self.apply(&app.ensure_network()).await;
        app
    }

    /// A new project in a workspace.
    pub(super) fn app_in(&self, workspace_id: WorkspaceId, project: &str) -> App {
        App {
            workspace_id,
            workspace: "acme".parse().expect("a slug"),
            project_id: ProjectId::from_uuid(self.ids.uuid()),
            project: project.parse().expect("a slug"),
        }
    }

    pub(super) fn deployment_id(&self) -> DeploymentId {
        DeploymentId::from_uuid(self.ids.uuid())
    }

    pub(super) fn workspace_id(&self) -> WorkspaceId {
        WorkspaceId::from_uuid(self.ids.uuid())
    }

    /// Applies a step that must succeed.
    pub(super) async fn apply(&self, step: &EngineStep) {
        self.driver
            .apply(step)
            .await
            .unwrap_or_else(|error| panic!("{step:?}: {}", chain(&error)));
    }

    /// A request to build `context` for a new deployment of `app`.
    pub(super) fn build_request(&self, app: &App, context: Context) -> BuildRequest {
        let deployment_id = self.deployment_id();
        let mut built = self.built.lock().expect("no case panics while it is held");
        built.push((app.project_id, deployment_id));
        BuildRequest {
            secrets: None,
            disk_bytes: 1 << 30,
            project_id: app.project_id,
            deployment_id,
            workspace_id: app.workspace_id,
            context,
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            args: std::collections::BTreeMap::new(),
            // An engine may fail a build whose cached layer another case removes (Docker 20.10 does).
            no_cache: true,
            cache: LayerCache::Project,
            memory_bytes: 512 << 20,
            cpu: "1".parse().expect("a quantity"),
        }
    }

    /// Builds on `driver`; the lines, and how it ended.
    pub(super) async fn build_on(
        &self,
        driver: &dyn Driver,
        request: BuildRequest,
    ) -> (Vec<String>, DriverResult<()>) {
        let mut stream = match driver.build(request).await {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await {
            match line {
                Ok(line) => lines.push(line),
                Err(error) => return (lines, Err(error)),
            }
        }
        (lines, Ok(()))
    }

    /// Builds an image that runs `program`, for a new deployment.
    pub(super) async fn image(&self, app: &App, program: &Program) -> DeploymentId {
        self.image_on(self.driver.as_ref(), app, program).await
    }

    pub(super) async fn image_on(
        &self,
        driver: &dyn Driver,
        app: &App,
        program: &Program,
    ) -> DeploymentId {
        let request = self.build_request(app, program.context(&self.base_image));
        self.built(driver, request).await
    }

    /// Does a build that must succeed.
    pub(super) async fn built(&self, driver: &dyn Driver, request: BuildRequest) -> DeploymentId {
        let deployment_id = request.deployment_id;
        let (lines, outcome) = self.build_on(driver, request).await;
        outcome.unwrap_or_else(|error| panic!("{}\n{}", chain(&error), lines.join("\n")));
        deployment_id
    }

    /// The first replica of a deployment, to be changed at will.
    pub(super) fn spec(&self, app: &App, deployment_id: DeploymentId) -> ReplicaSpec {
        let key = ReplicaKey {
            project_id: app.project_id,
            deployment_id,
            index: 0,
        };
        let port: EnvKey = "PORT".parse().expect("a key");
        ReplicaSpec {
            name: ReplicaName::new(&app.project, &key),
            key,
            generation: 1,
            known_generation: 1,
            workspace_id: app.workspace_id,
            workspace: app.workspace.clone(),
            project: app.project.clone(),
            image: self.driver.built_image(app.project_id, deployment_id),
            command: None,
            env: vec![(port, PORT.to_string().into())],
            port: u64::from(PORT).try_into().expect("a port"),
            cpu: "0.5".parse().expect("a quantity"),
            ram: "0.125".parse().expect("a quantity"),
            volumes: Vec::new(),
        }
    }

    /// Builds and starts a replica that runs `program`.
    pub(super) async fn start(&self, app: &App, program: Program) -> ReplicaSpec {
        let deployment_id = self.image(app, &program).await;
        let spec = self.spec(app, deployment_id);
        self.apply(&start(&spec)).await;
        spec
    }

    /// The replica as the engine shows it.
    pub(super) async fn find(&self, name: &ReplicaName) -> Option<ObservedReplica> {
        let replicas = self.driver.observe(Scope::Installation).await;
        let replicas = replicas.unwrap_or_else(|error| panic!("observe: {}", chain(&error)));
        replicas.into_iter().find(|replica| replica.name == *name)
    }

    /// Waits until the replica is as `is_so` wants it.
    pub(super) async fn wait(
        &self,
        name: &ReplicaName,
        what: &str,
        is_so: impl Fn(&ObservedReplica) -> bool,
    ) -> ObservedReplica {
        let begin = tokio::time::Instant::now();
        loop {
            let seen = self.find(name).await;
            match seen {
                Some(replica) if is_so(&replica) => return replica,
                _ if begin.elapsed() > DEADLINE => panic!("{name} is not {what} but {seen:?}"),
                _ => tokio::time::sleep(PERIOD).await,
            }
        }
    }

    pub(super) async fn wait_running(&self, name: &ReplicaName) -> ObservedReplica {
        self.wait(name, "running", |replica| {
            replica.state == ReplicaState::Running
        })
        .await
    }

    pub(super) async fn wait_exited(&self, name: &ReplicaName) -> ObservedReplica {
        let is_exited =
            |replica: &ObservedReplica| matches!(replica.state, ReplicaState::Exited { .. });
        self.wait(name, "exited", is_exited).await
    }

    /// Waits until the replica listens on `port` for everyone.
    pub(super) async fn wait_listening(&self, name: &ReplicaName, port: u16) {
        let begin = tokio::time::Instant::now();
        loop {
            let sockets = self.driver.listening(name).await.expect("listening");
            let sockets = sockets.expect("sockets can be seen");
            let is_open =
                |addr: std::net::SocketAddr| addr.ip().is_unspecified() && addr.port() == port;
            if sockets.iter().any(|socket| is_open(socket.addr)) {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "{name} listens on {sockets:?}");
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// The replica's output from `since` on, until the stream ends.
    pub(super) async fn output(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> Vec<LogLine> {
        self.output_until(name, since, |_| false).await
    }

    /// The replica's output from `since` on, until a line is the last that is wanted.
    pub(super) async fn output_until(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
        is_last: impl Fn(&LogLine) -> bool,
    ) -> Vec<LogLine> {
        let stream = self.driver.logs(name, since).await;
        let mut stream = stream.unwrap_or_else(|error| panic!("logs: {}", chain(&error)));
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await {
            let line = line.unwrap_or_else(|error| panic!("logs: {}", chain(&error)));
            let is_enough = is_last(&line);
            lines.push(line);
            if is_enough {
                break;
            }
        }
        lines
    }

    /// Waits until the replica has printed this line.
    pub(super) async fn wait_line(&self, name: &ReplicaName, text: &str) {
        let lines = self
            .output_until(name, None, |line| line.text == text.as_bytes())
            .await;
        let last = lines.last().map(text_of);
        assert_eq!(last.as_deref(), Some(text), "of {:?}", texts(&lines));
    }

    /// Removes everything of both installations, and checks that it is gone.
    pub(super) async fn clean_up(&self) -> DriverResult<()> {
        for driver in [&self.driver, &self.neighbour] {
            for replica in driver.observe(Scope::Installation).await? {
                driver
                    .apply(&EngineStep::RemoveReplica { name: replica.name })
                    .await?;
            }
            for project_id in driver.list_volumes().await? {
                driver
                    .apply(&EngineStep::RemoveVolumes { project_id })
                    .await?;
            }
            for workspace_id in driver.list_networks().await? {
                driver
                    .apply(&EngineStep::RemoveNetwork { workspace_id })
                    .await?;
            }
            let built = self
                .built
                .lock()
                .expect("no case panics while it is held")
                .clone();
            for (project_id, deployment_id) in built {
                driver
                    .apply(&EngineStep::RemoveImage {
                        project_id,
                        deployment_id,
                    })
                    .await?;
            }
            let replicas = driver.observe(Scope::Installation).await?;
            let networks = driver.list_networks().await?;
            let volumes = driver.list_volumes().await?;
            if !replicas.is_empty() || !networks.is_empty() || !volumes.is_empty() {
                let source = format!("{replicas:?}, {networks:?} and {volumes:?} are left").into();
                return Err(DriverError::Failed {
                    operation: "clean up".to_owned(),
                    source,
                });
            }
        }
        Ok(())
    }
}

impl App {
    pub(super) fn ensure_network(&self) -> EngineStep {
        EngineStep::EnsureNetwork {
            workspace_id: self.workspace_id,
            workspace: self.workspace.clone(),
        }
    }
}

pub(super) fn start(spec: &ReplicaSpec) -> EngineStep {
    EngineStep::StartReplica(Box::new(spec.clone()))
}

pub(super) fn terminate(name: &ReplicaName) -> EngineStep {
    EngineStep::TerminateReplica { name: name.clone() }
}

pub(super) fn remove(name: &ReplicaName) -> EngineStep {
    EngineStep::RemoveReplica { name: name.clone() }
}

pub(super) fn text_of(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.text).into_owned()
}

pub(super) fn texts(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(text_of).collect()
}

/// An error with its causes.
pub(super) fn chain(error: &DriverError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

//! An engine in memory.
//!
//! Replicas do what their image's [`Program`] says; nothing happens by itself: a crashed replica
//! starts again when it was observed as restarting, and only then. Time comes from the clock that
//! the fake is given.
//!
//! Invariant: what a caller can see through [`Driver`] is what a real engine shows, as far as the
//! conformance suite can tell. Caveat: any base image exists, and a `RUN` of a build succeeds
//! unless it is `exit N`, never ends when it is `sleep`, or follows [`FakeDriver::on_run`]. Of
//! commands it knows `echo`, `false`, `cat`, and `sh` in a terminal, which is another `cat`; a
//! replica whose own command is none of the first two does what its image's program says.

mod build;
mod exec;
mod log;
mod sockets;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tose_api::log::LogSource;
use tose_api::{DeploymentId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::Clock;
use tose_model::driver::{
    BuildRequest, BuiltImage, Driver, DriverError, DriverResult, EngineEvent, EngineInfo,
    EngineStep, ExecId, ExecRequest, ExecSession, InstallationId, Listening, ObservedReplica,
    PrivatePull, ReplicaName, ReplicaSpec, Scope, Spare, TtySize, Usage,
};
use tose_model::log::LogLine;

use crate::gate::{Gate, When};
use crate::program::Program;
use build::Rule;
use world::{Ending, Private, World};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The engine refuses and does nothing.
    Error,
    /// The engine does not answer and does nothing.
    Unavailable,
    /// The engine does what was asked, and the answer gets lost.
    LostReply,
}

/// A [`Driver`] whose engine is a data structure, with hooks for what tests need to happen.
#[derive(Clone)]
pub struct FakeDriver {
    world: Arc<Mutex<World>>,
    installation: InstallationId,
    gate: Arc<Gate>,
}

impl FakeDriver {
    /// An empty engine whose replicas have addresses and no sockets.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let installation = InstallationId::parse("0000fa4e").expect("8 hex digits");
        Self {
            world: Arc::new(Mutex::new(World::new(clock))),
            installation,
            gate: Arc::default(),
        }
    }

    /// From now on replicas really listen, on loopback addresses of their own, as long as the tokio
    /// runtime lives in which this is called.
    #[must_use]
    pub fn with_sockets(self) -> Self {
        self.world().sockets_on = Some(Handle::current());
        self
    }

    /// Where steps, builds and pulls can be made to stop.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// A driver of another installation on the same engine.
    #[must_use]
    pub fn beside(&self, installation: InstallationId) -> Self {
        Self {
            world: Arc::clone(&self.world),
            gate: Arc::default(),
            installation,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics while it is held")
    }

    /// Lets a registry have an image, for `ensure_image` to pull.
    pub fn publish_image(&self, image: &str, program: Program) {
        self.world().registry.insert(image.to_owned(), program);
    }

    /// Lets a registry have an image for whoever shows this user name and password.
    pub fn publish_private_image(&self, image: &str, login: (&str, &str), program: Program) {
        let (username, password) = (login.0.to_owned(), login.1.to_owned());
        let private = Private {
            username,
            password,
            program,
        };
        self.world().private.insert(image.to_owned(), private);
    }

    /// Puts an image on the engine, as if it had been pulled.
    pub fn add_image(&self, image: &str, program: Program) {
        self.world().images.insert(image.to_owned(), program);
    }

    /// What images run that are built from a context without a program file.
    pub fn set_default_program(&self, program: Program) {
        self.world().default_program = program;
    }

    /// From now on a `RUN` that contains `text` prints `lines` and ends with `code`.
    pub fn on_run(&self, text: &str, lines: &[&str], code: i32) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.world().rules.push(Rule {
            text: text.to_owned(),
            lines,
            code,
        });
    }

    /// Lets the `nth` call from now on fail; 1 is the next one.
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.calls + nth;
        world.faults.insert(at, fault);
    }

    /// Lets so many of the next builds break, for a reason that is not the author's.
    pub fn break_builds(&self, count: u32) {
        self.world().builds_to_break = count;
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// The engine stops answering; streams break off. Replicas run on.
    pub fn go_down(&self) {
        let mut world = self.world();
        world.is_down = true;
        world.subscribers.clear();
        world.notify();
    }

    /// The engine answers again.
    pub fn come_back(&self) {
        self.world().is_down = false;
    }

    /// The steps that were applied with success, or whose answer got lost, in their order.
    pub fn applied(&self) -> Vec<EngineStep> {
        self.world().applied.clone()
    }

    /// What [`Driver::observe`] would show of this installation, without being a call and without
    /// letting anything happen.
    pub fn peek(&self) -> Vec<ObservedReplica> {
        self.world()
            .show(self.installation.as_str(), Scope::Installation)
    }

    /// What a replica was started with.
    pub fn spec_of(&self, name: &ReplicaName) -> Option<ReplicaSpec> {
        self.world()
            .find(self.installation.as_str(), name)
            .map(|replica| replica.spec.clone())
    }

    /// The volumes of this installation that there are.
    pub fn peek_volumes(&self) -> Vec<(ProjectId, Slug)> {
        let world = self.world();
        let ours = world
            .volumes
            .keys()
            .filter(|(of, _, _)| of == self.installation.as_str());
        ours.map(|(_, project_id, name)| (*project_id, name.clone()))
            .collect()
    }

    /// How large a command's terminal is; `None` when it has none.
    pub fn terminal_size(&self, id: &ExecId) -> Option<TtySize> {
        let mut world = self.world();
        let exec = world.find_exec(self.installation.as_str(), id);
        exec.expect("there is such a command").size
    }

    /// How many builds run.
    pub fn running_builds(&self) -> usize {
        self.world().running_builds
    }

    /// Lets a running replica print a line.
    pub fn print(&self, name: &ReplicaName, source: LogSource, text: &str) {
        self.world()
            .print(self.installation.as_str(), name, source, text);
    }

    /// Lets a running replica end by itself. A code other than 0 is a crash: the engine starts it
    /// again.
    pub fn exit(&self, name: &ReplicaName, code: i64) {
        let ending = Ending {
            exit_code: code,
            out_of_memory: false,
        };
        self.world().end(self.installation.as_str(), name, ending);
    }

    /// Lets a running replica be killed for want of memory.
    pub fn run_out_of_memory(&self, name: &ReplicaName) {
        self.world()
            .end(self.installation.as_str(), name, Ending::OUT_OF_MEMORY);
    }

    /// The HTTP status that a replica answers with from now on, until it is started again.
    pub fn answer_with(&self, name: &ReplicaName, status: u16) {
        let mut world = self.world();
        let replica = world.find_mut(self.installation.as_str(), name);
        replica
            .expect("there is such a replica")
            .answer_with(status);
    }

    /// What the machine has left from now on; before that it does not know.
    pub fn set_spare(&self, spare: Spare) {
        self.world().spare = spare;
    }

    /// What a replica uses from now on.
    pub fn set_usage(&self, name: &ReplicaName, usage: Usage) {
        let mut world = self.world();
        world
            .find_mut(self.installation.as_str(), name)
            .expect("there is such a replica")
            .usage = usage;
    }

    /// Counts a call and lets it fail if it is its turn.
    fn call<T>(&self, act: impl FnOnce(&mut World, &str) -> DriverResult<T>) -> DriverResult<T> {
        let mut world = self.world();
        let fault = world.begin_call()?;
        let answer = act(&mut world, self.installation.as_str());
        match fault {
            Some(Fault::LostReply) => Err(unavailable("the answer got lost")),
            _ => answer,
        }
    }
}

fn unavailable(reason: &str) -> DriverError {
    DriverError::Unavailable(reason.into())
}

fn gone(name: &ReplicaName) -> DriverError {
    DriverError::NotFound(format!("replica {name}"))
}

#[async_trait]
impl Driver for FakeDriver {
    async fn info(&self) -> DriverResult<EngineInfo> {
        let info = EngineInfo {
            kind: "fake",
            version: "1".to_owned(),
            api_version: "1".to_owned(),
        };
        self.call(|_, _| Ok(info))
    }

    async fn observe(&self, scope: Scope) -> DriverResult<Vec<ObservedReplica>> {
        self.call(|world, installation| {
            let seen = world.show(installation, scope);
            world.restart_crashed(installation, &seen);
            Ok(seen)
        })
    }

    async fn apply(&self, step: &EngineStep) -> DriverResult<()> {
        let apply = async {
            self.call(|world, installation| {
                world.apply(installation, step)?;
                world.applied.push(step.clone());
                Ok(())
            })
        };
        self.gate.around(apply).await
    }

    async fn ensure_image(
        &self,
        image: &str,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        let pull = async { self.call(|world, _| world.pull(image)) };
        let lines = self.gate.around(pull).await?;
        Ok(stream::iter(lines.into_iter().map(Ok)).boxed())
    }

    async fn pull_private_image(
        &self,
        pull: PrivatePull,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        let name = self.built_image(pull.project_id, pull.deployment_id);
        let fetch = async {
            self.call(|world, installation| world.pull_private(installation, &pull, name))
        };
        let lines = self.gate.around(fetch).await?;
        Ok(stream::iter(lines.into_iter().map(Ok)).boxed())
    }

    async fn build(
        &self,
        request: BuildRequest,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        let turn = self.gate.turn();
        if turn == Some(When::Before) {
            self.gate.stop().await;
        }
        let fault = {
            let mut world = self.world();
            let fault = world.begin_call()?;
            if let Some(left) = world.builds_to_break.checked_sub(1) {
                world.builds_to_break = left;
                let source = "it was to break".into();
                let operation = "build".to_owned();
                return Err(DriverError::Failed { operation, source });
            }
            fault
        };
        let image = self.built_image(request.project_id, request.deployment_id);
        let lines = build::run(
            Arc::clone(&self.world),
            self.installation.clone(),
            image,
            request,
        );
        if turn == Some(When::After) {
            let gate = Arc::clone(&self.gate);
            let stop = stream::once(async move { gate.stop().await });
            return Ok(lines.chain(stop.filter_map(|()| async { None })).boxed());
        }
        match fault {
            Some(Fault::LostReply) => {
                let work = async move {
                    lines.for_each(|_| std::future::ready(())).await;
                    Err(unavailable("the answer got lost"))
                };
                Ok(stream::once(work).boxed())
            }
            _ => Ok(lines),
        }
    }

    fn built_image(&self, project_id: ProjectId, deployment_id: DeploymentId) -> String {
        let installation = self.installation.as_str();
        let (project, deployment) = (
            project_id.as_uuid().simple(),
            deployment_id.as_uuid().simple(),
        );
        format!("tose-{installation}/{project}:{deployment}")
    }

    async fn list_images(&self, project_id: ProjectId) -> DriverResult<Vec<BuiltImage>> {
        self.call(|world, installation| {
            let built = world.built.iter();
            let of_project = built.filter(|image| {
                image.installation == installation && image.project_id == project_id
            });
            Ok(of_project
                .map(|image| BuiltImage {
                    deployment_id: image.deployment_id,
                    image: self.built_image(project_id, image.deployment_id),
                })
                .collect())
        })
    }

    async fn has_image(&self, image: &str) -> DriverResult<bool> {
        self.call(|world, installation| {
            Ok(world.built.iter().any(|built| {
                built.installation == installation
                    && self.built_image(built.project_id, built.deployment_id) == image
            }))
        })
    }

    /// Nothing here reaches another workspace's replicas.
    async fn guard_networks(&self) -> DriverResult<()> {
        self.call(|_, _| Ok(()))
    }

    async fn list_networks(&self) -> DriverResult<Vec<WorkspaceId>> {
        self.call(|world, installation| {
            let ours = world.networks.iter().filter(|(of, _)| of == installation);
            Ok(ours.map(|(_, workspace_id)| *workspace_id).collect())
        })
    }

    async fn list_volumes(&self) -> DriverResult<Vec<ProjectId>> {
        self.call(|world, installation| {
            let ours = world.volumes.keys().filter(|(of, _, _)| of == installation);
            let mut projects: Vec<_> = ours.map(|(_, project_id, _)| *project_id).collect();
            projects.dedup();
            Ok(projects)
        })
    }

    async fn logs(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> DriverResult<BoxStream<'static, DriverResult<LogLine>>> {
        let reader = self.call(|world, installation| {
            world
                .open_log(installation, name, since)
                .ok_or_else(|| gone(name))
        })?;
        Ok(log::follow(Arc::clone(&self.world), reader))
    }

    async fn spare(&self) -> DriverResult<Spare> {
        self.call(|world, _| Ok(world.spare))
    }

    async fn usage(&self, name: &ReplicaName) -> DriverResult<Usage> {
        self.call(|world, installation| {
            let replica = world.find(installation, name).ok_or_else(|| gone(name))?;
            Ok(if replica.is_running() {
                replica.usage
            } else {
                Usage::default()
            })
        })
    }

    async fn written_bytes(&self, name: &ReplicaName) -> DriverResult<u64> {
        self.call(|world, installation| {
            let replica = world.find(installation, name).ok_or_else(|| gone(name))?;
            Ok(replica.written_bytes())
        })
    }

    async fn listening(&self, name: &ReplicaName) -> DriverResult<Option<Vec<Listening>>> {
        self.call(|world, installation| {
            let replica = world.find(installation, name).ok_or_else(|| gone(name))?;
            Ok(Some(
                replica
                    .listening
                    .iter()
                    .map(|addr| Listening { addr: *addr })
                    .collect(),
            ))
        })
    }

    async fn exec(&self, name: &ReplicaName, request: &ExecRequest) -> DriverResult<ExecSession> {
        let id = self.call(|world, installation| world.exec(installation, name, request))?;
        Ok(exec::session(&self.world, id))
    }

    async fn resize_exec(&self, id: &ExecId, size: TtySize) -> DriverResult<()> {
        self.call(|world, installation| {
            world.find_exec(installation, id)?.size = Some(size);
            Ok(())
        })
    }

    async fn exec_exit_code(&self, id: &ExecId) -> DriverResult<Option<i64>> {
        self.call(|world, installation| Ok(world.find_exec(installation, id)?.exit_code))
    }

    async fn events(&self) -> DriverResult<BoxStream<'static, DriverResult<EngineEvent>>> {
        let received = self.call(|world, installation| {
            let (sender, received) = mpsc::unbounded_channel();
            world.subscribers.push((installation.to_owned(), sender));
            Ok(received)
        })?;
        let events = stream::unfold(received, |mut received| async {
            let event = received.recv().await?;
            Some((Ok(event), received))
        });
        Ok(events.boxed())
    }
}

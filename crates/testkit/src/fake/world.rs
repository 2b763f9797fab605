//! What there is on the fake engine, and how it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tose_api::log::LogSource;
use tose_api::{DeploymentId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::Clock;
use tose_model::driver::{
    DriverError, DriverResult, EngineEvent, EngineStep, ObservedReplica, PrivatePull, ReplicaName,
    ReplicaSpec, ReplicaState, Scope, Spare, Usage,
};
use tose_model::log::LogLine;
use tose_model::quota::Load;
use tose_model::secret::ExposeSecret;

use super::build::Rule;
use super::exec::{Exec, NOT_IN_IMAGE, script};
use super::sockets::{self, Ports, Sockets};
use super::{Fault, unavailable};
use crate::program::{Act, Program};

/// The most text of one line; the rest comes as further lines.
const MAX_LINE_BYTES: usize = 1 << 20;
/// What a process uses that does nothing.
const IDLE_BYTES: u64 = 8 << 20;

/// An object's name: which installation, and which replica.
pub(super) type Key = (String, ReplicaName);

/// A volume: whose it is, and its name.
type VolumeKey = (String, ProjectId, Slug);

/// Texts of files, by their path below where they are.
type Files = BTreeMap<String, String>;

/// What a fetch moves one way.
const FETCH_BYTES: u64 = 100;

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Built {
    pub(super) installation: String,
    pub(super) project_id: ProjectId,
    pub(super) deployment_id: DeploymentId,
}

/// An image that a registry gives to one user only.
pub(super) struct Private {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) program: Program,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) exit_code: i64,
    pub(super) out_of_memory: bool,
}

impl Ending {
    pub(super) const OUT_OF_MEMORY: Self = Self {
        exit_code: 137,
        out_of_memory: true,
    };
    const TERMINATED: Self = Self {
        exit_code: 143,
        out_of_memory: false,
    };

    fn code(code: i32) -> Self {
        // A process's exit code is a byte.
        Self {
            exit_code: i64::from(code & 0xff),
            out_of_memory: false,
        }
    }
}

pub(super) struct Replica {
    pub(super) spec: ReplicaSpec,
    pub(super) usage: Usage,
    pub(super) listening: BTreeSet<SocketAddr>,
    state: ReplicaState,
    program: Program,
    /// Counts every start; a line belongs to the run that wrote it.
    pub(super) runs: u32,
    restarts: u32,
    is_wanted: bool,
    ignores_term: bool,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    ip: Option<IpAddr>,
    ports: Ports,
    sockets: Sockets,
    pub(super) lines: Vec<(u32, LogLine)>,
    unfinished: String,
    /// What it keeps outside of volumes.
    files: Files,
}

impl Replica {
    /// Answers with this HTTP status until it is started again.
    pub(super) fn answer_with(&self, status: u16) {
        self.sockets.answer_with(status);
    }

    fn new(spec: ReplicaSpec, program: Program) -> Self {
        Self {
            spec,
            usage: Usage::default(),
            listening: BTreeSet::new(),
            state: ReplicaState::Created,
            program,
            runs: 0,
            restarts: 0,
            is_wanted: true,
            ignores_term: false,
            started_at: None,
            ended_at: None,
            ip: None,
            ports: Ports::new(),
            sockets: Sockets::default(),
            lines: Vec::new(),
            unfinished: String::new(),
            files: Files::new(),
        }
    }

    /// What is in its own files: those of volumes are elsewhere.
    pub(super) fn written_bytes(&self) -> u64 {
        self.files.values().map(|text| text.len() as u64).sum()
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == ReplicaState::Running
    }

    /// What it runs. A start command that tests do not know the end of runs the image's program.
    fn acts(&self) -> Vec<Act> {
        let Some(command) = &self.spec.command else {
            return self.program.0.clone();
        };
        match script(command, false) {
            (text, Some(code)) if code != NOT_IN_IMAGE => {
                let lines = text.iter().flat_map(|text| text.lines()).map(Act::print);
                let exit = Act::Exit { code: code.into() };
                lines.chain([exit]).collect()
            }
            _ => self.program.0.clone(),
        }
    }

    fn env(&self, key: &str) -> Option<&str> {
        let mut env = self.spec.env.iter();
        env.find(|(name, _)| name.as_str() == key)
            .map(|(_, value)| value.expose_secret())
    }

    fn port(&self) -> Option<u16> {
        self.env("PORT").and_then(|port| port.parse().ok())
    }

    /// The ports that the program will open for all addresses.
    fn planned_ports(&self) -> Ports {
        let acts = self.acts().into_iter();
        let open = acts.filter_map(|act| match act {
            Act::Listen { addr } if addr.ip().is_unspecified() => Some((addr.port(), None)),
            Act::Serve { status } => Some((self.port()?, Some(status))),
            _ => None,
        });
        open.collect()
    }
}

pub(super) struct World {
    /// The runtime that replicas listen on, if they do.
    pub(super) sockets_on: Option<Handle>,
    pub(super) is_down: bool,
    pub(super) spare: Spare,
    pub(super) calls: u64,
    pub(super) faults: HashMap<u64, Fault>,
    /// How many of the next builds break.
    pub(super) builds_to_break: u32,
    pub(super) applied: Vec<EngineStep>,
    pub(super) networks: BTreeSet<(String, WorkspaceId)>,
    pub(super) registry: HashMap<String, Program>,
    pub(super) private: HashMap<String, Private>,
    pub(super) images: HashMap<String, Program>,
    pub(super) built: BTreeSet<Built>,
    pub(super) rules: Vec<Rule>,
    pub(super) default_program: Program,
    pub(super) running_builds: usize,
    pub(super) volumes: BTreeMap<VolumeKey, Files>,
    pub(super) execs: HashMap<Box<str>, Exec>,
    pub(super) subscribers: Vec<(String, mpsc::UnboundedSender<EngineEvent>)>,
    replicas: BTreeMap<Key, Replica>,
    /// The replicas of each project, so that there can be many projects.
    of_projects: HashMap<ProjectId, BTreeSet<Key>>,
    clock: Arc<dyn Clock>,
    last_time: Timestamp,
    changes: watch::Sender<u64>,
}

impl World {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            sockets_on: None,
            is_down: false,
            spare: Spare::default(),
            calls: 0,
            faults: HashMap::new(),
            builds_to_break: 0,
            applied: Vec::new(),
            networks: BTreeSet::new(),
            registry: HashMap::new(),
            private: HashMap::new(),
            images: HashMap::new(),
            built: BTreeSet::new(),
            rules: Vec::new(),
            default_program: Program::default(),
            running_builds: 0,
            volumes: BTreeMap::new(),
            execs: HashMap::new(),
            subscribers: Vec::new(),
            replicas: BTreeMap::new(),
            of_projects: HashMap::new(),
            clock,
            last_time: Timestamp::from_nanos(0),
            changes: watch::Sender::new(0),
        }
    }

    /// Counts a call; fails it if it has to, or says that its answer will get lost.
    pub(super) fn begin_call(&mut self) -> DriverResult<Option<Fault>> {
        self.calls += 1;
        if self.is_down {
            return Err(unavailable("the fake engine is down"));
        }
        match self.faults.remove(&self.calls) {
            Some(Fault::Unavailable) => Err(unavailable("this call was to find no engine")),
            Some(Fault::Error) => Err(DriverError::Failed {
                operation: "do this call".to_owned(),
                source: "it was to fail".into(),
            }),
            fault => Ok(fault),
        }
    }

    /// Wakes whoever follows a log or a command.
    pub(super) fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells of everything that may be news to a reader.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn find(&self, installation: &str, name: &ReplicaName) -> Option<&Replica> {
        self.replicas.get(&(installation.to_owned(), name.clone()))
    }

    pub(super) fn find_mut(
        &mut self,
        installation: &str,
        name: &ReplicaName,
    ) -> Option<&mut Replica> {
        self.replicas
            .get_mut(&(installation.to_owned(), name.clone()))
    }

    pub(super) fn show(&self, installation: &str, scope: Scope) -> Vec<ObservedReplica> {
        let in_scope: Vec<_> = match scope {
            Scope::Installation => self.replicas.iter().collect(),
            Scope::Project(project_id) => {
                let keys = self.of_projects.get(&project_id).into_iter().flatten();
                keys.filter_map(|key| self.replicas.get_key_value(key))
                    .collect()
            }
        };
        in_scope
            .into_iter()
            .filter(|((of, _), _)| of == installation)
            .map(|((_, name), replica)| ObservedReplica {
                name: name.clone(),
                key: replica.spec.key,
                workspace_id: replica.spec.workspace_id,
                generation: replica.spec.generation,
                state: replica.state,
                ip: replica.ip,
                started_at: replica.started_at,
                ended_at: replica.ended_at,
                load: Load {
                    cpu_milli: replica.spec.cpu.milli().into(),
                    ram_milli: replica.spec.ram.milli().into(),
                },
                restarts: replica.restarts,
            })
            .collect()
    }

    /// Starts again what was seen as about to be.
    pub(super) fn restart_crashed(&mut self, installation: &str, seen: &[ObservedReplica]) {
        for observed in seen {
            if matches!(observed.state, ReplicaState::Restarting { .. }) {
                let key = (installation.to_owned(), observed.name.clone());
                if let Some(replica) = self.replicas.get_mut(&key) {
                    replica.restarts += 1;
                    self.run(&key);
                }
            }
        }
    }

    pub(super) fn apply(&mut self, installation: &str, step: &EngineStep) -> DriverResult<()> {
        match step {
            EngineStep::EnsureNetwork { workspace_id, .. } => {
                self.networks
                    .insert((installation.to_owned(), *workspace_id));
                Ok(())
            }
            EngineStep::StartReplica(spec) => self.start(installation, spec),
            EngineStep::TerminateReplica { name } => {
                self.terminate(installation, name);
                Ok(())
            }
            EngineStep::RemoveReplica { name } => {
                self.remove(&(installation.to_owned(), name.clone()));
                Ok(())
            }
            EngineStep::RemoveNetwork { workspace_id } => {
                self.remove_network(installation, *workspace_id)
            }
            EngineStep::RemoveImage {
                project_id,
                deployment_id,
            } => {
                self.remove_image(installation, *project_id, *deployment_id);
                Ok(())
            }
            EngineStep::RemoveVolumes { project_id } => {
                self.remove_volumes(installation, *project_id)
            }
        }
    }

    fn start(&mut self, installation: &str, spec: &ReplicaSpec) -> DriverResult<()> {
        let of_project = self.show(installation, Scope::Project(spec.key.project_id));
        spec.check_fence(of_project.iter().map(|replica| replica.generation))?;
        let key = (installation.to_owned(), spec.name.clone());
        if self
            .replicas
            .get(&key)
            .is_some_and(|old| old.spec.generation < spec.generation)
        {
            self.remove(&key);
        }
        if !self.replicas.contains_key(&key) {
            let program = self.images.get(&spec.image).cloned();
            let program = program.ok_or_else(|| DriverError::ImageUnavailable {
                image: spec.image.clone(),
                reason: "it is not on this machine".to_owned(),
            })?;
            for mount in &spec.volumes {
                let project_id = spec.key.project_id;
                let volume = (installation.to_owned(), project_id, mount.name.clone());
                self.volumes.entry(volume).or_default();
            }
            self.replicas
                .insert(key.clone(), Replica::new(spec.clone(), program));
            let of_project = self.of_projects.entry(spec.key.project_id).or_default();
            of_project.insert(key.clone());
        }
        if !self
            .networks
            .contains(&(installation.to_owned(), spec.workspace_id))
        {
            let network = format!("the network of workspace {}", spec.workspace);
            return Err(DriverError::NotFound(network));
        }
        let replica = self.replicas.get_mut(&key).expect("it was made above");
        replica.is_wanted = true;
        if matches!(
            replica.state,
            ReplicaState::Created | ReplicaState::Exited { .. }
        ) {
            replica.restarts = 0;
            self.run(&key);
        }
        Ok(())
    }

    /// One run of a replica's program, up to where it waits or ends.
    fn run(&mut self, key: &Key) {
        let now = self.tick();
        let Some(mut replica) = self.replicas.remove(key) else {
            return;
        };
        let ports = replica.planned_ports();
        let (ip, sockets) = match &self.sockets_on {
            Some(runtime) => sockets::open(runtime, &ports, key.1.as_str()),
            None => (sockets::next_address(), Sockets::default()),
        };
        replica.runs += 1;
        replica.state = ReplicaState::Running;
        replica.started_at = Some(now);
        replica.ip = Some(ip);
        replica.sockets = sockets;
        replica.usage = Usage {
            cpu_milli: 1,
            memory_bytes: IDLE_BYTES,
            ..Usage::default()
        };
        let project_id = replica.spec.key.project_id;
        let ending = self.interpret(&key.0, &mut replica);
        self.replicas.insert(key.clone(), replica);
        self.publish(&key.0, project_id);
        match ending {
            Some(ending) => self.end(&key.0, &key.1, ending),
            None => self.notify(),
        }
    }

    /// Does a program's acts; answers how it ends if it does.
    fn interpret(&mut self, installation: &str, replica: &mut Replica) -> Option<Ending> {
        for act in replica.acts() {
            match act {
                Act::Print { source, text } => self.line(replica, source, text.as_bytes()),
                Act::Write { text } => replica.unfinished.push_str(&text),
                Act::Fill { bytes } => self.line(replica, LogSource::Stdout, &vec![b'x'; bytes]),
                Act::Count { lines } => {
                    for number in 0..lines {
                        self.line(
                            replica,
                            LogSource::Stdout,
                            format!("line {number}").as_bytes(),
                        );
                    }
                }
                Act::PrintEnv { key } => {
                    let text = match replica.env(&key) {
                        Some(value) => format!("{key}={value}"),
                        None => format!("{key} is not set"),
                    };
                    self.line(replica, LogSource::Stdout, text.as_bytes());
                }
                Act::Listen { addr } => {
                    replica.listening.insert(addr);
                    replica.ports.insert(addr.port(), None);
                }
                Act::Serve { status } => {
                    let Some(port) = replica.port() else {
                        return Some(Ending::code(1));
                    };
                    replica
                        .listening
                        .insert((Ipv4Addr::UNSPECIFIED, port).into());
                    replica.ports.insert(port, Some(status));
                }
                Act::Fetch { host, port } => {
                    let text = match self.fetch(installation, replica, &host, port) {
                        Some(status) => {
                            replica.usage.received_bytes += FETCH_BYTES;
                            replica.usage.sent_bytes += FETCH_BYTES;
                            format!("fetched {status}")
                        }
                        None => "unreachable".to_owned(),
                    };
                    self.line(replica, LogSource::Stdout, text.as_bytes());
                }
                Act::Store { path, text } => {
                    self.files(installation, replica, &path).insert(path, text);
                }
                Act::PrintFile { path } => {
                    let text = self.files(installation, replica, &path).get(&path);
                    let text = text.map_or_else(|| format!("{path} is not there"), String::clone);
                    self.line(replica, LogSource::Stdout, text.as_bytes());
                }
                Act::Allocate { mib } => {
                    replica.usage.memory_bytes += mib << 20;
                    if replica.usage.memory_bytes > replica.spec.ram.bytes() {
                        return Some(Ending::OUT_OF_MEMORY);
                    }
                }
                Act::Crash { times, code } if replica.runs <= times => {
                    return Some(Ending::code(code));
                }
                Act::Crash { .. } => {}
                Act::IgnoreTerm => replica.ignores_term = true,
                Act::Exit { code } => return Some(Ending::code(code)),
            }
        }
        None
    }

    /// The files of the volume that holds `path`, or the replica's own. Each volume is mounted at
    /// one place, so that paths inside the replica do for names of its files.
    fn files<'a>(
        &'a mut self,
        installation: &str,
        replica: &'a mut Replica,
        path: &str,
    ) -> &'a mut Files {
        let volumes = replica.spec.volumes.iter();
        let mounted = volumes
            .filter(|mount| {
                let rest = path.strip_prefix(mount.path.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
            .max_by_key(|mount| mount.path.len());
        match mounted {
            Some(mount) => {
                let project_id = replica.spec.key.project_id;
                let volume = (installation.to_owned(), project_id, mount.name.clone());
                self.volumes.entry(volume).or_default()
            }
            None => &mut replica.files,
        }
    }

    /// What another replica of the workspace answers under its project's name or its address.
    fn fetch(&self, installation: &str, from: &Replica, host: &str, port: u16) -> Option<u16> {
        let mut others = self
            .replicas
            .iter()
            .filter(|((of, _), _)| of == installation);
        let (_, server) = others.find(|(_, other)| {
            let is_meant = other.spec.project.as_str() == host
                || other.ip.is_some_and(|ip| ip.to_string() == host);
            is_meant && other.is_running() && other.spec.workspace_id == from.spec.workspace_id
        })?;
        *server.ports.get(&port)?
    }

    /// A process ends; a crash is to be followed by another start.
    pub(super) fn end(&mut self, installation: &str, name: &ReplicaName, ending: Ending) {
        let key = (installation.to_owned(), name.clone());
        let Some(mut replica) = self.replicas.remove(&key) else {
            return;
        };
        let project_id = replica.spec.key.project_id;
        let now = self.tick();
        if replica.is_running() {
            replica.ended_at = Some(now);
            if !replica.unfinished.is_empty() {
                self.line(&mut replica, LogSource::Stdout, b"");
            }
            let Ending {
                exit_code,
                out_of_memory,
            } = ending;
            let runs_once = replica.spec.key.job_number().is_some();
            replica.state = if exit_code != 0 && replica.is_wanted && !runs_once {
                ReplicaState::Restarting {
                    exit_code,
                    out_of_memory,
                }
            } else {
                ReplicaState::Exited {
                    exit_code,
                    out_of_memory,
                }
            };
            replica.ip = None;
            replica.listening.clear();
            replica.ports.clear();
            replica.sockets = Sockets::default();
            replica.ignores_term = false;
        }
        self.replicas.insert(key, replica);
        self.publish(installation, project_id);
        self.notify();
    }

    fn terminate(&mut self, installation: &str, name: &ReplicaName) {
        let Some(replica) = self.find_mut(installation, name) else {
            return;
        };
        match replica.state {
            ReplicaState::Created | ReplicaState::Exited { .. } => {}
            ReplicaState::Restarting {
                exit_code,
                out_of_memory,
            } => {
                replica.is_wanted = false;
                replica.state = ReplicaState::Exited {
                    exit_code,
                    out_of_memory,
                };
            }
            ReplicaState::Running => {
                replica.is_wanted = false;
                if !replica.ignores_term {
                    self.end(installation, name, Ending::TERMINATED);
                }
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(replica) = self.replicas.remove(key) {
            let of_project = self.of_projects.get_mut(&replica.spec.key.project_id);
            of_project.map(|keys| keys.remove(key));
            self.publish(&key.0, replica.spec.key.project_id);
            self.notify();
        }
    }

    fn remove_network(
        &mut self,
        installation: &str,
        workspace_id: WorkspaceId,
    ) -> DriverResult<()> {
        let mut ours = self
            .replicas
            .iter()
            .filter(|((of, _), _)| of == installation);
        if ours.any(|(_, other)| other.is_running() && other.spec.workspace_id == workspace_id) {
            return Err(DriverError::Failed {
                operation: format!("remove the network of workspace {workspace_id}"),
                source: "a replica is on it".into(),
            });
        }
        self.networks
            .remove(&(installation.to_owned(), workspace_id));
        Ok(())
    }

    fn remove_image(
        &mut self,
        installation: &str,
        project_id: ProjectId,
        deployment_id: DeploymentId,
    ) {
        let (project, deployment) = (
            project_id.as_uuid().simple(),
            deployment_id.as_uuid().simple(),
        );
        let image = format!("tose-{installation}/{project}:{deployment}");
        if self
            .replicas
            .values()
            .any(|replica| replica.spec.image == image)
        {
            return;
        }
        self.images.remove(&image);
        let installation = installation.to_owned();
        self.built.remove(&Built {
            installation,
            project_id,
            deployment_id,
        });
    }

    fn remove_volumes(&mut self, installation: &str, project_id: ProjectId) -> DriverResult<()> {
        let mut replicas = self.replicas.iter();
        if let Some((_, user)) = replicas.find(|((of, _), replica)| {
            let is_of_project = of == installation && replica.spec.key.project_id == project_id;
            is_of_project && !replica.spec.volumes.is_empty()
        }) {
            return Err(DriverError::Failed {
                operation: format!("remove the volumes of project {project_id}"),
                source: format!("replica {} has one", user.spec.name).into(),
            });
        }
        self.volumes
            .retain(|(of, project, _), _| of != installation || *project != project_id);
        Ok(())
    }

    /// Pulls an image that is not here; the lines tell how.
    pub(super) fn pull(&mut self, image: &str) -> DriverResult<Vec<String>> {
        if self.images.contains_key(image) {
            return Ok(Vec::new());
        }
        match self.registry.get(image).cloned() {
            Some(program) => {
                self.images.insert(image.to_owned(), program);
                Ok(vec![format!("Pulling {image}"), format!("Pulled {image}")])
            }
            None => Err(DriverError::ImageUnavailable {
                image: image.to_owned(),
                reason: "its registry has no such tag".to_owned(),
            }),
        }
    }

    /// Pulls an image for who shows the right credentials; it is here under `name` alone.
    pub(super) fn pull_private(
        &mut self,
        installation: &str,
        pull: &PrivatePull,
        name: String,
    ) -> DriverResult<Vec<String>> {
        let shown = &pull.credentials;
        let found = self.private.get(pull.image.as_str()).filter(|private| {
            private.username == shown.username && private.password == shown.password.expose_secret()
        });
        let Some(private) = found else {
            return Err(DriverError::ImageUnavailable {
                image: pull.image.to_string(),
                reason: "the registry refused the credentials".to_owned(),
            });
        };
        self.images.insert(name, private.program.clone());
        self.built.insert(Built {
            installation: installation.to_owned(),
            project_id: pull.project_id,
            deployment_id: pull.deployment_id,
        });
        Ok(vec![format!("Pulled {}", pull.image)])
    }

    /// Lets a replica print a line from outside.
    pub(super) fn print(
        &mut self,
        installation: &str,
        name: &ReplicaName,
        source: LogSource,
        text: &str,
    ) {
        let key = (installation.to_owned(), name.clone());
        let mut replica = self.replicas.remove(&key).expect("there is such a replica");
        self.line(&mut replica, source, text.as_bytes());
        self.replicas.insert(key, replica);
        self.notify();
    }

    fn line(&mut self, replica: &mut Replica, source: LogSource, text: &[u8]) {
        let mut whole = match source {
            LogSource::Stdout => std::mem::take(&mut replica.unfinished).into_bytes(),
            _ => Vec::new(),
        };
        whole.extend_from_slice(text);
        let time = self.tick();
        let pod: Box<str> = replica.spec.name.as_str().into();
        let mut parts: Vec<&[u8]> = whole.chunks(MAX_LINE_BYTES).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let line = LogLine {
                time,
                source,
                pod: pod.clone(),
                text: part.to_vec(),
            };
            replica.lines.push((replica.runs, line));
        }
    }

    /// The clock's time, and never the same twice.
    fn tick(&mut self) -> Timestamp {
        let next = Timestamp::from_nanos(self.last_time.as_nanos() + 1);
        self.last_time = self.clock.now().max(next);
        self.last_time
    }

    fn publish(&mut self, installation: &str, project_id: ProjectId) {
        self.subscribers.retain(|(of, subscriber)| {
            of != installation || subscriber.send(EngineEvent { project_id }).is_ok()
        });
    }
}

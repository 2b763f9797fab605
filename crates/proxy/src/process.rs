//! The proxy process: its start, its main thread, its end.
//!
//! A successor takes the very listeners of its predecessor, so no visitor who waits to be accepted
//! is lost; it opens its control socket once it serves, and only then makes the predecessor finish.
//! Killed at any line it leaves a proxy that serves.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::Instant;
use tose_api::domain_settings::IpRange;
use tose_api::{Hostname, ProjectId};
use tose_model::route::{RouteChange, RouteTable};
use tose_model::traffic::{AccessRecord, Traffic};

use crate::access_log::AccessLog;
use crate::certificates::Certificates;
use crate::control::server::{self, Socket};
use crate::control::{Client, Status};
use crate::error::{Error, Result, chain};
use crate::listener::{Listeners, Sharing};
use crate::meter::Meters;
use crate::table::{Replicas, Table};
use crate::tcp::Ports;
use crate::tls::Tls;
use crate::worker::{self, Command, Setup, Statistics};
use crate::{Config, listener, snapshot};

/// What workers get beyond their drain deadline before they are given up.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// The state of the main thread.
pub(crate) struct Process {
    version: String,
    start_id: String,
    routes_file: PathBuf,
    http_addr: Option<SocketAddr>,
    https_addr: Option<SocketAddr>,
    trusted_proxies: Vec<IpRange>,
    proxy_protocol: bool,
    certificates: Arc<Certificates>,
    workers: Vec<Worker>,
    ports: Ports,
    listeners: RefCell<Listeners>,
    replicas: RefCell<Replicas>,
    meters: RefCell<Meters>,
    access_log: Arc<AccessLog>,
    /// The table in use, and how far its log was read.
    table: RefCell<Arc<Table>>,
    log: RefCell<snapshot::LogReader>,
    snapshot_error: RefCell<Option<String>>,
    /// Held through a reload, so that tables reach the workers in order.
    predecessor: Mutex<Option<Client>>,
    is_draining: Cell<bool>,
    end: Notify,
}

struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    statistics: Arc<Statistics>,
}

/// What workers have in common from their start on.
struct Shared {
    tls: Tls,
    table: Arc<Table>,
    access_log: Arc<AccessLog>,
    epoch: Instant,
}

/// What the main thread reacts to besides the control socket.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// See [`crate::run`].
pub(crate) fn run(config: Config) -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|source| Error::Start {
            what: "runtime",
            source,
        })?;
    runtime.block_on(run_main(config))
}

async fn run_main(config: Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    raise_descriptor_limit();
    let drain_limit = config.limits.drain + DRAIN_SLACK;
    let (process, mut running) = start(&config).await?;
    let socket = Socket::bind(&config.control_socket)?;
    tracing::info!(http = ?process.http_addr, https = ?process.https_addr, workers = process.workers.len(), "proxy serves");
    process.end_predecessor().await;
    loop {
        tokio::select! {
            accepted = socket.accept() => process.talk(accepted).await,
            () = signals.wait_for_end() => {
                process.stop_accepting().await;
                break;
            }
            () = process.end.notified() => break,
            () = one_ended(&mut running) => {
                if !process.is_draining.get() {
                    return Err(Error::WorkerDied);
                }
            }
        }
    }
    let drained = async {
        tokio::join!(
            all_ended(&mut running),
            process.ports.emptied(config.limits.drain)
        )
    };
    tokio::pin!(drained);
    let deadline = Instant::now() + drain_limit;
    loop {
        tokio::select! {
            _ = &mut drained => return Ok(()),
            () = tokio::time::sleep_until(deadline) => return Ok(()),
            accepted = socket.accept() => process.talk(accepted).await,
            () = signals.wait_for_end() => {}
        }
    }
}

/// Gets listeners and routes, and starts the workers.
async fn start(config: &Config) -> Result<(Rc<Process>, Vec<oneshot::Receiver<()>>)> {
    let mut predecessor = find_predecessor(config).await?;
    let mut listeners = listeners(config, predecessor.as_mut()).await?;
    let (read, snapshot_error) = match snapshot::read_with_log(&config.routes_file) {
        Ok(read) => (read, None),
        // The predecessor still has a good table.
        Err(error) if predecessor.is_some() => return Err(error),
        Err(error) => (Default::default(), Some(chain(&error))),
    };
    let (table, log) = read;
    if let Some(error) = &snapshot_error {
        tracing::error!(%error, "starting without routes");
    }
    let epoch = Instant::now();
    let mut replicas = Replicas::new(epoch);
    let mut meters = Meters::new(config.workers.get());
    let table = Arc::new(replicas.compile(table, &mut meters));
    let http_addr = addr_of(&listeners.http)?;
    let https_addr = addr_of(&listeners.https)?;
    let certificates = Arc::new(Certificates::new(
        config.certificates.clone(),
        Arc::clone(&config.keys),
    ));
    let ports = Ports::new(Arc::clone(&certificates), config.limits.clone());
    let sharing = match predecessor {
        Some(_) => Sharing::Shared,
        None => Sharing::Exclusive,
    };
    ports.take_over(std::mem::take(&mut listeners.ports));
    ports.use_targets(&table.ports, sharing);
    let tls = Tls::new(Arc::clone(&certificates))?;
    let access_log = Arc::new(AccessLog::default());
    let shared = Shared {
        tls,
        table: Arc::clone(&table),
        access_log: Arc::clone(&access_log),
        epoch,
    };
    let handles = spawn_workers(config, &listeners, &shared)?;
    let mut workers = Vec::new();
    let mut running = Vec::new();
    for handle in handles {
        workers.push(Worker {
            commands: handle.commands,
            statistics: handle.statistics,
        });
        running.push(handle.ended);
    }
    let process = Process {
        version: config.version.clone(),
        // Random, and of this process alone.
        start_id: format!("{:016x}", config.request_id_seed),
        routes_file: config.routes_file.clone(),
        http_addr,
        https_addr,
        trusted_proxies: config.trusted_proxies.clone(),
        proxy_protocol: config.proxy_protocol,
        certificates,
        workers,
        ports,
        listeners: RefCell::new(listeners),
        replicas: RefCell::new(replicas),
        meters: RefCell::new(meters),
        access_log,
        table: RefCell::new(table),
        log: RefCell::new(log),
        snapshot_error: RefCell::new(snapshot_error),
        predecessor: Mutex::new(predecessor),
        is_draining: Cell::new(false),
        end: Notify::new(),
    };
    Ok((Rc::new(process), running))
}

/// The proxy to take over from; another that runs is an error.
async fn find_predecessor(config: &Config) -> Result<Option<Client>> {
    match Client::connect(&config.control_socket).await {
        Ok(client) if config.take_over => Ok(Some(client)),
        Ok(_) => Err(Error::AlreadyRunning {
            path: config.control_socket.clone(),
        }),
        Err(Error::ControlSocket { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Where these listen; `None` if there are none.
fn addr_of(listeners: &[TcpListener]) -> Result<Option<SocketAddr>> {
    let addr = listeners.first().map(TcpListener::local_addr).transpose();
    addr.map_err(start_error("listener"))
}

/// The predecessor's listeners where they are on the right addresses, and new ones for the rest.
async fn listeners(config: &Config, predecessor: Option<&mut Client>) -> Result<Listeners> {
    let Some(predecessor) = predecessor else {
        let bind = |addr: Option<SocketAddr>| match addr {
            Some(addr) => listener::bind_first(addr, config.workers.get()),
            None => Ok(Vec::new()),
        };
        return Ok(Listeners {
            http: bind(config.http_addr)?,
            https: bind(config.https_addr)?,
            ports: Vec::new(),
        });
    };
    let handed = match predecessor.hand_over().await {
        Ok(listeners) => Some(listeners),
        Err(Error::Refused(why)) => {
            tracing::warn!(%why, "the running proxy keeps its listeners; sharing its ports");
            None
        }
        Err(error) => return Err(error),
    };
    let is_shared = handed.is_none();
    let handed = handed.unwrap_or_default();
    let complete = |addr: Option<SocketAddr>, handed: Vec<TcpListener>| match addr {
        Some(addr) if is_shared => {
            let mut listeners = Vec::new();
            listener::fill(&mut listeners, addr, config.workers.get())?;
            Ok(listeners)
        }
        Some(addr) => complete(addr, handed, config.workers.get()),
        None => Ok(Vec::new()),
    };
    Ok(Listeners {
        http: complete(config.http_addr, handed.http)?,
        https: complete(config.https_addr, handed.https)?,
        ports: handed.ports,
    })
}

/// Those of a predecessor's listeners that are on `addr`, and new ones until there are `count`.
fn complete(
    addr: SocketAddr,
    mut listeners: Vec<TcpListener>,
    count: usize,
) -> Result<Vec<TcpListener>> {
    let is_wanted = |listener: &TcpListener| {
        let fits = |own: SocketAddr| own == addr || addr.port() == 0 && own.ip() == addr.ip();
        listener.local_addr().is_ok_and(fits)
    };
    listeners.retain(is_wanted);
    match listeners.first() {
        None => listener::bind_first(addr, count),
        Some(first) => {
            let addr = first.local_addr().map_err(start_error("listener"))?;
            listener::fill(&mut listeners, addr, count)?;
            Ok(listeners)
        }
    }
}

/// One worker for each that is configured; they share out the listeners.
fn spawn_workers(
    config: &Config,
    listeners: &Listeners,
    shared: &Shared,
) -> Result<Vec<worker::Handle>> {
    let count = config.workers.get();
    (0..count)
        .map(|index| {
            let own = listeners.share(index, count);
            worker::spawn(Setup {
                index,
                listeners: own.map_err(start_error("listener"))?,
                tls: shared.tls.clone(),
                certificates: config.certificates.clone(),
                table: Arc::clone(&shared.table),
                limits: config.limits.clone(),
                request_id_seed: config.request_id_seed,
                trusted_proxies: config.trusted_proxies.clone(),
                proxy_protocol: config.proxy_protocol,
                access_log: Arc::clone(&shared.access_log),
                epoch: shared.epoch,
            })
        })
        .collect()
}

fn start_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Start { what, source }
}

/// Allows as many descriptors as the system lets this process have; fewer only mean fewer visitors.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// Waits until one of the workers has ended, and forgets it; for ever if there is none.
async fn one_ended(running: &mut Vec<oneshot::Receiver<()>>) {
    poll_fn(|cx| {
        let ended = running
            .iter_mut()
            .position(|worker| Pin::new(worker).poll(cx).is_ready());
        match ended {
            Some(index) => {
                running.swap_remove(index);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}

async fn all_ended(running: &mut Vec<oneshot::Receiver<()>>) {
    while !running.is_empty() {
        one_ended(running).await;
    }
}

impl Process {
    /// How this process is.
    pub(crate) fn status(&self) -> Status {
        let sum = |count: fn(&Statistics) -> u64| {
            self.workers
                .iter()
                .map(|worker| count(&worker.statistics))
                .sum()
        };
        Status {
            pid: std::process::id(),
            version: self.version.clone(),
            http_addr: self.http_addr,
            https_addr: self.https_addr,
            trusted_proxies: self.trusted_proxies.clone(),
            proxy_protocol: self.proxy_protocol,
            generation: self.table.borrow().generation,
            connections: sum(Statistics::connections),
            requests_total: sum(Statistics::requests),
            snapshot_error: self.snapshot_error.borrow().clone(),
        }
    }

    /// Reads the route table and makes every worker use it; a broken one changes nothing.
    pub(crate) async fn reload(&self) -> Result<u64> {
        let mut predecessor = self.predecessor.lock().await;
        let generation = self.read_whole_table().await?;
        if let Some(client) = predecessor.as_mut()
            && client.reload().await.is_err()
        {
            *predecessor = None;
        }
        Ok(generation)
    }

    /// Makes every worker use the routes of this generation, by what changed since the one that is in use
    /// where that can be read.
    pub(crate) async fn use_routes(&self, generation: u64) -> Result<u64> {
        let mut predecessor = self.predecessor.lock().await;
        let own = self.table.borrow().generation;
        if own < generation && !self.read_changes(generation).await {
            self.read_whole_table().await?;
        }
        if let Some(client) = predecessor.as_mut()
            && client.use_routes(generation).await.is_err()
        {
            *predecessor = None;
        }
        Ok(self.table.borrow().generation)
    }

    async fn read_whole_table(&self) -> Result<u64> {
        let (table, log) = match snapshot::read_with_log(&self.routes_file) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error = %chain(&error), "keeping the last good route table");
                *self.snapshot_error.borrow_mut() = Some(chain(&error));
                return Err(error);
            }
        };
        *self.log.borrow_mut() = log;
        let table = self.compile(table);
        *self.snapshot_error.borrow_mut() = None;
        Ok(self.use_table(table).await)
    }

    /// Uses what was written since the table in use; says whether that leads to this generation.
    async fn read_changes(&self, generation: u64) -> bool {
        let read = self.log.borrow_mut().read_on(&self.routes_file);
        // What cannot be read here is in the whole table, or that is broken as well.
        let Ok(changes) = read else {
            return false;
        };
        let own = self.table.borrow().generation;
        let new = changes.into_iter().filter(|change| change.generation > own);
        let Some(table) = self.apply(new) else {
            return false;
        };
        self.use_table(table).await >= generation
    }

    /// The table that these changes make, if each is made for the one before.
    fn apply(&self, changes: impl Iterator<Item = RouteChange>) -> Option<Table> {
        let mut meters = self.meters.borrow_mut();
        let mut replicas = self.replicas.borrow_mut();
        let mut newest = None;
        for change in changes {
            let own = self.table.borrow();
            let before: &Table = newest.as_ref().unwrap_or(&**own);
            if change.generation != before.generation + 1 {
                return None;
            }
            newest = Some(replicas.apply(before, change, &mut meters, Instant::now()));
        }
        newest
    }

    async fn use_table(&self, table: Table) -> u64 {
        let table = Arc::new(table);
        *self.table.borrow_mut() = Arc::clone(&table);
        self.ports.use_targets(&table.ports, Sharing::Exclusive);
        self.tell_workers(|confirm| Command::Use(Arc::clone(&table), confirm))
            .await;
        table.generation
    }

    fn compile(&self, table: RouteTable) -> Table {
        let of_hosts = table.routes.values().map(|route| route.project_id);
        let of_ports = table.ports.values().map(|port| port.project_id);
        let routed = of_hosts.chain(of_ports).collect();
        let mut meters = self.meters.borrow_mut();
        meters.retain(&routed, Instant::now());
        self.replicas.borrow_mut().compile(table, &mut meters)
    }

    /// What marks the numbers of this process: those of another begin anew.
    pub(crate) fn start_id(&self) -> &str {
        &self.start_id
    }

    /// The traffic of so many projects after `after`, and whether there are further ones. What a
    /// predecessor still finishes is not in it: it would be gone again with the predecessor.
    pub(crate) fn traffic(
        &self,
        after: Option<ProjectId>,
        most: usize,
    ) -> (BTreeMap<ProjectId, Traffic>, bool) {
        self.meters.borrow_mut().totals(after, most, Instant::now())
    }

    /// The oldest requests that are to be logged and nobody has fetched, and how many were lost. Those
    /// that a predecessor still finishes are not among them.
    pub(crate) fn take_access_records(&self) -> (Vec<AccessRecord>, u64) {
        self.access_log.take()
    }

    /// Requests and tunnels on a replica, here and in a predecessor that drains.
    pub(crate) async fn in_flight(&self, replica: &str) -> u64 {
        let mut predecessor = self.predecessor.lock().await;
        let theirs = match predecessor.as_mut() {
            None => 0,
            Some(client) => match client.in_flight(replica).await {
                Ok(count) => count,
                Err(_) => {
                    *predecessor = None;
                    0
                }
            },
        };
        theirs + self.replicas.borrow().in_flight(replica)
    }

    /// Begins the drain; returns when nothing is accepted any more.
    pub(crate) async fn stop_accepting(&self) {
        tracing::info!("proxy drains");
        self.is_draining.set(true);
        *self.listeners.borrow_mut() = Listeners::default();
        self.ports.stop_accepting().await;
        self.tell_workers(Command::Drain).await;
    }

    /// Ends the process once it is drained.
    pub(crate) fn end(&self) {
        self.end.notify_one();
    }

    /// The listeners, for a successor; none once the end has begun.
    pub(crate) fn listeners(&self) -> io::Result<Listeners> {
        Ok(Listeners {
            ports: self.ports.listeners()?,
            ..self.listeners.borrow().share(0, 1)?
        })
    }

    /// Reads the certificates of these hosts anew when they are next asked for.
    pub(crate) fn forget_certificates(&self, hosts: &[Hostname]) {
        self.certificates.forget(hosts);
    }

    async fn talk(self: &Rc<Self>, accepted: io::Result<tokio::net::UnixStream>) {
        match accepted {
            Ok(stream) => {
                spawn_local(server::serve(Rc::clone(self), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a control connection; pausing");
                tokio::time::sleep(crate::limits::ACCEPT_PAUSE).await;
            }
        }
    }

    async fn end_predecessor(&self) {
        let mut predecessor = self.predecessor.lock().await;
        if let Some(client) = predecessor.as_mut()
            && let Err(error) = client.finish().await
        {
            tracing::warn!(error = %chain(&error), "the predecessor does not finish");
            *predecessor = None;
        }
    }

    /// Gives each worker a command and waits until all have confirmed it.
    async fn tell_workers(&self, command: impl Fn(oneshot::Sender<()>) -> Command) {
        let mut confirmations = Vec::new();
        for worker in &self.workers {
            let (confirm, confirmed) = oneshot::channel();
            // A worker that is gone needs no telling.
            let _ = worker.commands.send(command(confirm));
            confirmations.push(confirmed);
        }
        for confirmed in confirmations {
            let _ = confirmed.await;
        }
    }
}

impl Signals {
    /// From here on no signal of these ends the process at once.
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|source| Error::Start {
                what: "signal handling",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Returns at a signal to end; the loss of a terminal is none.
    async fn wait_for_end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {}
            }
        }
    }
}

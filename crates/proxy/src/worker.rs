//! A worker: one thread with a single-threaded runtime, its listeners, its visitors and its pools.
//!
//! Guarantees: a command is carried out between two polls of any request, so once a worker has
//! confirmed a table no request of it starts with an older one. Nothing here is shared with other
//! threads but the route table, the replicas' counters, the meters and the statistics.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hyper::server::conn::{http1, http2};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior};
use tose_api::domain_settings::IpRange;

use crate::access_log::AccessLog;
use crate::certificates::Folder;
use crate::connection::{self, Visitor};
use crate::error::{Error, Result};
use crate::limits::{
    ACCEPT_PAUSE, CONNECTION_WINDOW_BYTES, Limits, MAX_HEAD_BYTES, MAX_RESET_STREAMS,
    MAX_SEND_BUFFER_BYTES, MAX_STREAMS, STREAM_WINDOW_BYTES,
};
use crate::listener::Listeners;
use crate::origin::is_trusted;
use crate::request_id::RequestIds;
use crate::table::{Lease, Table, Target};
use crate::tls::Tls;
use crate::upstream::Pools;

/// What the main thread tells a worker.
pub(crate) enum Command {
    /// Use this table, then confirm.
    Use(Arc<Table>, oneshot::Sender<()>),
    /// Accept no more, confirm, finish what runs, end.
    Drain(oneshot::Sender<()>),
}

/// What a worker starts with.
pub(crate) struct Setup {
    /// Its number in this process, from 0.
    pub(crate) index: usize,
    /// Where it accepts visitors.
    pub(crate) listeners: Listeners,
    /// Shakes hands with those who come by HTTPS.
    pub(crate) tls: Tls,
    /// Answers to certificate authorities.
    pub(crate) certificates: Folder,
    /// The first table.
    pub(crate) table: Arc<Table>,
    /// Deadlines and caps.
    pub(crate) limits: Limits,
    /// Makes request ids differ between processes.
    pub(crate) request_id_seed: u64,
    /// The addresses of proxies whose word about visitors counts.
    pub(crate) trusted_proxies: Vec<IpRange>,
    /// Whether connections of those begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// Where requests are written that a host's owner wants in the logs.
    pub(crate) access_log: Arc<AccessLog>,
    /// When milliseconds began to count, the same for all workers.
    pub(crate) epoch: Instant,
}

/// The main thread's end of a worker.
pub(crate) struct Handle {
    /// Takes commands.
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// What it has done so far.
    pub(crate) statistics: Arc<Statistics>,
    /// Fails once the worker has ended.
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Counters that one worker writes and others read.
#[derive(Default)]
pub(crate) struct Statistics {
    connections: AtomicU64,
    requests: AtomicU64,
}

impl Statistics {
    /// Visitors' connections that are open.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests since the start.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    Draining,
    Closing,
}

/// The state of one worker.
pub(crate) struct Worker {
    index: usize,
    limits: Limits,
    http: http1::Builder,
    http2: http2::Builder<LocalTasks>,
    table: RefCell<Arc<Table>>,
    pools: Pools,
    request_ids: RequestIds,
    statistics: Arc<Statistics>,
    clock: Rc<Cell<u64>>,
    rotation: Cell<usize>,
    stage: Cell<Stage>,
    seats: RefCell<Seats>,
    /// Requests on connections that carry many at once.
    streams: RefCell<Vec<Weak<Visitor>>>,
    seat_freed: Notify,
    certificates: Folder,
    trusted_proxies: Vec<IpRange>,
    proxy_protocol: bool,
    access_log: Arc<AccessLog>,
}

#[derive(Default)]
struct Seats {
    visitors: HashMap<u64, Rc<Visitor>>,
    by_ip: HashMap<IpAddr, usize>,
    next: u64,
}

/// Runs the requests of a connection of HTTP/2 on their worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalTasks;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

/// A visitor's place at a worker, given back when this is dropped.
pub(crate) struct Seat {
    worker: Rc<Worker>,
    number: u64,
    /// The address that it counts for; none while it is a proxy's.
    ip: Cell<Option<IpAddr>>,
    visitor: Rc<Visitor>,
}

/// Starts a worker's thread; it serves at once.
pub(crate) fn spawn(setup: Setup) -> Result<Handle> {
    let failed = |source| Error::Start {
        what: "worker",
        source,
    };
    let runtime_failed = |source| Error::Start {
        what: "worker's runtime",
        source,
    };
    let (commands, inbox) = mpsc::unbounded_channel();
    let (alive, ended) = oneshot::channel::<()>();
    let (started, has_started) = std::sync::mpsc::channel();
    let statistics = Arc::new(Statistics::default());
    let own_statistics = Arc::clone(&statistics);
    thread::Builder::new()
        .name(format!("proxy-{}", setup.index))
        .spawn(move || {
            let _alive = alive;
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    // Nobody is left to tell if the receiver is gone.
                    let _ = started.send(Ok(()));
                    runtime.block_on(run(setup, own_statistics, inbox));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })
        .map_err(failed)?;
    has_started
        .recv()
        .map_err(|error| failed(io::Error::other(error)))?
        .map_err(runtime_failed)?;
    Ok(Handle {
        commands,
        statistics,
        ended,
    })
}

async fn run(
    setup: Setup,
    statistics: Arc<Statistics>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
) {
    let mut http = http1::Builder::new();
    // Deadlines are watched by the sweep.
    http.header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES);
    let mut http2 = http2::Builder::new(LocalTasks);
    http2
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .enable_connect_protocol();
    let worker = Rc::new(Worker {
        index: setup.index,
        http,
        http2,
        streams: RefCell::default(),
        table: RefCell::new(setup.table),
        pools: Pools::new(&setup.limits),
        request_ids: RequestIds::new(setup.request_id_seed, setup.index as u64),
        statistics,
        clock: Rc::default(),
        rotation: Cell::new(0),
        stage: Cell::new(Stage::Serving),
        seats: RefCell::default(),
        seat_freed: Notify::new(),
        limits: setup.limits,
        certificates: setup.certificates,
        trusted_proxies: setup.trusted_proxies,
        proxy_protocol: setup.proxy_protocol,
        access_log: setup.access_log,
    });
    let (stop, stopped) = watch::channel(());
    spawn_local(sweep(Rc::clone(&worker), setup.epoch));
    let plain = setup.listeners.http.into_iter().map(|one| (one, None));
    let tls = setup.listeners.https.into_iter();
    let tls = tls.map(|one| (one, Some(setup.tls.clone())));
    let accepting: Vec<_> = plain
        .chain(tls)
        .map(|(listener, tls)| {
            spawn_local(accept(Rc::clone(&worker), listener, tls, stopped.clone()))
        })
        .collect();
    let confirm = loop {
        match inbox.recv().await {
            Some(Command::Use(table, confirm)) => worker.use_table_and(table, confirm),
            Some(Command::Drain(confirm)) => break Some(confirm),
            None => break None,
        }
    };
    worker.stage.set(Stage::Draining);
    drop(stop);
    for task in accepting {
        // It fails only if the task panicked, and then nothing is accepted either.
        let _ = task.await;
    }
    if let Some(confirm) = confirm {
        let _ = confirm.send(());
    }
    drain(&worker, inbox).await;
}

/// Waits for what runs; resting connections get a while to send a last request.
async fn drain(worker: &Rc<Worker>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let deadline = Instant::now() + worker.limits.drain;
    let closing = Instant::now() + worker.limits.drain_idle.min(worker.limits.drain);
    loop {
        let next = if worker.is_closing() {
            deadline
        } else {
            closing
        };
        tokio::select! {
            biased;
            () = worker.emptied() => return,
            Some(command) = inbox.recv() => match command {
                Command::Use(table, confirm) => worker.use_table_and(table, confirm),
                // Whoever asked may have given up.
                Command::Drain(confirm) => drop(confirm.send(())),
            },
            () = tokio::time::sleep_until(next) => {
                if worker.is_closing() {
                    tracing::warn!(
                        connections = worker.statistics.connections(),
                        "the drain deadline passed; closing what still runs"
                    );
                    return;
                }
                worker.stage.set(Stage::Closing);
                worker.seats.borrow().visitors.values().for_each(|visitor| visitor.wake());
            }
        }
    }
}

/// Accepts visitors until `stopped` closes, and then those who already wait.
async fn accept(
    worker: Rc<Worker>,
    listener: std::net::TcpListener,
    tls: Option<Tls>,
    mut stopped: watch::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot accept visitors");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.changed() => break,
            accepted = worker.accept_one(&listener) => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => worker.welcome(tcp, peer, tls.clone()),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept visitors; pausing");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    accept_waiting(&worker, listener, tls.as_ref());
}

fn accept_waiting(worker: &Rc<Worker>, listener: TcpListener, tls: Option<&Tls>) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    while let Ok((tcp, peer)) = listener.accept() {
        if tcp.set_nonblocking(true).is_ok()
            && let Ok(tcp) = TcpStream::from_std(tcp)
        {
            worker.welcome(tcp, peer, tls.cloned());
        }
    }
}

/// Whether an error of `accept` concerns one visitor only; others would repeat at once.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | Interrupted
            | TimedOut
            | WouldBlock
    )
}

/// Keeps the clock, and looks at every deadline once a tick.
async fn sweep(worker: Rc<Worker>, epoch: Instant) {
    let mut ticks = tokio::time::interval(worker.limits.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        let elapsed_ms = now.saturating_duration_since(epoch).as_millis();
        worker
            .clock
            .set(u64::try_from(elapsed_ms).unwrap_or(u64::MAX));
        worker.pools.sweep(worker.now_ms());
        for visitor in worker.seats.borrow().visitors.values() {
            visitor.sweep(&worker.limits);
        }
        worker.streams.borrow_mut().retain(|stream| {
            let stream = stream.upgrade();
            stream
                .as_ref()
                .inspect(|stream| stream.sweep(&worker.limits))
                .is_some()
        });
    }
}

impl Worker {
    /// Milliseconds since the process started, up to one tick ago.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.get()
    }

    /// Its number in this process.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Deadlines and caps.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How visitors are spoken to.
    pub(crate) fn http(&self) -> &http1::Builder {
        &self.http
    }

    /// How visitors are spoken to who asked for HTTP/2.
    pub(crate) fn http2(&self) -> &http2::Builder<LocalTasks> {
        &self.http2
    }

    /// A request on a connection that carries many at once.
    pub(crate) fn open_stream(&self, connection: &Rc<Visitor>) -> Rc<Visitor> {
        let stream = Rc::new(Visitor::stream(connection));
        let mut streams = self.streams.borrow_mut();
        if streams.len() == streams.capacity() {
            // What has ended keeps its memory for as long as it is listed.
            streams.retain(|stream| stream.strong_count() > 0);
            let living = streams.len();
            streams.reserve(living + 1);
        }
        streams.push(Rc::downgrade(&stream));
        stream
    }

    /// Resting connections to replicas.
    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Where answers to certificate authorities lie.
    pub(crate) fn certificates(&self) -> &Folder {
        &self.certificates
    }

    /// The addresses of proxies whose word about visitors counts.
    pub(crate) fn trusted_proxies(&self) -> &[IpRange] {
        &self.trusted_proxies
    }

    /// Whether a connection from this address begins with a PROXY protocol header.
    pub(crate) fn awaits_proxy_header(&self, ip: IpAddr) -> bool {
        self.proxy_protocol && is_trusted(ip, &self.trusted_proxies)
    }

    /// Where requests are written that a host's owner wants in the logs.
    pub(crate) fn access_log(&self) -> &AccessLog {
        &self.access_log
    }

    /// The source of request ids.
    pub(crate) fn request_ids(&self) -> &RequestIds {
        &self.request_ids
    }

    /// The target of a host.
    pub(crate) fn find(&self, host: &str) -> Option<Arc<Target>> {
        self.table.borrow().find(host).map(Arc::clone)
    }

    /// A replica of `target` that is not in `tried`; the one that the visitor's cookie names, if it can.
    pub(crate) fn pick(
        &self,
        target: &Target,
        cookie: Option<&str>,
        tried: &[u64],
    ) -> Option<Lease> {
        let named = cookie.and_then(|cookie| target.pick_named(cookie, self.now_ms(), tried));
        if named.is_some() {
            return named;
        }
        let start = self.rotation.get();
        self.rotation.set(start.wrapping_add(1));
        target.pick(start, self.now_ms(), tried)
    }

    /// Counts a request.
    pub(crate) fn count_request(&self) {
        // Only this thread writes, so no read-modify-write is needed.
        let requests = self.statistics.requests();
        self.statistics
            .requests
            .store(requests + 1, Ordering::Relaxed);
    }

    /// Whether connections end after their current request.
    pub(crate) fn is_draining(&self) -> bool {
        self.stage.get() >= Stage::Draining
    }

    /// Whether resting connections end at once.
    pub(crate) fn is_closing(&self) -> bool {
        self.stage.get() >= Stage::Closing
    }

    /// A place for one more visitor, unless that address has too many.
    fn seat(self: &Rc<Self>, ip: IpAddr) -> Option<Seat> {
        let mut seats = self.seats.borrow_mut();
        // A proxy before this one comes with the visitors of many addresses.
        let is_shared = is_trusted(ip, &self.trusted_proxies);
        if !is_shared && !seats.add(ip, self.limits.connections_per_ip) {
            return None;
        }
        let number = seats.next;
        seats.next += 1;
        let visitor = Rc::new(Visitor::new(ip, Rc::clone(&self.clock)));
        seats.visitors.insert(number, Rc::clone(&visitor));
        self.note_connections(&seats);
        Some(Seat {
            worker: Rc::clone(self),
            number,
            ip: Cell::new((!is_shared).then_some(ip)),
            visitor,
        })
    }

    fn note_connections(&self, seats: &Seats) {
        self.statistics
            .connections
            .store(seats.visitors.len() as u64, Ordering::Relaxed);
    }

    fn use_table_and(&self, table: Arc<Table>, confirm: oneshot::Sender<()>) {
        *self.table.borrow_mut() = table;
        self.pools.forget_retired();
        // Whoever asked may have given up.
        let _ = confirm.send(());
    }

    async fn accept_one(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        while self.seats.borrow().visitors.len() >= self.limits.connections_per_worker {
            self.seat_freed.notified().await;
        }
        listener.accept().await
    }

    fn welcome(self: &Rc<Self>, tcp: TcpStream, peer: SocketAddr, tls: Option<Tls>) {
        if let Some(seat) = self.seat(peer.ip().to_canonical()) {
            spawn_local(connection::serve(Rc::clone(self), seat, tcp, tls));
        }
    }

    async fn emptied(&self) {
        while !self.seats.borrow().visitors.is_empty() {
            self.seat_freed.notified().await;
        }
    }
}

impl Seats {
    /// Counts one more of an address, unless that has so many.
    fn add(&mut self, ip: IpAddr, most: usize) -> bool {
        let of_ip = self.by_ip.entry(ip).or_default();
        let has_room = *of_ip < most;
        *of_ip += usize::from(has_room);
        has_room
    }

    fn remove(&mut self, ip: IpAddr) {
        if let Some(of_ip) = self.by_ip.get_mut(&ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                self.by_ip.remove(&ip);
            }
        }
    }
}

impl Seat {
    /// Counts it for the address that a proxy named, unless that has too many.
    pub(crate) fn assign(&self, ip: IpAddr) -> bool {
        let most = self.worker.limits.connections_per_ip;
        let has_room = self.worker.seats.borrow_mut().add(ip, most);
        if has_room {
            self.ip.set(Some(ip));
            self.visitor.set_ip(ip);
        }
        has_room
    }

    /// The visitor who has it.
    pub(crate) fn visitor(&self) -> &Rc<Visitor> {
        &self.visitor
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.worker.seats.borrow_mut();
        seats.visitors.remove(&self.number);
        if let Some(ip) = self.ip.get() {
            seats.remove(ip);
        }
        self.worker.note_connections(&seats);
        self.worker.seat_freed.notify_one();
    }
}

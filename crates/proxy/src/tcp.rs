//! Ports of their own: each leads to one database, whatever protocol that speaks.
//!
//! They are the main thread's, since a connection here lives for hours and needs no host to be found.
//! Guarantees: a port that the table keeps is not disturbed by what happens to others; a connection ends
//! when its port leads nowhere any more, or to somebody else, or lets its address in no more.
//! Not here: what is said on a connection ([`connection`]).

mod connection;
mod opening;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_local};

use crate::certificates::Certificates;
use crate::error::chain;
use crate::limits::{ACCEPT_PAUSE, Limits, PORT_RETRY};
use crate::listener::{self, Sharing};
use crate::table::PortTarget;
use crate::worker::is_passing;

/// All ports of this process.
pub(crate) struct Ports {
    open: RefCell<BTreeMap<SocketAddr, Port>>,
    /// Listeners of a predecessor that no port has taken so far.
    handed: RefCell<Vec<TcpListener>>,
    /// Dropped when nothing is accepted any more.
    stop: RefCell<Option<watch::Sender<()>>>,
    shared: Rc<Shared>,
}

/// One port. Dropped, it accepts nothing more, and its connections end.
struct Port {
    target: watch::Sender<Arc<PortTarget>>,
    accepting: JoinHandle<()>,
    /// The socket, for a successor; none while another program has the port.
    listener: Rc<RefCell<Option<TcpListener>>>,
}

/// What all connections have in common.
struct Shared {
    certificates: Arc<Certificates>,
    limits: Limits,
    connections: Cell<usize>,
    ended: Notify,
}

/// The places of one port.
#[derive(Default)]
struct Seats {
    taken: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A client's place, given back when this is dropped.
struct Seat {
    seats: Rc<RefCell<Seats>>,
    shared: Rc<Shared>,
    ip: IpAddr,
}

/// What a port's task has.
struct Doorman {
    addr: SocketAddr,
    shared: Rc<Shared>,
    targets: watch::Receiver<Arc<PortTarget>>,
    stopped: watch::Receiver<()>,
    listener: Rc<RefCell<Option<TcpListener>>>,
    seats: Rc<RefCell<Seats>>,
}

impl Ports {
    /// None so far.
    pub(crate) fn new(certificates: Arc<Certificates>, limits: Limits) -> Self {
        let shared = Shared {
            certificates,
            limits,
            connections: Cell::new(0),
            ended: Notify::new(),
        };
        Self {
            open: RefCell::default(),
            handed: RefCell::default(),
            stop: RefCell::new(Some(watch::channel(()).0)),
            shared: Rc::new(shared),
        }
    }

    /// Has the first table use these listeners of a predecessor.
    pub(crate) fn take_over(&self, listeners: Vec<TcpListener>) {
        *self.handed.borrow_mut() = listeners;
    }

    /// Opens, moves and closes ports until they are those of the table.
    pub(crate) fn use_targets(
        &self,
        targets: &BTreeMap<SocketAddr, Arc<PortTarget>>,
        sharing: Sharing,
    ) {
        let mut open = self.open.borrow_mut();
        open.retain(|addr, _| targets.contains_key(addr));
        for (addr, target) in targets {
            match open.get(addr) {
                Some(port) => {
                    let is_new = |known: &mut Arc<PortTarget>| {
                        let is_new = !Arc::ptr_eq(known, target);
                        *known = Arc::clone(target);
                        is_new
                    };
                    port.target.send_if_modified(is_new);
                }
                None => {
                    let stop = self.stop.borrow();
                    // One that drains opens none.
                    if let Some(stop) = &*stop {
                        open.insert(*addr, self.open(*addr, target, sharing, stop));
                    }
                }
            }
        }
        self.handed.borrow_mut().clear();
    }

    fn open(
        &self,
        addr: SocketAddr,
        target: &Arc<PortTarget>,
        sharing: Sharing,
        stop: &watch::Sender<()>,
    ) -> Port {
        let handed = self.take_handed(addr);
        let bound = handed.map_or_else(|| listener::open(addr, sharing), Ok);
        let bound = bound.inspect_err(|error| {
            tracing::error!(%addr, error = %chain(error), "a database's port cannot be opened; trying again");
        });
        let listener = Rc::new(RefCell::new(bound.ok()));
        let (sender, targets) = watch::channel(Arc::clone(target));
        let doorman = Doorman {
            addr,
            shared: Rc::clone(&self.shared),
            targets,
            stopped: stop.subscribe(),
            listener: Rc::clone(&listener),
            seats: Rc::default(),
        };
        Port {
            target: sender,
            accepting: spawn_local(doorman.serve()),
            listener,
        }
    }

    fn take_handed(&self, addr: SocketAddr) -> Option<TcpListener> {
        let mut handed = self.handed.borrow_mut();
        let is_own = |one: &TcpListener| one.local_addr().is_ok_and(|own| own == addr);
        let at = handed.iter().position(is_own)?;
        Some(handed.swap_remove(at))
    }

    /// The listeners, for a successor; none once the end has begun.
    pub(crate) fn listeners(&self) -> io::Result<Vec<TcpListener>> {
        let open = self.open.borrow();
        let mut listeners = Vec::new();
        for port in open.values() {
            if let Some(listener) = &*port.listener.borrow() {
                listeners.push(listener.try_clone()?);
            }
        }
        Ok(listeners)
    }

    /// Accepts those who wait, and nobody after them; who is connected goes on.
    pub(crate) async fn stop_accepting(&self) {
        *self.stop.borrow_mut() = None;
        let mut ending = Vec::new();
        for port in self.open.borrow_mut().values_mut() {
            ending.push(std::mem::replace(
                &mut port.accepting,
                spawn_local(async {}),
            ));
        }
        for task in ending {
            // It fails only if the task panicked, and then nothing is accepted either.
            let _ = task.await;
        }
    }

    /// Waits until nobody is connected, but no longer than this.
    pub(crate) async fn emptied(&self, most: Duration) {
        let emptied = async {
            while self.shared.connections.get() > 0 {
                self.shared.ended.notified().await;
            }
        };
        if tokio::time::timeout(most, emptied).await.is_err() {
            let connections = self.shared.connections.get();
            tracing::warn!(
                connections,
                "the drain deadline passed; closing connections to databases"
            );
        }
    }
}

impl Doorman {
    /// Accepts clients until the port is closed, or nothing is accepted any more.
    async fn serve(mut self) {
        let mut stopped = self.stopped.clone();
        let mut gone = self.targets.clone();
        tokio::select! {
            biased;
            _ = stopped.changed() => {}
            _ = gone.wait_for(|_| false) => {}
            () = self.accept() => {}
        }
        let listener = self.listener.borrow_mut().take();
        // A port that is gone leaves those who wait to the end of its socket.
        if gone.has_changed().is_ok()
            && let Some(listener) = listener
        {
            while let Ok((tcp, peer)) = listener.accept() {
                if tcp.set_nonblocking(true).is_ok()
                    && let Ok(tcp) = TcpStream::from_std(tcp)
                {
                    self.welcome(tcp, peer);
                }
            }
        }
    }

    async fn accept(&mut self) {
        let listener = loop {
            let listener = self.listener();
            match listener.and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(PORT_RETRY).await,
            }
        };
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => self.welcome(tcp, peer),
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept clients of a database; pausing");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The port's socket, which is bound if it is not so far.
    fn listener(&self) -> io::Result<TcpListener> {
        let mut known = self.listener.borrow_mut();
        if known.is_none() {
            let bound = listener::open(self.addr, Sharing::Exclusive);
            *known = Some(bound.map_err(io::Error::other)?);
        }
        match &*known {
            Some(listener) => listener.try_clone(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn welcome(&self, tcp: TcpStream, peer: SocketAddr) {
        let ip = peer.ip().to_canonical();
        let target = Arc::clone(&self.targets.borrow());
        if !target.admits(ip) {
            return;
        }
        if let Some(seat) = Seat::take(&self.seats, &self.shared, ip) {
            spawn_local(attend(seat, self.targets.clone(), target, tcp));
        }
    }
}

/// Serves a client for as long as the port leads to the same database and lets the client in.
async fn attend(
    seat: Seat,
    mut targets: watch::Receiver<Arc<PortTarget>>,
    target: Arc<PortTarget>,
    tcp: TcpStream,
) {
    let is_out = |now: &Arc<PortTarget>| {
        now.route.project_id != target.route.project_id || !now.admits(seat.ip)
    };
    tokio::select! {
        biased;
        _ = targets.wait_for(is_out) => {}
        served = connection::serve(&seat.shared, &target, tcp) => {
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to a database broke");
            }
        }
    }
}

impl Seat {
    fn take(seats: &Rc<RefCell<Seats>>, shared: &Rc<Shared>, ip: IpAddr) -> Option<Self> {
        let mut all = seats.borrow_mut();
        let limits = &shared.limits;
        let of_ip = all.by_ip.get(&ip).copied().unwrap_or_default();
        if all.taken >= limits.connections_per_port || of_ip >= limits.connections_per_port_and_ip {
            return None;
        }
        all.taken += 1;
        all.by_ip.insert(ip, of_ip + 1);
        shared.connections.set(shared.connections.get() + 1);
        Some(Self {
            seats: Rc::clone(seats),
            shared: Rc::clone(shared),
            ip,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.seats.borrow_mut();
        all.taken -= 1;
        if let Some(of_ip) = all.by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                all.by_ip.remove(&self.ip);
            }
        }
        self.shared
            .connections
            .set(self.shared.connections.get() - 1);
        self.shared.ended.notify_one();
    }
}

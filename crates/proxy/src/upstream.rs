//! Connections to replicas: those of HTTP/1.1 carry one exchange at a time and rest in a pool of the
//! worker, those of HTTP/2 carry many and are shared by the worker's requests.

mod http1;
mod http2;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tose_api::domain_settings::UpstreamProtocol;

use self::http1::Upstream;
use self::http2::Shared;
use crate::body::RequestBody;
use crate::connection::Visitor;
use crate::io::{Activity, Observed, Wire};
use crate::limits::Limits;
use crate::table::Replica;

/// What one exchange goes over.
pub(crate) enum Channel {
    /// A connection of its own.
    Own(Box<Upstream>),
    /// A stream of a connection that carries others.
    Stream(Shared),
}

/// Why an exchange brought no response.
pub(crate) enum Lost {
    /// Nothing of the request was sent.
    Unsent(Box<Request<RequestBody>>),
    /// The connection ended before the first byte of a response.
    Silent,
    /// What came is no response.
    Garbled,
    /// The visitor's deadline for the response passed.
    Timeout,
}

impl Channel {
    /// Sends a request and waits for the head of the response.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        visitor: &Visitor,
    ) -> Result<Response<Incoming>, Lost> {
        match self {
            Self::Own(upstream) => upstream.exchange(request, visitor).await,
            Self::Stream(shared) => shared.exchange(request, visitor).await,
        }
    }

    /// Lets the connection read and write, where nobody else does.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Self::Own(upstream) = self {
            let _ = upstream.poll(cx);
        }
    }

    /// The bare stream after an upgrade, with what the app has already sent; a stream of HTTP/2 has none.
    pub(crate) fn into_tunnel(self) -> Option<(Observed, Bytes)> {
        match self {
            Self::Own(upstream) => Some(upstream.into_tunnel()),
            Self::Stream(_) => None,
        }
    }
}

/// Opens a connection to a replica; what moves on it is noted.
async fn dial(replica: &Replica, limits: &Limits) -> io::Result<(Observed, Rc<Activity>)> {
    let connected = TcpStream::connect(replica.addr);
    let tcp = tokio::time::timeout(limits.connect, connected).await??;
    tcp.set_nodelay(true)?;
    let activity = Rc::new(Activity::default());
    let io = Observed::new(Wire::Plain(tcp), Rc::clone(&activity));
    Ok((io, activity))
}

/// The connections of one worker that wait for a request.
pub(crate) struct Pools {
    idle_limit_ms: u64,
    max_idle: usize,
    by_replica: RefCell<HashMap<u64, Pool>>,
}

#[expect(
    clippy::vec_box,
    reason = "a connection is large, and moves for every request"
)]
struct Pool {
    replica: Arc<Replica>,
    idle: Vec<Box<Upstream>>,
    shared: Option<Shared>,
}

impl Pools {
    /// Empty pools.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            idle_limit_ms: u64::try_from(limits.upstream_idle.as_millis()).unwrap_or(u64::MAX),
            max_idle: limits.idle_per_replica,
            by_replica: RefCell::default(),
        }
    }

    /// The connection that was used last, if one is alive.
    pub(crate) async fn take(
        &self,
        replica: &Replica,
        protocol: UpstreamProtocol,
    ) -> Option<Channel> {
        poll_fn(|cx| {
            let mut pools = self.by_replica.borrow_mut();
            let Some(pool) = pools.get_mut(&replica.id) else {
                return Poll::Ready(None);
            };
            if protocol == UpstreamProtocol::H2c {
                let alive = pool.shared.as_ref().filter(|shared| shared.is_open());
                return Poll::Ready(alive.cloned().map(Channel::Stream));
            }
            while let Some(mut upstream) = pool.idle.pop() {
                if upstream.poll(cx).is_pending() {
                    return Poll::Ready(Some(Channel::Own(upstream)));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    /// A new connection; one that others can share is kept for them at once.
    pub(crate) async fn connect(
        &self,
        replica: &Arc<Replica>,
        protocol: UpstreamProtocol,
        limits: &Limits,
    ) -> io::Result<Channel> {
        if protocol == UpstreamProtocol::Http1 {
            return Ok(Channel::Own(Upstream::connect(replica, limits).await?));
        }
        let shared = Shared::connect(replica, limits).await?;
        if !replica.is_retired() {
            let mut pools = self.by_replica.borrow_mut();
            let pool = Pool::of(&mut pools, replica);
            pool.shared = Some(shared.clone());
        }
        Ok(Channel::Stream(shared))
    }

    /// Keeps a connection for the next request, if it can take one.
    pub(crate) fn put(&self, replica: &Arc<Replica>, channel: Channel, now_ms: u64) {
        let mut upstream = match channel {
            Channel::Own(upstream) => upstream,
            Channel::Stream(shared) => return shared.note_used(now_ms),
        };
        if !upstream.is_ready() || replica.is_retired() {
            return;
        }
        upstream.idle_since_ms = now_ms;
        let mut pools = self.by_replica.borrow_mut();
        let pool = Pool::of(&mut pools, replica);
        if pool.idle.len() < self.max_idle {
            pool.idle.push(upstream);
        }
    }

    /// Drops the resting connections to one replica.
    pub(crate) fn forget(&self, replica: &Replica) {
        self.by_replica.borrow_mut().remove(&replica.id);
    }

    /// Drops the resting connections to replicas that are in no table.
    pub(crate) fn forget_retired(&self) {
        self.by_replica
            .borrow_mut()
            .retain(|_, pool| !pool.replica.is_retired());
    }

    /// Drops connections that rested too long or that the app has closed.
    pub(crate) fn sweep(&self, now_ms: u64) {
        let mut cx = Context::from_waker(Waker::noop());
        let is_fresh = |since_ms: u64| now_ms.saturating_sub(since_ms) < self.idle_limit_ms;
        self.by_replica.borrow_mut().retain(|_, pool| {
            pool.idle.retain_mut(|upstream| {
                is_fresh(upstream.idle_since_ms) && upstream.poll(&mut cx).is_pending()
            });
            let is_used = |shared: &Shared| shared.is_open() && is_fresh(shared.used_ms());
            pool.shared = pool.shared.take().filter(is_used);
            (!pool.idle.is_empty() || pool.shared.is_some()) && !pool.replica.is_retired()
        });
    }
}

impl Pool {
    /// The pool of a replica, a new one if there is none.
    fn of<'a>(pools: &'a mut HashMap<u64, Self>, replica: &Arc<Replica>) -> &'a mut Self {
        pools.entry(replica.id).or_insert_with(|| Self {
            replica: Arc::clone(replica),
            idle: Vec::new(),
            shared: None,
        })
    }
}

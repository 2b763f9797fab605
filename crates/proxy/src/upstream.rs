//! Connections to replicas: one exchange at a time on each, and a pool of resting ones a worker.
//!
//! Nobody runs a connection in the background: whoever uses it drives it, and taking one from the
//! pool drives it once, which notices that the app has closed it. The sweep does the same for the
//! ones that nobody takes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::body::RequestBody;
use crate::connection::Visitor;
use crate::io::{Activity, Observed, Wire};
use crate::limits::{Limits, MAX_RESPONSE_HEAD_BYTES};
use crate::table::Replica;

/// One connection to a replica.
pub(crate) struct Upstream {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Observed>, RequestBody>,
    activity: Rc<Activity>,
    is_over: bool,
    idle_since_ms: u64,
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

impl Upstream {
    /// Connects to `addr`.
    pub(crate) async fn connect(addr: SocketAddr, limits: &Limits) -> io::Result<Box<Self>> {
        let tcp = tokio::time::timeout(limits.connect, TcpStream::connect(addr)).await??;
        tcp.set_nodelay(true)?;
        let activity = Rc::new(Activity::default());
        let io = TokioIo::new(Observed::new(Wire::Plain(tcp), Rc::clone(&activity)));
        let (sender, connection) = Builder::new()
            .max_header_size(MAX_RESPONSE_HEAD_BYTES)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Self {
            sender,
            connection,
            activity,
            is_over: false,
            idle_since_ms: 0,
        }))
    }

    /// Lets the connection read and write; ready when it is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_over {
            self.is_over = self.connection.poll_without_shutdown(cx).is_ready();
        }
        if self.is_over {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        visitor: &Visitor,
    ) -> Result<Response<Incoming>, Lost> {
        self.activity.forget_reads();
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            if !self.is_over {
                self.is_over = self.connection.poll_without_shutdown(cx).is_ready();
            }
            match answer.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if self.is_over || visitor.take_overdue(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Lost::Unsent(Box::new(request)),
                None => self.lost(),
            }),
            None if self.is_over => Err(self.lost()),
            None => Err(Lost::Timeout),
        }
    }

    /// The bare stream after an upgrade, with what the app has already sent.
    pub(crate) fn into_tunnel(self) -> (Observed, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    fn lost(&self) -> Lost {
        if self.activity.has_read() {
            Lost::Garbled
        } else {
            Lost::Silent
        }
    }
}

/// The resting connections of one worker.
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
    pub(crate) async fn take(&self, replica: &Replica) -> Option<Box<Upstream>> {
        poll_fn(|cx| {
            let mut pools = self.by_replica.borrow_mut();
            let Some(pool) = pools.get_mut(&replica.id) else {
                return Poll::Ready(None);
            };
            while let Some(mut upstream) = pool.idle.pop() {
                if upstream.poll(cx).is_pending() {
                    return Poll::Ready(Some(upstream));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    /// Keeps a connection for the next request, if it can take one.
    pub(crate) fn put(&self, replica: &Arc<Replica>, mut upstream: Box<Upstream>, now_ms: u64) {
        if !upstream.sender.is_ready() || replica.is_retired() {
            return;
        }
        upstream.idle_since_ms = now_ms;
        let mut pools = self.by_replica.borrow_mut();
        let pool = pools.entry(replica.id).or_insert_with(|| Pool {
            replica: Arc::clone(replica),
            idle: Vec::new(),
        });
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
        self.by_replica.borrow_mut().retain(|_, pool| {
            pool.idle.retain_mut(|upstream| {
                now_ms.saturating_sub(upstream.idle_since_ms) < self.idle_limit_ms
                    && upstream.poll(&mut cx).is_pending()
            });
            !pool.idle.is_empty() && !pool.replica.is_retired()
        });
    }
}

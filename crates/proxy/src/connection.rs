//! One visitor's connection: its deadlines, its requests, and its end.
//!
//! Guarantees: at every moment exactly one deadline of [`Limits`] runs; the worker's sweep finds
//! it passed and wakes the connection. With HTTP/2 each request has a deadline of its own besides,
//! and one that does not heed it takes its connection along. A connection that ends with an unread request body is read
//! on for a moment, so that its visitor sees the answer and not a reset.

use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::forward;
use crate::gathered::Gathered;
use crate::io::{Activity, Observed, Wire};
use crate::limits::{Limits, MAX_LINGER_BYTES};
use crate::meter::Tally;
use crate::origin::{self, LastForwarded};
use crate::proxy_protocol;
use crate::tls::{Secured, Tls};
use crate::tunnel::Tunnel;
use crate::worker::{Seat, Worker};

/// What a connection is doing, and so which deadline runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TLS begins.
    Handshake,
    /// A request's head is awaited: the first one, or one that has begun.
    Head,
    /// Between requests.
    Idle,
    /// The app's response head is awaited.
    Waiting,
    /// The response is on its way.
    Streaming,
    /// Upgraded.
    Tunnel,
    /// Only reading on.
    Linger,
}

/// How long a connection reads on after its last answer.
const LINGER: Duration = Duration::from_secs(2);

/// The state of one visitor's connection, seen by its task and by the worker's sweep.
pub(crate) struct Visitor {
    ip: Cell<IpAddr>,
    ip_value: RefCell<HeaderValue>,
    last_forwarded: Rc<LastForwarded>,
    activity: Rc<Activity>,
    clock: Rc<Cell<u64>>,
    phase: Cell<Phase>,
    since_ms: Cell<u64>,
    is_overdue: Cell<bool>,
    has_unread_body: Cell<bool>,
    has_broken_body: Cell<bool>,
    has_large_body: Cell<bool>,
    is_secure: Cell<bool>,
    tunnel: RefCell<Option<Tunnel>>,
    waker: OnceCell<Waker>,
    /// How many requests run here at once, where they can be many.
    streams: Cell<u32>,
    is_multiplexed: Cell<bool>,
    /// Of one request among many: what it came by.
    connection: Option<Rc<Self>>,
}

impl Visitor {
    /// A visitor who just connected; `clock` holds the worker's milliseconds.
    pub(crate) fn new(ip: IpAddr, clock: Rc<Cell<u64>>) -> Self {
        Self {
            ip: Cell::new(ip),
            ip_value: RefCell::new(origin::value_of(ip)),
            last_forwarded: Rc::default(),
            activity: Rc::default(),
            phase: Cell::new(Phase::Head),
            since_ms: Cell::new(clock.get()),
            clock,
            is_overdue: Cell::new(false),
            has_unread_body: Cell::new(false),
            has_broken_body: Cell::new(false),
            has_large_body: Cell::new(false),
            is_secure: Cell::new(false),
            tunnel: RefCell::new(None),
            waker: OnceCell::new(),
            streams: Cell::new(0),
            is_multiplexed: Cell::new(false),
            connection: None,
        }
    }

    /// A visitor's request on a connection that carries many at once.
    pub(crate) fn stream(connection: &Rc<Self>) -> Self {
        if connection.streams.replace(connection.streams.get() + 1) == 0 {
            connection.enter(Phase::Streaming);
        }
        Self {
            ip: connection.ip.clone(),
            ip_value: connection.ip_value.clone(),
            last_forwarded: Rc::clone(&connection.last_forwarded),
            activity: Rc::default(),
            phase: Cell::new(Phase::Waiting),
            since_ms: Cell::new(connection.clock.get()),
            clock: Rc::clone(&connection.clock),
            is_overdue: Cell::new(false),
            has_unread_body: Cell::new(false),
            has_broken_body: Cell::new(false),
            has_large_body: Cell::new(false),
            is_secure: Cell::new(connection.is_secure()),
            tunnel: RefCell::new(None),
            waker: OnceCell::new(),
            streams: Cell::new(0),
            is_multiplexed: Cell::new(false),
            connection: Some(Rc::clone(connection)),
        }
    }

    /// Whether it is one request among many of its connection.
    pub(crate) fn is_stream(&self) -> bool {
        self.connection.is_some()
    }

    /// Notes bytes of a body, where what moves on the connection does not tell whose they are.
    pub(crate) fn note_received(&self, count: usize) {
        if self.is_stream() {
            self.activity.note_read(count);
        }
    }

    /// See [`Visitor::note_received`].
    pub(crate) fn note_sent(&self, count: usize) {
        if self.is_stream() {
            self.activity.note_written(count);
        }
    }

    /// The visitor's address.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip.get()
    }

    /// The same as a header value.
    pub(crate) fn ip_value(&self) -> HeaderValue {
        self.ip_value.borrow().clone()
    }

    /// Corrects it, where a proxy before this one knows better.
    pub(crate) fn set_ip(&self, ip: IpAddr) {
        self.ip.set(ip);
        *self.ip_value.borrow_mut() = origin::value_of(ip);
    }

    /// What `Forwarded` said of its last request.
    pub(crate) fn last_forwarded(&self) -> &LastForwarded {
        &self.last_forwarded
    }

    /// What moved for it.
    pub(crate) fn activity(&self) -> &Rc<Activity> {
        &self.activity
    }

    /// Whether it came by HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure.get()
    }

    /// What this connection's requests count for their projects.
    pub(crate) fn tally(&self) -> &Tally {
        self.activity.tally()
    }

    /// Starts the deadline of `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since_ms.set(self.clock.get());
        self.is_overdue.set(false);
        if phase == Phase::Idle {
            self.activity.forget_reads();
        }
    }

    /// Remembers where this connection goes once it is upgraded.
    pub(crate) fn set_tunnel(&self, tunnel: Tunnel) {
        self.tally().keep();
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// Notes that a request has a body.
    pub(crate) fn note_body_unread(&self) {
        self.has_unread_body.set(true);
    }

    /// Notes that a request's body was read to its end.
    pub(crate) fn note_body_read(&self) {
        self.has_unread_body.set(false);
    }

    /// Notes that a request's body is malformed or cut; its connection takes no further request.
    pub(crate) fn note_body_broken(&self) {
        self.has_broken_body.set(true);
    }

    /// Notes that a request's body is larger than its host lets it be; like a broken one.
    pub(crate) fn note_body_too_large(&self) {
        self.has_large_body.set(true);
        self.note_body_broken();
    }

    /// Whether the last request's body is too large.
    pub(crate) fn has_large_body(&self) -> bool {
        self.has_large_body.get()
    }

    /// Whether the last request's body is malformed or cut.
    pub(crate) fn has_broken_body(&self) -> bool {
        self.has_broken_body.get()
    }

    /// Whether the running deadline has passed; says so once, and wakes the asking task when it does.
    pub(crate) fn take_overdue(&self, cx: &Context<'_>) -> bool {
        self.waker.get_or_init(|| cx.waker().clone());
        self.is_overdue.replace(false)
    }

    /// Makes the connection's task look at its state.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Moves the deadline where bytes moved, and wakes the task when it has passed.
    pub(crate) fn sweep(&self, limits: &Limits) {
        let has_moved = self.activity.take_moved();
        if has_moved {
            self.tally().settle();
        }
        match self.phase.get() {
            // With HTTP/2 bytes come in that begin no request.
            Phase::Idle if self.activity.has_read() && !self.is_multiplexed.get() => {
                self.enter(Phase::Head);
            }
            Phase::Waiting | Phase::Streaming | Phase::Tunnel if has_moved => {
                self.since_ms.set(self.clock.get());
            }
            _ => {}
        }
        if self.is_multiplexed.get() && self.phase.get() == Phase::Streaming {
            // Each of its requests has a deadline.
            return;
        }
        let limit = match self.phase.get() {
            Phase::Handshake => limits.handshake,
            Phase::Head => limits.request_head,
            Phase::Idle => limits.keep_alive,
            Phase::Waiting => limits.response_head,
            Phase::Streaming => limits.body_idle,
            Phase::Tunnel => limits.tunnel_idle,
            Phase::Linger => LINGER,
        };
        let elapsed_ms = self.clock.get().saturating_sub(self.since_ms.get());
        if u128::from(elapsed_ms) >= limit.as_millis() {
            self.is_overdue.set(true);
            self.wake();
        }
        if let Some(connection) = &self.connection
            && u128::from(elapsed_ms) >= 2 * limit.as_millis()
        {
            // Its task waits for a visitor who takes nothing.
            connection.is_overdue.set(true);
            connection.wake();
        }
    }

    /// Whether the task must give up; while an app is awaited, [`forward`] answers instead.
    fn must_end(&self, cx: &Context<'_>) -> bool {
        self.waker.get_or_init(|| cx.waker().clone());
        self.is_overdue.get() && self.phase.get() != Phase::Waiting
    }

    /// Runs `future` until it ends; `None` if the deadline of `phase` passes before.
    pub(crate) async fn within<T>(
        &self,
        phase: Phase,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        self.enter(phase);
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.must_end(cx) {
                Poll::Ready(None)
            } else {
                future.as_mut().poll(cx).map(Some)
            }
        })
        .await
    }
}

/// Serves a connection to its end, after a handshake if there is to be one.
pub(crate) async fn serve(worker: Rc<Worker>, seat: Seat, tcp: TcpStream, tls: Option<Tls>) {
    // Without it small answers wait for the visitor's acknowledgement; a dead socket shows later.
    let _ = tcp.set_nodelay(true);
    let visitor = seat.visitor();
    let mut tcp = tcp;
    if worker.awaits_proxy_header(visitor.ip()) {
        let header = proxy_protocol::read(&mut tcp);
        let is_welcome = match visitor.within(Phase::Handshake, header).await {
            Some(Ok(Some(ip))) => seat.assign(ip.to_canonical()),
            // The proxy speaks for itself, as when it looks whether this one is well.
            Some(Ok(None)) => true,
            _ => false,
        };
        if !is_welcome {
            return;
        }
        visitor.enter(Phase::Head);
    }
    let wire = match tls {
        None => Wire::Plain(tcp),
        Some(tls) => match visitor.within(Phase::Handshake, tls.accept(tcp)).await {
            Some(Ok(Secured::Http1(stream))) => {
                visitor.is_secure.set(true);
                visitor.enter(Phase::Head);
                Wire::Tls(stream)
            }
            Some(Ok(Secured::Http2(stream))) => {
                visitor.is_secure.set(true);
                visitor.is_multiplexed.set(true);
                visitor.enter(Phase::Head);
                return serve_http2(worker, visitor, Wire::Tls(stream)).await;
            }
            // Whoever fails here is told by an alert, or has gone.
            _ => return,
        },
    };
    serve_http1(worker, visitor, wire).await;
}

async fn serve_http1(worker: Rc<Worker>, visitor: &Rc<Visitor>, wire: Wire) {
    let service = {
        let (worker, visitor) = (Rc::clone(&worker), Rc::clone(visitor));
        service_fn(move |request: Request<Incoming>| {
            let (worker, visitor) = (Rc::clone(&worker), Rc::clone(&visitor));
            async move { Ok::<_, Infallible>(forward::answer(worker, visitor, request).await) }
        })
    };
    let io = TokioIo::new(Observed::new(wire, Rc::clone(&visitor.activity)));
    let mut http = worker.http().serve_connection(io, service);
    let mut is_told = false;
    let has_ended = poll_fn(|cx| {
        if visitor.must_end(cx) {
            return Poll::Ready(false);
        }
        if worker.is_closing() && !is_told {
            is_told = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        Pin::new(&mut http).poll(cx).map(|_| true)
    })
    .await;
    if !has_ended {
        return;
    }
    let parts = http.into_parts();
    let mut io = parts.io.into_inner();
    let tunnel = visitor.tunnel.borrow_mut().take();
    if let Some(tunnel) = tunnel {
        visitor
            .within(Phase::Tunnel, tunnel.run(io, parts.read_buf))
            .await;
    } else if visitor.has_unread_body.get() {
        visitor.within(Phase::Linger, linger(&mut io)).await;
    }
}

/// Serves many requests at once, until the visitor or the worker has had enough.
async fn serve_http2(worker: Rc<Worker>, visitor: &Rc<Visitor>, wire: Wire) {
    let service = {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(visitor));
        service_fn(move |request: Request<Incoming>| {
            let worker = Rc::clone(&worker);
            let stream = worker.open_stream(&connection);
            async move { Ok::<_, Infallible>(forward::answer(worker, stream, request).await) }
        })
    };
    let io = Gathered::new(Observed::new(wire, Rc::clone(&visitor.activity)));
    let http = worker.http2();
    let mut http = pin!(http.serve_connection(TokioIo::new(io.clone()), service));
    let mut is_told = false;
    poll_fn(|cx| {
        let is_resting = visitor.phase.get() == Phase::Idle;
        if visitor.take_overdue(cx) {
            if is_told || !is_resting {
                return Poll::Ready(());
            }
            // It hears that this is the end before it sends the next request.
            visitor.enter(Phase::Linger);
            is_told = true;
            http.as_mut().graceful_shutdown();
        }
        if worker.is_draining() && !is_told {
            is_told = true;
            http.as_mut().graceful_shutdown();
        }
        if http.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match io.poll_send(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    })
    .await;
}

/// Reads and forgets until the visitor has closed its side.
async fn linger(io: &mut Observed) {
    if io.shutdown().await.is_err() {
        return;
    }
    let mut rest = MAX_LINGER_BYTES;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = io.read(&mut buffer).await {
        rest = rest.saturating_sub(count);
        if rest == 0 {
            return;
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let rest = connection.streams.get() - 1;
        connection.streams.set(rest);
        if rest == 0 && connection.phase.get() != Phase::Linger {
            connection.enter(Phase::Idle);
        }
    }
}

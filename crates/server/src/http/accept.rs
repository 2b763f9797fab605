//! Connections: accepted with deadlines and caps, and framed with what every answer has.
//!
//! axum's own `serve` sets no timer, so a client that sends nothing would hold its connection for
//! ever; this loop is why it cannot.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tracing::Instrument;

use crate::app::Platform;
use crate::http::error::{ApiError, Transport};
use crate::telemetry::Operations;

/// How long a request's head may take, from the first moment of its connection (or from the end of
/// the request before) to its last byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may pause.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a handler may take.
pub(crate) const HANDLER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one may take that reads a source tree.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(900);
/// How long requests that run may go on after the server was asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// Connections at the same time, in all and from one address.
const MAX_CONNECTIONS: usize = 4096;
const MAX_CONNECTIONS_PER_ADDRESS: usize = 512;
/// How long to wait after the system refused to accept (no descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the API listens.
pub(crate) struct Listener {
    tcp: TcpListener,
    head_timeout: Duration,
}

impl Listener {
    /// Binds the address.
    pub(crate) async fn bind(addr: SocketAddr) -> std::io::Result<Self> {
        Ok(Self {
            tcp: TcpListener::bind(addr).await?,
            head_timeout: HEAD_TIMEOUT,
        })
    }

    /// The address that was bound.
    pub(crate) fn addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Connections by address.
#[derive(Clone, Default)]
struct Census(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted connection; dropping it takes it off the census.
struct Counted {
    census: Census,
    ip: IpAddr,
}

impl Census {
    fn admit(&self, ip: IpAddr) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let here = counts.entry(ip).or_default();
        if all >= MAX_CONNECTIONS || *here >= MAX_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *here += 1;
        Some(Counted {
            census: self.clone(),
            ip,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// Serves until `stop`, then lets running requests end.
pub(crate) async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    let connections = tokio_util::task::TaskTracker::new();
    let census = Census::default();
    let router = router.layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.tcp.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Beyond the cap the connection is closed without a word: a word would cost what the cap saves.
        let Some(counted) = census.admit(peer.ip()) else {
            continue;
        };
        let service = WithPeer {
            router: router.clone(),
            peer,
        };
        let connection = connection(&listener, stream, service);
        connections.spawn(drive(connection, stop.clone(), counted));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off: they ran longer than the server may drain");
    }
}

/// Serves one connection; once the server stops, the request that runs is the last.
async fn drive(connection: Connection, stop: CancellationToken, counted: Counted) {
    let mut connection = std::pin::pin!(connection);
    // A connection that breaks is the client's business.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    drop(counted);
}

type Connection = http1::UpgradeableConnection<TokioIo<TcpStream>, TowerToHyperService<WithPeer>>;

/// The router of one connection: tells handlers who is at its other end.
#[derive(Clone)]
struct WithPeer {
    router: Router,
    peer: SocketAddr,
}

impl Service<http::Request<Incoming>> for WithPeer {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = <Router as Service<http::Request<Incoming>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<http::Request<Incoming>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, mut request: http::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}

fn connection(listener: &Listener, stream: TcpStream, service: WithPeer) -> Connection {
    // Without it small answers wait for the client's acknowledgement. It is a wish, not a need.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(listener.head_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades()
}

/// What [`frame`] works with.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) platform: Arc<Platform>,
    pub(crate) operations: Arc<Operations>,
}

/// What every answer has: a request id, headers that browsers need, a line in the log, a place in
/// the telemetry.
pub(crate) async fn frame(
    State(Frame {
        platform,
        operations,
    }): State<Frame>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(&request).unwrap_or_else(|| platform.ids.uuid().simple().to_string());
    let id_value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("invalid"));
    request.headers_mut().insert(X_REQUEST_ID, id_value.clone());
    let method = request.method().clone();
    // The path alone: a query may hold a key.
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let operation = operations.find(route.as_deref(), &method);
    let began = tokio::time::Instant::now();
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    platform.telemetry.answered(operation, status, took);
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(%method, path, route, status, elapsed_ms, "answered"));
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id_value);
    // What everybody may see says itself for how long it is good.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// Ends a request that takes longer than its route may.
pub(crate) async fn within(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request));
    answer
        .await
        .unwrap_or_else(|_| ApiError::from(Transport::TooSlow).into_response())
}

/// The caller's own id for the request, if it is one that can be shown and logged.
fn request_id(request: &Request) -> Option<String> {
    let text = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(is_plain)).then(|| text.to_owned())
}

/// A handler that breaks answers 500 like any fault of ours, and takes nothing along.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a handler panicked");
            ApiError::from(Transport::Broken).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn served(head_timeout: Duration) -> (SocketAddr, CancellationToken) {
        let mut listener = Listener::bind("127.0.0.1:0".parse().expect("an address"))
            .await
            .expect("a port");
        listener.head_timeout = head_timeout;
        let addr = listener.addr().expect("its address");
        let stop = CancellationToken::new();
        let router = Router::new().fallback(async || "hello");
        tokio_util::task::TaskTracker::new().spawn(serve(listener, router, stop.clone()));
        (addr, stop)
    }

    /// What the server sends until it closes the connection.
    async fn exchange(addr: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A reset is a way of closing, too.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_client_that_sends_no_or_half_a_head_is_shown_out() {
        let (addr, _stop) = served(Duration::from_millis(50)).await;
        for request in ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let answer = exchange(addr, request).await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
    }

    #[tokio::test]
    async fn heads_that_could_be_read_two_ways_are_refused() {
        let (addr, _stop) = served(Duration::from_secs(5)).await;
        for head in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: nonsense\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "X-Folded: a\r\n b\r\n",
            "Bad Name: x\r\n",
        ] {
            let answer = exchange(addr, &format!("POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        }
    }

    #[tokio::test]
    async fn requests_that_run_end_before_the_server_does() {
        let (addr, stop) = served(Duration::from_secs(5)).await;
        let answer = exchange(
            addr,
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.ends_with("hello"), "{answer}");
        stop.cancel();
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let census = Census::default();
        let ip: IpAddr = "192.0.2.1".parse().expect("an address");
        let held: Vec<_> = (0..MAX_CONNECTIONS_PER_ADDRESS)
            .filter_map(|_| census.admit(ip))
            .collect();
        assert_eq!(held.len(), MAX_CONNECTIONS_PER_ADDRESS);
        assert!(census.admit(ip).is_none());
        assert!(
            census
                .admit("192.0.2.2".parse().expect("an address"))
                .is_some()
        );
        drop(held);
        assert!(census.admit(ip).is_some());
    }
}

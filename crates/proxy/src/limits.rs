//! Deadlines and caps: what one visitor or one app may take of the proxy.
//!
//! Deadlines of visitors' connections are watched by one sweep a worker ([`Limits::tick`]), not by
//! a timer a request, so each may be late by one tick.

use std::time::Duration;

/// The most bytes of a request's head.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most bytes of an app's response head.
pub(crate) const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one connection of HTTP/2.
pub(crate) const MAX_STREAMS: u32 = 128;
/// What a visitor may send on one stream, and on one connection, of HTTP/2 before the app has taken any.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What waits to be sent on one stream of HTTP/2.
pub(crate) const MAX_SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Streams of HTTP/2 that a visitor may take back before the proxy has looked at them, and for which it
/// remembers that it broke them off. More ends the connection.
pub(crate) const MAX_RESET_STREAMS: usize = 64;
/// How many connections may wait to be accepted.
pub(crate) const LISTEN_BACKLOG: i32 = 4096;
/// How long accepting pauses when the system has no descriptors or memory left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a replica that cannot be connected to is passed over while others can.
pub(crate) const AVOID: Duration = Duration::from_secs(2);
/// How long it is passed over at most, when it goes on like that.
pub(crate) const LONGEST_AVOID: Duration = Duration::from_secs(32);
/// How long connecting to what is behind a port of its own may take.
pub(crate) const PORT_CONNECT: Duration = Duration::from_secs(10);
/// How soon a port is tried again that another program listens on.
pub(crate) const PORT_RETRY: Duration = Duration::from_secs(1);
/// How soon such a connection begins to be asked whether the other side is still there.
pub(crate) const PORT_KEEPALIVE: Duration = Duration::from_secs(60);
/// How many requests in a row a replica may leave without an answer before it is passed over.
pub(crate) const MAX_LOST_ANSWERS: u32 = 3;
/// How long a replica that joins others gets less than its share.
pub(crate) const SLOW_START: Duration = Duration::from_secs(10);
/// How many replicas or connections one request may try.
pub(crate) const MAX_ATTEMPTS: usize = 4;
/// The most bytes that are read and thrown away so that a visitor sees an early answer.
pub(crate) const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// Deadlines and caps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From a connection's start, or a request's first byte, to the end of the request's head.
    pub request_head: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a visitor's connection may rest between requests.
    pub keep_alive: Duration,
    /// How long connecting to a replica may take.
    pub connect: Duration,
    /// From the last byte of the request that moved to the app's response head.
    pub response_head: Duration,
    /// How long a body may stand still.
    pub body_idle: Duration,
    /// How long an upgraded connection may stand still.
    pub tunnel_idle: Duration,
    /// How long an upstream connection rests in the pool. Below the 5 s after which popular app
    /// servers close theirs, so that no request meets a connection that is just being closed.
    pub upstream_idle: Duration,
    /// How long a drained process waits for running requests.
    pub drain: Duration,
    /// How long a draining process leaves resting connections open for a last request, whose
    /// answer then says that the connection ends.
    pub drain_idle: Duration,
    /// Visitors' connections of one worker.
    pub connections_per_worker: usize,
    /// Visitors' connections from one address at one worker.
    pub connections_per_ip: usize,
    /// Resting upstream connections to one replica at one worker.
    pub idle_per_replica: usize,
    /// Clients' connections to one port that leads to a database.
    pub connections_per_port: usize,
    /// Those of one address.
    pub connections_per_port_and_ip: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            connect: Duration::from_secs(3),
            response_head: Duration::from_secs(120),
            body_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
            upstream_idle: Duration::from_secs(4),
            drain: Duration::from_secs(30),
            drain_idle: Duration::from_secs(5),
            connections_per_worker: 16_384,
            connections_per_ip: 1_024,
            idle_per_replica: 128,
            connections_per_port: 1_000,
            connections_per_port_and_ip: 100,
        }
    }
}

impl Limits {
    /// How often deadlines are looked at: a quarter of the shortest, 10 ms to 1 s.
    pub(crate) fn tick(&self) -> Duration {
        let shortest = [
            self.request_head,
            self.handshake,
            self.keep_alive,
            self.response_head,
            self.body_idle,
            self.tunnel_idle,
            self.upstream_idle,
        ]
        .into_iter()
        .min()
        .unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

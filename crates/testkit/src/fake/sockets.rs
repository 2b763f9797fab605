//! Loopback addresses, and sockets that really listen on them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// How often another address is tried when a port is taken there.
const ATTEMPTS: u32 = 64;

/// The ports that a replica listens on for all, each with the HTTP status that it answers; a port
/// without one closes its connections.
pub(super) type Ports = BTreeMap<u16, Option<u16>>;

/// Listeners that end when they are dropped.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    _tasks: JoinSet<()>,
    status: Arc<AtomicU16>,
}

impl Sockets {
    /// Answers with this status from now on, whatever the program said.
    pub(super) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

/// An address that no other replica of this process has, and listeners there.
pub(super) fn open(runtime: &Handle, ports: &Ports, body: &str) -> (IpAddr, Sockets) {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let ip = next_address();
        match bind(runtime, ip, ports, body) {
            Ok(sockets) => return (ip, sockets),
            Err(error) => last = Some(error),
        }
    }
    panic!("no loopback address has {ports:?} free: {last:?}");
}

/// An address that no other replica of this process has.
pub(super) fn next_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test programs run beside each other: each begins elsewhere in 127.0.0.0/8.
    let start = std::process::id().wrapping_mul(0x9e37_79b1) >> 8;
    let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 0x00ff_0000;
    IpAddr::V4(Ipv4Addr::from(0x7f00_0000 + 0x1_0000 + number))
}

fn bind(runtime: &Handle, ip: IpAddr, ports: &Ports, body: &str) -> io::Result<Sockets> {
    let _entered = runtime.enter();
    let mut tasks = JoinSet::new();
    let body: Arc<str> = body.into();
    let other = Arc::<AtomicU16>::default();
    for (port, status) in ports {
        let listener = TcpListener::bind(SocketAddr::new(ip, *port))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tasks.spawn(accept(
            listener,
            *status,
            Arc::clone(&other),
            Arc::clone(&body),
        ));
    }
    Ok(Sockets {
        _tasks: tasks,
        status: other,
    })
}

async fn accept(
    listener: tokio::net::TcpListener,
    status: Option<u16>,
    other: Arc<AtomicU16>,
    body: Arc<str>,
) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let status = match other.load(Ordering::Relaxed) {
            0 => status,
            other => Some(other),
        };
        if let Some(status) = status {
            connections.spawn(answer(connection, status, Arc::clone(&body)));
        }
    }
}

/// Reads one request's head and answers it; a client that goes away is none of our business.
async fn answer(mut connection: TcpStream, status: u16, body: Arc<str>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match connection.read_buf(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    if connection.write_all(text.as_bytes()).await.is_ok() {
        let _ = connection.shutdown().await;
    }
}

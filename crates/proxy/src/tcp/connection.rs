//! One connection to a database: who speaks first, TLS where the client wants it, bytes both ways.
//!
//! The database is connected to at once, since some speak first; those negotiate TLS by themselves, and
//! nothing of theirs is looked at. Otherwise the client's first bytes decide, see [`Opening`].

use std::io::{self, Cursor};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tose_api::Hostname;

use crate::certificates::Certificates;
use crate::io::{Activity, Observed, Wire};
use crate::limits::{PORT_CONNECT, PORT_KEEPALIVE};
use crate::meter::Counters;
use crate::table::PortTarget;
use crate::tcp::Shared;
use crate::tcp::opening::{MAX_HEAD, Opening};

/// What PostgreSQL's newest clients say that they speak by TLS; without this they hang up.
const POSTGRES_ALPN: &[u8] = b"postgresql";
/// How many questions a client may ask before it begins.
const MAX_QUESTIONS: usize = 4;
/// How soon bytes are counted that moved.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Serves a client until both sides have ended, or one is silent for too long.
pub(super) async fn serve(
    shared: &Shared,
    target: &PortTarget,
    mut client: TcpStream,
) -> io::Result<()> {
    let Some(addr) = target.route.backend else {
        return Ok(());
    };
    prepare(&client)?;
    let backend = within(PORT_CONNECT, TcpStream::connect(addr)).await?;
    prepare(&backend)?;
    let acceptor = Acceptor::new(shared, target)?;
    let Some((head, is_tls)) = open(&mut client, &backend, shared, acceptor.is_some()).await?
    else {
        return Ok(());
    };
    let meter = Flow::new(target, shared.limits.tunnel_idle);
    let backend = Observed::new(Wire::Plain(backend), Rc::clone(&meter.activity));
    let (read, write) = client.into_split();
    let client = tokio::io::join(Cursor::new(head).chain(read), write);
    match (is_tls, acceptor) {
        (false, _) => relay(client, backend, &meter).await,
        (true, Some(acceptor)) => {
            let tls = within(shared.limits.handshake, acceptor.0.accept(client)).await?;
            relay(tls, backend, &meter).await
        }
        // There is no certificate to speak TLS with.
        (true, None) => Ok(()),
    }
}

/// Small messages go at once, and a side that is gone is found out.
fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(PORT_KEEPALIVE)
        .with_interval(PORT_KEEPALIVE / 4)
        .with_retries(4);
    SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Finds out how the client begins: bytes that it has sent and that count, and whether TLS comes. `None`
/// if it begins in no way that is known.
async fn open(
    client: &mut TcpStream,
    backend: &TcpStream,
    shared: &Shared,
    has_tls: bool,
) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut head = Vec::with_capacity(MAX_HEAD);
    let mut questions = 0;
    while questions < MAX_QUESTIONS {
        match Opening::of(&head) {
            Opening::Tls => return Ok(Some((head, true))),
            Opening::Plain => return Ok(Some((head, false))),
            Opening::PostgresTls if has_tls => {
                client.write_all(b"S").await?;
                return Ok(Some((Vec::new(), true)));
            }
            Opening::PostgresTls | Opening::PostgresGss => {
                client.write_all(b"N").await?;
                head.clear();
                questions += 1;
            }
            Opening::Unclear => {
                if !read_on(client, backend, shared, &mut head).await? {
                    return Ok(Some((head, false)));
                }
            }
        }
    }
    Ok(None)
}

/// Reads more of how the client begins; `false` if nothing more comes before the database speaks.
async fn read_on(
    client: &mut TcpStream,
    backend: &TcpStream,
    shared: &Shared,
    head: &mut Vec<u8>,
) -> io::Result<bool> {
    let is_silent = head.is_empty();
    let room = (MAX_HEAD - head.len()) as u64;
    let mut rest = client.take(room);
    let read = rest.read_buf(head);
    if !is_silent {
        return Ok(within(shared.limits.handshake, read).await? > 0);
    }
    let mut first = [0];
    tokio::select! {
        read = read => Ok(read? > 0),
        spoke = backend.peek(&mut first) => spoke.map(|_| false),
    }
}

/// Copies both ways, each of which ends by itself.
async fn relay<C>(mut client: C, mut backend: Observed, flow: &Flow) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    tokio::select! {
        copied = copy_bidirectional(&mut client, &mut backend) => copied.map(|_| ()),
        () = flow.stands_still() => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// What moves on a connection. It is counted as the database sees it, not as TLS wraps it.
struct Flow {
    activity: Rc<Activity>,
    counters: Arc<Counters>,
    idle: Duration,
}

impl Flow {
    fn new(target: &PortTarget, idle: Duration) -> Self {
        Self {
            activity: Rc::default(),
            counters: Arc::clone(target.meter.of_ports()),
            idle,
        }
    }

    /// Returns once nothing has moved for too long.
    async fn stands_still(&self) {
        let mut ticks =
            tokio::time::interval((self.idle / 4).clamp(Duration::from_millis(1), COUNT_EVERY));
        let mut moved_at = Instant::now();
        loop {
            let now = ticks.tick().await;
            self.count();
            if self.activity.take_moved() {
                moved_at = now;
            } else if now.duration_since(moved_at) >= self.idle {
                return;
            }
        }
    }

    fn count(&self) {
        // What is read from the database goes out to the client.
        let (sent, received) = self.activity.tally().take_bytes();
        self.counters.count_bytes(received, sent);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.count();
    }
}

/// Shakes hands with the certificate of one port.
struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// `None` if there is no certificate for clients who name no host.
    fn new(shared: &Shared, target: &PortTarget) -> io::Result<Option<Self>> {
        let resolver = Resolver {
            certificates: Arc::clone(&shared.certificates),
            host: target.route.host.clone(),
            self_signed: target.route.self_signed.clone(),
        };
        if resolver.find(None).is_none() {
            return Ok(None);
        }
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![POSTGRES_ALPN.to_vec()];
        // It is of one connection, to which nobody comes back.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Some(Self(TlsAcceptor::from(Arc::new(config)))))
    }
}

/// Finds the certificate for one connection.
#[derive(Debug)]
struct Resolver {
    certificates: Arc<Certificates>,
    host: Hostname,
    self_signed: Hostname,
}

impl Resolver {
    fn find(&self, named: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = named.and_then(|name| name.to_ascii_lowercase().parse().ok());
        named
            .and_then(|host| self.certificates.find_for(&host))
            .or_else(|| self.certificates.find_for(&self.host))
            .or_else(|| self.certificates.find_self_signed(&self.self_signed))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

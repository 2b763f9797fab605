//! A proxy in a thread, apps that a test plays itself, and raw connections.
//!
//! Every wait has a deadline, so that a test that hangs says where.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tose_model::route::{Backend, Route, RouteChange, RouteTable, Rules};
use tose_model::secret::SecretString;
use tose_proxy::certificates::{Folder, KeyOpener};
use tose_proxy::control::Client;
use tose_proxy::{Config, Limits, snapshot};

/// The host that most tests use.
pub(crate) const HOST: &str = "shop.example.com";

const PATIENCE: Duration = Duration::from_secs(30);

/// Fails the test if `future` does not end.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    soon(what, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            if let Some(value) = ask().await {
                return value;
            }
        }
    })
    .await
}

/// The default limits, without patience for resting connections at the end.
pub(crate) fn quick() -> Limits {
    Limits {
        drain_idle: Duration::from_millis(10),
        ..Limits::default()
    }
}

/// Runs a visitor or an app beside the test.
#[expect(
    clippy::disallowed_methods,
    reason = "what a test starts ends with its runtime"
)]
pub(crate) fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(future)
}

/// Keys of tests lie open.
#[derive(Debug)]
struct Unsealed;

impl KeyOpener for Unsealed {
    fn open(&self, _name: &str, sealed: &[u8]) -> Option<SecretString> {
        String::from_utf8(sealed.to_vec())
            .ok()
            .map(SecretString::from)
    }
}

/// The configuration of a test's proxy.
fn config(dir: &Path, limits: Limits) -> Config {
    Config {
        http_addr: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        https_addr: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        certificates: Folder::of(dir),
        keys: Arc::new(Unsealed),
        routes_file: tose_proxy::routes_file(dir),
        control_socket: tose_proxy::control_socket(dir),
        workers: NonZeroUsize::new(2).unwrap(),
        take_over: false,
        version: "first".to_owned(),
        request_id_seed: 1,
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        limits,
    }
}

/// A proxy that runs in a thread of the test.
pub(crate) struct Proxy {
    dir: Arc<tempfile::TempDir>,
    config: Config,
    addr: SocketAddr,
    https_addr: SocketAddr,
    thread: JoinHandle<tose_proxy::Result<()>>,
}

impl Proxy {
    /// A proxy with two workers and these routes.
    pub(crate) async fn start(table: &RouteTable) -> Self {
        Self::start_with(table, quick()).await
    }

    /// The same with other limits.
    pub(crate) async fn start_with(table: &RouteTable, limits: Limits) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let config = config(dir.path(), limits);
        snapshot::write(&config.routes_file, table).unwrap();
        Self::launch(dir, config).await
    }

    /// A proxy behind others on this machine.
    pub(crate) async fn start_behind(table: &RouteTable, proxy_protocol: bool) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let config = Config {
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            proxy_protocol,
            ..config(dir.path(), quick())
        };
        snapshot::write(&config.routes_file, table).unwrap();
        Self::launch(dir, config).await
    }

    /// A successor on the same data and the same port.
    pub(crate) async fn take_over(&self) -> Self {
        let config = Config {
            http_addr: Some(self.addr),
            https_addr: Some(self.https_addr),
            take_over: true,
            version: "second".to_owned(),
            request_id_seed: 2,
            ..self.config.clone()
        };
        Self::launch(Arc::clone(&self.dir), config).await
    }

    async fn launch(dir: Arc<tempfile::TempDir>, config: Config) -> Self {
        let own_config = config.clone();
        let thread = thread::spawn(move || tose_proxy::run(own_config));
        let (addr, https_addr) = eventually("the proxy to start", async || {
            assert!(!thread.is_finished(), "the proxy ended at its start");
            let status = Client::connect(&config.control_socket)
                .await
                .ok()?
                .status()
                .await
                .ok()?;
            (status.version == config.version).then_some((status.http_addr?, status.https_addr?))
        })
        .await;
        Self {
            dir,
            config,
            addr,
            https_addr,
            thread,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn routes_file(&self) -> &Path {
        &self.config.routes_file
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.config.control_socket.clone()
    }

    pub(crate) async fn control(&self) -> Client {
        Client::connect(&self.config.control_socket).await.unwrap()
    }

    /// Writes a table and waits until it is used.
    pub(crate) async fn publish(&self, table: &RouteTable) {
        snapshot::write(&self.config.routes_file, table).unwrap();
        assert_eq!(
            self.control().await.reload().await.unwrap(),
            table.generation
        );
    }

    /// Writes what changed and waits until it is used.
    pub(crate) async fn change(&self, change: &RouteChange) {
        snapshot::append(&self.config.routes_file, change).unwrap();
        let used = self.control().await.use_routes(change.generation).await;
        assert_eq!(used.unwrap(), change.generation);
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn https_addr(&self) -> SocketAddr {
        self.https_addr
    }

    /// A visitor's connection.
    pub(crate) async fn visit(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// One request on a connection of its own; the whole answer.
    pub(crate) async fn get(&self, head: &str) -> String {
        let mut visitor = self.visit().await;
        visitor
            .send(&format!("{head}connection: close\r\n\r\n"))
            .await;
        visitor.read_to_end().await
    }

    /// Waits for the end of a process that has been told to finish.
    pub(crate) async fn ended(self) {
        let Self { dir, thread, .. } = self;
        let joined = tokio::task::spawn_blocking(move || thread.join());
        soon("the proxy to end", joined)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        drop(dir);
    }

    /// Ends the proxy.
    pub(crate) async fn stop(self) {
        self.control().await.finish().await.unwrap();
        self.ended().await;
    }
}

/// A table in which each host leads to replicas named by their addresses.
pub(crate) fn routes(generation: u64, hosts: &[(&str, &[SocketAddr])]) -> RouteTable {
    let route = |addrs: &[SocketAddr]| Route {
        project_id: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
        workspace: "acme".parse().unwrap(),
        project: "shop".parse().unwrap(),
        backends: addrs
            .iter()
            .map(|&addr| Backend {
                replica: addr.to_string(),
                addr,
            })
            .collect(),
        reason: None,
        https_port: None,
        rules: None,
    };
    let routes: BTreeMap<_, _> = hosts
        .iter()
        .map(|(host, addrs)| (host.parse().unwrap(), route(addrs)))
        .collect();
    RouteTable {
        generation,
        routes,
        ..RouteTable::default()
    }
}

/// A table with one host and one app.
pub(crate) fn route_to(app: &App) -> RouteTable {
    routes(1, &[(HOST, &[app.addr])])
}

/// The same with rules.
pub(crate) fn ruled(app: &App, rules: Rules) -> RouteTable {
    let mut table = route_to(app);
    for route in table.routes.values_mut() {
        route.rules = Some(Box::new(rules.clone()));
    }
    table
}

/// An app whose part the test plays.
pub(crate) struct App {
    pub(crate) addr: SocketAddr,
    listener: TcpListener,
}

impl App {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            addr: listener.local_addr().unwrap(),
            listener,
        }
    }

    /// The next connection of the proxy.
    pub(crate) async fn accept(&self) -> Wire {
        let (tcp, _) = soon("the proxy to connect", self.listener.accept())
            .await
            .unwrap();
        Wire::new(tcp)
    }

    /// The same, for an app that plays by itself and may never be asked.
    pub(crate) async fn accept_anytime(&self) -> Wire {
        Wire::new(self.listener.accept().await.unwrap().0)
    }

    /// Whether no connection waits to be accepted.
    pub(crate) async fn is_alone(&self) -> bool {
        let accepted = std::pin::pin!(self.listener.accept());
        tokio::select! {
            biased;
            _ = accepted => false,
            () = std::future::ready(()) => true,
        }
    }

    /// From here on answers every request without a body with `name`, by itself.
    pub(crate) fn play(self, name: &'static str) {
        spawn(async move {
            loop {
                spawn(answer_all(self.accept_anytime().await, name));
            }
        });
    }
}

async fn answer_all(mut proxy: Wire, name: &'static str) {
    while let Some(_head) = proxy.try_read_head().await {
        proxy.send(&reply(name)).await;
    }
}

/// A whole response.
pub(crate) fn reply(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request without a body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

/// One end of a connection, byte by byte.
pub(crate) struct Wire {
    tcp: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        tcp.set_nodelay(true).unwrap();
        Self {
            tcp,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        soon("a send", self.tcp.write_all(text.as_bytes()))
            .await
            .unwrap();
    }

    /// Sends what the other side may refuse to read to the end.
    pub(crate) async fn try_send(&mut self, text: &str) {
        let _ = soon("a send", self.tcp.write_all(text.as_bytes())).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn close_sending(&mut self) {
        soon("a shutdown", self.tcp.shutdown()).await.unwrap();
    }

    /// A head with its final empty line, or `None` if the connection ends before it begins.
    pub(crate) async fn try_read_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                return Some(self.take(end + 4));
            }
            if !self.fill().await {
                assert!(self.unread.is_empty(), "the head is cut: {:?}", self.peek());
                return None;
            }
        }
    }

    pub(crate) async fn read_head(&mut self) -> String {
        self.try_read_head()
            .await
            .expect("a head was awaited, and the connection ended")
    }

    /// Exactly `text`.
    pub(crate) async fn expect(&mut self, text: &str) {
        while self.unread.len() < text.len() {
            let so_far = self.peek();
            assert!(
                self.fill().await,
                "{text:?} was awaited, and after {so_far:?} came the end"
            );
        }
        assert_eq!(self.take(text.len()), text);
    }

    /// Head and body of a response with a length.
    pub(crate) async fn read_response(&mut self) -> (String, String) {
        let head = self.read_head().await;
        let length = header(&head, "content-length")
            .expect("a length")
            .parse()
            .unwrap();
        while self.unread.len() < length {
            assert!(self.fill().await, "the body is cut");
        }
        (head, self.take(length))
    }

    /// A body of this length, or `None` if the connection ends before.
    pub(crate) async fn try_read(&mut self, length: usize) -> Option<String> {
        while self.unread.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.take(length))
    }

    /// A body in chunks, without trailers, or `None` if the connection ends before.
    pub(crate) async fn try_read_chunks(&mut self) -> Option<String> {
        let mut body = String::new();
        loop {
            let line_end = loop {
                if let Some(end) = find(&self.unread, b"\r\n") {
                    break end;
                }
                if !self.fill().await {
                    return None;
                }
            };
            let line = self.take(line_end + 2);
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let chunk = self.try_read(size + 2).await?;
            let chunk = chunk
                .strip_suffix("\r\n")
                .expect("a line end after a chunk");
            if size == 0 {
                return Some(body);
            }
            body.push_str(chunk);
        }
    }

    /// The next chunk of a body, which may hold anything; an empty one is its end.
    pub(crate) async fn read_chunk(&mut self) -> Vec<u8> {
        let line_end = loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                break end;
            }
            assert!(self.fill().await, "the body is cut");
        };
        let size = usize::from_str_radix(self.take(line_end + 2).trim_end(), 16).unwrap();
        while self.unread.len() < size + 2 {
            assert!(self.fill().await, "the body is cut");
        }
        let mut chunk: Vec<u8> = self.unread.drain(..size + 2).collect();
        chunk.truncate(size);
        chunk
    }

    /// All that comes until the other side closes, or resets after it has sent something.
    pub(crate) async fn read_to_end(&mut self) -> String {
        while self.fill().await {}
        self.take(self.unread.len())
    }

    /// Whether the other side has closed, or reset, the connection by now.
    pub(crate) async fn has_ended(&mut self) -> bool {
        match self.tcp.try_read_buf(&mut self.unread) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    async fn fill(&mut self) -> bool {
        match soon("bytes", self.tcp.read_buf(&mut self.unread)).await {
            Ok(count) => count > 0,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                false
            }
        }
    }

    fn take(&mut self, count: usize) -> String {
        String::from_utf8(self.unread.drain(..count).collect()).unwrap()
    }

    fn peek(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The value of a header in a head; names are lower case on this side of hyper.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (own_name, value) = line.split_once(':')?;
        own_name.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

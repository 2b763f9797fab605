//! Requests that fail while versions of an app replace each other: none may.
//!
//! Visitors ask at a fixed rate whatever comes back, half of them on connections that stay open and
//! half on new ones; beside them some read answers that take two seconds, and one has a WebSocket.
//! Every fourth deployment is followed by one of a version that crashes at its start, which nobody
//! may ever see.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::product::Product;
use super::{Files, HOST as APP_HOST};
use crate::process::tosed_beside;

/// What the visitors ask: a page of so many equal lines, one for each time that the app has its version.
const APP: &str = include_str!("crowd.go");
const ROWS: usize = 64;
const MODULE: &str = "module app\n\ngo 1.19\n";
const DOCKERFILE: &str = "FROM golang:1-bookworm AS build\nWORKDIR /src\nENV CGO_ENABLED=0\nCOPY go.mod main.go ./\nRUN go build -o /app .\nFROM debian:bookworm-slim\nENV PORT=3000\nCOPY --from=build /app /app\nCOPY version /version\nCMD [\"/app\"]\n";
const FILES: Files<'static> = Files(&[
    ("main.go", APP),
    ("go.mod", MODULE),
    ("Dockerfile", DOCKERFILE),
]);
/// Visitors who ask as often as the rate says, and those who read slow answers.
const VISITORS: u32 = 40;
const PATIENT: u32 = 8;
/// A slow answer takes two seconds, and nothing takes as long as this.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two messages on the WebSocket.
const MESSAGES: Duration = Duration::from_millis(100);
/// Every so many deployments are followed by a broken one.
const BROKEN: u32 = 4;

/// How the bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Deployments of versions that work
    #[arg(long, default_value_t = 20)]
    deploys: u32,
    /// Requests per second
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Seconds from one deployment to the next
    #[arg(long, default_value_t = 5)]
    every: u64,
    /// The daemon to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    tosed: Option<PathBuf>,
}

/// What the visitors have met.
#[derive(Debug, Default)]
struct Met {
    /// How long each answer took, in microseconds.
    took: Vec<u32>,
    slow: u64,
    messages: u64,
    closed: u64,
    failures: Vec<String>,
}

/// A visitor, and where the answers are counted.
#[derive(Clone)]
struct Visitor {
    proxy: SocketAddr,
    met: Arc<Mutex<Met>>,
    stop: CancellationToken,
}

/// Runs the bench and prints what it found; fails when a request did.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.rate >= VISITORS,
        "at least {VISITORS} requests per second"
    );
    let tosed = tosed_beside(arguments.tosed.as_deref())?;
    let dir = tempfile::tempdir().context("making a folder")?;
    let product = Product::start(&tosed, dir.path(), FILES)?;
    product.deploy("version 0\n")?;
    let pause = Duration::from_secs(arguments.every);
    let steady = Crowd::gather(product.http, arguments.rate)?;
    thread::sleep(pause * 2);
    let steady = steady.leave()?;
    let crowd = Crowd::gather(product.http, arguments.rate)?;
    let outcome = replace_versions(&product, arguments.deploys, pause);
    let met = crowd.leave()?;
    outcome?;
    report(arguments.deploys, &steady, &met)
}

fn replace_versions(product: &Product, deploys: u32, pause: Duration) -> Result<()> {
    for number in 1..=deploys {
        let began = Instant::now();
        product.deploy(&format!("version {number}\n"))?;
        if number % BROKEN == 0 {
            product.deploy_broken(&format!("broken {number}\n"))?;
        }
        thread::sleep(pause.saturating_sub(began.elapsed()));
    }
    Ok(())
}

fn report(deploys: u32, steady: &Met, met: &Met) -> Result<()> {
    let failed = steady.failures.len() + met.failures.len();
    let (before, during) = (p99(&steady.took)?, p99(&met.took)?);
    println!(
        "{} requests during {deploys} deploys and {} that failed to start, {} slow answers, {} messages on {} WebSockets: {failed} failed; gate 0",
        met.took.len(),
        deploys / BROKEN,
        met.slow,
        met.messages,
        met.closed + 1,
    );
    println!(
        "p99 {:.2} ms during deploys, {:.2} ms without: {:.2}; target <= 1.3",
        f64::from(during) / 1e3,
        f64::from(before) / 1e3,
        f64::from(during) / f64::from(before)
    );
    if let Some(first) = steady.failures.iter().chain(&met.failures).next() {
        bail!("{failed} requests failed; the first: {first}");
    }
    Ok(())
}

fn p99(took: &[u32]) -> Result<u32> {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let place = sorted.len() * 99 / 100;
    sorted.get(place).copied().context("nobody got an answer")
}

/// Everybody who asks, on a thread of their own.
struct Crowd {
    visitor: Visitor,
    thread: thread::JoinHandle<()>,
}

impl Crowd {
    fn gather(proxy: SocketAddr, rate: u32) -> Result<Self> {
        let visitor = Visitor {
            proxy,
            met: Arc::default(),
            stop: CancellationToken::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let own = visitor.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let mut all = JoinSet::new();
                let period = Duration::from_secs(1) * VISITORS / rate;
                for number in 0..VISITORS {
                    all.spawn(own.clone().ask_often(period, number % 2 == 0));
                }
                for _ in 0..PATIENT {
                    all.spawn(own.clone().ask_slowly());
                }
                all.spawn(own.clone().talk());
                all.join_all().await;
            });
        });
        Ok(Self { visitor, thread })
    }

    /// Lets everybody finish what they are at.
    fn leave(self) -> Result<Met> {
        self.visitor.stop.cancel();
        if self.thread.join().is_err() {
            bail!("a visitor panicked");
        }
        let mut met = self.visitor.met.lock().expect("nobody panics");
        Ok(std::mem::take(&mut *met))
    }
}

impl Visitor {
    fn note(&self, write: impl FnOnce(&mut Met)) {
        write(&mut self.met.lock().expect("nobody panics"));
    }

    fn note_failure(&self, what: &str, error: &anyhow::Error) {
        self.note(|met| met.failures.push(format!("{what}: {error:#}")));
    }

    async fn ask_often(self, period: Duration, keeps_alive: bool) {
        let mut ticks = interval(period);
        // Who waited for an answer asks the more often after it, so that the rate stays.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut kept = None;
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let began = Instant::now();
            let connection = kept.take().filter(|_| keeps_alive);
            match timeout(LIMIT, self.ask("/", connection, keeps_alive)).await {
                Ok(Ok(connection)) => {
                    kept = Some(connection);
                    let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                    self.note(|met| met.took.push(took));
                }
                Ok(Err(error)) => self.note_failure("a request", &error),
                Err(_) => self.note_failure("a request", &anyhow::anyhow!("no answer in time")),
            }
        }
    }

    async fn ask_slowly(self) {
        while !self.stop.is_cancelled() {
            match timeout(LIMIT, self.ask("/slow", None, false)).await {
                Ok(Ok(_)) => self.note(|met| met.slow += 1),
                Ok(Err(error)) => self.note_failure("a slow answer", &error),
                Err(_) => self.note_failure("a slow answer", &anyhow::anyhow!("it never ended")),
            }
        }
    }

    /// Asks for one page and checks that all of it is of one version.
    async fn ask(
        &self,
        path: &str,
        kept: Option<SendRequest<Empty<Bytes>>>,
        keeps_alive: bool,
    ) -> Result<SendRequest<Empty<Bytes>>> {
        let mut sender = match kept {
            Some(kept) => self.reuse(kept).await?,
            None => self.connect().await?,
        };
        let connection = if keeps_alive { "keep-alive" } else { "close" };
        let request = Request::get(path)
            .header(HOST, APP_HOST)
            .header(CONNECTION, connection)
            .body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        ensure!(status.is_success(), "{status}: {text}");
        let first = text.lines().next().unwrap_or_default();
        let is_whole = text.lines().count() == ROWS && text.lines().all(|line| line == first);
        ensure!(
            is_whole && first.starts_with("version "),
            "cut or mixed: {text}"
        );
        Ok(sender)
    }

    /// A connection that was closed while nothing was asked is replaced: that is no failure.
    async fn reuse(
        &self,
        mut kept: SendRequest<Empty<Bytes>>,
    ) -> Result<SendRequest<Empty<Bytes>>> {
        match kept.ready().await {
            Ok(()) => Ok(kept),
            Err(_) => self.connect().await,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a connection ends with its sender or its peer"
    )]
    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(self.proxy).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // What breaks the connection fails the request on it as well.
        tokio::spawn(async { connection.await.ok() });
        Ok(sender)
    }

    /// Sends messages and waits for each to come back. A version that was replaced closes the WebSocket
    /// at the end of its time to drain; the next one is opened then.
    async fn talk(self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.talk_once().await {
                self.note_failure("the WebSocket", &error);
                return;
            }
        }
    }

    async fn talk_once(&self) -> Result<()> {
        let mut stream = TcpStream::connect(self.proxy).await?;
        let head = format!(
            "GET /echo HTTP/1.1\r\nHost: {APP_HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = timeout(LIMIT, stream.read_buf(&mut answer)).await??;
            ensure!(read > 0, "closed instead of opened");
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        let mut ticks = interval(MESSAGES);
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let message = b"\x82\x84\0\0\0\0tose";
            let mut echo = [0; 10];
            let sent = stream.write_all(message).await;
            let came = timeout(LIMIT, stream.read_exact(&mut echo)).await?;
            if sent.is_err() || came.is_err() {
                self.note(|met| met.closed += 1);
                return Ok(());
            }
            ensure!(&echo == message, "another message came back");
            self.note(|met| met.messages += 1);
        }
        Ok(())
    }
}

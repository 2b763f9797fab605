//! Live logs to many readers against nginx with nchan: CPU a frame, delay, and whether a frame is missing.
//!
//! The product's lines are printed by a container, and come by way of the engine and the log store; nchan's are
//! published over HTTP. Each line carries its number and the time at which it was written.

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Caller, read_answer};
use crate::process::{Running, free_addr, program, tosed_beside};
use crate::service::{Tosed, WORKSPACE};

const RATE: u64 = 100;
const SHOT: Duration = Duration::from_secs(6);
/// How long a project may take to come up.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Prints its lines and answers visitors.
const APP: &str = "node -e \"let n=0;setInterval(()=>console.log(Math.round((performance.timeOrigin+performance.now())*1e3)+' '+n++),10);require('http').createServer((q,s)=>s.end('hi')).listen(process.env.PORT)\"";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many readers there are.
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// How many readers stop reading.
    #[arg(long, default_value_t = 50)]
    stuck: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The daemon to measure; the one beside this program when absent.
    #[arg(long)]
    tosed: Option<PathBuf>,
}

/// What the readers saw.
#[derive(Default)]
struct Seen {
    frames: u64,
    missing: u64,
    delays_us: Vec<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let product = Product::start(&tosed_beside(arguments.tosed.as_deref())?, dir.path())?;
    let peer = start_nchan(dir.path());
    println!(
        "fan-out: {} readers, {} of them stuck, {RATE} lines a second",
        arguments.sockets, arguments.stuck
    );
    for _ in 0..arguments.rounds {
        shot(
            &runtime,
            "tose",
            product.running.as_ref().context("it was ended")?,
            &product.request,
            product.caller.addr,
            arguments,
        )?;
        if let Ok((running, addr)) = &peer {
            let addr = *addr;
            let publisher = Arc::new(());
            let alive = Arc::downgrade(&publisher);
            let publish = thread::spawn(move || publish(addr, &alive));
            shot(
                &runtime,
                "nchan",
                running,
                "GET /sub HTTP/1.1\r\n",
                addr,
                arguments,
            )?;
            drop(publisher);
            publish
                .join()
                .map_err(|_| anyhow::anyhow!("the publisher broke"))??;
        }
    }
    if let Err(error) = &peer {
        println!("  nchan is left out: {error:#}");
    }
    Ok(())
}

fn shot(
    runtime: &tokio::runtime::Runtime,
    name: &str,
    running: &Running,
    request: &str,
    addr: SocketAddr,
    arguments: &Arguments,
) -> Result<()> {
    let mut seen = runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..arguments.sockets {
            streams.push(open(addr, request).await?);
        }
        let stuck = streams.split_off(arguments.sockets.saturating_sub(arguments.stuck));
        let before = running.cpu()?;
        let end = tokio::time::Instant::now() + SHOT;
        #[expect(clippy::disallowed_methods, reason = "they are waited for below")]
        let readers: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::spawn(read(stream, end)))
            .collect();
        let mut seen = Seen::default();
        for reader in readers {
            let one = reader.await??;
            seen.frames += one.frames;
            seen.missing += one.missing;
            seen.delays_us.extend(one.delays_us);
        }
        let used = running.cpu()?.saturating_sub(before);
        drop(stuck);
        anyhow::Ok((seen, used))
    })?;
    let (seen, used) = (&mut seen.0, seen.1);
    seen.delays_us.sort_unstable();
    let at = |share: usize| {
        seen.delays_us
            .get(seen.delays_us.len() * share / 1000)
            .copied()
    };
    println!(
        "  {name:<6} {:>7} frames, {} missing; {:.2} us of CPU a frame; delay p50 {:.1} ms, p99 {:.1} ms; {} MiB",
        seen.frames,
        seen.missing,
        used.as_secs_f64() * 1e6 / seen.frames.max(1) as f64,
        at(500).unwrap_or(0) as f64 / 1e3,
        at(990).unwrap_or(0) as f64 / 1e3,
        running.proportional_bytes()? >> 20,
    );
    Ok(())
}

/// Opens a WebSocket; what came behind the answer's head is of no interest.
async fn open(addr: SocketAddr, request: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!(
        "{request}Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut byte = [0; 1];
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        answer.extend(byte);
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(stream)
}

async fn read(mut stream: TcpStream, end: tokio::time::Instant) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut last = None;
    let mut buffer = Vec::new();
    let mut chunk = [0; 8192];
    while let Ok(read) = tokio::time::timeout_at(end, stream.read(&mut chunk)).await {
        let read = read?;
        ensure!(read > 0, "the stream ended");
        buffer.extend(&chunk[..read]);
        let now = micros();
        while let Some((len, start)) = frame(&buffer) {
            let text = String::from_utf8_lossy(&buffer[start..start + len]).into_owned();
            buffer.drain(..start + len);
            let mut words = text.rsplit(' ');
            let (Some(Ok(number)), Some(Ok(written))) = (
                words.next().map(str::parse::<u64>),
                words.next().map(str::parse::<u64>),
            ) else {
                continue;
            };
            seen.frames += 1;
            seen.missing += last.map_or(0, |last: u64| number.abs_diff(last + 1));
            last = Some(number);
            seen.delays_us.push(now.saturating_sub(written));
        }
    }
    Ok(seen)
}

/// The length of the first frame's payload and where it begins, once it is whole.
fn frame(buffer: &[u8]) -> Option<(usize, usize)> {
    let (len, start) = match *buffer.get(1)? & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])),
            4,
        ),
        len => (usize::from(len), 2),
    };
    (buffer.len() >= start + len).then_some((len, start))
}

fn micros() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is compared with the app's clock"
    )]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The daemon with one project that prints.
struct Product {
    tosed: Tosed,
    /// Until it is ended, so that its proxy can be.
    running: Option<Running>,
    caller: Caller,
    request: String,
}

impl Product {
    fn start(program: &Path, dir: &Path) -> Result<Self> {
        let tosed = Tosed {
            program: program.to_owned(),
            folder: dir.join("tose"),
        };
        let service = tosed.start()?;
        let made = tosed.admin(&[
            "bootstrap",
            "--email",
            "bench@example.com",
            "--workspace",
            WORKSPACE,
        ])?;
        let made: Value = serde_json::from_str(&made)?;
        let key = made["api_key"].as_str().context("no key")?;
        let caller = Caller {
            addr: service.addr,
            header: format!("X-API-Key: {key}"),
        };
        let path = format!("/api/workspaces/{WORKSPACE}/projects");
        let project = json!({"name": "app", "image": "node:22-slim", "start_command": APP});
        caller.call("POST", &path, &project)?;
        caller.call("POST", &format!("{path}/app/deployments"), &json!({}))?;
        let product = Self {
            request: format!("GET {path}/app/live-logs?tail=0 HTTP/1.1\r\nX-API-Key: {key}\r\n"),
            tosed,
            running: Some(service.running),
            caller,
        };
        let began = Instant::now();
        loop {
            let answer = product
                .caller
                .call("GET", &format!("{path}/app"), &Value::Null)?;
            if answer["data"]["status"] == "running" {
                return Ok(product);
            }
            ensure!(
                began.elapsed() < START_LIMIT,
                "the app does not start: {answer}"
            );
            thread::sleep(POLL);
        }
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let path = format!("/api/workspaces/{WORKSPACE}/projects/app");
        let _ = self.caller.call("DELETE", &path, &Value::Null);
        let began = Instant::now();
        // The tombstone goes once the engine holds nothing of it.
        while began.elapsed() < START_LIMIT
            && program("docker")
                .args(["ps", "--all", "--quiet", "--filter", "label=tose.project"])
                .output()
                .is_ok_and(|output| !output.stdout.is_empty())
        {
            thread::sleep(POLL);
        }
        drop(self.running.take());
        let _ = self.tosed.admin(&["shutdown"]);
    }
}

fn start_nchan(dir: &Path) -> Result<(Running, SocketAddr)> {
    const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
    ensure!(Path::new(MODULE).exists(), "its module is not installed");
    let addr = free_addr()?;
    let dir = dir.join("nchan");
    fs::create_dir_all(dir.join("logs"))?;
    let file = dir.join("nginx.conf");
    fs::write(
        &file,
        format!(
            "load_module {MODULE};
worker_processes 1;
daemon off;
pid {0}/pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server {{
        listen {addr} backlog=4096;
        location /sub {{ nchan_subscriber websocket; nchan_channel_id a; nchan_subscriber_first_message newest; }}
        location /pub {{ nchan_publisher; nchan_channel_id a; nchan_message_buffer_length 100; }}
    }}
}}
",
            dir.display()
        ),
    )?;
    let mut command = program("nginx");
    command
        .args(["-e", "stderr", "-p"])
        .arg(&dir)
        .arg("-c")
        .arg(&file);
    Ok((Running::start("nchan", command, addr)?, addr))
}

/// Publishes lines for as long as somebody wants them.
fn publish(addr: SocketAddr, alive: &std::sync::Weak<()>) -> Result<()> {
    let mut connection = BufReader::new(std::net::TcpStream::connect(addr)?);
    let period = Duration::from_secs(1) / u32::try_from(RATE)?;
    let mut number = 0;
    while alive.strong_count() > 0 {
        let text = format!("2026-01-01T00:00:00.000000000Z {} {number}", micros());
        number += 1;
        let request = format!(
            "POST /pub HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        connection.get_mut().write_all(request.as_bytes())?;
        read_answer(&mut connection)?;
        thread::sleep(period);
    }
    Ok(())
}

//! WebSockets that say nothing: what each of them costs.

use std::pin::Pin;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::contender::{Contender, Site};
use super::peer::Peer;
use super::visitor::Visitor;
use super::{Bench, HOST, product};
use crate::app::WEBSOCKET;

const COUNT: usize = 1_000;
/// How long they rest.
const REST: Duration = Duration::from_secs(5);

trait Stream: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Stream for T {}

/// Runs the scenario, without TLS and with it.
pub(crate) fn run(bench: &Bench<'_>) -> Result<()> {
    println!("\n{COUNT} WebSockets at rest");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let visitor = Visitor::new(&bench.authority.pem())?;
    let sites = [Site::new(&bench.authority, HOST)?];
    for (kind, visitor) in [("ws", None), ("wss", Some(&visitor))] {
        for prepared in [
            product::prepare(bench, &sites)?,
            Peer::Haproxy.prepare(bench, &sites)?,
        ] {
            let contender = prepared.start()?;
            let running = &contender.running;
            // What the first one costs is not what each costs.
            let first = runtime.block_on(open(&contender, visitor))?;
            let before = running.proportional_bytes()?;
            let streams: Vec<_> = runtime.block_on(async {
                let mut streams = Vec::new();
                for _ in 0..COUNT {
                    streams.push(open(&contender, visitor).await?);
                }
                anyhow::Ok(streams)
            })?;
            let grown = running.proportional_bytes()?.saturating_sub(before);
            let busy = running.cpu()?;
            thread::sleep(REST);
            let used = running.cpu()?.saturating_sub(busy);
            println!(
                "  {kind:<4} {:<10} {:.1} KiB each, {:.2} % of a core",
                contender.name,
                grown as f64 / 1024.0 / COUNT as f64,
                used.div_duration_f64(REST) * 100.0
            );
            drop((first, streams));
        }
    }
    Ok(())
}

/// A WebSocket through a proxy to the app.
async fn open(contender: &Contender, visitor: Option<&Visitor>) -> Result<Pin<Box<dyn Stream>>> {
    let mut stream: Pin<Box<dyn Stream>> = match visitor {
        None => Box::pin(TcpStream::connect(contender.http).await?),
        Some(visitor) => Box::pin(visitor.connect(contender.https, HOST).await?),
    };
    let request = format!(
        "GET {WEBSOCKET} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        ensure!(
            stream.read_buf(&mut answer).await? > 0,
            "the connection ended"
        );
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(stream)
}

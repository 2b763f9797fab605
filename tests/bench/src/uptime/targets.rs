//! What is checked, and who is told: listeners in this process that count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::now_us;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
const LARGEST_MESSAGE: usize = 1 << 20;

/// Answers 200 to everybody, once a connection, and counts.
pub(super) struct Target {
    pub(super) addr: SocketAddr,
    answered: Arc<AtomicU64>,
    listening: AbortHandle,
}

impl Target {
    pub(super) fn listen(runtime: &Handle) -> Result<Self> {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let addr = listener.local_addr()?;
        let answered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&answered);
        let listening = runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, Arc::clone(&counter));
            }
        });
        Ok(Self {
            addr,
            answered,
            listening: listening.abort_handle(),
        })
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection ends with its peer or with this process"
)]
fn answer(mut stream: TcpStream, counter: Arc<AtomicU64>) {
    tokio::spawn(async move {
        let mut request = Vec::with_capacity(1024);
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        counter.fetch_add(1, Ordering::Relaxed);
        stream.write_all(ANSWER).await
    });
}

/// A message that somebody was sent.
pub(super) struct Message {
    /// When it had come, in microseconds since 1970.
    pub(super) at_us: u64,
    pub(super) workspace: String,
}

/// Takes messages of webhooks.
pub(super) fn receive(runtime: &Handle) -> Result<(SocketAddr, mpsc::UnboundedReceiver<Message>)> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let addr = listener.local_addr()?;
    let (messages, received) = mpsc::unbounded_channel();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            take(stream, messages.clone());
        }
    });
    Ok((addr, received))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection ends with its peer or with this process"
)]
fn take(mut stream: TcpStream, messages: mpsc::UnboundedSender<Message>) {
    tokio::spawn(async move {
        let mut request = Vec::new();
        loop {
            anyhow::ensure!(request.len() < LARGEST_MESSAGE, "a message is too long");
            anyhow::ensure!(stream.read_buf(&mut request).await? > 0, "it hung up");
            let Some(body) = body_of(&request) else {
                continue;
            };
            let body: Value = serde_json::from_slice(body)?;
            let workspace = body["workspace"].as_str().context("no workspace")?;
            let message = Message {
                at_us: now_us(),
                workspace: workspace.to_owned(),
            };
            // The receiver is gone only when the bench is over.
            let _ = messages.send(message);
            stream.write_all(ANSWER).await?;
            return Ok(());
        }
    });
}

/// The body of a request, once all of it is there.
fn body_of(request: &[u8]) -> Option<&[u8]> {
    let end = request.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(request.get(..end)?).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?;
    let length: usize = length.trim().parse().ok()?;
    request.get(end + 4..)?.get(..length)
}

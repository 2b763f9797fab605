//! The app behind the proxies: answers each request with as many bytes as its path says, as cheaply
//! as can be, and holds a WebSocket open.
//!
//! It understands requests without a body only, which is all that the load sends.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The bodies that there are, in bytes; any other path gets the first.
pub(crate) const BODY_BYTES: [usize; 3] = [512, 1024, 1 << 20];
/// The path that is upgraded. It is what RFC 6455 has for an example, key and all.
pub(crate) const WEBSOCKET: &str = "/websocket";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Where the app listens.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address to listen on.
    #[arg(long)]
    addr: SocketAddr,
}

/// How a request begins, and the whole answer to it.
struct Answer {
    request: String,
    response: String,
}

/// Serves until it is killed.
#[expect(
    clippy::disallowed_methods,
    reason = "a connection ends with its peer or with this process"
)]
pub(crate) fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut answers: Vec<Answer> = BODY_BYTES.into_iter().map(Answer::of_bytes).collect();
    answers.push(Answer {
        request: format!("GET {WEBSOCKET} "),
        response: SWITCHING.to_owned(),
    });
    let answers: Arc<[Answer]> = answers.into();
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.addr).await?;
        loop {
            let (tcp, _) = listener.accept().await?;
            tokio::spawn(answer(tcp, Arc::clone(&answers)));
        }
    })
}

impl Answer {
    fn of_bytes(bytes: usize) -> Self {
        let body = "x".repeat(bytes);
        Self {
            request: format!("GET /{bytes} "),
            response: format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {bytes}\r\ndate: Mon, 05 Jan 2026 08:00:00 GMT\r\n\r\n{body}"
            ),
        }
    }
}

async fn answer(mut tcp: TcpStream, answers: Arc<[Answer]>) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut request = Vec::with_capacity(8192);
    loop {
        if tcp.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            let asked = answers
                .iter()
                .find(|answer| request.starts_with(answer.request.as_bytes()));
            let answer = asked.unwrap_or(&answers[0]);
            tcp.write_all(answer.response.as_bytes()).await?;
            request.clear();
        }
    }
}

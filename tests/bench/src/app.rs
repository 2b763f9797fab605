//! The app behind the proxies: answers every request with the same 512 bytes, as cheaply as can be.
//!
//! It understands requests without a body only, which is all that the load sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of an answer's body.
const BODY_BYTES: usize = 512;

/// Where the app listens.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address to listen on.
    #[arg(long)]
    addr: SocketAddr,
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
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.addr).await?;
        loop {
            let (tcp, _) = listener.accept().await?;
            tokio::spawn(answer(tcp));
        }
    })
}

async fn answer(mut tcp: TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let body = "x".repeat(BODY_BYTES);
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {BODY_BYTES}\r\ndate: Mon, 05 Jan 2026 08:00:00 GMT\r\n\r\n{body}"
    );
    let mut request = Vec::with_capacity(8192);
    loop {
        if tcp.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            tcp.write_all(response.as_bytes()).await?;
        }
    }
}

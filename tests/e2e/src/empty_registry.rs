//! An image registry that has no image.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ERROR: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

/// Answers while it lives.
pub struct EmptyRegistry {
    /// Where it listens; engines take registries on the loopback address without TLS.
    pub addr: SocketAddr,
    // Held for its task.
    _task: JoinSet<()>,
}

impl EmptyRegistry {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An engine that went away needs no answer.
                let _ = answer(stream).await;
            }
        });
        Self { addr, _task: task }
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await? > 0 {}
    let is_ping = head.starts_with(b"GET /v2/ ");
    let (status, body) = if is_ping {
        ("200 OK", "{}")
    } else {
        ("404 Not Found", ERROR)
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await
}

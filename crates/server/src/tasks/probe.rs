//! Whether a replica is ready to serve: its health path answers 2xx or 3xx, or its port accepts.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tose_model::plan::Health;

/// How long one answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks once.
pub(crate) async fn probe(addr: SocketAddr, health_path: Option<&str>) -> Health {
    let asked = tokio::time::timeout(PROBE_TIMEOUT, async {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|error| refused(&error, addr.port()))?;
        match health_path {
            Some(path) => ask_path(stream, addr, path).await,
            None => Ok(()),
        }
    });
    match asked.await {
        Ok(Ok(())) => Health::Ready,
        Ok(Err(reason)) => Health::NotReady(reason),
        Err(_) => Health::NotReady(match health_path {
            Some(path) => format!("{path} did not answer within {} s", PROBE_TIMEOUT.as_secs()),
            None => format!(
                "port {} did not accept within {} s",
                addr.port(),
                PROBE_TIMEOUT.as_secs()
            ),
        }),
    }
}

fn refused(error: &std::io::Error, port: u16) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("port {port} refused the connection"),
        _ => format!("port {port} could not be reached"),
    }
}

async fn ask_path(stream: TcpStream, addr: SocketAddr, path: &str) -> Result<(), String> {
    let broken = |_| format!("{path} broke the connection");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(path)
        .header(http::header::HOST, addr.to_string())
        .header(http::header::USER_AGENT, "tose-health-check")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| format!("{path} is no valid path"))?;
    let mut connection = std::pin::pin!(connection);
    let answer = std::pin::pin!(sender.send_request(request));
    let mut answer = answer;
    let status = loop {
        tokio::select! {
            // The connection ends by itself once the answer was read; the answer is then there.
            result = &mut connection => result.map_err(broken)?,
            response = &mut answer => break response.map_err(broken)?.status(),
        }
    };
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("{path} answered {}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn answering(response: &'static str) -> Health {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.expect("a request");
            stream
                .write_all(response.as_bytes())
                .await
                .expect("an answer");
        };
        tokio::join!(probe(addr, Some("/healthz")), server).0
    }

    #[tokio::test]
    async fn two_and_three_hundreds_are_ready() {
        for status in ["200 OK", "204 No Content", "302 Found"] {
            let response =
                format!("HTTP/1.1 {status}\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(answering(response.leak()).await, Health::Ready, "{status}");
        }
    }

    #[tokio::test]
    async fn anything_else_says_what_it_was() {
        let health = answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(health, Health::NotReady("/healthz answered 503".to_owned()));
        assert!(matches!(answering("").await, Health::NotReady(_)));
    }

    #[tokio::test]
    async fn without_a_path_the_port_has_to_accept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        assert_eq!(probe(addr, None).await, Health::Ready);
        drop(listener);
        assert!(matches!(probe(addr, None).await, Health::NotReady(_)));
    }
}

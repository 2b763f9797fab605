//! Asking an address that a user names with one GET, over a connection of its own.
//!
//! Guarantees: it is connected as everything else of `outgoing`, unless the way is this server's own proxy. No
//! redirect is followed. Of the answer its status is read, and 64 KiB of its body at most, if anybody wants it.
//! Not here: how long it may take.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tose_api::Timestamp;
use tose_api::domain_settings::IpRange;

use super::{MAX_ANSWER, Met, Outgoing, Unreachable};

/// Which way an address is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// Where its name leads, if that may be called.
    Name,
    /// This listener of the server's own proxy, which knows the name.
    Proxy {
        listener: SocketAddr,
        /// From which addresses the proxy wants each connection to begin with a header of the PROXY protocol.
        headed: Arc<[IpRange]>,
    },
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// An address of HTTP or HTTPS.
    pub(crate) url: &'a reqwest::Url,
    /// How it is reached.
    pub(crate) via: &'a Via,
    /// Whether the body is read.
    pub(crate) wants_body: bool,
    /// The time by which its certificate is judged.
    pub(crate) now: Timestamp,
}

/// A header of version 2 by which a proxy says that it speaks for itself, as its checks do.
const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The beginning of the body; empty if nobody wanted it.
    pub(crate) body: Vec<u8>,
}

impl Outgoing {
    /// Asks for an address of HTTP or HTTPS. What is learned of its certificate is there also if it fails.
    ///
    /// # Errors
    /// When no answer came, or nobody vouches for the other side.
    pub(crate) async fn get(&self, ask: Ask<'_>, met: &Met) -> Result<Page, Unreachable> {
        let url = ask.url;
        let host = url.host_str().ok_or(Unreachable::Unknown)?;
        let port = url.port_or_known_default().ok_or(Unreachable::Unknown)?;
        let request = request(url, host)?;
        let stream = self.reach_by(ask.via, host, port).await?;
        if url.scheme() == "https" {
            let stream = self.meet(host, stream, ask.now, met).await?;
            Box::pin(exchange(stream, request, ask.wants_body)).await
        } else {
            Box::pin(exchange(stream, request, ask.wants_body)).await
        }
    }

    /// Connects without TLS, to where a host is or to the proxy that knows it.
    ///
    /// # Errors
    /// When no connection came about.
    pub(super) async fn reach_by(
        &self,
        via: &Via,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, Unreachable> {
        let Via::Proxy { listener, headed } = via else {
            return self.connect(host, port).await;
        };
        let lost = |_| Unreachable::NoConnection;
        let mut stream = TcpStream::connect(listener).await.map_err(lost)?;
        let from = stream.local_addr().map_err(lost)?.ip();
        if headed.iter().any(|range| range.contains(from)) {
            stream.write_all(&LOCAL).await.map_err(lost)?;
        }
        Ok(stream)
    }
}

fn request(url: &reqwest::Url, host: &str) -> Result<Request<Empty<Bytes>>, Unreachable> {
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target = format!("{target}?{query}");
    }
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Request::get(target)
        .header(HOST, authority)
        .header(
            USER_AGENT,
            concat!("tose-uptime/", env!("CARGO_PKG_VERSION")),
        )
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_| Unreachable::Unknown)
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Empty<Bytes>>,
    wants_body: bool,
) -> Result<Page, Unreachable> {
    let shook = handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shook.map_err(|_| Unreachable::Broken)?;
    let answer = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|_| Unreachable::Broken)?;
        let status = answer.status().as_u16();
        let body = match wants_body {
            true => beginning(answer.into_body()).await?,
            false => Vec::new(),
        };
        Ok(Page { status, body })
    };
    let (mut answer, mut connection) = (pin!(answer), pin!(connection));
    let mut is_open = true;
    loop {
        tokio::select! {
            page = &mut answer => return page,
            // It ends once all was read; what was read of the answer is then still to come.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

async fn beginning(mut body: hyper::body::Incoming) -> Result<Vec<u8>, Unreachable> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|_| Unreachable::Broken)?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    bytes.truncate(MAX_ANSWER);
    Ok(bytes)
}

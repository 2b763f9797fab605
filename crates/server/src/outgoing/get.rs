//! Asking an address that a user names with one GET, over a connection of its own.
//!
//! Guarantees: it is connected as everything else of `outgoing`, unless the way is this server's own proxy. No
//! redirect is followed. Of the answer its status is read, and 64 KiB of its body at most, if anybody wants it.
//! Not here: how long it may take.

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{MAX_ANSWER, Outgoing, Unreachable};

/// Which way an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// Where its name leads, if that may be called.
    Name,
    /// This listener of the server's own proxy, which knows the name.
    Proxy(SocketAddr),
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The beginning of the body; empty if nobody wanted it.
    pub(crate) body: Vec<u8>,
}

impl Outgoing {
    /// Asks for an address of HTTP or HTTPS.
    ///
    /// # Errors
    /// When no answer came, or nobody vouches for the other side.
    pub(crate) async fn get(
        &self,
        url: &reqwest::Url,
        via: Via,
        wants_body: bool,
    ) -> Result<Page, Unreachable> {
        let host = url.host_str().ok_or(Unreachable::Unknown)?;
        let port = url.port_or_known_default().ok_or(Unreachable::Unknown)?;
        let request = request(url, host)?;
        let is_secure = url.scheme() == "https";
        let stream = match via {
            Via::Proxy(addr) => TcpStream::connect(addr)
                .await
                .map_err(|_| Unreachable::NoConnection)?,
            Via::Name => self.connect(host, port).await?,
        };
        if is_secure {
            let stream = self.secure(host, stream).await?;
            Box::pin(exchange(stream, request, wants_body)).await
        } else {
            Box::pin(exchange(stream, request, wants_body)).await
        }
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

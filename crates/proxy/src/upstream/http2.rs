//! A connection of HTTP/2 without TLS, for apps that speak it from the first byte, as gRPC does.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version, request};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::{Lost, dial};
use crate::body::RequestBody;
use crate::connection::Visitor;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, Limits, MAX_RESPONSE_HEAD_BYTES, MAX_SEND_BUFFER_BYTES,
    STREAM_WINDOW_BYTES,
};
use crate::table::Replica;
use crate::worker::LocalTasks;

/// One connection to a replica; a clone is the same connection. It ends once nobody has it any more.
#[derive(Clone)]
pub(crate) struct Shared {
    sender: SendRequest<RequestBody>,
    used_ms: Rc<Cell<u64>>,
}

impl Shared {
    /// Connects.
    pub(super) async fn connect(replica: &Replica, limits: &Limits) -> io::Result<Self> {
        let (io, _) = dial(replica, limits).await?;
        let handshake = Builder::new(LocalTasks)
            .max_header_list_size(MAX_RESPONSE_HEAD_BYTES as u32)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .handshake(TokioIo::new(io));
        let (sender, connection) = tokio::time::timeout(limits.connect, handshake)
            .await?
            .map_err(io::Error::other)?;
        spawn_local(async move {
            // Its requests are told.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            used_ms: Rc::default(),
        })
    }

    /// Whether it takes requests.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// When it was last used.
    pub(super) fn used_ms(&self) -> u64 {
        self.used_ms.get()
    }

    /// Notes that an exchange has ended.
    pub(super) fn note_used(&self, now_ms: u64) {
        self.used_ms.set(now_ms);
    }

    /// See [`super::Channel::exchange`].
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        visitor: &Visitor,
    ) -> Result<Response<Incoming>, Lost> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(in_http2(head)?, body);
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending if visitor.take_overdue(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => {
                    let (head, body) = request.into_parts();
                    Lost::Unsent(Box::new(Request::from_parts(in_http1(head), body)))
                }
                None => Lost::Garbled,
            }),
            None => Err(Lost::Timeout),
        }
    }
}

/// The host moves from its header into the target, and what is about the connection goes.
fn in_http2(mut head: request::Parts) -> Result<request::Parts, Lost> {
    let host = head.headers.remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = head.uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = authority;
    parts
        .path_and_query
        .get_or_insert(PathAndQuery::from_static("/"));
    head.uri = Uri::from_parts(parts).map_err(|_| Lost::Garbled)?;
    head.version = Version::HTTP_2;
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    Ok(head)
}

/// The way back, for a request that is to be sent on another connection.
fn in_http1(mut head: request::Parts) -> request::Parts {
    let authority = head.uri.authority().map(Authority::as_str);
    if let Some(host) = authority.and_then(|host| host.parse().ok()) {
        head.headers.insert(HOST, host);
    }
    let target = head.uri.path_and_query().cloned();
    head.uri = target.map_or_else(Uri::default, Uri::from);
    head.version = Version::HTTP_11;
    head
}

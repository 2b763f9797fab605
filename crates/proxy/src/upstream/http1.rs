//! A connection of HTTP/1.1.
//!
//! Nobody runs it in the background: whoever uses it drives it, and taking one from the pool drives it
//! once, which notices that the app has closed it. The sweep does the same for the ones that nobody
//! takes.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::{Lost, dial};
use crate::body::RequestBody;
use crate::connection::Visitor;
use crate::io::{Activity, Observed};
use crate::limits::{Limits, MAX_RESPONSE_HEAD_BYTES};
use crate::table::Replica;

/// One connection to a replica.
pub(crate) struct Upstream {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Observed>, RequestBody>,
    activity: Rc<Activity>,
    is_over: bool,
    /// Since when it rests.
    pub(super) idle_since_ms: u64,
}

impl Upstream {
    /// Connects.
    pub(super) async fn connect(replica: &Replica, limits: &Limits) -> io::Result<Box<Self>> {
        let (io, activity) = dial(replica, limits).await?;
        let (sender, connection) = Builder::new()
            .max_header_size(MAX_RESPONSE_HEAD_BYTES)
            .handshake(TokioIo::new(io))
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Self {
            sender,
            connection,
            activity,
            is_over: false,
            idle_since_ms: 0,
        }))
    }

    /// Whether it can take the next request.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Lets the connection read and write; ready when it is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_over {
            self.is_over = self.connection.poll_without_shutdown(cx).is_ready();
        }
        if self.is_over {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// See [`super::Channel::exchange`].
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        visitor: &Visitor,
    ) -> Result<Response<Incoming>, Lost> {
        self.activity.forget_reads();
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            if !self.is_over {
                self.is_over = self.connection.poll_without_shutdown(cx).is_ready();
            }
            match answer.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if self.is_over || visitor.take_overdue(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Lost::Unsent(Box::new(request)),
                None => self.lost(),
            }),
            None if self.is_over => Err(self.lost()),
            None => Err(Lost::Timeout),
        }
    }

    /// The bare stream after an upgrade, with what the app has already sent.
    pub(super) fn into_tunnel(self) -> (Observed, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    fn lost(&self) -> Lost {
        if self.activity.has_read() {
            Lost::Garbled
        } else {
            Lost::Silent
        }
    }
}

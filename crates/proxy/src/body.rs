//! Bodies on their way through, and what has to happen when one ends.
//!
//! A response body drives the app's connection itself: no task stands between the two sockets, so
//! head and body of a small response leave in one write. When it ends, the connection goes back to
//! the pool if hyper says that it can take the next request.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::connection::{Phase, Visitor};
use crate::headers;
use crate::table::Lease;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// A visitor's request body on its way to the app.
pub(crate) struct RequestBody(Option<Reading>);

struct Reading {
    incoming: Incoming,
    has_ended: bool,
    visitor: Rc<Visitor>,
}

impl RequestBody {
    /// No body at all.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// Passes `incoming` on.
    pub(crate) fn new(incoming: Incoming, visitor: &Rc<Visitor>) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        visitor.note_body_unread();
        Self(Some(Reading {
            incoming,
            has_ended: false,
            visitor: Rc::clone(visitor),
        }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(reading) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let mut polled = Pin::new(&mut reading.incoming).poll_frame(cx);
        match &mut polled {
            Poll::Ready(None) => {
                reading.has_ended = true;
                self.0 = None;
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    reading.visitor.note_received(data.len());
                }
                if let Some(trailers) = frame.trailers_mut() {
                    headers::prepare_trailers(trailers);
                }
            }
            Poll::Ready(Some(Err(_))) => reading.visitor.note_body_broken(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|reading| reading.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(
            || SizeHint::with_exact(0),
            |reading| reading.incoming.size_hint(),
        )
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.has_ended || self.incoming.is_end_stream() {
            self.visitor.note_body_read();
        }
    }
}

/// A response on its way to the visitor. When it is dropped, the visitor's connection rests.
pub(crate) struct ResponseBody {
    source: Source,
    visitor: Rc<Visitor>,
}

enum Source {
    Empty,
    Page(Bytes),
    Upstream(Stream),
}

/// An app's response body with the connection that it comes from.
struct Stream {
    incoming: Incoming,
    upstream: Option<Box<Upstream>>,
    lease: Lease,
    worker: Rc<Worker>,
}

impl ResponseBody {
    /// No body.
    pub(crate) fn empty(visitor: &Rc<Visitor>) -> Self {
        Self {
            source: Source::Empty,
            visitor: Rc::clone(visitor),
        }
    }

    /// A text of ours.
    pub(crate) fn page(text: Bytes, visitor: &Rc<Visitor>) -> Self {
        Self {
            source: Source::Page(text),
            visitor: Rc::clone(visitor),
        }
    }

    /// Passes on what comes from an app.
    pub(crate) fn upstream(
        incoming: Incoming,
        upstream: Box<Upstream>,
        lease: Lease,
        worker: &Rc<Worker>,
        visitor: &Rc<Visitor>,
    ) -> Self {
        let worker = Rc::clone(worker);
        let stream = Stream {
            incoming,
            upstream: Some(upstream),
            lease,
            worker,
        };
        if stream.incoming.is_end_stream() {
            return Self::empty(visitor);
        }
        Self {
            source: Source::Upstream(stream),
            visitor: Rc::clone(visitor),
        }
    }
}

/// Why a response breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    /// The app's connection broke.
    #[error("the app broke off")]
    App(#[from] hyper::Error),
    /// It stood still for too long.
    #[error("the response stood still for too long")]
    Overdue,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = self.poll_source(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.visitor.note_sent(data.len());
        }
        // Elsewhere the connection itself ends.
        if polled.is_pending() && self.visitor.is_stream() && self.visitor.take_overdue(cx) {
            return Poll::Ready(Some(Err(BrokenOff::Overdue)));
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(BrokenOff::App)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Page(text) => text.is_empty(),
            Source::Upstream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Page(text) => SizeHint::with_exact(text.len() as u64),
            Source::Upstream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl ResponseBody {
    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Page(text) => {
                let text = std::mem::take(text);
                self.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(text))))
            }
            Source::Upstream(stream) => {
                let polled = stream.poll_frame(cx);
                if polled.is_ready() && stream.incoming.is_end_stream()
                    || matches!(polled, Poll::Ready(None))
                {
                    self.source = Source::Empty;
                }
                polled
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.visitor.tally().end();
        self.visitor.enter(Phase::Idle);
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // The first poll says that a frame is wanted; only then does the connection read one.
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        if let Some(upstream) = &mut self.upstream {
            let _ = upstream.poll(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(upstream) = self.upstream.take() {
            self.worker
                .pools()
                .put(self.lease.replica(), upstream, self.worker.now_ms());
        }
    }
}

//! Bodies on their way through, and what has to happen when one ends.
//!
//! A response body drives the app's connection itself: no task stands between the two sockets, so
//! head and body of a small response leave in one write. When it ends, the connection goes back to
//! the pool if hyper says that it can take the next request.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::access_log::Draft;
use crate::compress::Gzip;
use crate::connection::{Phase, Visitor};
use crate::headers;
use crate::table::Lease;
use crate::upstream::Channel;
use crate::worker::Worker;

/// A visitor's request body on its way to the app.
pub(crate) struct RequestBody(Option<Reading>);

struct Reading {
    incoming: Incoming,
    has_ended: bool,
    /// How many bytes may still come.
    rest: u64,
    visitor: Rc<Visitor>,
}

impl RequestBody {
    /// No body at all.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// Passes `incoming` on, up to so many bytes.
    pub(crate) fn new(incoming: Incoming, visitor: &Rc<Visitor>, max_bytes: Option<u64>) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        visitor.note_body_unread();
        Self(Some(Reading {
            incoming,
            has_ended: false,
            rest: max_bytes.unwrap_or(u64::MAX),
            visitor: Rc::clone(visitor),
        }))
    }
}

/// Why a request's body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// The visitor's connection broke, or what came is malformed.
    #[error("the visitor broke off")]
    Visitor(#[from] hyper::Error),
    /// It is larger than its host lets it be.
    #[error("the body is too large")]
    TooLarge,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
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
                    match reading.rest.checked_sub(data.len() as u64) {
                        Some(rest) => reading.rest = rest,
                        None => {
                            reading.visitor.note_body_too_large();
                            return Poll::Ready(Some(Err(Unfinished::TooLarge)));
                        }
                    }
                }
                if let Some(trailers) = frame.trailers_mut() {
                    headers::prepare_trailers(trailers);
                }
            }
            Poll::Ready(Some(Err(_))) => reading.visitor.note_body_broken(),
            Poll::Pending => {}
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Unfinished::Visitor)))
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
    draft: Option<Box<Draft>>,
}

enum Source {
    Empty,
    Page(Bytes),
    Upstream(Stream),
}

/// An app's response body with the connection that it comes from.
struct Stream {
    incoming: Incoming,
    channel: Option<Channel>,
    lease: Lease,
    worker: Rc<Worker>,
    gzip: Option<Box<Zipping>>,
}

/// How far the compression of a body is.
struct Zipping {
    gzip: Gzip,
    /// What comes after the last byte.
    trailers: Option<HeaderMap>,
    has_ended: bool,
}

impl ResponseBody {
    /// No body.
    pub(crate) fn empty(visitor: &Rc<Visitor>) -> Self {
        Self::of(Source::Empty, visitor)
    }

    fn of(source: Source, visitor: &Rc<Visitor>) -> Self {
        Self {
            source,
            visitor: Rc::clone(visitor),
            draft: None,
        }
    }

    /// Has the request written into its log once this has ended.
    pub(crate) fn log(&mut self, draft: Box<Draft>) {
        self.draft = Some(draft);
    }

    /// A text of ours.
    pub(crate) fn page(text: Bytes, visitor: &Rc<Visitor>) -> Self {
        Self::of(Source::Page(text), visitor)
    }

    /// Passes on what comes from an app.
    pub(crate) fn upstream(
        incoming: Incoming,
        channel: Channel,
        lease: Lease,
        worker: &Rc<Worker>,
        visitor: &Rc<Visitor>,
        gzip: Option<Gzip>,
    ) -> Self {
        let worker = Rc::clone(worker);
        let stream = Stream {
            incoming,
            channel: Some(channel),
            lease,
            worker,
            gzip: gzip.map(Zipping::new),
        };
        if stream.incoming.is_end_stream() {
            return Self::empty(visitor);
        }
        Self::of(Source::Upstream(stream), visitor)
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
            if let Some(draft) = &mut self.draft {
                draft.note_sent(data.len());
            }
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
            Source::Upstream(stream) => stream.is_at_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Page(text) => SizeHint::with_exact(text.len() as u64),
            Source::Upstream(stream) if stream.gzip.is_some() => SizeHint::default(),
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
                if polled.is_ready() && stream.is_at_end() || matches!(polled, Poll::Ready(None)) {
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

impl Zipping {
    fn new(gzip: Gzip) -> Box<Self> {
        Box::new(Self {
            gzip,
            trailers: None,
            has_ended: false,
        })
    }

    /// The next piece, if one is ready. `next` is what the app has: a frame, its end, or nothing yet.
    fn take(&mut self, next: Poll<Option<Frame<Bytes>>>) -> Option<Frame<Bytes>> {
        let piece = match next {
            Poll::Pending => self.gzip.flush(),
            Poll::Ready(None) => {
                self.has_ended = true;
                self.gzip.finish()
            }
            Poll::Ready(Some(frame)) => match frame.into_data() {
                Ok(data) => self.gzip.push(&data),
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    self.has_ended = true;
                    self.gzip.finish()
                }
            },
        };
        (!piece.is_empty()).then(|| Frame::data(piece))
    }
}

impl Stream {
    /// Whether the last frame was given away.
    fn is_at_end(&self) -> bool {
        match &self.gzip {
            None => self.incoming.is_end_stream(),
            Some(zipping) => zipping.has_ended && zipping.trailers.is_none(),
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(mut zipping) = self.gzip.take() else {
            return self.poll_incoming(cx);
        };
        let polled = loop {
            if zipping.has_ended {
                let trailers = zipping.trailers.take();
                break Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let next = match self.poll_incoming(cx) {
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(frame)),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            };
            let is_waiting = next.is_pending();
            match zipping.take(next) {
                Some(piece) => break Poll::Ready(Some(Ok(piece))),
                None if is_waiting => break Poll::Pending,
                None => {}
            }
        };
        self.gzip = Some(zipping);
        polled
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // The first poll says that a frame is wanted; only then does the connection read one.
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        if let Some(channel) = &mut self.channel {
            channel.drive(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            self.worker
                .pools()
                .put(self.lease.replica(), channel, self.worker.now_ms());
        }
    }
}

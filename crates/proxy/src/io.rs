//! A stream that notes when bytes move, so that deadlines need no timer of their own, and how
//! many, so that they can be counted.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::meter::Tally;

/// What moved since somebody last looked.
#[derive(Default)]
pub(crate) struct Activity {
    has_read: Cell<bool>,
    has_moved: Cell<bool>,
    tally: Tally,
}

impl Activity {
    /// Whether bytes came in since [`Activity::forget_reads`].
    pub(crate) fn has_read(&self) -> bool {
        self.has_read.get()
    }

    /// Makes `has_read` speak of the time from here.
    pub(crate) fn forget_reads(&self) {
        self.has_read.set(false);
    }

    /// Whether bytes went in or out since the last call.
    pub(crate) fn take_moved(&self) -> bool {
        self.has_moved.replace(false)
    }

    /// How many bytes moved, and for whom.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Bytes came in.
    pub(crate) fn note_read(&self, count: usize) {
        self.has_read.set(true);
        self.has_moved.set(true);
        self.tally.note_read(count);
    }

    /// Bytes went out.
    pub(crate) fn note_written(&self, count: usize) {
        self.has_moved.set(true);
        self.tally.note_written(count);
    }
}

/// What bytes come and go by. What is counted is what HTTP says, not how TLS wraps it.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A stream of a connection of HTTP/2.
    Stream(Box<TokioIo<Upgraded>>),
}

/// A stream with its activity.
pub(crate) struct Observed {
    wire: Wire,
    activity: Rc<Activity>,
}

impl Observed {
    /// Watches `wire`.
    pub(crate) fn new(wire: Wire, activity: Rc<Activity>) -> Self {
        Self { wire, activity }
    }
}

/// Calls a method of whichever stream it is.
macro_rules! on_wire {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.wire {
            Wire::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Wire::Tls(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Wire::Stream(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(on_wire!(self, stream => stream.poll_read(cx, buf)))?;
        let count = buf.filled().len() - before;
        if count > 0 {
            self.activity.note_read(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(on_wire!(self, stream => stream.poll_write(cx, buf)))?;
        self.activity.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(on_wire!(self, stream => stream.poll_write_vectored(cx, bufs)))?;
        self.activity.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
            Wire::Stream(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(on_wire!(self, stream => stream.poll_flush(cx)))?;
        self.activity.tally.note_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, stream => stream.poll_shutdown(cx))
    }
}

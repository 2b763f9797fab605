//! Writes of many answers that leave together.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Observed;

/// A stream whose small writes leave together, once its task has said all that it can: hyper flushes
/// each answer of HTTP/2 on its own, and each would be a record of TLS and a call to the system.
///
/// Assumption: whoever polls what writes here calls [`Gathered::poll_send`] after each poll.
#[derive(Clone)]
pub(crate) struct Gathered(Rc<RefCell<Gathering>>);

struct Gathering {
    stream: Observed,
    waiting: Vec<u8>,
}

/// How much is gathered: what TLS puts into four records.
const GATHERED_BYTES: usize = 64 * 1024;

impl Gathered {
    /// Gathers what is written to `stream`.
    pub(crate) fn new(stream: Observed) -> Self {
        let waiting = Vec::new();
        Self(Rc::new(RefCell::new(Gathering { stream, waiting })))
    }

    /// Sends what was gathered.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        ready!(gathering.poll_write_waiting(cx))?;
        Pin::new(&mut gathering.stream).poll_flush(cx)
    }
}

impl Gathering {
    fn poll_write_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        while written < self.waiting.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.waiting[written..]) {
                Poll::Ready(Ok(count @ 1..)) => written += count,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.waiting.drain(..written);
                    return Poll::Pending;
                }
            }
        }
        // One that rests holds no memory.
        self.waiting = Vec::new();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut gathering = self.0.borrow_mut();
        if gathering.waiting.len() >= GATHERED_BYTES {
            ready!(gathering.poll_write_waiting(cx))?;
        }
        let before = gathering.waiting.len();
        for buf in bufs {
            gathering.waiting.extend_from_slice(buf);
        }
        Poll::Ready(Ok(gathering.waiting.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        ready!(gathering.poll_write_waiting(cx))?;
        Pin::new(&mut gathering.stream).poll_shutdown(cx)
    }
}

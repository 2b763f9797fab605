//! Connections that the engine turns into a command's own input and output.
//!
//! The client is not used for this: it takes a terminal's bytes for frames when they look like
//! some, and a program could then let it wait for gigabytes that never come. Here the caller knows
//! which of the two it asked for, and nothing is held back until a frame is complete.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bollard::errors::Error;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::Sink;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tose_model::driver::{DriverError, ExecOutput};

use crate::error::{failed, refused};

/// The longest answer that is read before the bytes of the command.
const MAX_ANSWER: usize = 64 << 10;
/// How much is read at once.
const READ: usize = 16 << 10;
/// The bytes before each frame: its source, three zeros, its length.
const FRAME_HEAD: usize = 8;
/// What Ctrl-D sends. The first ends a line that was begun, the second is the end of input.
const END_OF_INPUT: &[u8] = b"\x04\x04";

/// A connection to the engine.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Asks for `target` with a JSON `body`, and leaves the connection where the command's bytes begin.
pub(crate) async fn upgrade(
    mut wire: Box<dyn Wire>,
    target: &str,
    body: &str,
) -> Result<(Box<dyn Wire>, BytesMut), Error> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    wire.write_all(head.as_bytes()).await?;
    wire.write_all(body.as_bytes()).await?;
    let mut received = BytesMut::with_capacity(READ);
    let (status_code, mut length) = loop {
        if let Some(head) = take_head(&mut received)? {
            break head;
        }
        read_more(&mut wire, &mut received).await?;
    };
    if matches!(status_code, 101 | 200) {
        return Ok((wire, received));
    }
    length = length.min(MAX_ANSWER);
    while received.len() < length {
        read_more(&mut wire, &mut received).await?;
    }
    let message = String::from_utf8_lossy(&received).into_owned();
    Err(Error::DockerResponseServerError {
        status_code,
        message,
    })
}

async fn read_more(wire: &mut Box<dyn Wire>, received: &mut BytesMut) -> Result<(), Error> {
    if received.len() > MAX_ANSWER {
        return Err(broken("its answer is too long"));
    }
    match wire.read_buf(received).await? {
        0 => Err(broken("it broke off")),
        _ => Ok(()),
    }
}

fn broken(reason: &'static str) -> Error {
    Error::from(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
}

/// Takes a whole head away; answers its status and how long the body is.
fn take_head(received: &mut BytesMut) -> Result<Option<(u16, usize)>, Error> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = received.split_to(end + 4);
    let head = String::from_utf8_lossy(&head);
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| broken("its answer is not HTTP"))?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    });
    Ok(Some((status, length.unwrap_or(0))))
}

/// How a command's output comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// From a terminal: as it is.
    Terminal,
    /// From two pipes: in frames that name theirs.
    Frames,
}

/// What a command writes.
pub(crate) struct Output {
    wire: ReadHalf<Box<dyn Wire>>,
    received: BytesMut,
    form: Form,
    /// The source and the rest of the frame that is being read.
    frame: (u8, usize),
}

impl Output {
    pub(crate) fn new(wire: ReadHalf<Box<dyn Wire>>, received: BytesMut, form: Form) -> Self {
        Self {
            wire,
            received,
            form,
            frame: (0, 0),
        }
    }

    /// Waits until there is something that [`Output::next`] has not answered yet, or the end. May
    /// be dropped and asked again.
    pub(crate) async fn fill(&mut self) -> std::io::Result<usize> {
        self.received.reserve(READ);
        self.wire.read_buf(&mut self.received).await
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<ExecOutput, DriverError>> {
        loop {
            if let Some(piece) = self.take() {
                return Some(piece);
            }
            match self.fill().await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(failed("read a command's output", error.into()))),
            }
        }
    }

    /// A piece of what was received already.
    fn take(&mut self) -> Option<Result<ExecOutput, DriverError>> {
        if self.form == Form::Terminal {
            let all = self.received.split().freeze();
            return (!all.is_empty()).then_some(Ok(ExecOutput::Stdout(all)));
        }
        while self.frame.1 == 0 {
            let head: [u8; FRAME_HEAD] = self.received.get(..FRAME_HEAD)?.try_into().ok()?;
            self.received.advance(FRAME_HEAD);
            let [source, _, _, _, length @ ..] = head;
            let length = u32::from_be_bytes(length);
            self.frame = (source, usize::try_from(length).unwrap_or(usize::MAX));
        }
        let (source, left) = &mut self.frame;
        let piece = self.received.split_to(self.received.len().min(*left));
        if piece.is_empty() {
            return None;
        }
        *left -= piece.len();
        let piece = piece.freeze();
        Some(match source {
            0 | 1 => Ok(ExecOutput::Stdout(piece)),
            2 => Ok(ExecOutput::Stderr(piece)),
            _ => {
                let reason = String::from_utf8_lossy(&piece).into_owned();
                Err(refused("read a command's output", reason))
            }
        })
    }
}

/// A command's standard input. Dropping it is closing it, as far as that goes without waiting.
pub(crate) struct Input {
    wire: WriteHalf<Box<dyn Wire>>,
    form: Form,
    waiting: Bytes,
    is_closing: bool,
}

impl Input {
    pub(crate) fn new(wire: WriteHalf<Box<dyn Wire>>, form: Form) -> Self {
        Self {
            wire,
            form,
            waiting: Bytes::new(),
            is_closing: false,
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.wire).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        match self.form {
            Form::Frames => Pin::new(&mut self.wire).poll_shutdown(cx),
            // The engine would take a closed connection for the end of the output as well.
            Form::Terminal if !self.is_closing => {
                self.is_closing = true;
                self.waiting = Bytes::from_static(END_OF_INPUT);
                self.poll_drain(cx)
            }
            Form::Terminal => Poll::Ready(Ok(())),
        }
    }
}

fn input_failed(error: std::io::Error) -> DriverError {
    DriverError::Failed {
        operation: "pass input to a command".to_owned(),
        source: Box::new(error),
    }
}

impl Sink<Bytes> for Input {
    type Error = DriverError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        self.poll_drain(cx).map_err(input_failed)
    }

    fn start_send(mut self: Pin<&mut Self>, bytes: Bytes) -> Result<(), DriverError> {
        self.waiting = bytes;
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        self.poll_drain(cx).map_err(input_failed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        self.poll_end(cx).map_err(input_failed)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // What does not go out at once goes with the connection.
        let _ = self.poll_end(&mut Context::from_waker(Waker::noop()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(source: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&[source, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    async fn pieces(form: Form, parts: &[&[u8]]) -> Vec<ExecOutput> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let (wire, _input) = tokio::io::split(Box::new(ours) as Box<dyn Wire>);
        let mut output = Output::new(wire, BytesMut::new(), form);
        let mut pieces = Vec::new();
        for part in parts {
            theirs.write_all(part).await.expect("there is room");
            output.fill().await.expect("it was written");
            pieces.extend(std::iter::from_fn(|| output.take()).map(|piece| piece.expect("text")));
        }
        drop(theirs);
        assert!(output.next().await.is_none());
        pieces
    }

    fn out(text: &str) -> ExecOutput {
        ExecOutput::Stdout(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[tokio::test]
    async fn frames_are_told_apart_and_passed_on_in_pieces() {
        let all = [frame(1, "hello"), frame(1, ""), frame(2, "oh")].concat();
        let err = ExecOutput::Stderr(Bytes::from_static(b"oh"));
        let found = pieces(Form::Frames, &[&all]).await;
        assert_eq!(found, [out("hello"), err.clone()]);
        let found = pieces(Form::Frames, &[&all[..4], &all[4..10], &all[10..]]).await;
        assert_eq!(found, [out("he"), out("llo"), err]);
    }

    #[tokio::test]
    async fn what_a_terminal_shows_is_never_taken_for_a_frame() {
        let forged = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, b'x'];
        let found = pieces(Form::Terminal, &[&forged, b"$ "]).await;
        let expected = ExecOutput::Stdout(Bytes::copy_from_slice(&forged));
        assert_eq!(found, [expected, out("$ ")]);
    }

    #[tokio::test]
    async fn an_upgrade_is_told_from_a_refusal() {
        for (answer, expected) in [
            ("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nhi", Ok("hi")),
            (
                "HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n\r\nstops",
                Err("409 stops"),
            ),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            theirs.write_all(answer.as_bytes()).await.expect("room");
            let outcome = upgrade(Box::new(ours), "/v1.41/exec/1/start", "{}").await;
            let outcome = match &outcome {
                Ok((_, received)) => Ok(std::str::from_utf8(received).expect("text").to_owned()),
                Err(Error::DockerResponseServerError {
                    status_code,
                    message,
                }) => Err(format!("{status_code} {message}")),
                Err(error) => panic!("{error}"),
            };
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(outcome, expected);
        }
    }
}

//! Log lines as they come.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Upgraded;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Error, Result};
use crate::log::{END, ERROR_PREFIX};

/// How long a stream may be silent: the server pings every 30 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long the answer to a closing frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest frame that is read.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// A line, as the stream's format writes it.
    Line(String),
    /// The stream is complete; nothing follows.
    End,
    /// The server says what went wrong.
    Error(String),
}

impl LogEvent {
    fn parse(frame: &str) -> Self {
        match frame.strip_prefix(ERROR_PREFIX) {
            Some(reason) => Self::Error(reason.to_owned()),
            None if frame == END => Self::End,
            None => Self::Line(frame.to_owned()),
        }
    }
}

/// An open stream of log lines. Dropping it closes the connection.
#[derive(Debug)]
pub struct LogStream {
    socket: WebSocketStream<Upgraded>,
    server: String,
    is_over: bool,
}

impl LogStream {
    pub(super) async fn new(connection: Upgraded, server: String) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        let socket = WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await;
        Self {
            socket,
            server,
            is_over: false,
        }
    }

    /// The next event; `None` after [`LogEvent::End`], after an error, and when the server closed
    /// the stream. A stream that closes without an end before it is not complete.
    ///
    /// Cancel safe: an event that was not answered is answered by the next call.
    pub async fn next(&mut self) -> Option<Result<LogEvent>> {
        while !self.is_over {
            let Ok(message) = timeout(SILENCE_TIMEOUT, self.socket.next()).await else {
                self.is_over = true;
                return Some(Err(Error::TimedOut {
                    server: self.server.clone(),
                }));
            };
            match message {
                Some(Ok(Message::Text(frame))) => {
                    let event = LogEvent::parse(frame.as_str());
                    self.is_over = event == LogEvent::End;
                    return Some(Ok(event));
                }
                // A ping is answered by the socket itself; no other frame carries a line.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                Some(Ok(Message::Close(_) | Message::Frame(_))) | None => self.is_over = true,
                Some(Err(source)) => {
                    self.is_over = true;
                    let server = self.server.clone();
                    return Some(Err(Error::BrokenOff {
                        server,
                        source: source.into(),
                    }));
                }
            }
        }
        // Sends the answer to a closing frame; whether it arrives makes no difference.
        timeout(CLOSE_TIMEOUT, self.socket.flush()).await.ok();
        None
    }
}

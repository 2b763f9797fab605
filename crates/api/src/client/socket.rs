//! WebSockets, as the streams of the client use them.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::Upgraded;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Bytes, Message, Utf8Bytes};

use super::{Error, Result};

/// How long a socket may be silent: the server pings every 30 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// The longest frame that is read.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// A connection that has become a WebSocket.
pub(super) type Socket = WebSocketStream<Upgraded>;

/// A frame that carries something.
#[derive(Debug)]
pub(super) enum Frame {
    Text(Utf8Bytes),
    Binary(Bytes),
}

/// The client's end of a connection that was upgraded.
pub(super) async fn client_end(connection: Upgraded) -> Socket {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await
}

/// The next frame that carries something; `None` when the server closed the socket. After an error
/// there is nothing more to receive.
///
/// Cancel safe: a frame that was not answered is answered by the next call.
pub(super) async fn receive(
    socket: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
    server: &str,
) -> Option<Result<Frame>> {
    loop {
        let Ok(message) = timeout(SILENCE_TIMEOUT, socket.next()).await else {
            let server = server.to_owned();
            return Some(Err(Error::TimedOut { server }));
        };
        match message? {
            Ok(Message::Text(text)) => return Some(Ok(Frame::Text(text))),
            Ok(Message::Binary(bytes)) => return Some(Ok(Frame::Binary(bytes))),
            // A ping is answered by the socket itself.
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_) | Message::Frame(_)) => return None,
            Err(source) => return Some(Err(broken_off(server, source))),
        }
    }
}

/// The error of a socket that could not be used to its end.
pub(super) fn broken_off(server: &str, source: tungstenite::Error) -> Error {
    Error::BrokenOff {
        server: server.to_owned(),
        source: source.into(),
    }
}

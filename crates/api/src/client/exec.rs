//! Commands inside running replicas: one call with one answer, or bytes both ways.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use tokio_tungstenite::tungstenite::Message;

use super::socket::{Frame, Socket, broken_off, receive};
use super::transport::json;
use super::{Client, Error, Result};
use crate::Slug;
use crate::exec::{Exec, ExecControl, ExecEvent, ExecResult};

/// From the first byte of a call to the last of its answer: a command may run for 50 s.
const EXEC_TIMEOUT: Duration = Duration::from_secs(90);

/// What is to run, where, and in what.
#[derive(Debug, Clone, Default)]
pub struct ExecQuery {
    /// The program and its arguments, which no shell reads; a shell in a terminal when empty.
    pub command: Vec<String>,
    /// Which replica, by its name; the first that runs when absent.
    pub pod: Option<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// The size of that terminal; the server's default when absent.
    pub size: Option<TerminalSize>,
}

/// The size of a terminal; each number is 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub cols: u16,
    /// Lines.
    pub rows: u16,
}

impl ExecQuery {
    fn add_to(&self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        for argument in &self.command {
            query.append_pair("command", argument);
        }
        if let Some(pod) = &self.pod {
            query.append_pair("pod", pod);
        }
        query.append_pair("tty", if self.tty { "true" } else { "false" });
        if let Some(TerminalSize { cols, rows }) = self.size {
            query.append_pair("cols", &cols.to_string());
            query.append_pair("rows", &rows.to_string());
        }
    }
}

impl Client {
    /// `POST P/exec`: runs a command to its end.
    pub async fn exec(&self, workspace: &Slug, project: &Slug, body: &Exec) -> Result<ExecResult> {
        let url = self.project_url(workspace, project, &["exec"]);
        self.exec_at(url, body).await
    }

    /// `WS P/exec`: runs a command with its input and output.
    pub async fn stream_exec(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: &ExecQuery,
    ) -> Result<ExecStream> {
        let url = self.project_url(workspace, project, &["exec"]);
        self.attach_at(url, query).await
    }

    /// Runs a command of whatever has its replicas at `url`.
    pub(super) async fn exec_at(&self, url: Url, body: &Exec) -> Result<ExecResult> {
        let body = json(body);
        self.transport.post_within(EXEC_TIMEOUT, url, body).await
    }

    /// The same with input and output.
    pub(super) async fn attach_at(&self, mut url: Url, query: &ExecQuery) -> Result<ExecStream> {
        query.add_to(&mut url);
        let (sink, stream) = self.transport.open_socket(url).await?.split();
        let server = self.server_url().to_string();
        Ok(ExecStream {
            input: ExecInput {
                sink,
                server: server.clone(),
            },
            output: ExecOutput {
                stream,
                server,
                is_over: false,
            },
        })
    }
}

/// A command that runs. Whoever waits for room to write has to go on reading meanwhile: both halves
/// are used at the same time. Dropping them closes the connection.
#[derive(Debug)]
pub struct ExecStream {
    /// What the command reads.
    pub input: ExecInput,
    /// What it writes, and how it ends.
    pub output: ExecOutput,
}

/// The way to a command.
#[derive(Debug)]
pub struct ExecInput {
    sink: SplitSink<Socket, Message>,
    server: String,
}

impl ExecInput {
    /// Sends bytes to the command's standard input.
    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.send_message(Message::binary(bytes)).await
    }

    /// Says that the terminal has another size, or that the input has ended.
    pub async fn control(&mut self, control: ExecControl) -> Result<()> {
        let text = serde_json::to_string(&control).expect("a control holds only numbers");
        self.send_message(Message::text(text)).await
    }

    async fn send_message(&mut self, message: Message) -> Result<()> {
        let sent = self.sink.send(message).await;
        sent.map_err(|source| broken_off(&self.server, source))
    }
}

/// What comes from a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecChunk {
    /// What it wrote.
    Bytes(Vec<u8>),
    /// How it ended; nothing follows.
    End(ExecEvent),
}

/// The way from a command.
#[derive(Debug)]
pub struct ExecOutput {
    stream: SplitStream<Socket>,
    server: String,
    is_over: bool,
}

impl ExecOutput {
    /// The next chunk; `None` after [`ExecChunk::End`], after an error, and when the server closed
    /// the connection. One that closes without an end before it says nothing about the command.
    ///
    /// Cancel safe: a chunk that was not answered is answered by the next call.
    pub async fn next(&mut self) -> Option<Result<ExecChunk>> {
        if self.is_over {
            return None;
        }
        let last = match receive(&mut self.stream, &self.server).await {
            Some(Ok(Frame::Binary(bytes))) => return Some(Ok(ExecChunk::Bytes(bytes.to_vec()))),
            Some(Ok(Frame::Text(text))) => Some(self.parse(text.as_str())),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        self.is_over = true;
        last
    }

    fn parse(&self, frame: &str) -> Result<ExecChunk> {
        let event = serde_json::from_str(frame).map_err(|source| Error::NotUnderstood {
            server: self.server.clone(),
            source,
        })?;
        Ok(ExecChunk::End(event))
    }
}

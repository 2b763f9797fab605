//! `…/projects/:project_slug/exec`: a command inside a running replica, by POST or WebSocket.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use futures_util::stream::{BoxStream, SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tose_api::exec::{Exec, ExecControl, ExecEvent};
use tose_model::Error;
use tose_model::access::Access;
use tose_model::driver::{DriverResult, ExecId, ExecOutput, ExecSession, TtySize};

use crate::app::Platform;
use crate::app::exec::Running;
use crate::http::body::Body;
use crate::http::error::Transport;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok};

/// How often a quiet connection is tried.
const PING_PERIOD: Duration = Duration::from_secs(30);
/// The size of a terminal whose size nobody said.
const DEFAULT_SIZE: TtySize = TtySize {
    columns: 80,
    rows: 24,
};

pub(crate) async fn run(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<Exec>,
) -> Reply {
    ok(platform.exec(&access, &project, input).await?)
}

pub(crate) async fn attach(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Reply {
    let upgrade = upgrade.map_err(|_| Transport::NotAnUpgrade)?;
    let asked = parse(query.as_deref().unwrap_or_default())?;
    let place = platform.limits.socket(access.scope().id())?;
    let Running { session, .. } = platform
        .start_exec(
            &access,
            &project,
            asked.command,
            asked.pod.as_deref(),
            asked.tty,
        )
        .await?;
    Ok(upgrade.on_upgrade(move |socket| pump(platform, socket, session, place)))
}

/// The same with a database's own client as the command.
pub(crate) async fn connect(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): ProjectPath,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Reply {
    let upgrade = upgrade.map_err(|_| Transport::NotAnUpgrade)?;
    let asked = parse(query.as_deref().unwrap_or_default())?;
    let place = platform.limits.socket(access.scope().id())?;
    let size = asked.tty.unwrap_or(DEFAULT_SIZE);
    let Running { session, .. } = platform
        .start_database_client(&access, &database, size)
        .await?;
    Ok(upgrade.on_upgrade(move |socket| pump(platform, socket, session, place)))
}

/// What the query asks for: `command` once for each argument.
struct Asked {
    command: Vec<String>,
    pod: Option<String>,
    tty: Option<TtySize>,
}

fn parse(query: &str) -> Result<Asked, Error> {
    let mut asked = Asked {
        command: Vec::new(),
        pod: None,
        tty: None,
    };
    let (mut has_terminal, mut size) = (false, DEFAULT_SIZE);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let number = || {
            value
                .parse::<u16>()
                .ok()
                .filter(|number| (1..=1000).contains(number))
                .ok_or_else(|| {
                    Error::invalid_field(name.clone(), "must be a number from 1 to 1000")
                })
        };
        match &*name {
            "command" => asked.command.push(value.into_owned()),
            "pod" => asked.pod = Some(value.into_owned()),
            "tty" => match &*value {
                "true" => has_terminal = true,
                "false" => has_terminal = false,
                _ => return Err(Error::invalid_field("tty", "must be true or false")),
            },
            "cols" => size.columns = number()?,
            "rows" => size.rows = number()?,
            _ => {}
        }
    }
    if asked.command.is_empty() {
        // A shell in a terminal, which is what most come for.
        asked.command.push("/bin/sh".to_owned());
        has_terminal = true;
    }
    asked.tty = has_terminal.then_some(size);
    Ok(asked)
}

/// What the client sends that its command has not read so far, at most, in bytes.
const MAX_WAITING: usize = 4 << 20;
/// How long a command whose client went away may take to read what was sent before.
const INPUT_PATIENCE: Duration = Duration::from_secs(5);

/// Carries bytes both ways until the command ends or the client goes away. Neither way waits for the
/// other: a command that echoes its input could block both.
async fn pump(
    platform: Arc<Platform>,
    socket: WebSocket,
    session: ExecSession,
    place: OwnedSemaphorePermit,
) {
    let ExecSession {
        id,
        mut output,
        mut input,
    } = session;
    let (mut sender, receiver) = socket.split();
    let (to_command, mut for_command) = mpsc::unbounded_channel::<Bytes>();
    let waiting = AtomicUsize::new(0);
    let feed = async {
        while let Some(bytes) = for_command.recv().await {
            waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            if input.send(bytes).await.is_err() {
                // A command that reads no more tells so by its end, not here.
                break;
            }
        }
        // Also the end of a shell whose client went away.
        let _ = input.close().await;
    };
    let talk = async {
        let client = Talk {
            platform: &platform,
            id: &id,
            waiting: &waiting,
        };
        let ended = client
            .run(&mut output, &mut sender, receiver, to_command)
            .await;
        if let Some(event) = ended {
            say_goodbye(&mut sender, &event).await;
        }
    };
    let (mut talk, mut feed) = (pin!(talk), pin!(feed));
    let mut is_fed = false;
    loop {
        tokio::select! {
            () = &mut talk => break,
            () = &mut feed, if !is_fed => is_fed = true,
        }
    }
    if !is_fed {
        // What was sent before still reaches a command that reads.
        let _ = tokio::time::timeout(INPUT_PATIENCE, feed).await;
    }
    drop(place);
}

async fn say_goodbye(sender: &mut SplitSink<WebSocket, Message>, event: &ExecEvent) {
    let text = serde_json::to_string(event).unwrap_or_default();
    let close = CloseFrame {
        code: close_code::NORMAL,
        reason: "".into(),
    };
    // A client that is gone needs none.
    let _ = sender.send(Message::Text(text.into())).await;
    let _ = sender.send(Message::Close(Some(close))).await;
}

/// One command's client.
struct Talk<'a> {
    platform: &'a Platform,
    id: &'a ExecId,
    /// Bytes that its command has not read so far.
    waiting: &'a AtomicUsize,
}

impl Talk<'_> {
    /// Passes output on and takes input until one side ends; what the client is to be told then.
    async fn run(
        &self,
        output: &mut BoxStream<'static, DriverResult<ExecOutput>>,
        sender: &mut SplitSink<WebSocket, Message>,
        mut receiver: SplitStream<WebSocket>,
        to_command: mpsc::UnboundedSender<Bytes>,
    ) -> Option<ExecEvent> {
        let mut to_command = Some(to_command);
        let mut ping = tokio::time::interval(PING_PERIOD);
        ping.reset();
        loop {
            let frame = tokio::select! {
                part = output.next() => match part {
                    Some(Ok(ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes))) => {
                        Message::Binary(bytes)
                    }
                    Some(Err(error)) => return Some(ExecEvent::Error(error.to_string())),
                    None => return Some(self.exit().await),
                },
                message = receiver.next() => match message {
                    Some(Ok(message)) => match self.hear(message, &mut to_command).await {
                        Ok(()) => continue,
                        Err(end) => return end,
                    },
                    Some(Err(_)) | None => return None,
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            sender.send(frame).await.ok()?;
        }
    }

    async fn exit(&self) -> ExecEvent {
        match self.platform.driver.exec_exit_code(self.id).await {
            Ok(Some(code)) => ExecEvent::ExitCode(code),
            Ok(None) => ExecEvent::Error("the command's exit code is not known".to_owned()),
            Err(error) => ExecEvent::Error(error.to_string()),
        }
    }

    /// Takes one frame of the client; an error ends the talk, with what the client is told.
    async fn hear(
        &self,
        message: Message,
        to_command: &mut Option<mpsc::UnboundedSender<Bytes>>,
    ) -> Result<(), Option<ExecEvent>> {
        match message {
            Message::Binary(bytes) => {
                let waiting = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
                if waiting + bytes.len() > MAX_WAITING {
                    let text = "the command does not read its input; send less at once";
                    return Err(Some(ExecEvent::Error(text.to_owned())));
                }
                if let Some(sender) = to_command {
                    // The command reads no more: its end says so.
                    let _ = sender.send(bytes);
                }
                Ok(())
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(ExecControl::Resize { cols, rows }) => {
                    let size = TtySize {
                        columns: cols.max(1),
                        rows: rows.max(1),
                    };
                    if let Err(error) = self.platform.driver.resize_exec(self.id, size).await {
                        tracing::debug!(%error, "a terminal was not resized");
                    }
                    Ok(())
                }
                Ok(ExecControl::Eof) => {
                    *to_command = None;
                    Ok(())
                }
                Err(_) => {
                    let text =
                        "a text frame has to be {\"resize\":{\"cols\":80,\"rows\":24}} or \"eof\"";
                    Err(Some(ExecEvent::Error(text.to_owned())))
                }
            },
            Message::Close(_) => Err(None),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_an_argument_list() {
        let asked = parse("command=ls&command=-l%20%26&tty=true&cols=100").expect("a command");
        assert_eq!(asked.command, ["ls", "-l &"]);
        let size = asked.tty.expect("a terminal");
        assert_eq!((size.columns, size.rows), (100, 24));
        let shell = parse("").expect("a shell");
        assert_eq!(shell.command, ["/bin/sh"]);
        assert!(shell.tty.is_some());
        for bad in ["tty=maybe", "cols=0", "rows=x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

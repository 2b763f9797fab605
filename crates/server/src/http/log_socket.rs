//! Logs over WebSockets: one line a text frame.
//!
//! Guarantees: every line begins with the server's timestamp (or is a JSON object), so no line of an
//! app can pass for `[END]` or `[ERROR] …`. A slow reader slows nobody: it is read for from the log
//! store at its own pace, and told how many lines it missed if they are gone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::SinkExt;
use serde::Deserialize;
use tose_api::log::{END, ERROR_PREFIX, LogLevel, LogSource};
use tose_api::{DeploymentId, Kind, Timestamp};
use tose_logs::{Batch, Event, Follower, Record};
use tose_model::Error;
use tose_model::access::Access;
use tose_model::log::LogLine;

use crate::app::Platform;
use crate::app::log::{line_view, log_error};
use crate::http::deployment::DeploymentPath;
use crate::http::error::{ApiError, Transport};
use crate::http::log::LineQuery;
use crate::http::project::ProjectPath;
use crate::http::reply::Reply;

/// How often a quiet connection is tried.
const PING_PERIOD: Duration = Duration::from_secs(30);
/// How long some frames may take to leave; after that the reader is taken for gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// So many readers of one log are a crowd. Each of them then gets its lines a little later and with fewer
/// writes: the writes are most of what a reader costs.
const CROWD: usize = 50;
const CROWD_PAUSE: Duration = Duration::from_millis(20);
/// What a socket has for frames that come and frames that leave, in bytes. Readers send next to nothing.
const READ_BUFFER: usize = 4 << 10;
const WRITE_BUFFER: usize = 16 << 10;
/// How many lines have to leave within that time.
const CHUNK: usize = 100;
/// How many old lines a live stream begins with.
const DEFAULT_TAIL: usize = 100;
/// The most old lines that can be asked for.
const MAX_TAIL: usize = 5000;

/// `?tail=&since=&format=&follow=&search=&level=&source=&pod=`; the key may stand there too and is the
/// guard's. A build's log is always whole.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LogQuery {
    tail: Option<usize>,
    since: Option<Timestamp>,
    format: Option<Format>,
    follow: Option<bool>,
    search: Option<String>,
    level: Option<LogLevel>,
    source: Option<LogSource>,
    pod: Option<String>,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// `TIMESTAMP TEXT`.
    #[default]
    Text,
    /// A JSON object with timestamp, pod, stream and message.
    Json,
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;
type LogQueryResult = Result<Query<LogQuery>, QueryRejection>;

pub(crate) async fn live(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    query: LogQueryResult,
    upgrade: Upgrade,
) -> Reply {
    let mut query = parse(query)?;
    let tail = query.tail.unwrap_or(DEFAULT_TAIL);
    if tail > MAX_TAIL {
        let problem = format!("must be a number from 0 to {MAX_TAIL}");
        return Err(Error::invalid_field("tail", problem).into());
    }
    let lines = LineQuery {
        search: query.search.take(),
        level: query.level,
        source: query.source,
        pod: query.pod.take(),
    };
    let wanted = tose_logs::Query {
        start: query.since,
        limit: tail,
        ..lines.parse()?
    };
    let (follower, problem) = platform
        .follow_project_log(&access, &project, &wanted)
        .await?;
    let mut stream = Stream::new(follower, &query, None);
    stream.problem = problem.map(|problem| problem.to_string());
    stream.last_time = platform.now();
    // From where on is the follower's to know: a line that came later counts, whatever its time.
    stream.wanted = tose_logs::Query {
        start: None,
        ..wanted
    };
    accept(&platform, &access, upgrade, stream)
}

pub(crate) async fn newest_build(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    query: LogQueryResult,
    upgrade: Upgrade,
) -> Reply {
    build_log(platform, access, project, None, query, upgrade).await
}

pub(crate) async fn build(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DeploymentPath,
    query: LogQueryResult,
    upgrade: Upgrade,
) -> Reply {
    build_log(platform, access, project, Some(id), query, upgrade).await
}

async fn build_log(
    platform: Arc<Platform>,
    access: Access,
    project: String,
    deployment: Option<String>,
    query: LogQueryResult,
    upgrade: Upgrade,
) -> Reply {
    let query = parse(query)?;
    let (id, follower) = platform
        .follow_build_log(&access, &project, deployment.as_deref())
        .await?;
    let outcome = Outcome {
        platform: Arc::clone(&platform),
        access: access.clone(),
        project,
        id,
    };
    let stream = Stream::new(follower, &query, Some(outcome));
    accept(&platform, &access, upgrade, stream)
}

fn parse(query: LogQueryResult) -> Result<LogQuery, ApiError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(_) => Err(Error::invalid(
            "the query cannot be read: tail is a number, since a time such as 2026-01-31T08:00:00Z, format text or json, follow true or false, level debug, info, warn or error, source stdout, stderr or system",
        )
        .into()),
    }
}

fn accept(
    platform: &Platform,
    access: &Access,
    upgrade: Upgrade,
    stream: Stream,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| Transport::NotAnUpgrade)?;
    let place = platform.limits.socket(access.scope().id())?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER);
    Ok(upgrade.on_upgrade(|socket| async move {
        stream.run(socket).await;
        drop(place);
    }))
}

/// Where the result of a deployment is found once its log has ended.
struct Outcome {
    platform: Arc<Platform>,
    access: Access,
    project: String,
    id: DeploymentId,
}

impl Outcome {
    async fn error(&self) -> Option<String> {
        // A reader gets the log even if the reason cannot be read at this moment.
        self.platform
            .deployment_error(&self.access, &self.project, self.id)
            .await
            .unwrap_or(None)
    }
}

/// One reader of one log.
struct Stream {
    follower: Follower,
    format: Format,
    stays: bool,
    outcome: Option<Outcome>,
    /// Why some of the first lines are not there.
    problem: Option<String>,
    /// Which lines are sent.
    wanted: tose_logs::Query,
    /// The time of the last line that was sent: what the reader misses came after it.
    last_time: Timestamp,
}

/// The reader is gone.
struct Gone;

impl Stream {
    fn new(follower: Follower, query: &LogQuery, outcome: Option<Outcome>) -> Self {
        Self {
            follower,
            format: query.format.unwrap_or_default(),
            stays: query.follow.unwrap_or(true),
            outcome,
            problem: None,
            wanted: tose_logs::Query::default(),
            last_time: Timestamp::from_nanos(0),
        }
    }

    async fn run(mut self, mut socket: WebSocket) {
        // A reader that went away needs no good-bye.
        let _ = self.pump(&mut socket).await;
    }

    async fn pump(&mut self, socket: &mut WebSocket) -> Result<(), Gone> {
        let mut ping = tokio::time::interval(PING_PERIOD);
        ping.reset();
        if let Some(problem) = self.problem.take() {
            send(socket, self.note(problem)).await?;
        }
        loop {
            let event = if self.stays {
                tokio::select! {
                    event = self.follower.next() => event.map(Some),
                    _ = ping.tick() => {
                        send(socket, Message::Ping(Vec::new().into())).await?;
                        continue;
                    }
                    message = socket.recv() => match message {
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                        Some(Ok(_)) => continue,
                    },
                }
            } else {
                self.follower.next_ready().await
            };
            match event {
                Ok(Some(Event::Records(batch))) => {
                    self.send_batch(socket, &batch).await?;
                    while let Some(batch) = self.follower.take_ready() {
                        self.send_batch(socket, &batch).await?;
                    }
                    flush(socket).await?;
                    if self.follower.readers() >= CROWD {
                        tokio::time::sleep(CROWD_PAUSE).await;
                    }
                }
                Ok(Some(Event::Missed(count))) => {
                    let text = format!(
                        "{count} lines are missing here: they were removed before they were read"
                    );
                    send(socket, self.note(text)).await?;
                }
                Ok(Some(Event::End) | None) => return self.end(socket).await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a log could not be read"
                    );
                    let error = log_error(error);
                    let why = match error.kind() {
                        Kind::Unavailable => error.to_string(),
                        _ => "the log could not be read; try again".to_owned(),
                    };
                    let text = format!("{ERROR_PREFIX}{why}");
                    send(socket, Message::Text(text.into())).await?;
                    return close(socket, close_code::ERROR).await;
                }
            }
        }
    }

    /// Hands over the lines that are wanted; they leave when there are many, or are flushed. Their frames are
    /// made once for all readers.
    async fn send_batch(&mut self, socket: &mut WebSocket, batch: &Batch) -> Result<(), Gone> {
        self.last_time = batch.last().map_or(self.last_time, |last| last.line.time);
        let Some(frames) = batch.made(|_| Frames::default()) else {
            return Err(Gone);
        };
        let frames = frames.of(self.format, batch);
        for (records, frames) in batch.chunks(CHUNK).zip(frames.chunks(CHUNK)) {
            let send = async {
                for (record, frame) in records.iter().zip(frames) {
                    if self.wanted.is_everything() || self.wanted.finds(record) {
                        socket.feed(Message::Text(frame.clone())).await?;
                    }
                }
                Ok(())
            };
            in_time(send).await?;
        }
        Ok(())
    }

    async fn end(&self, socket: &mut WebSocket) -> Result<(), Gone> {
        if let Some(outcome) = &self.outcome
            && let Some(reason) = outcome.error().await
        {
            send(
                socket,
                Message::Text(format!("{ERROR_PREFIX}{reason}").into()),
            )
            .await?;
        }
        send(socket, Message::Text(END.into())).await?;
        close(socket, close_code::NORMAL).await
    }

    fn note(&self, text: String) -> Message {
        let line = LogLine {
            time: self.last_time,
            source: LogSource::System,
            pod: "tose".into(),
            text: text.into_bytes(),
        };
        let record = Record {
            seq: 0,
            level: None,
            line,
        };
        Message::Text(frame(self.format, &record))
    }
}

/// A batch's frames, in each form that a reader asked for.
#[derive(Default)]
struct Frames {
    text: OnceLock<Vec<Utf8Bytes>>,
    json: OnceLock<Vec<Utf8Bytes>>,
}

impl Frames {
    fn of(&self, format: Format, records: &[Record]) -> &[Utf8Bytes] {
        let slot = match format {
            Format::Text => &self.text,
            Format::Json => &self.json,
        };
        slot.get_or_init(|| records.iter().map(|record| frame(format, record)).collect())
    }
}

fn frame(format: Format, record: &Record) -> Utf8Bytes {
    let text = String::from_utf8_lossy(&record.line.text);
    let text = match format {
        Format::Text => format!("{} {text}", record.line.time),
        Format::Json => serde_json::to_string(&line_view(record)).unwrap_or_default(),
    };
    text.into()
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    in_time(socket.send(message)).await
}

async fn flush(socket: &mut WebSocket) -> Result<(), Gone> {
    in_time(socket.flush()).await
}

async fn in_time(sent: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Gone> {
    match tokio::time::timeout(SEND_TIMEOUT, sent).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}

async fn close(socket: &mut WebSocket, code: u16) -> Result<(), Gone> {
    send(
        socket,
        Message::Close(Some(CloseFrame {
            code,
            reason: "".into(),
        })),
    )
    .await
}

//! `tose logs` and `tose db logs`: what the replicas of a project or a database write, or how a
//! deployment went.
//!
//! Lines come over a WebSocket, which can be followed. A time to end at, and a file to write to,
//! need no following, so they are asked for page by page and as a download.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::client::{
    self, Client, Download, FindLogs, LogEvent, LogFilter, LogFormat, LogQuery, LogStream, Paging,
};
use tose_api::log::{LogLevel, LogLineView, LogPage, LogSource};
use tose_api::{DeploymentId, Kind, Timestamp};

use crate::context::{Context, Target};
use crate::download;
use crate::error::Error;
use crate::replay::{Replay, split_frame};
use crate::span::Since;

/// How many lines are shown when nothing else is said.
const DEFAULT_TAIL: u32 = 100;
/// The most lines that one call answers.
const MAX_PAGE: u32 = 5000;
/// Before a broken stream is opened again; twice as long after each attempt that fails.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(15);

#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Show the log of a deployment, its build above all
    #[arg(long, conflicts_with_all = ["tail", "since", "until", "search", "level", "source", "pod", "download"])]
    build: bool,
    /// Whose log; otherwise the newest deployment's
    #[arg(long, value_name = "ID", requires = "build")]
    deployment: Option<DeploymentId>,
    #[command(flatten)]
    lines: LinesArgs,
}

/// Which lines, and where they go.
#[derive(Args)]
pub(crate) struct LinesArgs {
    /// Go on with lines as they are written
    #[arg(long, short)]
    follow: bool,
    /// How many of the lines that there are to show; otherwise 100
    #[arg(long, value_name = "N", conflicts_with = "since")]
    tail: Option<u32>,
    /// Show the lines from this time on: 30s, 10m, 2h, 1d or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Show the lines before this time, written like that of --since
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<Since>,
    /// Show the lines with these words: timeout, time*, "connection refused", status:500, took:>=100, -healthz
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    search: Option<String>,
    /// Show the lines of this level or a graver one
    #[arg(long)]
    level: Option<Level>,
    /// Show the lines that came from here
    #[arg(long)]
    source: Option<Source>,
    /// Show the lines of this replica
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
    /// Write all of these lines to a gzipped file; - writes it to the standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["follow", "tail"])]
    download: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    Stdout,
    Stderr,
    System,
}

impl LinesArgs {
    fn filter(&self) -> LogFilter {
        LogFilter {
            search: self.search.clone(),
            level: self.level.map(|level| match level {
                Level::Debug => LogLevel::Debug,
                Level::Info => LogLevel::Info,
                Level::Warn => LogLevel::Warn,
                Level::Error => LogLevel::Error,
            }),
            source: self.source.map(|source| match source {
                Source::Stdout => LogSource::Stdout,
                Source::Stderr => LogSource::Stderr,
                Source::System => LogSource::System,
            }),
            pod: self.pod.clone(),
        }
    }
}

/// Whose lines they are.
#[derive(Clone, Copy)]
enum Owner {
    Project,
    Deployment(DeploymentId),
    Database,
}

/// What is shown.
struct Log<'a> {
    client: &'a Client,
    target: &'a Target,
    owner: Owner,
    query: LogQuery,
    filter: LogFilter,
}

pub(crate) async fn run(ctx: &Context, args: LogsArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    let owner = match args.deployment {
        Some(id) => Owner::Deployment(id),
        None if args.build => Owner::Deployment(newest_deployment(client, target).await?),
        None => Owner::Project,
    };
    show_lines(ctx, client, target, owner, args.lines).await
}

/// Shows what the server of the database `target` writes.
pub(super) async fn show_database(
    ctx: &Context,
    client: &Client,
    target: &Target,
    args: LinesArgs,
) -> Result<()> {
    show_lines(ctx, client, target, Owner::Database, args).await
}

async fn show_lines(
    ctx: &Context,
    client: &Client,
    target: &Target,
    owner: Owner,
    args: LinesArgs,
) -> Result<()> {
    let filter = args.filter();
    let since = args.since.map(Since::time);
    let format = if ctx.output.is_json() {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    let query = LogQuery {
        tail: args.tail,
        since,
        follow: args.follow,
        format,
    };
    let log = Log {
        client,
        target,
        owner,
        query,
        filter,
    };
    if args.until.is_none() && args.download.is_none() {
        return show(ctx, log).await;
    }
    let query = FindLogs {
        start: since,
        end: args.until.map(Since::time),
        filter: log.filter.clone(),
        ..FindLogs::default()
    };
    match &args.download {
        Some(path) => download(ctx, &log, &query, path).await,
        None => show_until(ctx, &log, query).await,
    }
}

/// Shows the lines up to a time: all from a begin on, or the last ones.
async fn show_until(ctx: &Context, log: &Log<'_>, mut query: FindLogs) -> Result<()> {
    let format = log.query.format;
    query.forward = query.start.is_some();
    let mut wanted = match query.forward {
        true => usize::MAX,
        false => log.query.tail.unwrap_or(DEFAULT_TAIL) as usize,
    };
    let mut backward = Vec::new();
    while wanted > 0 {
        query.limit = Some(u32::try_from(wanted).unwrap_or(MAX_PAGE).min(MAX_PAGE));
        let page = log.find(&query).await?;
        wanted -= page.lines.len().min(wanted);
        match query.forward {
            true => print_lines(ctx, page.lines.iter(), format)?,
            false => backward.extend(page.lines),
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    print_lines(ctx, backward.iter().rev(), format)
}

fn print_lines<'a>(
    ctx: &Context,
    lines: impl Iterator<Item = &'a LogLineView>,
    format: LogFormat,
) -> Result<()> {
    for line in lines {
        match format {
            LogFormat::Text => ctx
                .output
                .line(&format!("{} {}", line.timestamp, line.message))?,
            LogFormat::Json => ctx.output.line(&serde_json::to_string(line)?)?,
        }
    }
    Ok(())
}

/// Writes the lines to a file as they come.
async fn download(ctx: &Context, log: &Log<'_>, query: &FindLogs, path: &Path) -> Result<()> {
    let file = log.download(query).await?;
    let size = download::save(&ctx.output, file, path).await?;
    if !download::is_stdout(path) {
        let path = path.display();
        ctx.output.note(&format!("{path}: {size} bytes"));
    }
    Ok(())
}

async fn newest_deployment(client: &Client, target: &Target) -> Result<DeploymentId> {
    let paging = Paging::new(Some(1), Some(1)).expect("the first page of one row");
    let page = client
        .list_deployments(&target.workspace, &target.project, paging)
        .await?;
    let newest = page.items.first().ok_or(Error::NoDeployment)?;
    Ok(newest.id)
}

/// Shows the log to its end. One that is followed is opened again when it breaks off.
async fn show(ctx: &Context, mut log: Log<'_>) -> Result<()> {
    let mut replay = Replay::default();
    let mut stream = log.open().await?;
    loop {
        let broken = match show_stream(ctx, stream, &mut replay, log.query.format).await? {
            End::Complete => return Ok(()),
            End::CutShort => anyhow::Error::new(Error::StreamCutShort),
            End::Failed(error) => anyhow::Error::new(error),
        };
        if !log.query.follow {
            return Err(broken);
        }
        ctx.output
            .warn("the connection broke off; connecting again");
        if let Some(newest) = replay.newest() {
            (log.query.since, log.query.tail) = (Some(newest), None);
        }
        replay.restart();
        stream = log.reopen().await?;
    }
}

impl Log<'_> {
    async fn open(&self) -> client::Result<LogStream> {
        let (client, query, filter) = (self.client, self.query, &self.filter);
        let Target { workspace, project } = self.target;
        match self.owner {
            Owner::Project => {
                client
                    .stream_live_logs(workspace, project, query, filter)
                    .await
            }
            Owner::Deployment(id) => {
                client
                    .stream_build_logs(workspace, project, id, query)
                    .await
            }
            Owner::Database => {
                client
                    .stream_database_logs(workspace, project, query, filter)
                    .await
            }
        }
    }

    async fn find(&self, query: &FindLogs) -> client::Result<LogPage> {
        let Target { workspace, project } = self.target;
        match self.owner {
            Owner::Database => {
                self.client
                    .find_database_logs(workspace, project, query)
                    .await
            }
            _ => self.client.find_logs(workspace, project, query).await,
        }
    }

    async fn download(&self, query: &FindLogs) -> client::Result<Download> {
        let (client, format) = (self.client, self.query.format);
        let Target { workspace, project } = self.target;
        match self.owner {
            Owner::Database => {
                client
                    .download_database_logs(workspace, project, query, format)
                    .await
            }
            _ => {
                client
                    .download_logs(workspace, project, query, format)
                    .await
            }
        }
    }

    /// Opens the log again, as often as it takes while the server is away.
    async fn reopen(&self) -> Result<LogStream> {
        let mut pause = RECONNECT_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            match self.open().await {
                Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::RateLimited) => {
                    pause = (pause * 2).min(MAX_RECONNECT_PAUSE);
                }
                result => return Ok(result?),
            }
        }
    }
}

/// How a stream ended.
enum End {
    Complete,
    CutShort,
    Failed(client::Error),
}

async fn show_stream(
    ctx: &Context,
    mut stream: LogStream,
    replay: &mut Replay,
    format: LogFormat,
) -> Result<End> {
    while let Some(event) = stream.next().await {
        match event {
            Ok(LogEvent::Line(frame)) => {
                if replay.is_new(time_of(&frame, format)) {
                    ctx.output.line(&frame)?;
                }
            }
            Ok(LogEvent::Error(reason)) => ctx.output.warn(&reason),
            Ok(LogEvent::End) => return Ok(End::Complete),
            Err(error) => return Ok(End::Failed(error)),
        }
    }
    Ok(End::CutShort)
}

fn time_of(frame: &str, format: LogFormat) -> Option<Timestamp> {
    match format {
        LogFormat::Text => split_frame(frame).0,
        LogFormat::Json => {
            let line: LogLineView = serde_json::from_str(frame).ok()?;
            Some(line.timestamp)
        }
    }
}

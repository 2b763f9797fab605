//! `…/projects/:project_slug/logs`: finding lines, downloading them, and what there is.

use std::io::Write;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as UrlQuery, State};
use axum::response::IntoResponse;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tose_api::analysis::{AnalyzeLogs, MAX_ANALYZED};
use tose_api::log::{LogLevel, LogSource};
use tose_api::{Timestamp, WorkspaceId};
use tose_logs::{Direction, Query, Record, StreamId};
use tose_model::Error;
use tose_model::access::Access;
use tose_model::log::Search;

use crate::app::Platform;
use crate::app::log::line_view;
use crate::http::body::OptionalBody;
use crate::http::deployment::MAX_LINE_NUMBER;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok};

/// The longest name of a replica, in characters.
pub(crate) const MAX_POD: usize = 255;
/// How many lines a page has.
const DEFAULT_LIMIT: usize = 100;
/// The most lines of a page.
const MAX_LIMIT: usize = 5000;
/// The largest body with lines to be analyzed, in bytes: JSON may need several for one of a line.
pub(crate) const MAX_ANALYZE_BODY: usize = 4 * MAX_ANALYZED;
/// How many lines of a download are in memory at once.
const DOWNLOAD_LINES: usize = 20_000;

/// Which lines: what every route has that reads a project's log.
#[derive(Debug, Default)]
pub(crate) struct LineQuery {
    pub(crate) search: Option<String>,
    pub(crate) level: Option<LogLevel>,
    pub(crate) source: Option<LogSource>,
    pub(crate) pod: Option<String>,
}

impl LineQuery {
    /// As a query of the store, without times.
    pub(crate) fn parse(self) -> Result<Query, Error> {
        let pod = self.pod.unwrap_or_default();
        if pod.chars().count() > MAX_POD {
            let problem = format!("must have at most {MAX_POD} characters");
            return Err(Error::invalid_field("pod", problem));
        }
        let search = Search::parse(self.search.as_deref().unwrap_or_default());
        Ok(Query {
            search: search.map_err(|problem| Error::invalid_field("search", problem))?,
            level: self.level,
            source: self.source,
            pod: Some(pod).filter(|pod| !pod.is_empty()),
            ..Query::default()
        })
    }
}

/// `?limit=&direction=&start=&end=&search=&level=&source=&pod=&cursor=&format=`
///
/// The fields of [`LineQuery`] stand here again: a query with numbers cannot be flattened.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LogsQuery {
    limit: Option<usize>,
    direction: Option<Order>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    cursor: Option<u64>,
    format: Option<Format>,
    search: Option<String>,
    level: Option<LogLevel>,
    source: Option<LogSource>,
    pod: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[serde(alias = "desc")]
    Backward,
    #[serde(alias = "asc")]
    Forward,
}

/// How a downloaded line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// `TIMESTAMP POD TEXT`.
    #[default]
    Text,
    /// A JSON object with timestamp, pod, stream, level and message.
    Json,
}

type RawLogsQuery = Result<UrlQuery<LogsQuery>, QueryRejection>;

fn parse(query: RawLogsQuery) -> Result<(Query, Format), Error> {
    let UrlQuery(query) = query.map_err(|_| {
        Error::invalid(
            "the query cannot be read: limit is a number from 1 to 5000, direction backward or forward, start and end times such as 2026-01-31T08:00:00Z, level debug, info, warn or error, source stdout, stderr, build or system, cursor what an answer gave, format text or json",
        )
    })?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let problem = format!("must be a number from 1 to {MAX_LIMIT}");
        return Err(Error::invalid_field("limit", problem));
    }
    if let (Some(start), Some(end)) = (query.start, query.end)
        && start >= end
    {
        return Err(Error::invalid_field("end", "must be after start"));
    }
    if query.cursor.is_some_and(|cursor| cursor > MAX_LINE_NUMBER) {
        let problem = "is none that an answer gave".to_owned();
        return Err(Error::invalid_field("cursor", problem));
    }
    let lines = LineQuery {
        search: query.search,
        level: query.level,
        source: query.source,
        pod: query.pod,
    };
    let direction = match query.direction {
        Some(Order::Forward) => Direction::Forward,
        Some(Order::Backward) | None => Direction::Backward,
    };
    let found = Query {
        direction,
        cursor: query.cursor,
        start: query.start,
        end: query.end,
        limit,
        ..lines.parse()?
    };
    Ok((found, query.format.unwrap_or_default()))
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    query: RawLogsQuery,
) -> Reply {
    let (query, _) = parse(query)?;
    ok(platform.find_log(&access, &project, query).await?)
}

pub(crate) async fn stats(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.log_stats(&access, &project).await?)
}

pub(crate) async fn analyze(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    OptionalBody(input): OptionalBody<AnalyzeLogs>,
) -> Reply {
    ok(platform.analyze_logs(&access, &project, input).await?)
}

/// All that is found, the oldest first, as a compressed file that is made while it is sent.
pub(crate) async fn download(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    query: RawLogsQuery,
) -> Reply {
    let (mut query, format) = parse(query)?;
    query.direction = Direction::Forward;
    query.cursor = None;
    query.limit = DOWNLOAD_LINES;
    // What is written from now on is not waited for.
    query.end = query.end.or(Some(platform.now()));
    let place = platform.limits.socket(access.scope().id())?;
    let (_, stream) = platform.open_log(&access, &project).await?;
    let download = Download {
        platform: Arc::clone(&platform),
        workspace_id: access.scope().id(),
        stream,
        query: Some(query),
        format,
        encoder: GzEncoder::new(Vec::new(), Compression::fast()),
        _place: place,
    };
    let name = match format {
        Format::Text => format!("attachment; filename=\"{project}.log.gz\""),
        Format::Json => format!("attachment; filename=\"{project}.jsonl.gz\""),
    };
    // What cannot even be begun is said as an error.
    let (first, rest) = download.next().await?.unzip();
    let first = stream::iter(first.map(Ok));
    let rest = stream::try_unfold(rest, async |rest| match rest {
        Some(download) => Ok(download
            .next()
            .await?
            .map(|(chunk, rest)| (chunk, Some(rest)))),
        None => Ok::<_, Error>(None),
    });
    let chunks = first.chain(rest);
    let headers = [
        (CONTENT_TYPE, "application/gzip".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// A download under way.
struct Download {
    platform: Arc<Platform>,
    workspace_id: WorkspaceId,
    stream: StreamId,
    /// What comes next; `None` when all was read.
    query: Option<Query>,
    format: Format,
    encoder: GzEncoder<Vec<u8>>,
    /// Among the connections that a workspace may keep open.
    _place: OwnedSemaphorePermit,
}

impl Download {
    /// The next compressed bytes; none at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        while let Some(mut query) = self.query.take() {
            let (id, stream) = (self.workspace_id, self.stream);
            let page = self.platform.find_lines(id, stream, query.clone()).await?;
            let is_last = page.cursor.is_none();
            self = tokio::task::spawn_blocking(move || self.write(&page.records, is_last))
                .await
                .map_err(|error| Error::internal("lines could not be compressed", error))?
                .map_err(|error| Error::internal("lines could not be compressed", error))?;
            if !is_last {
                query.cursor = page.cursor;
                self.query = Some(query);
            }
            let bytes = std::mem::take(self.encoder.get_mut());
            if !bytes.is_empty() {
                return Ok(Some((bytes.into(), self)));
            }
        }
        Ok(None)
    }

    fn write(mut self, records: &[Record], is_last: bool) -> std::io::Result<Self> {
        let mut text = Vec::new();
        for record in records {
            text.clear();
            match self.format {
                Format::Text => {
                    let line = &record.line;
                    write!(text, "{} {} ", line.time, line.pod)?;
                    text.extend(&line.text);
                }
                Format::Json => serde_json::to_writer(&mut text, &line_view(record))?,
            }
            text.push(b'\n');
            self.encoder.write_all(&text)?;
        }
        if is_last {
            self.encoder.try_finish()?;
        }
        Ok(self)
    }
}

//! The log store behind HTTP, with as much of it as the bench asks for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tose_api::log::LogSource;
use tose_api::{ProjectId, Timestamp};
use tose_logs::{LogStore, Query, StreamId};
use tose_model::log::{LogLine, Search};

use super::generator::{PROJECTS, SLOW, SLOW_PROJECT};

/// How many threads look through logs and write them: as many as the server of the product lets search.
const BLOCKING_THREADS: usize = 2;

/// How much of a body is read at once.
const PIECE_BYTES: usize = 512 << 10;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long)]
    dir: PathBuf,
}

/// A line as both stores get it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "_time")]
    time: i64,
    project: &'a str,
    #[serde(rename = "_msg", borrow)]
    text: std::borrow::Cow<'a, str>,
}

pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let store = LogStore::open(&arguments.dir)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(arguments.addr).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let store = store.clone();
            let service = service_fn(move |request| answer(store.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            #[expect(clippy::disallowed_methods, reason = "a bench has no tasks to end")]
            tokio::spawn(connection);
        }
    })
}

async fn answer(store: LogStore, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = match request.uri().path() {
        "/insert" => insert(&store, request).await?,
        "/settle" => settle(&store).await?,
        "/find" => find(store, &query).await?,
        "/slow" => count_slow(&store).await?,
        _ => errors(&store).await?,
    };
    Ok(Response::new(Full::from(body)))
}

fn stream(project: u64) -> StreamId {
    let id = format!("00000000-0000-7000-8000-{project:012x}");
    StreamId::Project(id.parse::<ProjectId>().expect("a UUID"))
}

/// Takes a body on both cores: pieces of it are read while others come, and the projects' lines are added side
/// by side.
async fn insert(store: &LogStore, request: Request<Incoming>) -> Result<String> {
    let mut body = request.into_body();
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    while let Some(frame) = body.frame().await {
        piece.extend_from_slice(frame?.data_ref().map_or(&[][..], |data| data));
        if piece.len() >= PIECE_BYTES {
            let end = piece.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            let rest = piece.split_off(end);
            pieces.push(start(parse_piece(std::mem::replace(&mut piece, rest))));
        }
    }
    pieces.push(start(parse_piece(piece)));
    let mut batches: Vec<Vec<LogLine>> = vec![Vec::new(); PROJECTS as usize];
    for piece in pieces {
        for (batch, lines) in batches.iter_mut().zip(piece.await??) {
            batch.extend(lines);
        }
    }
    let appends = (0..).zip(batches).map(|(project, lines)| {
        let store = store.clone();
        async move { Ok(store.append(stream(project), lines).await?) }
    });
    side_by_side(appends).await?;
    Ok(String::new())
}

async fn parse_piece(piece: Vec<u8>) -> Result<Vec<Vec<LogLine>>> {
    parse(&piece)
}

/// The lines of each project.
fn parse(body: &[u8]) -> Result<Vec<Vec<LogLine>>> {
    let pod: Box<str> = "web-1".into();
    let mut batches: Vec<Vec<LogLine>> = vec![Vec::new(); PROJECTS as usize];
    for line in body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Line<'_> = serde_json::from_slice(line)?;
        let batch = batches.get_mut(line.project.parse::<usize>()?);
        batch.context("an unknown project")?.push(LogLine {
            time: Timestamp::from_nanos(line.time),
            source: LogSource::Stdout,
            pod: pod.clone(),
            text: line.text.into_owned().into_bytes(),
        });
    }
    Ok(batches)
}

fn start<T: Send + 'static>(
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> tokio::task::JoinHandle<Result<T>> {
    #[expect(clippy::disallowed_methods, reason = "whoever starts it waits for it")]
    tokio::spawn(future)
}

/// Starts all of these at once, and waits for them.
fn side_by_side<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
) -> impl Future<Output = Result<Vec<T>>> {
    let started: Vec<_> = futures.into_iter().map(start).collect();
    async move {
        let mut results = Vec::with_capacity(started.len());
        for task in started {
            results.push(task.await??);
        }
        Ok(results)
    }
}

async fn settle(store: &LogStore) -> Result<String> {
    store.flush().await?;
    let compact = (0..PROJECTS).map(|project| {
        let store = store.clone();
        async move {
            let idle_since = Timestamp::from_nanos(i64::MAX);
            Ok(store.compact(stream(project), idle_since).await?)
        }
    });
    side_by_side(compact).await?;
    Ok(String::new())
}

async fn find(store: LogStore, query: &str) -> Result<String> {
    let parameters: HashMap<&str, &str> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let search = parameters.get("search").copied().unwrap_or_default();
    let query = Query {
        search: Search::parse(search).map_err(anyhow::Error::msg)?,
        limit: parameters
            .get("limit")
            .map_or(Ok(1000), |limit| limit.parse())?,
        ..Query::default()
    };
    let projects: Vec<u64> = match parameters.get("project") {
        Some(project) => vec![project.parse()?],
        None => (0..PROJECTS).collect(),
    };
    // Each project's log is looked through by itself, as many at a time as there are threads.
    let query = Arc::new(query);
    let pages = projects.into_iter().map(|project| {
        let (store, query) = (store.clone(), Arc::clone(&query));
        async move { Ok(store.find(stream(project), Query::clone(&query)).await?) }
    });
    let mut out = String::new();
    for page in side_by_side(pages).await? {
        for record in page.records {
            out.push_str(&String::from_utf8_lossy(&record.line.text));
            out.push('\n');
        }
    }
    Ok(out)
}

/// How many lines of one project a regular expression matches: all pages of them.
async fn count_slow(store: &LogStore) -> Result<String> {
    let search = format!("~\"{SLOW}\"");
    let mut query = Query {
        search: Search::parse(&search).map_err(anyhow::Error::msg)?,
        limit: 5000,
        ..Query::default()
    };
    let mut count = 0;
    loop {
        let page = store.find(stream(SLOW_PROJECT), query.clone()).await?;
        count += page.records.len();
        let Some(cursor) = page.cursor else {
            return Ok(format!("{count}\n"));
        };
        query.cursor = Some(cursor);
    }
}

async fn errors(store: &LogStore) -> Result<String> {
    let days = (0..PROJECTS).map(|project| {
        let store = store.clone();
        async move { Ok(store.daily(stream(project)).await?) }
    });
    let days = side_by_side(days).await?;
    let lines = (0..PROJECTS).zip(days).map(|(project, days)| {
        let count: u64 = days.iter().map(|day| day.errors).sum();
        format!("{project} {count}\n")
    });
    Ok(lines.collect())
}

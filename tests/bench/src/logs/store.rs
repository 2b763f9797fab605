//! The log store behind HTTP, with as much of it as the bench asks for.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
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

use super::generator::PROJECTS;

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
        _ => errors(&store).await?,
    };
    Ok(Response::new(Full::from(body)))
}

fn stream(project: u64) -> StreamId {
    let id = format!("00000000-0000-7000-8000-{project:012x}");
    StreamId::Project(id.parse::<ProjectId>().expect("a UUID"))
}

async fn insert(store: &LogStore, request: Request<Incoming>) -> Result<String> {
    let body = request.into_body().collect().await?.to_bytes();
    let pod: Box<str> = "web-1".into();
    let mut batches: HashMap<u64, Vec<LogLine>> = HashMap::new();
    for line in body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Line<'_> = serde_json::from_slice(line)?;
        batches
            .entry(line.project.parse()?)
            .or_default()
            .push(LogLine {
                time: Timestamp::from_nanos(line.time),
                source: LogSource::Stdout,
                pod: pod.clone(),
                text: line.text.into_owned().into_bytes(),
            });
    }
    for (project, lines) in batches {
        store.append(stream(project), lines).await?;
    }
    Ok(String::new())
}

async fn settle(store: &LogStore) -> Result<String> {
    store.flush().await?;
    for project in 0..PROJECTS {
        store
            .compact(stream(project), Timestamp::from_nanos(i64::MAX))
            .await?;
    }
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
    // Each project's log is looked through by itself, two at a time.
    let query = Arc::new(query);
    let halves = projects.chunks(projects.len().div_ceil(2)).map(|half| {
        let (store, query, half) = (store.clone(), Arc::clone(&query), half.to_vec());
        #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
        tokio::spawn(async move {
            let mut out = String::new();
            for project in half {
                let page = store.find(stream(project), Query::clone(&query)).await?;
                for record in page.records {
                    out.push_str(&String::from_utf8_lossy(&record.line.text));
                    out.push('\n');
                }
            }
            anyhow::Ok(out)
        })
    });
    let mut out = String::new();
    for half in halves.collect::<Vec<_>>() {
        out.push_str(&half.await??);
    }
    Ok(out)
}

async fn errors(store: &LogStore) -> Result<String> {
    let mut counts = BTreeMap::new();
    for project in 0..PROJECTS {
        let days = store.daily(stream(project)).await?;
        counts.insert(project, days.iter().map(|day| day.errors).sum::<u64>());
    }
    let lines = counts
        .iter()
        .map(|(project, count)| format!("{project} {count}\n"));
    Ok(lines.collect())
}

//! Log lines as they come.

use std::time::Duration;

use futures_util::SinkExt;
use reqwest::Url;
use serde_json::json;
use tokio::time::timeout;

use super::socket::{Frame, Socket, receive};
use super::transport::{Download, json as json_body};
use super::{Client, Result};
use crate::analysis::{AnalyzeLogs, LogAnalysisView};
use crate::log::{END, ERROR_PREFIX, LogLevel, LogPage, LogSource, LogStats};
use crate::{DeploymentId, Slug, Timestamp};

/// How long the answer to a closing frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an analysis may take: the server may ask a language model.
const ANALYZE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a stream writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `TIMESTAMP TEXT`.
    Text,
    /// A [`crate::log::LogLineView`] as JSON.
    Json,
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What lines have to be. What is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Words, phrases and fields, see `GET P/logs`.
    pub search: Option<String>,
    /// The least level.
    pub level: Option<LogLevel>,
    /// Where they came from.
    pub source: Option<LogSource>,
    /// The replica that wrote them.
    pub pod: Option<String>,
}

impl LogFilter {
    fn add_to(&self, url: &mut Url) {
        let name = |value: Option<serde_json::Value>| Some(value?.as_str()?.to_owned());
        let parameters = [
            ("search", self.search.clone()),
            ("level", name(self.level.map(|level| json!(level)))),
            ("source", name(self.source.map(|source| json!(source)))),
            ("pod", self.pod.clone()),
        ];
        add(url, parameters);
    }
}

fn add<const N: usize>(url: &mut Url, parameters: [(&str, Option<String>); N]) {
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
}

/// Which lines of a project's log are wanted, and in which order.
#[derive(Debug, Clone, Default)]
pub struct FindLogs {
    /// The most lines of a page, 5000 at most; the server's default when absent.
    pub limit: Option<u32>,
    /// Whether the oldest line comes first; otherwise the newest does.
    pub forward: bool,
    /// The earliest time.
    pub start: Option<Timestamp>,
    /// The time before which lines have to be.
    pub end: Option<Timestamp>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// What they have to be.
    pub filter: LogFilter,
}

impl FindLogs {
    fn add_to(&self, url: &mut Url) {
        let parameters = [
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("direction", self.forward.then(|| "forward".to_owned())),
            ("start", self.start.map(|start| start.to_string())),
            ("end", self.end.map(|end| end.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        add(url, parameters);
        self.filter.add_to(url);
    }
}

/// Which lines a stream carries.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// How many of the lines that there are come first, 5000 at most; the server's default when
    /// absent. Without meaning where `since` is given, and for a build, which is always whole.
    pub tail: Option<u32>,
    /// Leaves out lines from before this time. Without meaning for a build.
    pub since: Option<Timestamp>,
    /// Whether lines follow as they are written; otherwise the stream ends after those there are.
    pub follow: bool,
    /// How a line is written.
    pub format: LogFormat,
}

impl LogQuery {
    fn add_to(self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        if let Some(tail) = self.tail {
            query.append_pair("tail", &tail.to_string());
        }
        if let Some(since) = self.since {
            query.append_pair("since", &since.to_string());
        }
        query.append_pair("follow", if self.follow { "true" } else { "false" });
        query.append_pair("format", self.format.name());
    }
}

impl Client {
    /// `WS P/live-logs`: what the project's replicas write.
    pub async fn stream_live_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: LogQuery,
        filter: &LogFilter,
    ) -> Result<LogStream> {
        let url = self.project_url(workspace, project, &["live-logs"]);
        self.open_live_log(url, query, filter).await
    }

    /// `GET P/logs`: a page of the lines that are there.
    pub async fn find_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: &FindLogs,
    ) -> Result<LogPage> {
        let url = self.project_url(workspace, project, &["logs"]);
        self.find_lines(url, query).await
    }

    /// `GET P/logs/download`: all of them as a gzipped file, of which `limit` and order do not count.
    pub async fn download_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: &FindLogs,
        format: LogFormat,
    ) -> Result<Download> {
        let url = self.project_url(workspace, project, &["logs", "download"]);
        self.download_lines(url, query, format).await
    }

    /// `GET P/logs/stats`: how many lines there are.
    pub async fn get_log_stats(&self, workspace: &Slug, project: &Slug) -> Result<LogStats> {
        let url = self.project_url(workspace, project, &["logs", "stats"]);
        self.transport.get(url).await
    }

    /// `POST P/logs/analyze`: why a deployment failed, or what is wrong by what was written.
    pub async fn analyze_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &AnalyzeLogs,
    ) -> Result<LogAnalysisView> {
        let url = self.project_url(workspace, project, &["logs", "analyze"]);
        let body = json_body(body);
        self.transport.post_within(ANALYZE_TIMEOUT, url, body).await
    }

    /// `WS P/deployments/:id/build-logs`: what is said about a deployment, from its first line.
    pub async fn stream_build_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
        query: LogQuery,
    ) -> Result<LogStream> {
        let url = self.deployment_url(workspace, project, id, &["build-logs"]);
        self.open_log(url, query).await
    }

    /// A page of the lines of whatever has its log at `url`.
    pub(super) async fn find_lines(&self, mut url: Url, query: &FindLogs) -> Result<LogPage> {
        query.add_to(&mut url);
        self.transport.get(url).await
    }

    /// All of them as a file.
    pub(super) async fn download_lines(
        &self,
        mut url: Url,
        query: &FindLogs,
        format: LogFormat,
    ) -> Result<Download> {
        query.add_to(&mut url);
        url.query_pairs_mut().append_pair("format", format.name());
        self.transport.download(url).await
    }

    /// The lines as they come.
    pub(super) async fn open_live_log(
        &self,
        mut url: Url,
        query: LogQuery,
        filter: &LogFilter,
    ) -> Result<LogStream> {
        filter.add_to(&mut url);
        self.open_log(url, query).await
    }

    async fn open_log(&self, mut url: Url, query: LogQuery) -> Result<LogStream> {
        query.add_to(&mut url);
        Ok(LogStream {
            socket: self.transport.open_socket(url).await?,
            server: self.server_url().to_string(),
            is_over: false,
        })
    }
}

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
    socket: Socket,
    server: String,
    is_over: bool,
}

impl LogStream {
    /// The next event; `None` after [`LogEvent::End`], after an error, and when the server closed
    /// the stream. A stream that closes without an end before it is not complete.
    ///
    /// Cancel safe: an event that was not answered is answered by the next call.
    pub async fn next(&mut self) -> Option<Result<LogEvent>> {
        while !self.is_over {
            match receive(&mut self.socket, &self.server).await {
                Some(Ok(Frame::Text(frame))) => {
                    let event = LogEvent::parse(frame.as_str());
                    self.is_over = event == LogEvent::End;
                    return Some(Ok(event));
                }
                // No binary frame carries a line.
                Some(Ok(Frame::Binary(_))) => {}
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => self.is_over = true,
            }
        }
        // Sends the answer to a closing frame; whether it arrives makes no difference.
        timeout(CLOSE_TIMEOUT, self.socket.flush()).await.ok();
        None
    }
}

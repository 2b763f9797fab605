//! The lines of a deployment's log, across as many connections as it takes.

use tose_api::DeploymentId;
use tose_api::client::{Client, LogEvent, LogFormat, LogQuery, LogStream};

use crate::context::Target;
use crate::replay::{Replay, split_frame};

/// What is shown, as it is written.
const QUERY: LogQuery = LogQuery {
    tail: None,
    since: None,
    follow: true,
    format: LogFormat::Text,
};

/// A deployment's log while it is followed.
#[derive(Debug, Default)]
pub(super) struct BuildLog {
    stream: Option<LogStream>,
    replay: Replay,
    is_complete: bool,
}

impl BuildLog {
    /// Whether the log's end was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether there is a connection that lines may come from.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Connects if there is no connection and lines are missing. Failing to is no failure of the
    /// deployment: a later call tries again.
    pub(super) async fn ensure_open(&mut self, client: &Client, target: &Target, id: DeploymentId) {
        if self.is_complete || self.is_open() {
            return;
        }
        let (workspace, project) = (&target.workspace, &target.project);
        self.stream = client
            .stream_build_logs(workspace, project, id, QUERY)
            .await
            .ok();
        self.replay.restart();
    }

    /// The next line that was not shown; `None` when there is no connection, or no more.
    ///
    /// Cancel safe: a line that was not answered is answered by the next call.
    pub(super) async fn next_line(&mut self) -> Option<String> {
        loop {
            match self.stream.as_mut()?.next().await {
                Some(Ok(LogEvent::Line(frame))) => {
                    let (time, text) = split_frame(&frame);
                    if self.replay.is_new(time) {
                        return Some(text.to_owned());
                    }
                }
                // Why a deployment failed is told by its record, where the command ends.
                Some(Ok(LogEvent::Error(_))) => {}
                Some(Ok(LogEvent::End)) => {
                    self.is_complete = true;
                    self.stream = None;
                }
                Some(Err(_)) | None => self.stream = None,
            }
        }
    }
}

//! The lines of a build, across as many connections as it takes.

use tose_api::client::{Client, LogEvent, LogStream};
use tose_api::deployment::{DeploymentView, Trigger};

use crate::context::Target;
use crate::replay::{Replay, split_frame};

/// A build's log while it is followed.
#[derive(Debug)]
pub(super) struct BuildLog {
    stream: Option<LogStream>,
    replay: Replay,
    /// The last error frame: a server repeats it on each connection.
    last_error: Option<String>,
    is_complete: bool,
}

impl BuildLog {
    pub(super) fn new(deployment: &DeploymentView) -> Self {
        // What is deployed again is not built.
        let is_complete = deployment.trigger == Trigger::Redeploy;
        Self {
            stream: None,
            replay: Replay::default(),
            last_error: None,
            is_complete,
        }
    }

    /// Connects if there is no connection and lines are missing. Failing to is no failure of the
    /// deployment: a later call tries again.
    pub(super) async fn ensure_open(
        &mut self,
        client: &Client,
        target: &Target,
        deployment: &DeploymentView,
    ) {
        if self.is_complete || self.stream.is_some() {
            return;
        }
        let (workspace, project) = (&target.workspace, &target.project);
        self.stream = client
            .stream_build_logs(workspace, project, deployment.id)
            .await
            .ok();
        self.replay.restart();
    }

    /// The next line that was not shown; `None` when there is no connection.
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
                Some(Ok(LogEvent::Error(reason))) => {
                    if self.last_error.as_ref() != Some(&reason) {
                        self.last_error = Some(reason.clone());
                        return Some(reason);
                    }
                }
                Some(Ok(LogEvent::End)) => {
                    self.is_complete = true;
                    self.stream = None;
                }
                Some(Err(_)) | None => self.stream = None,
            }
        }
    }
}

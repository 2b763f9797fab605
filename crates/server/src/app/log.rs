//! Which log a caller may read.

use tose_api::envelope::Paging;
use tose_api::log::{LogDay, LogLineView, LogPage, LogStats};
use tose_api::{DeploymentId, ProjectId, WorkspaceId};
use tose_logs::{
    Direction, FarError, FollowFrom, Follower, LogStore, Page, Query, Record, StreamId,
};
use tose_model::access::Access;
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};

use crate::app::Platform;

/// The code of an error that says which lines cannot be read.
const TIER_UNAVAILABLE: &str = "log_tier_unavailable";

impl Platform {
    /// The project's own output: the last lines that the query finds, as many as its limit, and what comes. With
    /// it, why there are fewer of the last ones than there should be.
    pub(crate) async fn follow_project_log(
        &self,
        access: &Access,
        slug: &str,
        query: &Query,
    ) -> Result<(Follower, Option<Error>)> {
        let project = self.find_project(access, slug).await?;
        let stream = StreamId::Project(project.id);
        let (from, problem) = match query.start {
            Some(start) => (FollowFrom::Since(start), None),
            None if query.is_everything() => (FollowFrom::Tail(query.limit), None),
            None => self.nth_last(access.scope().id(), stream, query).await?,
        };
        Ok((self.logs.follow(stream, from), problem))
    }

    /// Where the last lines begin that the query finds, as many as its limit. Who waits for new lines is not
    /// refused for old ones that cannot be read.
    async fn nth_last(
        &self,
        workspace_id: WorkspaceId,
        stream: StreamId,
        query: &Query,
    ) -> Result<(FollowFrom, Option<Error>)> {
        let (mut first, mut problem) = (None, None);
        let mut query = Query {
            direction: Direction::Backward,
            ..query.clone()
        };
        // Whatever is said from now on comes after this line.
        let newest = self.logs.tail(stream, 1).await.map_err(log_error)?;
        let newest = newest.last().map_or(0, |record| record.seq);
        while query.limit > 0 {
            let page = match self.find_lines(workspace_id, stream, query.clone()).await {
                Err(error) if error.code() == TIER_UNAVAILABLE => {
                    problem = Some(error);
                    break;
                }
                other => other?,
            };
            query.limit -= page.records.len().min(query.limit);
            first = page.records.last().map(|record| record.seq).or(first);
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        let from = FollowFrom::After(first.map_or(newest, |first| first - 1));
        Ok((from, problem))
    }

    /// A page of the lines that the query finds in the project's log.
    pub(crate) async fn find_log(
        &self,
        access: &Access,
        slug: &str,
        query: Query,
    ) -> Result<LogPage> {
        let project = self.find_project(access, slug).await?;
        let stream = StreamId::Project(project.id);
        let page = self.find_lines(access.scope().id(), stream, query).await?;
        Ok(LogPage {
            lines: page.records.iter().map(line_view).collect(),
            cursor: page.cursor.map(|seq| seq.to_string()),
        })
    }

    /// A page of lines, looked for in the turn of the workspace.
    pub(crate) async fn find_lines(
        &self,
        workspace_id: WorkspaceId,
        stream: StreamId,
        query: Query,
    ) -> Result<Page> {
        let turn = || self.limits.log_search(workspace_id);
        let page = self.logs.find_in_turns(stream, query, turn).await;
        page.map_err(log_error)
    }

    /// The project's log and the store that has it, for one who reads all that a query finds.
    pub(crate) async fn open_log(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<(LogStore, StreamId)> {
        let project = self.find_project(access, slug).await?;
        Ok((self.logs.clone(), StreamId::Project(project.id)))
    }

    /// What the project's log holds.
    pub(crate) async fn log_stats(&self, access: &Access, slug: &str) -> Result<LogStats> {
        let (logs, stream) = self.open_log(access, slug).await?;
        let stats = logs.stats(stream).await.map_err(log_error)?;
        let days = logs.daily(stream).await.map_err(log_error)?;
        Ok(LogStats {
            lines: stats.lines,
            bytes: days.iter().map(|day| day.bytes).sum(),
            stored_bytes: stats.bytes,
            oldest: stats.oldest,
            newest: stats.newest,
            days: days
                .into_iter()
                .map(|day| LogDay {
                    start: day.start,
                    lines: day.lines,
                    bytes: day.bytes,
                    errors: day.errors,
                })
                .collect(),
        })
    }

    /// A deployment's log from its first line; the newest deployment's when none is named.
    pub(crate) async fn follow_build_log(
        &self,
        access: &Access,
        slug: &str,
        deployment: Option<&str>,
    ) -> Result<(DeploymentId, Follower)> {
        let deployment = match deployment {
            Some(id) => self.find_deployment(access, slug, id).await?.1,
            None => self.newest_deployment(access, slug).await?,
        };
        if !deployment.status.is_in_progress() {
            // It may have ended in the moment in which the server was killed: then nobody wrote the
            // end of its log.
            self.finish_build_log(deployment.id).await;
        }
        let follower = self
            .logs
            .follow(StreamId::Build(deployment.id), FollowFrom::Start);
        Ok((deployment.id, follower))
    }

    /// Why a deployment failed, if it did.
    pub(crate) async fn deployment_error(
        &self,
        access: &Access,
        slug: &str,
        id: DeploymentId,
    ) -> Result<Option<String>> {
        let project = self.find_project(access, slug).await?;
        Ok(self
            .store
            .get_deployment(access.scope(), project.id, id)
            .await?
            .error)
    }

    async fn newest_deployment(&self, access: &Access, slug: &str) -> Result<Deployment> {
        let project = self.find_project(access, slug).await?;
        self.find_newest_deployment(access, project.id)
            .await?
            .ok_or(Error::NotFound("deployment"))
    }

    pub(super) async fn find_newest_deployment(
        &self,
        access: &Access,
        project_id: ProjectId,
    ) -> Result<Option<Deployment>> {
        let paging = Paging::new(None, Some(1)).map_err(Error::NotFound)?;
        let (deployments, _) = self
            .store
            .list_deployments(access.scope(), project_id, paging)
            .await?;
        Ok(deployments.into_iter().next())
    }
}

/// How a line is shown as JSON.
pub(crate) fn line_view(record: &Record) -> LogLineView {
    let line = &record.line;
    LogLineView {
        timestamp: line.time,
        pod: line.pod.to_string(),
        stream: line.source,
        level: record.level,
        message: String::from_utf8_lossy(&line.text).into_owned(),
    }
}

pub(crate) fn log_error(error: tose_logs::Error) -> Error {
    let tose_logs::Error::Far {
        oldest,
        newest,
        source,
        ..
    } = &error
    else {
        return Error::internal("the log store failed", error);
    };
    let lines = match oldest.zip(*newest) {
        Some((oldest, newest)) => format!("the log lines from {oldest} to {newest}"),
        None => "some log lines".to_owned(),
    };
    let why = match source {
        FarError::Unavailable(_) => {
            "they are in a bucket that does not answer; try again in a moment, or ask for other times"
        }
        FarError::Damaged(_) => "what a bucket has of them is damaged; ask the operator",
        FarError::NotConfigured => {
            "they are in a bucket, and the server has none any more; ask the operator"
        }
    };
    Error::Unavailable {
        code: TIER_UNAVAILABLE,
        message: format!("{lines} cannot be read: {why}"),
        source: Some(Box::new(error)),
    }
}

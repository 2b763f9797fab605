//! Which log a caller may read.

use tose_api::DeploymentId;
use tose_api::envelope::Paging;
use tose_api::log::LogLineView;
use tose_logs::{FollowFrom, Follower, StreamId};
use tose_model::access::Access;
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;

use crate::app::Platform;

impl Platform {
    /// The project's own output.
    pub(crate) async fn follow_project_log(
        &self,
        access: &Access,
        slug: &str,
        from: FollowFrom,
    ) -> Result<Follower> {
        let project = self.find_project(access, slug).await?;
        Ok(self.logs.follow(StreamId::Project(project.id), from))
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
        let paging = Paging::new(None, Some(1)).map_err(Error::NotFound)?;
        let (deployments, _) = self
            .store
            .list_deployments(access.scope(), project.id, paging)
            .await?;
        deployments
            .into_iter()
            .next()
            .ok_or(Error::NotFound("deployment"))
    }
}

/// How a line is shown as JSON.
pub(crate) fn line_view(line: &LogLine) -> LogLineView {
    LogLineView {
        timestamp: line.time,
        pod: line.pod.to_string(),
        stream: line.source,
        message: String::from_utf8_lossy(&line.text).into_owned(),
    }
}

//! A project's deployments.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::deployment::{CreateDeployment, DeploymentLogView, DeploymentView};
use crate::{DeploymentId, Slug};

impl Client {
    /// `POST P/deployments`: builds and deploys.
    pub async fn create_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &CreateDeployment,
    ) -> Result<DeploymentView> {
        let url = self.project_url(workspace, project, &["deployments"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `POST P/deployments/upload`: builds and deploys the source tree that `archive`, a gzipped
    /// tar archive, holds.
    pub async fn upload(
        &self,
        workspace: &Slug,
        project: &Slug,
        archive: Vec<u8>,
    ) -> Result<DeploymentView> {
        let url = self.project_url(workspace, project, &["deployments", "upload"]);
        self.transport.upload(url, archive).await
    }

    /// `POST P/deployments/redeploy`: the current image again, with the variables as they are.
    pub async fn redeploy(&self, workspace: &Slug, project: &Slug) -> Result<DeploymentView> {
        let url = self.project_url(workspace, project, &["deployments", "redeploy"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/deployments`.
    pub async fn list_deployments(
        &self,
        workspace: &Slug,
        project: &Slug,
        paging: Paging,
    ) -> Result<Page<DeploymentView>> {
        let url = self.project_url(workspace, project, &["deployments"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET P/deployments/:id`.
    pub async fn get_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        self.transport
            .get(self.deployment_url(workspace, project, id, &[]))
            .await
    }

    /// `POST P/deployments/:id/stop`.
    pub async fn stop_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        let url = self.deployment_url(workspace, project, id, &["stop"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/deployments/:id/rollback`: this one's image, settings and variables again.
    pub async fn rollback(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        let url = self.deployment_url(workspace, project, id, &["rollback"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/deployments/:id/logs`: a part of what was said about a deployment. `after` is the
    /// `next` of the part before, `limit` how many lines come at most.
    pub async fn get_deployment_log(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<DeploymentLogView> {
        let mut url = self.deployment_url(workspace, project, id, &["logs"]);
        if let Some(after) = after {
            url.query_pairs_mut()
                .append_pair("after", &after.to_string());
        }
        if let Some(limit) = limit {
            url.query_pairs_mut()
                .append_pair("limit", &limit.to_string());
        }
        self.transport.get(url).await
    }

    /// The address of a deployment and what follows it.
    pub(super) fn deployment_url(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
        rest: &[&str],
    ) -> Url {
        let id = id.to_string();
        let path = [&["deployments", id.as_str()][..], rest].concat();
        self.project_url(workspace, project, &path)
    }
}

//! A project's jobs.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::deployment::DeploymentLogView;
use crate::job::{CreateJob, JobView};
use crate::{JobId, Slug};

impl Client {
    /// `POST P/jobs`: runs a command once, in a container of its own.
    pub async fn create_job(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &CreateJob,
    ) -> Result<JobView> {
        let url = self.project_url(workspace, project, &["jobs"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET P/jobs`: newest first.
    pub async fn list_jobs(
        &self,
        workspace: &Slug,
        project: &Slug,
        paging: Paging,
    ) -> Result<Page<JobView>> {
        let url = self.project_url(workspace, project, &["jobs"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET P/jobs/:id`.
    pub async fn get_job(&self, workspace: &Slug, project: &Slug, id: JobId) -> Result<JobView> {
        self.transport
            .get(self.job_url(workspace, project, id, &[]))
            .await
    }

    /// `POST P/jobs/:id/stop`.
    pub async fn stop_job(&self, workspace: &Slug, project: &Slug, id: JobId) -> Result<JobView> {
        let url = self.job_url(workspace, project, id, &["stop"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/jobs/:id/logs`: lines after the one with the number `after`.
    pub async fn get_job_log(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: JobId,
        after: Option<u64>,
    ) -> Result<DeploymentLogView> {
        let mut url = self.job_url(workspace, project, id, &["logs"]);
        if let Some(after) = after {
            url.query_pairs_mut()
                .append_pair("after", &after.to_string());
        }
        self.transport.get(url).await
    }

    fn job_url(&self, workspace: &Slug, project: &Slug, id: JobId, rest: &[&str]) -> Url {
        let id = id.to_string();
        let path: Vec<&str> = ["jobs", &id]
            .into_iter()
            .chain(rest.iter().copied())
            .collect();
        self.project_url(workspace, project, &path)
    }
}

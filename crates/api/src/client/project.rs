//! Projects: what they are, what they do, and what they used.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::metrics::MetricsView;
use crate::project::{CreateProject, ProjectView, ScaleProject, StatusView, UpdateProject};
use crate::workspace::Deleted;
use crate::{Slug, Timestamp};

/// Which measurements are wanted; the server's defaults where nothing is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsQuery {
    /// From when on.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Option<Timestamp>,
    /// How many seconds a point stands for.
    pub step: Option<u32>,
}

impl MetricsQuery {
    pub(super) fn add_to(self, url: &mut Url) {
        let parameters = [
            ("start", self.start.map(|start| start.to_string())),
            ("end", self.end.map(|end| end.to_string())),
            ("step", self.step.map(|step| step.to_string())),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
    }
}

impl Client {
    /// `POST W/projects`.
    pub async fn create_project(
        &self,
        workspace: &Slug,
        body: &CreateProject,
    ) -> Result<ProjectView> {
        let url = self.workspace_url(workspace, &["projects"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/projects`.
    pub async fn list_projects(
        &self,
        workspace: &Slug,
        paging: Paging,
    ) -> Result<Page<ProjectView>> {
        let url = self.workspace_url(workspace, &["projects"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET P`.
    pub async fn get_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        self.transport
            .get(self.project_url(workspace, project, &[]))
            .await
    }

    /// `PUT P`.
    pub async fn update_project(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &UpdateProject,
    ) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &[]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P`, with all that is in it.
    pub async fn delete_project(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `GET P/status`.
    pub async fn get_status(&self, workspace: &Slug, project: &Slug) -> Result<StatusView> {
        self.transport
            .get(self.project_url(workspace, project, &["status"]))
            .await
    }

    /// `POST P/start`.
    pub async fn start_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["start"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/stop`.
    pub async fn stop_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["stop"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/restart`.
    pub async fn restart_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["restart"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/scale`: what is not sent keeps its value.
    pub async fn scale_project(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &ScaleProject,
    ) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["scale"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET P/metrics`: what it used and served over time.
    pub async fn get_metrics(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: MetricsQuery,
    ) -> Result<MetricsView> {
        let mut url = self.project_url(workspace, project, &["metrics"]);
        query.add_to(&mut url);
        self.transport.get(url).await
    }
}

//! Workspaces, and what was done in them.

use reqwest::Method;

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::Slug;
use crate::event::EventView;
use crate::workspace::{CreateWorkspace, Deleted, UpdateWorkspace, WorkspaceView};

impl Client {
    /// `POST /api/workspaces`.
    pub async fn create_workspace(&self, body: &CreateWorkspace) -> Result<WorkspaceView> {
        let url = self.transport.url(&["workspaces"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET /api/workspaces`.
    pub async fn list_workspaces(&self) -> Result<Vec<WorkspaceView>> {
        self.transport
            .get(self.transport.url(&["workspaces"]))
            .await
    }

    /// `GET W`.
    pub async fn get_workspace(&self, workspace: &Slug) -> Result<WorkspaceView> {
        self.transport.get(self.workspace_url(workspace, &[])).await
    }

    /// `PUT W`.
    pub async fn update_workspace(
        &self,
        workspace: &Slug,
        body: &UpdateWorkspace,
    ) -> Result<WorkspaceView> {
        let url = self.workspace_url(workspace, &[]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE W`, with all that is in it.
    pub async fn delete_workspace(&self, workspace: &Slug) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `GET W/events`: who did what to what, when, from where.
    pub async fn list_events(&self, workspace: &Slug, paging: Paging) -> Result<Page<EventView>> {
        let url = self.workspace_url(workspace, &["events"]);
        self.transport.get_page(url, paging).await
    }
}

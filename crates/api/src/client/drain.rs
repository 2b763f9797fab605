//! A project's log drains.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::drain::{DrainTest, DrainView, SetDrain};
use crate::workspace::Deleted;
use crate::{DrainId, Slug};

impl Client {
    /// `GET P/drains`: by their names.
    pub async fn list_drains(&self, workspace: &Slug, project: &Slug) -> Result<Vec<DrainView>> {
        self.transport
            .get(self.project_url(workspace, project, &["drains"]))
            .await
    }

    /// `POST P/drains`: lines are forwarded from now on.
    pub async fn create_drain(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetDrain,
    ) -> Result<DrainView> {
        let url = self.project_url(workspace, project, &["drains"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `PUT P/drains/:id`: in place of what was set.
    pub async fn update_drain(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DrainId,
        body: &SetDrain,
    ) -> Result<DrainView> {
        let url = self.project_url(workspace, project, &["drains", &id.to_string()]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/drains/:id`.
    pub async fn delete_drain(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DrainId,
    ) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["drains", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `POST P/drains/:id/test`: sends one line now.
    pub async fn test_drain(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DrainId,
    ) -> Result<DrainTest> {
        let url = self.project_url(workspace, project, &["drains", &id.to_string(), "test"]);
        self.transport.send(Method::POST, url, None).await
    }
}

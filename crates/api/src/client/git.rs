//! A project's repository.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::git::{ConnectGit, GitConnectionView};
use crate::workspace::Deleted;

impl Client {
    /// `POST P/git`.
    pub async fn connect_git(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &ConnectGit,
    ) -> Result<GitConnectionView> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET P/git`.
    pub async fn get_git(&self, workspace: &Slug, project: &Slug) -> Result<GitConnectionView> {
        self.transport
            .get(self.project_url(workspace, project, &["git"]))
            .await
    }

    /// `PUT P/git`: what is not sent keeps its value.
    pub async fn update_git(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &ConnectGit,
    ) -> Result<GitConnectionView> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/git`.
    pub async fn disconnect_git(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

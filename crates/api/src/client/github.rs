//! Installations of the server's GitHub App.

use reqwest::Method;

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::Slug;
use crate::github::{
    ConnectGithub, GithubConnectView, GithubInstallationView, GithubRepositoryView,
};
use crate::workspace::Deleted;

impl Client {
    /// `POST W/github/installations`.
    pub async fn connect_github(
        &self,
        workspace: &Slug,
        body: &ConnectGithub,
    ) -> Result<GithubConnectView> {
        let url = self.workspace_url(workspace, &["github", "installations"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/github/installations`.
    pub async fn list_github_installations(
        &self,
        workspace: &Slug,
    ) -> Result<Vec<GithubInstallationView>> {
        self.transport
            .get(self.workspace_url(workspace, &["github", "installations"]))
            .await
    }

    /// `DELETE W/github/installations/:id`.
    pub async fn delete_github_installation(&self, workspace: &Slug, id: u64) -> Result<Deleted> {
        let id = id.to_string();
        let url = self.workspace_url(workspace, &["github", "installations", &id]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `GET W/github/installations/:id/repositories`: one page, by name.
    pub async fn list_github_repositories(
        &self,
        workspace: &Slug,
        id: u64,
        paging: Paging,
    ) -> Result<Page<GithubRepositoryView>> {
        let id = id.to_string();
        let segments = ["github", "installations", &id, "repositories"];
        let url = self.workspace_url(workspace, &segments);
        self.transport.get_page(url, paging).await
    }
}

//! A project's repository.

use reqwest::Method;

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::Slug;
use crate::git::{ConnectGit, GitConnectionView, GitWebhookView, PushDeliveryView};
use crate::project::ProjectView;
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

    /// `GET P/previews`.
    pub async fn list_previews(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<Vec<ProjectView>> {
        self.transport
            .get(self.project_url(workspace, project, &["previews"]))
            .await
    }

    /// `GET P/git/webhook`.
    pub async fn get_git_webhook(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<GitWebhookView> {
        let url = self.project_url(workspace, project, &["git", "webhook"]);
        self.transport.get(url).await
    }

    /// `POST P/git/webhook`: another secret.
    pub async fn renew_git_webhook(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<GitWebhookView> {
        let url = self.project_url(workspace, project, &["git", "webhook"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/git/deploy-key`: a key that the server makes.
    pub async fn create_deploy_key(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<GitConnectionView> {
        let url = self.project_url(workspace, project, &["git", "deploy-key"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/git/deliveries`: one page of the push events, newest first.
    pub async fn list_push_deliveries(
        &self,
        workspace: &Slug,
        project: &Slug,
        paging: Paging,
    ) -> Result<Page<PushDeliveryView>> {
        let url = self.project_url(workspace, project, &["git", "deliveries"]);
        self.transport.get_page(url, paging).await
    }

    /// Where `git push` deploys the project.
    pub fn push_url(&self, workspace: &Slug, project: &Slug) -> String {
        // Slugs need no escaping.
        format!("{}/git/{workspace}/{project}.git", self.server_url())
    }
}

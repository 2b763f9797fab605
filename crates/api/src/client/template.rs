//! Templates and instances of them.
//!
//! Not here: what an instance has in common with every project. Its slug goes where a project's does.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::Slug;
use crate::deployment::DeploymentView;
use crate::env_var::{EnvVarsChanged, SetEnvVar};
use crate::project::ProjectView;
use crate::template::{CreateInstance, DeployInstance, TemplateView};
use crate::workspace::Deleted;

impl Client {
    /// `GET /api/templates`: the whole catalogue.
    pub async fn list_templates(&self) -> Result<Vec<TemplateView>> {
        self.transport.get(self.transport.url(&["templates"])).await
    }

    /// `GET W/templates`: the workspace's instances.
    pub async fn list_instances(
        &self,
        workspace: &Slug,
        paging: Paging,
    ) -> Result<Page<ProjectView>> {
        let url = self.workspace_url(workspace, &["templates"]);
        self.transport.get_page(url, paging).await
    }

    /// `POST W/templates`: makes an instance with all that it needs, and does not deploy it.
    pub async fn create_instance(
        &self,
        workspace: &Slug,
        body: &CreateInstance,
    ) -> Result<ProjectView> {
        let url = self.workspace_url(workspace, &["templates"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET T`.
    pub async fn get_instance(&self, workspace: &Slug, instance: &Slug) -> Result<ProjectView> {
        self.transport
            .get(self.instance_url(workspace, instance, &[]))
            .await
    }

    /// `DELETE T`, with its folders; its databases stay.
    pub async fn delete_instance(&self, workspace: &Slug, instance: &Slug) -> Result<Deleted> {
        let url = self.instance_url(workspace, instance, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `PUT T/env`: all of them, or none; others stay.
    pub async fn set_instance_env_vars(
        &self,
        workspace: &Slug,
        instance: &Slug,
        variables: &[SetEnvVar],
    ) -> Result<EnvVarsChanged> {
        let url = self.instance_url(workspace, instance, &["env"]);
        self.transport
            .send(Method::PUT, url, json(&variables))
            .await
    }

    /// `POST T/deployments`.
    pub async fn deploy_instance(
        &self,
        workspace: &Slug,
        instance: &Slug,
        body: &DeployInstance,
    ) -> Result<DeploymentView> {
        let url = self.instance_url(workspace, instance, &["deployments"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// The address of an instance, `T` in the methods' documentation, and what follows it.
    fn instance_url(&self, workspace: &Slug, instance: &Slug, rest: &[&str]) -> Url {
        let path = [&["templates", instance.as_str()][..], rest].concat();
        self.workspace_url(workspace, &path)
    }
}

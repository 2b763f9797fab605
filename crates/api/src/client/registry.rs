//! What a project pulls its image with.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::registry::{RegistryView, SetRegistry};
use crate::workspace::Deleted;

impl Client {
    /// `GET P/registry`.
    pub async fn get_registry(&self, workspace: &Slug, project: &Slug) -> Result<RegistryView> {
        self.transport
            .get(self.project_url(workspace, project, &["registry"]))
            .await
    }

    /// `PUT P/registry`: in place of what was set.
    pub async fn set_registry(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetRegistry,
    ) -> Result<RegistryView> {
        let url = self.project_url(workspace, project, &["registry"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/registry`.
    pub async fn delete_registry(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["registry"]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

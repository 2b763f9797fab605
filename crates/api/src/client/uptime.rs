//! Whether a project answers.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::uptime::{SetUptime, UptimeView};

impl Client {
    /// `GET P/uptime`.
    pub async fn get_uptime(&self, workspace: &Slug, project: &Slug) -> Result<UptimeView> {
        self.transport
            .get(self.project_url(workspace, project, &["uptime"]))
            .await
    }

    /// `PUT P/uptime`: what is not sent keeps its value.
    pub async fn set_uptime(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetUptime,
    ) -> Result<UptimeView> {
        let url = self.project_url(workspace, project, &["uptime"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }
}

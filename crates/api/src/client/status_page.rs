//! What a workspace shows everybody.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::status_page::{SetStatusPage, StatusPageView};

impl Client {
    /// `GET W/status-page`.
    pub async fn get_status_page(&self, workspace: &Slug) -> Result<StatusPageView> {
        let url = self.workspace_url(workspace, &["status-page"]);
        self.transport.get(url).await
    }

    /// `PUT W/status-page`: what is left out stays.
    pub async fn set_status_page(
        &self,
        workspace: &Slug,
        body: &SetStatusPage,
    ) -> Result<StatusPageView> {
        let url = self.workspace_url(workspace, &["status-page"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }
}

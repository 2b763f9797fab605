//! Rules about what projects use and serve.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::alert::{AlertView, CreateAlert, UpdateAlert};
use crate::workspace::Deleted;
use crate::{AlertId, Slug};

impl Client {
    /// `GET W/alerts`: by their names.
    pub async fn list_alerts(&self, workspace: &Slug) -> Result<Vec<AlertView>> {
        let url = self.workspace_url(workspace, &["alerts"]);
        self.transport.get(url).await
    }

    /// `POST W/alerts`.
    pub async fn create_alert(&self, workspace: &Slug, body: &CreateAlert) -> Result<AlertView> {
        let url = self.workspace_url(workspace, &["alerts"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/alerts/:id`.
    pub async fn get_alert(&self, workspace: &Slug, id: AlertId) -> Result<AlertView> {
        let url = self.workspace_url(workspace, &["alerts", &id.to_string()]);
        self.transport.get(url).await
    }

    /// `PUT W/alerts/:id`: what is left out stays.
    pub async fn update_alert(
        &self,
        workspace: &Slug,
        id: AlertId,
        body: &UpdateAlert,
    ) -> Result<AlertView> {
        let url = self.workspace_url(workspace, &["alerts", &id.to_string()]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE W/alerts/:id`.
    pub async fn delete_alert(&self, workspace: &Slug, id: AlertId) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &["alerts", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

//! When a workspace expects failures.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::maintenance::{CreateMaintenance, MaintenanceView};
use crate::workspace::Deleted;
use crate::{MaintenanceId, Slug};

impl Client {
    /// `GET W/maintenance`: the latest first, with those that ended in the last 90 days.
    pub async fn list_maintenances(&self, workspace: &Slug) -> Result<Vec<MaintenanceView>> {
        let url = self.workspace_url(workspace, &["maintenance"]);
        self.transport.get(url).await
    }

    /// `POST W/maintenance`.
    pub async fn create_maintenance(
        &self,
        workspace: &Slug,
        body: &CreateMaintenance,
    ) -> Result<MaintenanceView> {
        let url = self.workspace_url(workspace, &["maintenance"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `DELETE W/maintenance/:id`.
    pub async fn delete_maintenance(&self, workspace: &Slug, id: MaintenanceId) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &["maintenance", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

//! Whom a workspace tells of what happens.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::notification::{
    CreateNotification, NoticeDeliveryView, NotificationTest, NotificationView, UpdateNotification,
};
use crate::workspace::Deleted;
use crate::{NotificationChannelId, Slug};

impl Client {
    /// `GET W/notifications`: by their names.
    pub async fn list_notifications(&self, workspace: &Slug) -> Result<Vec<NotificationView>> {
        let url = self.workspace_url(workspace, &["notifications"]);
        self.transport.get(url).await
    }

    /// `POST W/notifications`.
    pub async fn create_notification(
        &self,
        workspace: &Slug,
        body: &CreateNotification,
    ) -> Result<NotificationView> {
        let url = self.workspace_url(workspace, &["notifications"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/notifications/:id`.
    pub async fn get_notification(
        &self,
        workspace: &Slug,
        id: NotificationChannelId,
    ) -> Result<NotificationView> {
        let url = self.workspace_url(workspace, &["notifications", &id.to_string()]);
        self.transport.get(url).await
    }

    /// `PUT W/notifications/:id`: what is left out stays.
    pub async fn update_notification(
        &self,
        workspace: &Slug,
        id: NotificationChannelId,
        body: &UpdateNotification,
    ) -> Result<NotificationView> {
        let url = self.workspace_url(workspace, &["notifications", &id.to_string()]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE W/notifications/:id`.
    pub async fn delete_notification(
        &self,
        workspace: &Slug,
        id: NotificationChannelId,
    ) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &["notifications", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `POST W/notifications/:id/test`: sends a message now.
    pub async fn test_notification(
        &self,
        workspace: &Slug,
        id: NotificationChannelId,
    ) -> Result<NotificationTest> {
        let url = self.workspace_url(workspace, &["notifications", &id.to_string(), "test"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET W/notifications/:id/deliveries`: the newest 50.
    pub async fn list_notification_deliveries(
        &self,
        workspace: &Slug,
        id: NotificationChannelId,
    ) -> Result<Vec<NoticeDeliveryView>> {
        let path = ["notifications", &id.to_string(), "deliveries"];
        let url = self.workspace_url(workspace, &path);
        self.transport.get(url).await
    }
}

//! Who calls, and what the server is.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::account::{MeView, UpdateMe};
use crate::member::Membership;
use crate::workspace::VersionView;

impl Client {
    /// `GET /api/me`: whom the key stands for.
    pub async fn get_me(&self) -> Result<MeView> {
        self.transport.get(self.transport.url(&["me"])).await
    }

    /// `PUT /api/me`: what is not sent keeps its value.
    pub async fn update_me(&self, body: &UpdateMe) -> Result<MeView> {
        let url = self.transport.url(&["me"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `POST /api/invitations/:token/accept`: makes the key's account a member of the workspace
    /// that invited it.
    pub async fn accept_invitation(&self, token: &str) -> Result<Membership> {
        let url = self.transport.url(&["invitations", token, "accept"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET /api/version`.
    pub async fn get_version(&self) -> Result<VersionView> {
        self.transport.get(self.transport.url(&["version"])).await
    }
}

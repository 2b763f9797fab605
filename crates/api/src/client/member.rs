//! Who belongs to a workspace: members, invitations, API keys.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Result};
use crate::member::{
    AddMember, ApiKeyView, ChangeRole, CreateApiKey, InvitationView, Invite, MemberView,
};
use crate::workspace::Deleted;
use crate::{ApiKeyId, InvitationId, Slug, UserId};

/// Members.
impl Client {
    /// `GET W/members`.
    pub async fn list_members(&self, workspace: &Slug) -> Result<Vec<MemberView>> {
        self.transport
            .get(self.workspace_url(workspace, &["members"]))
            .await
    }

    /// `POST W/members`: makes an account a member.
    pub async fn add_member(&self, workspace: &Slug, body: &AddMember) -> Result<MemberView> {
        let url = self.workspace_url(workspace, &["members"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `PUT W/members/:user_id`: gives a member another role.
    pub async fn change_role(
        &self,
        workspace: &Slug,
        user_id: UserId,
        body: &ChangeRole,
    ) -> Result<MemberView> {
        let url = self.member_url(workspace, user_id);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE W/members/:user_id`: takes a member out, or leaves.
    pub async fn remove_member(&self, workspace: &Slug, user_id: UserId) -> Result<Deleted> {
        let url = self.member_url(workspace, user_id);
        self.transport.send(Method::DELETE, url, None).await
    }

    fn member_url(&self, workspace: &Slug, user_id: UserId) -> Url {
        self.workspace_url(workspace, &["members", &user_id.to_string()])
    }
}

/// Invitations.
impl Client {
    /// `GET W/invitations`: those that were not accepted so far.
    pub async fn list_invitations(&self, workspace: &Slug) -> Result<Vec<InvitationView>> {
        self.transport
            .get(self.workspace_url(workspace, &["invitations"]))
            .await
    }

    /// `POST W/invitations`: invites somebody; the token is in this answer only.
    pub async fn create_invitation(
        &self,
        workspace: &Slug,
        body: &Invite,
    ) -> Result<InvitationView> {
        let url = self.workspace_url(workspace, &["invitations"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `DELETE W/invitations/:id`: takes an invitation back.
    pub async fn delete_invitation(&self, workspace: &Slug, id: InvitationId) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &["invitations", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

/// API keys.
impl Client {
    /// `GET W/api-keys`.
    pub async fn list_api_keys(&self, workspace: &Slug) -> Result<Vec<ApiKeyView>> {
        self.transport
            .get(self.workspace_url(workspace, &["api-keys"]))
            .await
    }

    /// `POST W/api-keys`: makes a key with the caller's role; the key is in this answer only.
    pub async fn create_api_key(
        &self,
        workspace: &Slug,
        body: &CreateApiKey,
    ) -> Result<ApiKeyView> {
        let url = self.workspace_url(workspace, &["api-keys"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `DELETE W/api-keys/:key_id`: ends a key.
    pub async fn delete_api_key(&self, workspace: &Slug, id: ApiKeyId) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &["api-keys", &id.to_string()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

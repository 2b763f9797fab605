//! Invitations into a workspace: single use, for one address, seven days.

use std::time::Duration;

use tose_api::InvitationId;
use tose_api::member::{InvitationView, Invite, Membership};
use tose_api::workspace::Deleted;
use tose_model::access::{Access, Caller, check_grant};
use tose_model::error::{Error, Result};
use tose_model::secret::ExposeSecret;
use tose_store::Invitation;

use crate::app::Platform;
use crate::mail::Mail;
use crate::secrets;

const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

impl Platform {
    /// Invites an address, in place of an invitation that it has. The token is in this answer and,
    /// where mail is set up, in a mail to the address.
    pub(crate) async fn create_invitation(
        &self,
        access: &Access,
        input: Invite,
    ) -> Result<InvitationView> {
        check_grant(access, input.role)?;
        let members = self.store.list_members(access.scope()).await?;
        if members
            .iter()
            .any(|member| member.email == input.email.as_str())
        {
            return Err(Error::conflict(
                "taken",
                "the address belongs to a member already",
            ));
        }
        let token = secrets::fresh_token(self.ids.as_ref());
        let now = self.now();
        let new = Invitation {
            id: InvitationId::from_uuid(self.ids.uuid()),
            email: input.email,
            role: input.role,
            invited_by: access.actor().name.clone(),
            created_at: now,
            expires_at: now.saturating_add(LIFETIME),
        };
        let event = self.event(access, "invitation.create", &new.email);
        let hash = secrets::hash_api_key(token.expose_secret());
        self.store
            .create_invitation(access.scope(), &new, &hash, &event)
            .await?;
        let mailed = self
            .mail_invitation(access, &new, token.expose_secret())
            .await;
        Ok(InvitationView {
            token: Some(token.expose_secret().to_owned()),
            mailed: Some(mailed),
            ..view(new)
        })
    }

    pub(crate) async fn list_invitations(&self, access: &Access) -> Result<Vec<InvitationView>> {
        let found = self
            .store
            .list_invitations(access.scope(), self.now())
            .await?;
        Ok(found.into_iter().map(view).collect())
    }

    pub(crate) async fn delete_invitation(&self, access: &Access, id: &str) -> Result<Deleted> {
        let id: InvitationId = id.parse().map_err(|_| Error::NotFound("invitation"))?;
        let event = self.event(access, "invitation.delete", id);
        self.store
            .delete_invitation(access.scope(), id, &event)
            .await?;
        Ok(Deleted {
            deleted: id.to_string(),
        })
    }

    /// Makes the caller a member, if the invitation is for their address.
    pub(crate) async fn accept_invitation(
        &self,
        caller: &Caller,
        token: &str,
    ) -> Result<Membership> {
        let event = self.event_by(caller.clone().into(), "invitation.accept", &caller.email);
        let hash = secrets::hash_api_key(token);
        let made = self
            .store
            .accept_invitation(&hash, caller.user_id, &caller.email, &event)
            .await?;
        Ok(Membership {
            workspace: made.workspace,
            role: made.role,
        })
    }

    async fn mail_invitation(&self, access: &Access, invitation: &Invitation, token: &str) -> bool {
        if !self.mailer.is_on() {
            return false;
        }
        let text = format!(
            "{by} invites you to the workspace {workspace} at {url}, as {role}.\n\n\
             With an account for {email}, accept by POST {accept}\n\n\
             Without one, make it by POST {register} with this invitation_token first:\n\n{token}\n\n\
             The invitation ends on {ends}.\n",
            by = invitation.invited_by,
            workspace = access.workspace(),
            url = self.config.public_url,
            role = invitation.role.as_str(),
            email = invitation.email,
            accept = self
                .config
                .public_address(&format!("/api/invitations/{token}/accept")),
            register = self.config.public_address("/api/auth/register"),
            ends = invitation.expires_at,
        );
        let mail = Mail {
            to: invitation.email.as_str(),
            subject: "An invitation to TOSE",
            text,
        };
        match self.mailer.send(mail).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an invitation was not mailed"
                );
                false
            }
        }
    }
}

fn view(invitation: Invitation) -> InvitationView {
    InvitationView {
        id: invitation.id,
        email: invitation.email.to_string(),
        role: invitation.role,
        invited_by: invitation.invited_by,
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
        token: None,
        mailed: None,
    }
}

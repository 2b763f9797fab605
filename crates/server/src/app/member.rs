//! Members of a workspace.

use tose_api::UserId;
use tose_api::member::{AddMember, ChangeRole, MemberView};
use tose_api::workspace::{Deleted, Role};
use tose_model::access::{Access, check_grant};
use tose_model::error::{Error, Result};
use tose_store::Member;

use crate::app::Platform;

impl Platform {
    pub(crate) async fn list_members(&self, access: &Access) -> Result<Vec<MemberView>> {
        let members = self.store.list_members(access.scope()).await?;
        Ok(members.into_iter().map(view).collect())
    }

    pub(crate) async fn add_member(&self, access: &Access, input: AddMember) -> Result<MemberView> {
        check_grant(access, input.role)?;
        let event = self.event(access, "member.add", input.user_id);
        self.store
            .add_member(access.scope(), input.user_id, input.role, &event)
            .await?;
        self.get_member(access, input.user_id).await
    }

    pub(crate) async fn change_role(
        &self,
        access: &Access,
        user_id: &str,
        input: ChangeRole,
    ) -> Result<MemberView> {
        check_grant(access, input.role)?;
        let user_id = parse_user(user_id)?;
        let event = self.event(access, "member.role", user_id);
        self.store
            .change_role(access.scope(), user_id, input.role, &event)
            .await?;
        self.get_member(access, user_id).await
    }

    /// Everybody may leave; who takes somebody else out has to be an admin, and of no lower role.
    pub(crate) async fn remove_member(&self, access: &Access, user_id: &str) -> Result<Deleted> {
        let user_id = parse_user(user_id)?;
        let member = self.get_member(access, user_id).await?;
        if access.actor().user_id != Some(user_id) {
            access.require(Role::Admin)?;
            access.require(member.role)?;
        }
        let event = self.event(access, "member.remove", user_id);
        self.store
            .remove_member(access.scope(), user_id, member.role, &event)
            .await?;
        Ok(Deleted {
            deleted: user_id.to_string(),
        })
    }

    async fn get_member(&self, access: &Access, user_id: UserId) -> Result<MemberView> {
        let members = self.store.list_members(access.scope()).await?;
        let found = members.into_iter().find(|member| member.user_id == user_id);
        found.map(view).ok_or(Error::NotFound("member"))
    }
}

fn parse_user(id: &str) -> Result<UserId> {
    id.parse().map_err(|_| Error::NotFound("member"))
}

fn view(member: Member) -> MemberView {
    MemberView {
        user_id: member.user_id,
        email: member.email,
        name: member.name,
        role: member.role,
        created_at: member.created_at,
    }
}

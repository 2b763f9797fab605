//! Who may do what. Deny by default: a use case gets an [`Access`], and there is no way to one but
//! [`authorize`].

use std::net::IpAddr;

use tose_api::event::Via;
use tose_api::workspace::Role;
use tose_api::{ApiKeyId, SessionId, Slug, UserId, WorkspaceId};

use crate::error::{Error, Result};
use crate::project::ProjectKind;

/// Proof that rows of one workspace may be read and written. Store functions ask for it, so a row
/// cannot be loaded without saying whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkspaceScope {
    id: WorkspaceId,
}

impl WorkspaceScope {
    /// The scope of a background task, which acts for the workspace that owns the row at hand.
    pub fn for_task(id: WorkspaceId) -> Self {
        Self { id }
    }

    /// The workspace.
    pub fn id(&self) -> WorkspaceId {
        self.id
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user_id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// How they showed who they are.
    pub credential: Credential,
    /// The network address that the call came from.
    pub ip: Option<IpAddr>,
    /// The `Idempotency-Key` that the call came with, as the store knows it.
    pub idempotency: Option<String>,
}

/// How a caller showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A key, which opens the workspace that it belongs to.
    ApiKey {
        id: ApiKeyId,
        membership: Membership,
    },
    /// A login, which opens every workspace that the account is a member of.
    Session { id: SessionId },
}

/// An account's place in a workspace at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its slug.
    pub workspace: Slug,
    /// The account's role there.
    pub role: Role,
}

impl Membership {
    /// What a member may touch.
    pub fn scope(&self) -> WorkspaceScope {
        WorkspaceScope {
            id: self.workspace_id,
        }
    }
}

impl Caller {
    /// How they showed who they are, as the audit log has it.
    pub fn via(&self) -> Via {
        match self.credential {
            Credential::ApiKey { .. } => Via::ApiKey,
            Credential::Session { .. } => Via::Session,
        }
    }
}

/// Proof that a caller may act in a workspace.
#[derive(Debug, Clone)]
pub struct Access {
    actor: Actor,
    membership: Membership,
    scope: WorkspaceScope,
    among: Among,
}

/// Among what of a workspace a call's path names something: databases and instances of templates are
/// projects underneath, and many calls are the same for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Among {
    /// Apps, instances of templates among them.
    #[default]
    Projects,
    /// Instances of templates.
    Templates,
    /// Databases.
    Databases,
}

impl Among {
    /// Whether a project of this kind can be named.
    pub fn includes(self, kind: &ProjectKind) -> bool {
        match self {
            Self::Projects => *kind != ProjectKind::Database,
            Self::Templates => matches!(kind, ProjectKind::Template(_)),
            Self::Databases => *kind == ProjectKind::Database,
        }
    }

    /// What one of them is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Projects => "project",
            Self::Templates => "template",
            Self::Databases => "database",
        }
    }
}

/// Who acts, as the audit log has it.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account, if it is one.
    pub user_id: Option<UserId>,
    /// Its e-mail address, or what acts in its place.
    pub name: String,
    /// How they showed who they are.
    pub via: Via,
    /// The network address that the call came from.
    pub ip: Option<IpAddr>,
    /// The `Idempotency-Key` that the call came with, as the store knows it.
    pub idempotency: Option<String>,
}

impl From<Caller> for Actor {
    fn from(caller: Caller) -> Self {
        Self {
            user_id: Some(caller.user_id),
            via: caller.via(),
            name: caller.email,
            ip: caller.ip,
            idempotency: caller.idempotency,
        }
    }
}

impl Access {
    /// The access of a deploy hook's token: it can do what a member can.
    pub fn for_hook(membership: Membership, ip: Option<IpAddr>) -> Self {
        Self::without_account("deploy hook", Via::Hook, membership, ip)
    }

    /// The access of a push event that is signed with a project's secret: as a deploy hook's.
    pub fn for_push(membership: Membership, ip: Option<IpAddr>) -> Self {
        Self::without_account("push", Via::Hook, membership, ip)
    }

    /// The access by which the platform itself brings an earlier version back.
    pub fn for_rollback(membership: Membership) -> Self {
        Self::without_account("automatic rollback", Via::System, membership, None)
    }

    /// The access by which the platform makes and removes an instance that proves a backup.
    pub fn for_proof(membership: Membership) -> Self {
        Self::without_account("backup proof", Via::System, membership, None)
            .within(Among::Databases)
    }

    /// The access by which the platform gives a project more or fewer replicas.
    pub fn for_autoscaling(membership: Membership) -> Self {
        Self::without_account("autoscaling", Via::System, membership, None)
    }

    fn without_account(name: &str, via: Via, membership: Membership, ip: Option<IpAddr>) -> Self {
        let scope = membership.scope();
        let actor = Actor {
            user_id: None,
            name: name.to_owned(),
            via,
            ip,
            idempotency: None,
        };
        Self {
            actor,
            membership,
            scope,
            among: Among::default(),
        }
    }

    /// The same for a call whose path names one of these.
    pub fn within(self, among: Among) -> Self {
        Self { among, ..self }
    }

    /// Among what the call's path names something.
    pub fn among(&self) -> Among {
        self.among
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Says with which `Idempotency-Key` the call came, as the store knows it.
    pub fn set_idempotency(&mut self, name: String) {
        self.actor.idempotency = Some(name);
    }

    /// The workspace's slug.
    pub fn workspace(&self) -> &Slug {
        &self.membership.workspace
    }

    /// The caller's role in it.
    pub fn role(&self) -> Role {
        self.membership.role
    }

    /// What they may touch.
    pub fn scope(&self) -> &WorkspaceScope {
        &self.scope
    }

    /// Passes callers whose role is `required` or above.
    ///
    /// # Errors
    /// `Forbidden` for a lower one.
    pub fn require(&self, required: Role) -> Result<()> {
        check_role(self.membership.role, required)
    }
}

/// Lets `caller` in with the membership that they have in the workspace they ask for, if they have
/// one and its role is `required` or above.
///
/// # Errors
/// `NotFound` without a membership, so that a workspace's existence is not revealed; `Forbidden`
/// for a role that is too low.
pub fn authorize(caller: Caller, membership: Option<Membership>, required: Role) -> Result<Access> {
    let membership = membership.ok_or(Error::NotFound("workspace"))?;
    check_role(membership.role, required)?;
    let scope = membership.scope();
    Ok(Access {
        actor: caller.into(),
        membership,
        scope,
        among: Among::default(),
    })
}

fn check_role(role: Role, required: Role) -> Result<()> {
    if role >= required {
        return Ok(());
    }
    Err(Error::Forbidden(format!(
        "this needs the role {} in the workspace; yours is {}",
        required.as_str(),
        role.as_str()
    )))
}

/// Passes a caller who grants `granted`: nobody grants a role above their own.
///
/// # Errors
/// `Forbidden` for a higher one.
pub fn check_grant(access: &Access, granted: Role) -> Result<()> {
    if granted <= access.role() {
        return Ok(());
    }
    Err(Error::Forbidden(format!(
        "nobody grants a role above their own: yours is {}, and {} is higher",
        access.role().as_str(),
        granted.as_str()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_api::Kind;
    use uuid::Uuid;

    const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

    fn caller() -> Caller {
        Caller {
            user_id: UserId::from_uuid(Uuid::nil()),
            email: "a@example.com".to_owned(),
            credential: Credential::Session {
                id: SessionId::from_uuid(Uuid::nil()),
            },
            ip: None,
            idempotency: None,
        }
    }

    fn membership(role: Role) -> Membership {
        Membership {
            workspace_id: WorkspaceId::from_uuid(Uuid::nil()),
            workspace: "mine".parse().expect("a slug"),
            role,
        }
    }

    #[test]
    fn a_workspace_without_a_membership_is_not_found() {
        let error = authorize(caller(), None, Role::Member).expect_err("refused");
        assert_eq!(error.kind(), Kind::NotFound);
    }

    #[test]
    fn each_role_includes_the_ones_below() {
        for (has, role) in ROLES.into_iter().enumerate() {
            for (needs, required) in ROLES.into_iter().enumerate() {
                match authorize(caller(), Some(membership(role)), required) {
                    Ok(_) => assert!(has >= needs, "{role:?} passed for {required:?}"),
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Forbidden);
                        assert!(has < needs, "{role:?} was refused for {required:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_grants_a_role_above_their_own() {
        for (has, role) in ROLES.into_iter().enumerate() {
            let access = authorize(caller(), Some(membership(role)), role).expect("access");
            for (grants, granted) in ROLES.into_iter().enumerate() {
                assert_eq!(check_grant(&access, granted).is_ok(), grants <= has);
            }
        }
    }
}

//! Who may do what. Deny by default: a use case gets an [`Access`], and there is no way to one but
//! [`authorize`].

use tose_api::workspace::Role;
use tose_api::{ApiKeyId, Slug, UserId, WorkspaceId};

use crate::error::{Error, Result};

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

/// Who calls, as their API key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account behind the key.
    pub user_id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The key.
    pub api_key_id: ApiKeyId,
    /// The workspace that the key belongs to.
    pub workspace_id: WorkspaceId,
    /// Its slug.
    pub workspace: Slug,
    /// The account's role there at this moment.
    pub role: Role,
}

/// Proof that a caller may act in a workspace.
#[derive(Debug, Clone)]
pub struct Access {
    caller: Caller,
    scope: WorkspaceScope,
}

impl Access {
    /// Who acts.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What they may touch.
    pub fn scope(&self) -> &WorkspaceScope {
        &self.scope
    }
}

/// Lets `caller` into `workspace` if their key belongs to it and their role is `required` or above.
///
/// # Errors
/// `NotFound` for any other workspace, so that its existence is not revealed; `Forbidden` for a
/// role that is too low.
pub fn authorize(caller: Caller, workspace: &str, required: Role) -> Result<Access> {
    if caller.workspace.as_str() != workspace {
        return Err(Error::NotFound("workspace"));
    }
    if caller.role < required {
        return Err(Error::Forbidden(format!(
            "this needs the role {} in the workspace; yours is {}",
            required.as_str(),
            caller.role.as_str()
        )));
    }
    let scope = WorkspaceScope {
        id: caller.workspace_id,
    };
    Ok(Access { caller, scope })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_api::Kind;
    use uuid::Uuid;

    fn caller(role: Role) -> Caller {
        Caller {
            user_id: UserId::from_uuid(Uuid::nil()),
            email: "a@example.com".to_owned(),
            api_key_id: ApiKeyId::from_uuid(Uuid::nil()),
            workspace_id: WorkspaceId::from_uuid(Uuid::nil()),
            workspace: "mine".parse().expect("a slug"),
            role,
        }
    }

    #[test]
    fn another_workspace_is_not_found_whatever_the_role() {
        let error = authorize(caller(Role::Owner), "theirs", Role::Member).expect_err("refused");
        assert_eq!(error.kind(), Kind::NotFound);
    }

    #[test]
    fn each_role_includes_the_ones_below() {
        let roles = [Role::Member, Role::Admin, Role::Owner];
        for (has, role) in roles.into_iter().enumerate() {
            for (needs, required) in roles.into_iter().enumerate() {
                let answer = authorize(caller(role), "mine", required);
                match answer {
                    Ok(_) => assert!(has >= needs, "{role:?} passed for {required:?}"),
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Forbidden);
                        assert!(has < needs, "{role:?} was refused for {required:?}");
                    }
                }
            }
        }
    }
}

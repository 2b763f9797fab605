//! Who belongs to a workspace: members, invitations, API keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{TypedEmail, typed_email};
use crate::workspace::Role;
use crate::{ApiKeyId, Email, InvitationId, Slug, Timestamp, UserId};

/// Body of `POST W/members`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The account that becomes a member.
    pub user_id: UserId,
    /// What it may do; not above the caller's own role.
    pub role: Role,
}

/// Body of `PUT W/members/:user_id`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// What the member may do from now on.
    pub role: Role,
}

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// The account.
    pub user_id: UserId,
    /// Its address.
    pub email: String,
    /// What people call the person.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// When it became a member.
    pub created_at: Timestamp,
}

/// Body of `POST W/invitations`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Whom the invitation is for; nobody else can accept it.
    #[serde(deserialize_with = "typed_email")]
    #[schemars(with = "TypedEmail")]
    pub email: Email,
    /// What they may do; not above the caller's own role.
    pub role: Role,
}

/// An invitation that was not accepted so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Who invited them.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends: seven days later.
    pub expires_at: Timestamp,
    /// What accepts it, in the answer that made it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether a mail with the token was sent, in the answer that made it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailed: Option<bool>,
}

/// Answer of `POST /api/invitations/:token/accept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The workspace.
    pub workspace: Slug,
    /// The caller's role there.
    pub role: Role,
}

/// Body of `POST W/api-keys`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What people call it; 1 to 100 characters.
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: String,
    /// After how many days it ends, 1 to 3650; never when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 3650))]
    pub expires_in_days: Option<u32>,
}

/// An API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// The whole key, in the answer that made it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How it begins.
    pub key_prefix: String,
    /// Whose role it carries.
    pub user_id: UserId,
    /// That account's address.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

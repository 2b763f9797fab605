//! The audit log of a workspace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Timestamp, UserId};

/// Who did what to what, when, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// The event's id.
    pub id: EventId,
    /// What was done, such as `project.create`.
    pub action: String,
    /// What it was done to: a slug, a key, or an id.
    pub target: String,
    /// The address of who did it.
    pub actor: String,
    /// Their account, if it was one.
    pub user_id: Option<UserId>,
    /// How they showed who they are.
    pub via: Option<Via>,
    /// The network address that it came from.
    pub ip: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// How a caller showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// An API key.
    ApiKey,
    /// A login.
    Session,
    /// The token of a deploy hook.
    Hook,
    /// Nobody: the platform itself acts, by what somebody has set. Earlier versions wrote `hook` for that.
    System,
}

impl Via {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Session => "session",
            Self::Hook => "hook",
            Self::System => "system",
        }
    }
}

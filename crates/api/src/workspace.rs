//! Workspaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Slug, Timestamp, WorkspaceId};

/// What a member may do; each role includes the ones before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but secret values, deploys, restarts.
    Member,
    /// Also changes projects, variables, domains and keys, and reads secrets.
    Admin,
    /// Also changes members' roles, pays, and deletes the workspace.
    Owner,
}

impl Role {
    /// The role as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// Body of `POST /api/workspaces`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// 1 to 100 characters.
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: String,
    /// Made from the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
}

/// Body of `PUT /api/workspaces/:slug`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkspace {
    /// 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: Option<String>,
}

/// A workspace as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceView {
    /// The workspace's id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// Its name in URLs.
    pub slug: Slug,
    /// The name that its engine objects carry.
    pub namespace: String,
    /// The caller's role in it.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Answer of `GET /api/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// The server's version.
    pub version: String,
}

/// Answer of `DELETE` on something that is gone afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// What was deleted: its slug, key or id.
    pub deleted: String,
}

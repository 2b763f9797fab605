//! What a project pulls its image with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RegistryHost, Timestamp};

/// Body of `PUT P/registry`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRegistry {
    /// The registry that they are for, and no other one gets them; the one of the project's image when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryHost>,
    /// The user name.
    #[schemars(length(min = 1, max = 255), regex(pattern = USERNAME_PATTERN))]
    pub username: String,
    /// The password or token. Kept sealed and never shown again.
    #[schemars(length(min = 1, max = 16384))]
    pub password: String,
}

/// What a user name looks like: visible characters but `:`, which ends it on its way.
const USERNAME_PATTERN: &str = "^[!-9;-~]+$";

/// The credentials for a registry, without their password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryView {
    /// The registry that they are for.
    pub registry: RegistryHost,
    /// The user name.
    pub username: String,
    /// Whether a password is kept.
    pub has_password: bool,
    /// When they were set.
    pub updated_at: Timestamp,
}

//! Environment variables of a project.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{EnvKey, Timestamp};

/// What stands in place of a secret's value.
pub const MASK: &str = "********";

/// Body of `POST P/env`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetEnvVar {
    /// The variable.
    pub key: EnvKey,
    /// Its value, 64 KiB at most.
    pub value: String,
    /// Whether answers mask it; `false` when absent.
    #[serde(default)]
    pub is_secret: bool,
}

/// Body of `PUT P/env/bulk`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetEnvVars {
    /// The variables to set, 500 at most.
    pub variables: BTreeMap<EnvKey, String>,
    /// `false` removes every variable that is not named; `true` when absent.
    #[serde(default = "default_merge")]
    pub merge: bool,
}

fn default_merge() -> bool {
    true
}

/// Answer of `PUT P/env/bulk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVarsChanged {
    /// Variables that are new.
    pub created: u32,
    /// Variables that have another value.
    pub updated: u32,
    /// Variables that are gone.
    pub deleted: u32,
}

/// A variable; a secret's value is [`MASK`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVarView {
    /// The variable.
    pub key: EnvKey,
    /// Its value, masked where it is secret.
    pub value: String,
    /// Whether it is secret.
    pub is_secret: bool,
    /// When it was last set.
    pub updated_at: Timestamp,
}

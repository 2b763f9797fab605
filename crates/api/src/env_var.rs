//! Environment variables of a project.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EnvKey, Timestamp};

/// What stands in place of a secret's value.
pub const MASK: &str = "********";

/// Body of `POST P/env`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEnvVar {
    /// The variable.
    pub key: EnvKey,
    /// Its value, 64 KiB at most.
    #[schemars(length(max = 65536), regex(pattern = "^[^\\x00]*$"))]
    pub value: String,
    /// Whether answers mask it; `false` when absent.
    #[serde(default)]
    pub is_secret: bool,
}

/// Body of `PUT P/env/:key`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEnvVar {
    /// Its value, 64 KiB at most.
    #[schemars(length(max = 65536), regex(pattern = "^[^\\x00]*$"))]
    pub value: String,
    /// Whether answers mask it; what it was when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_secret: Option<bool>,
}

/// Body of `PUT P/env/bulk`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEnvVars {
    /// The variables to set, 500 at most.
    #[schemars(with = "BTreeMap<EnvKey, Value>", extend("maxProperties" = 500))]
    pub variables: BTreeMap<EnvKey, String>,
    /// `false` removes every variable that is not named; `true` when absent.
    #[serde(default = "default_merge")]
    pub merge: bool,
}

/// A variable's value, as the schema describes it.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "it stands for its schema only")]
struct Value(#[schemars(length(max = 65536), regex(pattern = "^[^\\x00]*$"))] String);

fn default_merge() -> bool {
    true
}

/// Answer of `PUT P/env/bulk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvVarsChanged {
    /// Variables that are new.
    pub created: u32,
    /// Variables that have another value.
    pub updated: u32,
    /// Variables that are gone.
    pub deleted: u32,
}

/// A variable; a secret's value is [`MASK`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

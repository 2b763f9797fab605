//! Templates: well-known applications that need no set-up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseType;
use crate::{Cpu, EnvKey, Ram, Slug};

/// A template of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateView {
    /// What people call it.
    pub name: String,
    /// What it is made by: `template_name` of an instance.
    pub key: String,
    /// What it is for.
    pub description: String,
    /// What kind of application, such as `cms`.
    pub category: String,
    /// Where its own documentation is.
    pub documentation: String,
    /// Its name in the set of icons called Simple Icons, if it has one there.
    pub icon: Option<String>,
    /// The port that it listens on.
    pub default_port: String,
    /// Cores that it runs well with.
    pub default_cpu: Cpu,
    /// GB of memory that it runs well with.
    pub default_ram: Ram,
    /// How it can be deployed.
    pub modes: Vec<DeployMode>,
    /// The databases that are made with an instance.
    pub databases: Vec<DatabaseType>,
    /// Variables that need a value before the first deployment.
    pub required_envs: Vec<RequiredEnv>,
}

/// A variable that needs a value before the first deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequiredEnv {
    /// Its name.
    pub key: EnvKey,
    /// What a value looks like.
    pub placeholder: String,
    /// What it is for.
    pub description: Option<String>,
}

/// Where an instance's image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeployMode {
    /// The image that the template names.
    Image,
    /// Built here, from package registries or a repository.
    Build,
}

impl DeployMode {
    /// The mode as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Build => "build",
        }
    }
}

/// Body of `POST W/templates`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInstance {
    /// 1 to 100 characters.
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: String,
    /// The template's `key`, or its name.
    #[schemars(length(min = 1, max = 100))]
    pub template_name: String,
    /// Made from the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// Cores, as many as the template says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// GB of memory, as much as the template says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
}

/// Body of `POST T/deployments`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployInstance {
    /// `image` when absent, or `build` where the template names no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DeployMode>,
}

//! Installations of the server's GitHub App in a workspace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Body of `POST W/github/installations`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectGithub {
    /// An installation that is there already, for another workspace or with other repositories; a new
    /// one when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole_u64",
        skip_serializing_if = "Option::is_none"
    )]
    pub installation_id: Option<u64>,
}

/// Answer of `POST W/github/installations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GithubConnectView {
    /// Where to go with a browser that is logged in at GitHub. Works once.
    pub install_url: String,
    /// What `install_url` carries, and GitHub brings back.
    pub state: String,
    /// When it was asked for: an installation that was connected after it may be this one.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// An installation that the workspace may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GithubInstallationView {
    /// GitHub's id of it.
    pub id: u64,
    /// The account on GitHub that it is installed in.
    pub account: String,
    /// How many repositories can be connected.
    pub repositories: u64,
    /// The address of who connected it.
    pub connected_by: String,
    /// When it was connected.
    pub connected_at: Timestamp,
}

/// A repository that can be connected with an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GithubRepositoryView {
    /// GitHub's id of it.
    pub id: u64,
    /// `owner/name`.
    pub full_name: String,
    /// Whether others cannot read it.
    pub private: bool,
    /// Its default branch.
    pub default_branch: String,
}

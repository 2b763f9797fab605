//! A project's link to a Git repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BranchName, RepoPath, RepoUrl, Timestamp};

/// Body of `POST P/git`. Either `repo_url` or `repo_full_name` says which repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectGit {
    /// `owner/name` of a public repository on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// The address on any Git server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<RepoUrl>,
    /// `main` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
    /// An installation of the server's GitHub App.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<u64>,
    /// Whether a push deploys by itself; `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_deploy: Option<bool>,
    /// The folder that is built; the root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_directory: Option<RepoPath>,
    /// Relative to `root_directory`; `Dockerfile` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_path: Option<RepoPath>,
    /// A private SSH key in OpenSSH's format. Kept sealed and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<String>,
}

/// A project's link to a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitConnectionView {
    /// `owner/name`, where the repository was given so.
    pub repo_full_name: Option<String>,
    /// The address that is cloned.
    pub repo_url: RepoUrl,
    /// The branch that is built.
    pub branch: BranchName,
    /// Whether a push deploys by itself.
    pub auto_deploy: bool,
    /// The folder that is built.
    pub root_directory: Option<RepoPath>,
    /// The Dockerfile, relative to `root_directory`.
    pub dockerfile_path: Option<RepoPath>,
    /// Whether a deploy key is kept.
    pub has_deploy_key: bool,
    /// When it was connected.
    pub created_at: Timestamp,
}

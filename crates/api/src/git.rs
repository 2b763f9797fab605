//! A project's link to a Git repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BranchName, DeploymentId, PushDeliveryId, RepoPath, RepoUrl, Timestamp};

/// Body of `POST P/git`. Either `repo_url` or `repo_full_name` says which repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectGit {
    /// `owner/name` of a repository on GitHub; a private one needs `installation_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// The address on any Git server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<RepoUrl>,
    /// `main` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
    /// An installation of the server's GitHub App that the workspace has connected: the repository is read
    /// through it, and its pushes deploy without a webhook. An `access_token` goes.
    #[serde(
        default,
        deserialize_with = "crate::number::whole_u64",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// A token that may read the repository, for https addresses, and set commit statuses in it if the
    /// server is to be told of deployments. It goes when the repository's host changes. Kept sealed and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000), regex(pattern = ACCESS_TOKEN_PATTERN))]
    pub access_token: Option<String>,
    /// Which files a push must change to deploy by itself, as patterns of `.gitignore`; any when
    /// there is none. A pattern with `!` in front takes files out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 200)))]
    pub watch_paths: Option<Vec<String>>,
    /// What kind of server it is, so that it can be told how commits fare; found out by the host or by the
    /// first push event when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// Whether pull requests into the branch get previews; `false` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previews: Option<bool>,
    /// How many previews there may be at once; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub preview_limit: Option<u32>,
}

/// What an access token looks like: visible characters.
const ACCESS_TOKEN_PATTERN: &str = "^[!-~]+$";

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
    /// The public half of the deploy key, to be added to the repository with read access.
    pub deploy_key_public: Option<String>,
    /// Whether an access token is kept.
    pub has_access_token: bool,
    /// The installation of the server's GitHub App that it is read through.
    pub installation_id: Option<u64>,
    /// Which files a push must change to deploy by itself.
    pub watch_paths: Vec<String>,
    /// What kind of server it is, where that was said or a push event came.
    pub provider: Option<GitProvider>,
    /// Whether pull requests into the branch get previews.
    pub previews: bool,
    /// How many previews there may be at once.
    pub preview_limit: u32,
    /// What became of the last attempt to tell the server how a commit fares.
    pub last_commit_status: Option<CommitReportView>,
    /// When it was connected.
    pub created_at: Timestamp,
}

/// What became of an attempt to tell a Git server how a commit fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitReportView {
    /// When.
    pub reported_at: Timestamp,
    /// Why the server was not told; absent when it was.
    pub error: Option<String>,
}

/// Answer of `GET` and `POST P/git/webhook`: what to enter at the Git server, so that pushes deploy.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitWebhookView {
    /// The address for GitHub: content type `application/json`, the event `push`.
    pub github_url: String,
    /// The address for GitLab: push events, with the secret as its secret token.
    pub gitlab_url: String,
    /// The address for Gitea and Forgejo: push events.
    pub gitea_url: String,
    /// The secret that the Git server signs with.
    pub secret: String,
}

/// What kind of Git server, such as the one that sent a push event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitProvider {
    /// GitHub, or what signs as it does.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
}

impl GitProvider {
    /// The name as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

/// What a push event led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushVerdict {
    /// A deployment was queued.
    Deployed,
    /// A deployment that waits already will build it.
    Joined,
    /// It was a test, or another kind of event.
    NotAPush,
    /// It went to another branch or to a tag, or the branch was deleted.
    OtherBranch,
    /// `auto_deploy` is off.
    AutoDeployOff,
    /// It changes nothing that `watch_paths` names.
    NothingWatched,
    /// Its commit's message says `[skip ci]` or `[skip deploy]`.
    Skipped,
    /// The project was stopped, or is not built from Git.
    NotRunning,
    /// The pull request's changes are in another repository: it could read the project's secrets.
    FromFork,
    /// `previews` is off.
    PreviewsOff,
    /// There are as many previews as there may be.
    PreviewLimit,
    /// The pull request was closed, and its preview went.
    PreviewRemoved,
    /// The pull request was closed, and it had no preview.
    NoPreview,
}

impl PushVerdict {
    /// The verdict as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Joined => "joined",
            Self::NotAPush => "not_a_push",
            Self::OtherBranch => "other_branch",
            Self::AutoDeployOff => "auto_deploy_off",
            Self::NothingWatched => "nothing_watched",
            Self::Skipped => "skipped",
            Self::NotRunning => "not_running",
            Self::FromFork => "from_fork",
            Self::PreviewsOff => "previews_off",
            Self::PreviewLimit => "preview_limit",
            Self::PreviewRemoved => "preview_removed",
            Self::NoPreview => "no_preview",
        }
    }
}

/// A push event that a project's Git server sent, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushDeliveryView {
    /// Its id.
    pub id: PushDeliveryId,
    /// Who sent it.
    pub provider: GitProvider,
    /// The branch that was pushed to, or the tag; of a pull request `#NUMBER BRANCH`.
    pub git_ref: Option<String>,
    /// The commit that the branch was at afterwards.
    pub commit: Option<String>,
    /// What it led to.
    pub verdict: PushVerdict,
    /// The deployment that builds it.
    pub deployment_id: Option<DeploymentId>,
    /// When it came.
    pub received_at: Timestamp,
}

/// Answer of `POST /api/webhooks/:provider`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushReceived {
    /// What it led to, for each project that is connected to the repository with this secret.
    pub projects: Vec<PushOutcome>,
}

/// What a push event led to in one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushOutcome {
    /// The project's slug.
    pub project: crate::Slug,
    /// What it led to; for an event that came before, what it led to then.
    pub verdict: PushVerdict,
    /// The deployment that builds it.
    pub deployment_id: Option<DeploymentId>,
}

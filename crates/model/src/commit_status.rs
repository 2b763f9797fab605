//! What a Git server is told of a commit that is deployed: the call, for each kind of server.
//!
//! Guarantees: pure; a call goes to the host of the connected repository (for github.com to its API's own
//! host), and the token is in a header alone.
//! Not here: sending (`tose-server`, `git_api.rs`), and when (`tasks/commit_status.rs`).

use std::time::Duration;

use serde_json::{Value, json};
use tose_api::RepoUrl;
use tose_api::git::GitProvider;

use crate::secret::{ExposeSecret, SecretString};

/// The most characters of a description that every server takes.
const MAX_DESCRIPTION: usize = 140;
/// How often one state is tried before it is given up.
pub const MAX_ATTEMPTS: u32 = 6;
/// How long after the first attempt the second one comes; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// How a commit fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    /// It is being built or started.
    Pending,
    /// It is or was live.
    Success,
    /// It failed.
    Failure,
    /// It was called off.
    Error,
}

impl CommitState {
    /// The state as it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    const fn for_gitlab(self) -> &'static str {
        match self {
            Self::Failure => "failed",
            Self::Error => "canceled",
            other => other.as_str(),
        }
    }
}

/// What is said of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The commit's id.
    pub sha: String,
    /// How it fares.
    pub state: CommitState,
    /// The app's address, once there is something to see.
    pub target_url: Option<String>,
    /// A line for people; what is longer than 140 characters is cut.
    pub description: String,
    /// Who says it: one status of each name stands beside a commit.
    pub context: String,
}

/// A `POST` to a Git server's API.
#[derive(Debug, Clone)]
pub struct StatusCall {
    /// Where to.
    pub url: String,
    /// The header that carries the token: its name and its value.
    pub token: (&'static str, SecretString),
    /// The JSON body.
    pub body: Value,
}

/// The kind of server behind an address that everybody knows.
pub fn known_provider(url: &RepoUrl) -> Option<GitProvider> {
    let (authority, _) = split(url)?;
    match authority {
        "github.com" => Some(GitProvider::Github),
        "gitlab.com" => Some(GitProvider::Gitlab),
        "codeberg.org" | "gitea.com" => Some(GitProvider::Gitea),
        _ => None,
    }
}

/// The host (with its port) of an https address.
pub fn https_authority(url: &RepoUrl) -> Option<&str> {
    split(url).map(|(authority, _)| authority)
}

/// The call that says `status`; `None` if the repository's address is not one of such a server. The API is
/// where such a server has it, unless `api_url` says where.
pub fn plan_call(
    provider: GitProvider,
    url: &RepoUrl,
    api_url: Option<&str>,
    token: &SecretString,
    status: &CommitStatus,
) -> Option<StatusCall> {
    let (authority, path) = split(url)?;
    let description: String = status.description.chars().take(MAX_DESCRIPTION).collect();
    let (state, name) = match provider {
        GitProvider::Gitlab => (status.state.for_gitlab(), "name"),
        GitProvider::Github | GitProvider::Gitea => (status.state.as_str(), "context"),
    };
    let mut body = json!({"state": state, "description": description, name: status.context});
    if let Some(target) = &status.target_url {
        body["target_url"] = json!(target);
    }
    let base = match (api_url, provider, authority) {
        (Some(api_url), ..) => api_url.to_owned(),
        (_, GitProvider::Github, "github.com") => "https://api.github.com".to_owned(),
        (_, GitProvider::Github, host) => format!("https://{host}/api/v3"),
        (_, GitProvider::Gitlab, host) => format!("https://{host}/api/v4"),
        (_, GitProvider::Gitea, host) => format!("https://{host}/api/v1"),
    };
    let repository = match provider {
        GitProvider::Gitlab => format!("projects/{}", escape(path)),
        GitProvider::Github | GitProvider::Gitea => {
            let (owner, name) = path
                .split_once('/')
                .filter(|(_, name)| !name.contains('/'))?;
            format!("repos/{}/{}", escape(owner), escape(name))
        }
    };
    let token = token.expose_secret();
    let token = match provider {
        GitProvider::Github => ("Authorization", format!("Bearer {token}")),
        GitProvider::Gitlab => ("PRIVATE-TOKEN", token.to_owned()),
        GitProvider::Gitea => ("Authorization", format!("token {token}")),
    };
    Some(StatusCall {
        url: format!("{base}/{repository}/statuses/{}", escape(&status.sha)),
        token: (token.0, SecretString::from(token.1)),
        body,
    })
}

/// How long after the failed attempt `attempt` (from 1) the next one comes; `None` when it was the last.
pub fn pause_after(attempt: u32) -> Option<Duration> {
    let doublings = attempt.saturating_sub(1);
    (attempt < MAX_ATTEMPTS).then(|| FIRST_PAUSE * 2_u32.saturating_pow(doublings))
}

/// `owner/name` of a repository below an address such as `https://github.com`; `None` for one that is elsewhere.
pub fn full_name_below<'a>(url: &'a RepoUrl, web_url: &str) -> Option<&'a str> {
    let path = url.as_str().strip_prefix(web_url)?.strip_prefix('/')?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (owner, name) = path.split_once('/')?;
    (!owner.is_empty() && !name.is_empty() && !name.contains('/')).then_some(path)
}

/// Host (with port) and path of an https address, without `.git`.
fn split(url: &RepoUrl) -> Option<(&str, &str)> {
    let (authority, path) = url.as_str().strip_prefix("https://")?.split_once('/')?;
    let path = path.trim_matches('/');
    Some((authority, path.strip_suffix(".git").unwrap_or(path)))
}

/// A text as one segment of a path. What is escaped already stays as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: CommitState) -> CommitStatus {
        CommitStatus {
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            state,
            target_url: (state == CommitState::Success).then(|| "https://shop.example".to_owned()),
            description: "d".repeat(200),
            context: "tose/demo/shop".to_owned(),
        }
    }

    fn call(provider: GitProvider, url: &str, state: CommitState) -> Option<StatusCall> {
        let url = url.parse().expect("an address");
        let token = SecretString::from("t0ken");
        plan_call(provider, &url, None, &token, &status(state))
    }

    #[test]
    fn each_server_is_told_in_its_own_words() {
        let description = "d".repeat(140);
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for (provider, repository, url, token, state) in [
            (
                GitProvider::Github,
                "https://github.com/you/app.git",
                format!("https://api.github.com/repos/you/app/statuses/{sha}"),
                ("Authorization", "Bearer t0ken"),
                ["pending", "failure", "error"],
            ),
            (
                GitProvider::Github,
                "https://git.example:8443/you/app",
                format!("https://git.example:8443/api/v3/repos/you/app/statuses/{sha}"),
                ("Authorization", "Bearer t0ken"),
                ["pending", "failure", "error"],
            ),
            (
                GitProvider::Gitlab,
                "https://gitlab.com/group/sub/app.git",
                format!("https://gitlab.com/api/v4/projects/group%2Fsub%2Fapp/statuses/{sha}"),
                ("PRIVATE-TOKEN", "t0ken"),
                ["pending", "failed", "canceled"],
            ),
            (
                GitProvider::Gitea,
                "https://codeberg.org/you/app.git",
                format!("https://codeberg.org/api/v1/repos/you/app/statuses/{sha}"),
                ("Authorization", "token t0ken"),
                ["pending", "failure", "error"],
            ),
        ] {
            let name = if provider == GitProvider::Gitlab {
                "name"
            } else {
                "context"
            };
            let states = [
                CommitState::Pending,
                CommitState::Failure,
                CommitState::Error,
            ];
            for (state, expected) in states.into_iter().zip(state) {
                let call = call(provider, repository, state).expect("a call");
                assert_eq!(call.url, url);
                assert_eq!((call.token.0, call.token.1.expose_secret()), token);
                let body = json!({
                    "state": expected, "description": description, name: "tose/demo/shop",
                });
                assert_eq!(call.body, body);
            }
            let live = call(provider, repository, CommitState::Success).expect("a call");
            assert_eq!(live.body["state"], json!("success"));
            assert_eq!(live.body["target_url"], json!("https://shop.example"));
        }
    }

    #[test]
    fn what_is_no_address_of_such_a_server_is_told_nothing() {
        for url in [
            "git@github.com:you/app.git",
            "https://github.com/app",
            "https://x/a/b/c",
        ] {
            let call = call(GitProvider::Github, url, CommitState::Pending);
            assert!(call.is_none(), "{url}");
        }
        let known = |url: &str| known_provider(&url.parse().expect("an address"));
        assert_eq!(known("https://github.com/a/b"), Some(GitProvider::Github));
        assert_eq!(known("https://codeberg.org/a/b"), Some(GitProvider::Gitea));
        assert_eq!(known("https://github.com.evil.example/a/b"), None);
    }

    #[test]
    fn a_repository_is_named_below_its_own_server_only() {
        let name = |url: &str, web_url| {
            let url = url.parse().expect("an address");
            full_name_below(&url, web_url).map(str::to_owned)
        };
        let (github, own) = ("https://github.com", "https://git.example:8443");
        for (url, web_url, expected) in [
            ("https://github.com/you/app.git", github, Some("you/app")),
            ("https://github.com/you/app", github, Some("you/app")),
            ("https://git.example:8443/you/app.git", own, Some("you/app")),
            ("https://github.com.evil.example/you/app", github, None),
            ("https://git.example/you/app", own, None),
            ("https://github.com/you", github, None),
            ("https://github.com/a/b/c", github, None),
            ("git@github.com:you/app.git", github, None),
        ] {
            assert_eq!(name(url, web_url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn attempts_come_later_and_later_and_end() {
        let seconds: Vec<_> = (1..=MAX_ATTEMPTS)
            .map(|attempt| pause_after(attempt).map(|pause| pause.as_secs()))
            .collect();
        assert_eq!(
            seconds,
            [Some(15), Some(30), Some(60), Some(120), Some(240), None]
        );
    }
}

//! Push events: what a Git server says happened, in one form for all of them.
//!
//! Guarantees: pure; nothing in an event is believed before its signature was checked, so reading one
//! decides nothing but which secrets to check it with.
//! Not here: signatures (`tose-server`, `app/push.rs`), and what a push leads to.

use std::collections::BTreeSet;

use serde_json::Value;
use tose_api::RepoUrl;

/// The commit id that stands for "none".
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// The most commits that GitHub lists in one event; with so many, some may be missing.
const MAX_LISTED: usize = 2048;
/// What a commit's message says so that no push of it deploys.
const SKIPS: [&str; 4] = ["[skip ci]", "[ci skip]", "[skip deploy]", "[deploy skip]"];

/// A repository by host and path, whatever way it is reached: `github.com/you/app`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoKey(Box<str>);

impl RepoKey {
    /// The key of an address. Upper and lower case are the same, as they are for every Git host.
    pub fn new(url: &RepoUrl) -> Self {
        let text = url.as_str();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (authority, path) = match (text.contains("://"), rest.split_once('/')) {
            (true, Some(parts)) => parts,
            // git@host:owner/name
            _ => rest.split_once(':').unwrap_or((rest, "")),
        };
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = host.split(':').next().unwrap_or(host);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        Self(format!("{host}/{path}").to_lowercase().into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A push event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The repository, by each address that the event names.
    pub repositories: BTreeSet<RepoKey>,
    /// What was pushed to.
    pub target: PushTarget,
    /// The commit that it is at now; absent when it was deleted.
    pub commit: Option<String>,
    /// The message of that commit, where the event has it.
    pub message: Option<String>,
    /// The files that the push changes; `None` when the event does not list all of them.
    pub changed: Option<BTreeSet<String>>,
}

/// What a push went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushTarget {
    /// A branch.
    Branch(String),
    /// A tag, or something else that is no branch, by its full name.
    Other(String),
    /// Nothing: the event is a test or of another kind.
    None,
}

impl PushTarget {
    /// The branch's name, or the full name of what is none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Branch(name) | Self::Other(name) => Some(name),
            Self::None => None,
        }
    }
}

impl Push {
    /// Reads the JSON body of an event of GitHub, Gitea, Forgejo or GitLab. What is missing stays
    /// empty: an event of another kind still says which repository it is from.
    pub fn parse(body: &Value) -> Self {
        let deleted = body["deleted"].as_bool() == Some(true);
        let commit = text(&body["after"]).filter(|sha| !deleted && sha != NO_COMMIT);
        Self {
            repositories: repositories(body),
            target: target(body),
            message: commit.as_deref().and_then(|sha| message(body, sha)),
            changed: changed(body),
            commit,
        }
    }

    /// Whether its newest commit asks not to be deployed.
    pub fn is_skipped(&self) -> bool {
        self.message.as_deref().is_some_and(|message| {
            let message = message.to_lowercase();
            SKIPS.iter().any(|skip| message.contains(skip))
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn repositories(body: &Value) -> BTreeSet<RepoKey> {
    let (repository, project) = (&body["repository"], &body["project"]);
    let addresses = [
        &repository["clone_url"],
        &repository["ssh_url"],
        &repository["html_url"],
        &repository["git_http_url"],
        &repository["git_ssh_url"],
        &project["git_http_url"],
        &project["git_ssh_url"],
        &project["web_url"],
    ];
    addresses
        .into_iter()
        .filter_map(|address| address.as_str()?.parse::<RepoUrl>().ok())
        .map(|url| RepoKey::new(&url))
        .collect()
}

fn target(body: &Value) -> PushTarget {
    match body["ref"].as_str() {
        None => PushTarget::None,
        // Events that make or delete a branch carry a bare name and no commits.
        Some(_) if body["after"].as_str().is_none() => PushTarget::None,
        Some(name) => match name.strip_prefix("refs/heads/") {
            Some(branch) => PushTarget::Branch(branch.to_owned()),
            None => PushTarget::Other(name.to_owned()),
        },
    }
}

fn message(body: &Value, sha: &str) -> Option<String> {
    let head = Some(&body["head_commit"]).filter(|commit| commit["id"] == sha);
    let listed = || {
        let commits = body["commits"].as_array()?;
        commits.iter().find(|commit| commit["id"] == sha)
    };
    text(&head.or_else(listed)?["message"])
}

/// The files of all listed commits, if these are all that the push brought.
fn changed(body: &Value) -> Option<BTreeSet<String>> {
    let commits = body["commits"].as_array()?;
    let total = ["total_commits_count", "total_commits"]
        .iter()
        .find_map(|name| body[name].as_u64());
    let is_whole = match total {
        Some(total) => total == commits.len() as u64,
        None => commits.len() < MAX_LISTED,
    };
    // A push that takes commits away, or begins a branch at an old one, lists none.
    if commits.is_empty() || !is_whole || body["forced"].as_bool() == Some(true) {
        return None;
    }
    let mut files = BTreeSet::new();
    for commit in commits {
        for kind in ["added", "modified", "removed"] {
            let names = commit[kind].as_array()?;
            files.extend(names.iter().filter_map(text));
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_repository_has_one_key_however_it_is_reached() {
        for url in [
            "https://GitHub.com/You/App.git",
            "https://github.com/you/app",
            "git@github.com:you/app.git",
            "ssh://git@github.com:22/you/app.git",
            "ssh://git@github.com/you/app",
        ] {
            let url: RepoUrl = url.parse().expect("an address");
            assert_eq!(RepoKey::new(&url).as_str(), "github.com/you/app", "{url}");
        }
        let other: RepoUrl = "https://gitlab.com/you/app".parse().expect("an address");
        assert_eq!(RepoKey::new(&other).as_str(), "gitlab.com/you/app");
        let local: RepoUrl = "file:///srv/app.git".parse().expect("an address");
        assert_eq!(RepoKey::new(&local).as_str(), "/srv/app");
    }

    #[test]
    fn github_and_gitea_events_are_read() {
        let sha = "1".repeat(40);
        let body = json!({
            "ref": "refs/heads/feature/x", "before": NO_COMMIT, "after": sha, "deleted": false,
            "repository": {"clone_url": "https://github.com/you/app.git", "ssh_url": "git@github.com:you/app.git"},
            "head_commit": {"id": sha, "message": "second\n\nlonger text"},
            "commits": [
                {"id": "0".repeat(40), "message": "first", "added": ["a.txt"], "modified": [], "removed": []},
                {"id": sha, "message": "second", "added": [], "modified": ["web/b.txt"], "removed": ["c"]},
            ],
        });
        let push = Push::parse(&body);
        assert_eq!(push.target, PushTarget::Branch("feature/x".to_owned()));
        assert_eq!(push.repositories.len(), 1);
        assert_eq!(push.commit.as_deref(), Some(sha.as_str()));
        let files = ["a.txt", "c", "web/b.txt"].map(str::to_owned);
        assert_eq!(push.changed, Some(files.into()));
        assert!(!push.is_skipped());
    }

    #[test]
    fn gitlab_events_are_read_and_twenty_of_more_commits_are_not_all() {
        let sha = "2".repeat(40);
        let mut body = json!({
            "object_kind": "push", "ref": "refs/heads/main", "after": sha, "total_commits_count": 1,
            "project": {"git_http_url": "https://gitlab.example.com/team/app.git"},
            "commits": [{"id": sha, "message": "Fix it [Skip CI]", "added": ["a"], "modified": [], "removed": []}],
        });
        let push = Push::parse(&body);
        assert!(push.is_skipped());
        assert_eq!(push.changed, Some(BTreeSet::from(["a".to_owned()])));
        body["total_commits_count"] = json!(21);
        assert_eq!(Push::parse(&body).changed, None);
    }

    #[test]
    fn what_is_no_push_to_a_branch_is_told_apart() {
        let repository = json!({"html_url": "https://github.com/you/app"});
        let ping = json!({"zen": "Keep it.", "repository": repository});
        assert_eq!(Push::parse(&ping).target, PushTarget::None);
        assert_eq!(Push::parse(&ping).repositories.len(), 1);
        let tag = json!({"ref": "refs/tags/v1", "after": "1".repeat(40)});
        assert_eq!(
            Push::parse(&tag).target,
            PushTarget::Other("refs/tags/v1".to_owned())
        );
        let gone = json!({"ref": "refs/heads/x", "after": NO_COMMIT});
        assert_eq!(Push::parse(&gone).commit, None);
        for odd in [json!(null), json!([1]), json!({"ref": 5, "commits": {}})] {
            assert_eq!(Push::parse(&odd).target, PushTarget::None);
        }
    }
}

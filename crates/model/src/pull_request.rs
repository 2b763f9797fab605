//! Pull and merge requests: what a Git server says happened to one, in one form for all of them.
//!
//! Guarantees: pure. A request is from a fork unless the event shows that both branches are of one
//! repository.
//! Not here: signatures, and what an event leads to (`tose-server`, `app/preview.rs`).

use serde_json::Value;
use tose_api::BranchName;

/// What happened to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestAction {
    /// It was opened, or has new commits.
    Changed,
    /// It was closed or merged.
    Closed,
    /// Something that changes no code.
    Other,
}

/// An event of a pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// What happened.
    pub action: PullRequestAction,
    /// Its number in the repository.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// The branch with the changes.
    pub branch: BranchName,
    /// The branch that they are meant for.
    pub base: String,
    /// The newest commit of the changes.
    pub commit: Option<String>,
    /// Whether the changes are in another repository.
    pub is_from_fork: bool,
}

impl PullRequest {
    /// Reads an event's JSON body; `None` if the event, by the sender's name for its kind, is of another
    /// kind, or says not what it has to.
    pub fn parse(kind: &str, body: &Value) -> Option<Self> {
        match kind {
            "pull_request" | "pull_request_sync" => Self::of_github(body),
            "Merge Request Hook" => Self::of_gitlab(body),
            _ => None,
        }
    }

    /// Events of GitHub, Gitea and Forgejo.
    fn of_github(body: &Value) -> Option<Self> {
        let request = &body["pull_request"];
        let (head, base) = (&request["head"], &request["base"]);
        let action = match body["action"].as_str()? {
            "opened" | "reopened" | "synchronize" | "synchronized" => PullRequestAction::Changed,
            "closed" => PullRequestAction::Closed,
            _ => PullRequestAction::Other,
        };
        let repository = |side: &Value| side["repo"]["id"].as_u64();
        let is_own = repository(head).is_some() && repository(head) == repository(base);
        Some(Self {
            action,
            number: number(&body["number"]).or_else(|| number(&request["number"]))?,
            title: text(&request["title"]).unwrap_or_default(),
            branch: text(&head["ref"])?.parse().ok()?,
            base: text(&base["ref"])?,
            commit: text(&head["sha"]),
            is_from_fork: !is_own,
        })
    }

    fn of_gitlab(body: &Value) -> Option<Self> {
        let request = &body["object_attributes"];
        let action = match request["action"].as_str()? {
            "open" | "reopen" => PullRequestAction::Changed,
            // Without it, only words were changed.
            "update" if request["oldrev"].is_string() => PullRequestAction::Changed,
            "close" | "merge" => PullRequestAction::Closed,
            _ => PullRequestAction::Other,
        };
        let source = request["source_project_id"].as_u64();
        let is_own = source.is_some() && source == request["target_project_id"].as_u64();
        Some(Self {
            action,
            number: number(&request["iid"])?,
            title: text(&request["title"]).unwrap_or_default(),
            branch: text(&request["source_branch"])?.parse().ok()?,
            base: text(&request["target_branch"])?,
            commit: text(&request["last_commit"]["id"]),
            is_from_fork: !is_own,
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn github(action: &str, head: Value) -> Option<PullRequest> {
        let body = json!({
            "action": action, "number": 7,
            "pull_request": {
                "title": "a change", "base": {"ref": "main", "repo": {"id": 1}},
                "head": {"ref": "feature", "sha": "abc", "repo": head},
            },
        });
        PullRequest::parse("pull_request", &body)
    }

    #[test]
    fn a_request_of_github_or_gitea_is_read() {
        for (action, expected) in [
            ("opened", PullRequestAction::Changed),
            ("synchronize", PullRequestAction::Changed),
            ("synchronized", PullRequestAction::Changed),
            ("closed", PullRequestAction::Closed),
            ("labeled", PullRequestAction::Other),
        ] {
            let request = github(action, json!({"id": 1})).expect("a request");
            assert_eq!((request.action, request.number), (expected, 7));
            assert_eq!(
                (request.branch.as_str(), request.base.as_str()),
                ("feature", "main")
            );
            assert!(!request.is_from_fork);
        }
    }

    #[test]
    fn what_does_not_show_one_repository_is_from_a_fork() {
        for head in [json!({"id": 2}), json!(null), json!({})] {
            let request = github("opened", head).expect("a request");
            assert!(request.is_from_fork);
        }
    }

    #[test]
    fn a_merge_request_of_gitlab_is_read() {
        let event = |action: &str, source: u64, oldrev: Value| {
            let body = json!({"object_attributes": {
                "action": action, "iid": 3, "title": "t", "source_branch": "feature",
                "target_branch": "main", "last_commit": {"id": "abc"}, "oldrev": oldrev,
                "source_project_id": source, "target_project_id": 1,
            }});
            PullRequest::parse("Merge Request Hook", &body).expect("a request")
        };
        let changed = event("update", 1, json!("0"));
        assert_eq!(changed.action, PullRequestAction::Changed);
        assert_eq!((changed.number, changed.is_from_fork), (3, false));
        assert_eq!(
            event("update", 1, json!(null)).action,
            PullRequestAction::Other
        );
        assert_eq!(
            event("merge", 1, json!(null)).action,
            PullRequestAction::Closed
        );
        assert!(event("open", 2, json!(null)).is_from_fork);
    }

    #[test]
    fn other_events_are_none() {
        assert_eq!(PullRequest::parse("push", &json!({})), None);
        assert_eq!(
            PullRequest::parse("pull_request", &json!({"action": "opened"})),
            None
        );
    }
}

//! One place for X: words that stand for a concern, and the files that may hold them.
//!
//! Test code is free; what is listed function by function has its reason beside it.

use crate::finding::Finding;
use crate::rust::RustSource;
use crate::tree::{TextFile, Tree};

/// Words that have a home.
struct Place {
    rule: &'static str,
    /// The words as code, without white space.
    words: &'static str,
    /// Where the rule holds.
    within: &'static str,
    /// Paths that begin so may hold the words.
    homes: &'static [&'static str],
    /// Single functions that may.
    functions: &'static [Permit],
    advice: &'static str,
}

/// A function outside the home that may hold the words.
struct Permit {
    path: &'static str,
    function: &'static str,
    /// For whoever reads the list.
    _reason: &'static str,
}

const PLACES: [Place; 5] = [
    Place {
        rule: "status-code",
        words: "StatusCode",
        within: "crates/",
        homes: &[
            "crates/server/src/http/",
            "crates/proxy/src/",
            "crates/api/src/client/",
        ],
        functions: &[],
        advice: "answer an error of tose-model; crates/server/src/http/error.rs makes HTTP of it",
    },
    Place {
        rule: "task-scope",
        words: "::for_task",
        within: "crates/",
        homes: &["crates/server/src/tasks/"],
        functions: &[
            permit(
                "crates/server/src/app/deployment.rs",
                "settle",
                "ends a deployment for callers and for tasks, under the workspace of the row itself",
            ),
            permit(
                "crates/server/src/app/payment.rs",
                "send_receipt",
                "mails the owners of the workspace that a payment was credited to, which no caller has named",
            ),
            permit(
                "crates/server/src/app/status_page.rs",
                "public_page",
                "is for everybody; what is read is of the workspace that shows it",
            ),
            permit(
                "crates/server/src/app/payment.rs",
                "note_refund",
                "is for operators, who are members of no workspace",
            ),
        ],
        advice: "take the scope from the caller's Access; only tasks make one from a row",
    },
    Place {
        rule: "vault-open",
        words: "vault.open(",
        within: "crates/",
        homes: &[],
        functions: &[
            permit(
                "crates/server/src/app/env_var.rs",
                "open_env",
                "a new deployment seals today's variables for itself",
            ),
            permit(
                "crates/server/src/app/env_var.rs",
                "env_var_view",
                "plain variables, and secrets that an admin asked for, are shown",
            ),
            permit(
                "crates/server/src/acme.rs",
                "account",
                "orders are signed with the key of the account",
            ),
            permit(
                "crates/server/src/app/backup.rs",
                "open_backup_key",
                "a backup's file is written and read with its key",
            ),
            permit(
                "crates/server/src/log_tier.rs",
                "open_key",
                "a log segment in the bucket is read with its key",
            ),
            permit(
                "crates/server/src/app/database.rs",
                "open_account",
                "a database's server is told its passwords, and admins are shown the account's",
            ),
            permit(
                "crates/server/src/app/deployment.rs",
                "open_deployment_env",
                "replicas and builds get their variables",
            ),
            permit(
                "crates/server/src/tasks/builder.rs",
                "clone",
                "git gets the deploy key or the access token",
            ),
            permit(
                "crates/server/src/app/git.rs",
                "get_git_webhook",
                "an admin enters the secret at the Git server",
            ),
            permit(
                "crates/server/src/tasks/commit_status.rs",
                "find_token",
                "a Git server is told how a commit fares",
            ),
            permit(
                "crates/server/src/app/registry.rs",
                "open_registry",
                "the engine pulls a project's image with them",
            ),
            permit(
                "crates/server/src/app/drain.rs",
                "open_drain_secrets",
                "a service gets what opens it along with the lines; a change of the drain keeps it",
            ),
            permit(
                "crates/server/src/app/notification.rs",
                "open_channel_secrets",
                "a message goes where the channel leads; a change of the channel keeps what is not sent",
            ),
            permit(
                "crates/server/src/app/uptime.rs",
                "open_webhook",
                "the webhook is told when a project goes down",
            ),
            permit(
                "crates/server/src/app/domain_settings.rs",
                "open_users",
                "the proxy gets the digests of who may come in",
            ),
            permit(
                "crates/server/src/app/push.rs",
                "receive_push",
                "the signature of a push event is checked",
            ),
            permit(
                "crates/server/src/app/auth.rs",
                "find_totp_step",
                "a login's code is checked against the authenticator's secret",
            ),
            permit(
                "crates/server/src/app/idempotency.rs",
                "claim_call",
                "who repeats a call gets its answer again, a fresh key in it included",
            ),
        ],
        advice: "use what is opened already, or add the function to xtask/src/tidy/places.rs with its reason",
    },
    Place {
        rule: "vault-open",
        words: "Vault::open",
        within: "crates/",
        homes: &[],
        functions: &[permit(
            "crates/server/src/lib.rs",
            "open_vault",
            "opens the key file of a data directory, for the server and for the proxy",
        )],
        advice: "there is one vault in a process, which open_vault makes",
    },
    Place {
        rule: "anyhow",
        words: "anyhow",
        within: "crates/server/",
        homes: &["crates/server/src/main.rs", "crates/server/src/admin.rs"],
        functions: &[],
        advice: "use the error type of the module; anyhow is for main.rs",
    },
];

const fn permit(path: &'static str, function: &'static str, reason: &'static str) -> Permit {
    Permit {
        path,
        function,
        _reason: reason,
    }
}

/// What an SQL statement begins with.
const STATEMENTS: [&str; 12] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE ",
    "ALTER TABLE ",
    "DROP ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust_files() {
        for place in &PLACES {
            findings.extend(check_place(file, source, place));
        }
        findings.extend(check_sql(file, source));
    }
    findings
}

fn check_place(file: &TextFile, source: &RustSource, place: &Place) -> Vec<Finding> {
    let is_home = place.homes.iter().any(|home| file.path.starts_with(*home));
    if is_home || !file.path.starts_with(place.within) {
        return Vec::new();
    }
    let is_permitted = |offset| {
        place.functions.iter().any(|permit| {
            permit.path == file.path && source.function_at(offset) == Some(permit.function)
        })
    };
    source
        .find(place.words)
        .filter(|offset| !source.is_test(*offset) && !is_permitted(*offset))
        .map(|offset| Finding::at(file, offset, place.rule, place.advice))
        .collect()
}

fn check_sql(file: &TextFile, source: &RustSource) -> Vec<Finding> {
    // This file names what it looks for.
    // The last two: what managed databases are told, which is no statement to the platform's own store.
    let homes = [
        "crates/store/",
        "xtask/",
        "crates/model/src/database/",
        "crates/testkit/src/fake/exec.rs",
    ];
    if homes.iter().any(|home| file.path.starts_with(home)) {
        return Vec::new();
    }
    let is_statement = |text: &str| {
        STATEMENTS
            .iter()
            .any(|words| text.trim_start().starts_with(words))
    };
    source
        .texts(&file.text)
        .filter(|(_, text)| is_statement(text))
        .map(|(offset, _)| {
            let advice = "SQL lives in crates/store: add a function there";
            Finding::at(file, offset, "sql", advice)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken;

    fn check_at(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        broken(check, &[(path, text)])
    }

    #[test]
    fn status_codes_stay_at_the_edge() {
        let text = "//! x\nuse http::StatusCode;\n";
        let found = [("status-code", 2)];
        assert_eq!(check_at("crates/server/src/app/project.rs", text), found);
        for home in [
            "crates/server/src/http/error.rs",
            "crates/proxy/src/page.rs",
            "crates/server/tests/it/harness.rs",
        ] {
            assert_eq!(check_at(home, text), [], "{home}");
        }
        let comment = "//! StatusCode is what a comment may say.\n";
        assert_eq!(check_at("crates/model/src/error.rs", comment), []);
    }

    #[test]
    fn scopes_for_tasks_are_made_by_tasks() {
        let text = "fn settle() {\n    let scope = WorkspaceScope::for_task(id);\n}\n";
        let other = text.replace("settle", "list");
        let deployment = "crates/server/src/app/deployment.rs";
        assert_eq!(check_at(deployment, text), []);
        assert_eq!(check_at(deployment, &other), [("task-scope", 2)]);
        assert_eq!(check_at("crates/server/src/tasks/builder.rs", &other), []);
        let is_test = format!("#[cfg(test)]\nmod tests {{\n{other}}}\n");
        assert_eq!(check_at("crates/store/src/lib.rs", &is_test), []);
    }

    #[test]
    fn secrets_are_opened_by_the_functions_that_are_listed() {
        let text = "fn clone() {\n    platform\n        .vault\n        .open(place, sealed)\n}\n";
        let other = text.replace("clone", "log");
        let builder = "crates/server/src/tasks/builder.rs";
        assert_eq!(check_at(builder, text), []);
        assert_eq!(check_at(builder, &other), [("vault-open", 3)]);
        let made = "fn x() { Vault::open_or_create(path, ids); }\n";
        assert_eq!(check_at(builder, made), [("vault-open", 1)]);
    }

    #[test]
    fn anyhow_is_for_main() {
        let text = "use anyhow::Result;\n";
        assert_eq!(check_at("crates/server/src/lib.rs", text), [("anyhow", 1)]);
        assert_eq!(check_at("crates/server/src/main.rs", text), []);
        assert_eq!(check_at("crates/cli/src/link.rs", text), []);
    }

    #[test]
    fn statements_stay_in_the_store() {
        let text = "fn x() {\n    query(\"\n        SELECT 1\");\n}\n";
        assert_eq!(check_at("crates/server/src/app.rs", text), [("sql", 2)]);
        assert_eq!(check_at("crates/store/src/row.rs", text), []);
        let words = "fn x() { say(\"SELECTED\"); }\n";
        assert_eq!(check_at("crates/server/src/app.rs", words), []);
    }
}

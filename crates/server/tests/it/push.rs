//! Push events: who may send them, and what becomes of each.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::git::{commit, connected};
use crate::harness::{Answer, Client, Lab, eventually};

/// A Git server that is told the project's secret.
pub(crate) struct Sender {
    client: Client,
    secret: String,
    pub(crate) clone_url: String,
}

impl Sender {
    pub(crate) async fn of(lab: &Lab, owner: &Client) -> Self {
        let webhook = owner.get("projects/shop/git/webhook").await;
        let connection = owner.get("projects/shop/git").await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let url = text(&webhook.data()["github_url"]);
        assert!(url.ends_with("/api/webhooks/github"), "{url}");
        Self {
            client: lab.anonymous(),
            secret: text(&webhook.data()["secret"]),
            clone_url: text(&connection.data()["repo_url"]),
        }
    }

    /// An event of GitHub's for a push to `main` that changes `files`.
    fn push(&self, sha: &str, files: &[&str]) -> Value {
        json!({
            "ref": "refs/heads/main", "after": sha,
            "repository": {"clone_url": self.clone_url},
            "head_commit": {"id": sha, "message": "a change"},
            "commits": [{"id": sha, "message": "a change", "added": files, "modified": [], "removed": []}],
        })
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key");
        let mac = mac.chain_update(body).finalize().into_bytes();
        hex::encode(mac)
    }

    async fn github(&self, delivery: &str, body: &Value) -> Answer {
        let bytes = body.to_string().into_bytes();
        let signature = format!("sha256={}", self.sign(&bytes));
        let headers = [
            ("X-GitHub-Event", "push"),
            ("X-GitHub-Delivery", delivery),
            ("X-Hub-Signature-256", signature.as_str()),
        ];
        self.send("github", &headers, bytes).await
    }

    pub(crate) async fn send(
        &self,
        provider: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let path = format!("/api/webhooks/{provider}");
        self.client
            .raw(Method::POST, &path, headers, Some(body))
            .await
            .0
    }

    /// Sends a push and answers its verdict.
    async fn verdict(&self, delivery: &str, body: &Value) -> String {
        let answer = self.github(delivery, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let projects = answer.data()["projects"].as_array().expect("a list");
        assert_eq!(projects.len(), 1, "{answer:?}");
        assert_eq!(projects[0]["project"], json!("shop"));
        projects[0]["verdict"].as_str().expect("a text").to_owned()
    }
}

const FILES: [(&str, &str); 1] = [("Dockerfile", "FROM base\n")];

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

async fn count_deployments(owner: &Client) -> u64 {
    let list = owner.get("projects/shop/deployments").await;
    list.body["meta"]["total"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_signed_push_of_each_git_server_deploys_the_branchs_newest_commit() {
    let lab = Lab::start().await;
    let (owner, _, repo) = connected(&lab, &FILES).await;
    let sender = Sender::of(&lab, &owner).await;
    for (number, provider) in ["github", "gitlab", "gitea"].iter().enumerate() {
        let newest = commit(&repo, &[("version", provider)], provider);
        // The event is of an older commit: events may come in any order.
        let mut body = sender.push(&sha('1'), &["version"]);
        body["number"] = json!(number);
        if *provider == "gitlab" {
            body["project"] = json!({"git_http_url": body["repository"]["clone_url"].take()});
        }
        let bytes = body.to_string().into_bytes();
        let signature = sender.sign(&bytes);
        let headers: Vec<(&str, &str)> = match *provider {
            "gitlab" => vec![
                ("X-Gitlab-Event", "Push Hook"),
                ("X-Gitlab-Token", &sender.secret),
                ("X-Gitlab-Event-UUID", "one"),
            ],
            "gitea" => vec![
                ("X-Gitea-Event", "push"),
                ("X-Gitea-Signature", &signature),
                ("X-Gitea-Delivery", "two"),
            ],
            _ => vec![
                ("X-GitHub-Event", "push"),
                ("X-Hub-Signature-256", &signature),
                ("X-GitHub-Delivery", "three"),
            ],
        };
        let answer = sender.send(provider, &headers, bytes).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let outcome = &answer.data()["projects"][0];
        assert_eq!(outcome["verdict"], json!("deployed"), "{provider}");
        let id = outcome["deployment_id"].as_str().expect("an id");
        let deployment = owner.deployment_is("shop", id, "running").await;
        assert_eq!(deployment["commit"]["sha"], json!(newest));
        assert_eq!(deployment["trigger"], json!("push"));
        assert_eq!(deployment["created_by"], json!("push"));
        let deliveries = owner.get("projects/shop/git/deliveries").await;
        let first = &deliveries.data()[0];
        assert_eq!(first["provider"], json!(provider));
        assert_eq!(first["git_ref"], json!("main"));
        assert_eq!(first["deployment_id"], json!(id));
        let connection = owner.get("projects/shop/git").await;
        let learned = &connection.data()["provider"];
        assert_eq!(learned, &json!("github"), "the first event tells it");
    }
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_is_not_signed_with_the_projects_secret_does_nothing() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &FILES).await;
    let mut sender = Sender::of(&lab, &owner).await;
    let body = sender.push(&sha('1'), &["a"]);
    let bytes = || body.to_string().into_bytes();
    let other = sender.sign(b"another body");
    for (provider, headers) in [
        ("github", vec![("X-GitHub-Event", "push")]),
        ("github", vec![("X-Hub-Signature-256", "sha256=")]),
        ("github", vec![("X-Hub-Signature-256", "sha256=zz")]),
        ("github", vec![("X-Hub-Signature-256", other.as_str())]),
        ("github", vec![("X-Gitlab-Token", sender.secret.as_str())]),
        ("gitlab", vec![("X-Gitlab-Token", "")]),
        ("gitlab", vec![("X-Gitlab-Token", "wrong")]),
        ("gitea", vec![("X-Gitea-Signature", other.as_str())]),
    ] {
        let answer = sender.send(provider, &headers, bytes()).await;
        assert_eq!(answer.status, 401, "{provider} {headers:?}: {answer:?}");
        assert_eq!(answer.code(), "unauthenticated");
    }
    // A secret that was renewed is worth nothing.
    let renewed = owner.post("projects/shop/git/webhook", json!({})).await;
    assert_eq!(renewed.status, 201);
    assert_eq!(sender.github("1", &body).await.status, 401);
    sender.secret = renewed.data()["secret"]
        .as_str()
        .expect("a text")
        .to_owned();

    // Nobody's repository: nothing to check a signature with.
    let mut foreign = body.clone();
    foreign["repository"]["clone_url"] = json!("https://github.com/some/body");
    let answer = sender.github("2", &foreign).await;
    assert_eq!(
        (answer.status, &answer.data()["projects"]),
        (202, &json!([]))
    );
    let headers = [("X-Hub-Signature-256", other.as_str())];
    let answer = sender.send("github", &headers, b"{".to_vec()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(count_deployments(&owner).await, 0);
    assert_eq!(sender.verdict("3", &body).await, "deployed");
}

#[tokio::test]
async fn an_event_counts_once_however_often_it_comes() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &FILES).await;
    let sender = Sender::of(&lab, &owner).await;
    let body = sender.push(&sha('1'), &["a"]);
    let first = sender.github("one", &body).await;
    let id = first.data()["projects"][0]["deployment_id"].clone();
    owner
        .deployment_is("shop", id.as_str().expect("an id"), "running")
        .await;
    // The sender's retry, and somebody who caught the event and gives it another id.
    for delivery in ["one", "another"] {
        assert_eq!(sender.github(delivery, &body).await, first);
    }
    let calls = (0..20).map(|_| async {
        let body = sender.push(&sha('2'), &["a"]);
        sender.github("at once", &body).await
    });
    let answers = futures_util::future::join_all(calls).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
        assert_eq!(answer.status, 202);
    }
    assert_eq!(count_deployments(&owner).await, 2);
    let deliveries = owner.get("projects/shop/git/deliveries").await;
    assert_eq!(deliveries.body["meta"]["total"], json!(2));
}

#[tokio::test]
async fn a_push_that_is_not_for_the_project_is_left_and_says_why() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &FILES).await;
    let sender = Sender::of(&lab, &owner).await;
    let with = |change: Value| {
        let mut body = sender.push(&sha('1'), &["docs/a.md"]);
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    let skipped = json!({"id": sha('1'), "message": "Docs [skip ci]"});
    let cases = [
        (json!({"ref": "refs/heads/other"}), "other_branch"),
        (json!({"ref": "refs/tags/main"}), "other_branch"),
        (json!({"after": sha('0')}), "other_branch"),
        (json!({"ref": null, "zen": "ping"}), "not_a_push"),
        (json!({"head_commit": skipped}), "skipped"),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let verdict = sender.verdict(&format!("v{number}"), &with(change)).await;
        assert_eq!(verdict, expected);
    }
    let change = async |body: Value| {
        let answer = owner.put("projects/shop/git", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    change(json!({"watch_paths": ["web/", "!web/docs/"]})).await;
    let verdict = sender.verdict("w1", &with(json!({"number": 1}))).await;
    assert_eq!(verdict, "nothing_watched");
    change(json!({"auto_deploy": false})).await;
    let verdict = sender.verdict("w2", &with(json!({"number": 2}))).await;
    assert_eq!(verdict, "auto_deploy_off");
    assert_eq!(count_deployments(&owner).await, 0);
    change(json!({"auto_deploy": true, "watch_paths": []})).await;
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    let verdict = sender.verdict("w3", &with(json!({"number": 3}))).await;
    assert_eq!(verdict, "not_running");
    assert_eq!(count_deployments(&owner).await, 0);
}

#[tokio::test]
async fn of_a_thousand_pushes_at_most_one_builds_and_one_waits() {
    let lab = Lab::start_with(|config| config.limits.deployments_per_minute = 1).await;
    let (owner, _, repo) = connected(&lab, &[("Dockerfile", "FROM base\nRUN sleep\n")]).await;
    let sender = Sender::of(&lab, &owner).await;
    let first = sender.github("0", &sender.push(&sha('1'), &["a"])).await;
    let first = first.data()["projects"][0]["deployment_id"].clone();
    let first = first.as_str().expect("an id");
    eventually("the first one builds", async || {
        match lab.driver.running_builds() {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    let newest = commit(&repo, &[("Dockerfile", "FROM base\n")], "the newest");
    for round in 0..20 {
        let calls = (0..50).map(|number| {
            let delivery = format!("{round}-{number}");
            let mut body = sender.push(&sha('2'), &["a"]);
            body["number"] = json!(delivery);
            let sender = &sender;
            async move { sender.verdict(&delivery, &body).await }
        });
        for verdict in futures_util::future::join_all(calls).await {
            assert!(
                matches!(verdict.as_str(), "deployed" | "joined"),
                "{verdict}"
            );
        }
        let list = owner.get("projects/shop/deployments?limit=50").await;
        let count = |status: &str| {
            let all = list.data().as_array().expect("a list");
            all.iter().filter(|one| one["status"] == status).count()
        };
        assert_eq!((count("building"), count("queued")), (1, 1), "{list:?}");
    }
    let path = format!("projects/shop/deployments/{first}/stop");
    assert_eq!(owner.post(&path, json!({})).await.status, 200);
    let live = eventually("the newest commit is live", async || {
        let live = owner.get("projects/shop").await.data()["live_deployment"].clone();
        if live["commit"]["sha"] == json!(newest) {
            Ok(live)
        } else {
            Err(live.to_string())
        }
    })
    .await;
    assert_eq!(live["trigger"], json!("push"));
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_deploys_its_own_project_only() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &FILES).await;
    let sender = Sender::of(&lab, &owner).await;
    let other = lab.owner("other").await;
    other.post("projects", json!({"name": "shop"})).await;
    let body = json!({"repo_url": sender.clone_url, "branch": "main"});
    assert_eq!(other.post("projects/shop/git", body).await.status, 201);
    let body = sender.push(&sha('1'), &["a"]);
    assert_eq!(sender.verdict("one", &body).await, "deployed");
    assert_eq!(count_deployments(&other).await, 0);
}

#[tokio::test]
async fn keys_and_tokens_are_kept_sealed_and_a_made_key_shows_its_public_half() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let ssh = json!({"repo_url": "git@example.com:a/b.git"});
    assert_eq!(
        owner.post("projects/shop/git", ssh.clone()).await.status,
        201
    );
    let made = owner.post("projects/shop/git/deploy-key", json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let public = made.data()["deploy_key_public"].as_str().expect("a key");
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" tose-demo-shop"));
    assert_eq!(made.data()["has_deploy_key"], json!(true));
    let again = owner.post("projects/shop/git/deploy-key", json!({})).await;
    assert_ne!(
        again.data()["deploy_key_public"],
        made.data()["deploy_key_public"]
    );

    let mut with_token = ssh;
    with_token["access_token"] = json!("canary-token");
    let refused = owner.post("projects/shop/git", with_token).await;
    assert!(
        refused.body["fields"]["access_token"].is_string(),
        "{refused:?}"
    );
    let https = json!({"repo_url": "https://example.com/a/b.git", "access_token": "canary-token"});
    let made = owner.post("projects/shop/git", https).await;
    assert_eq!(made.data()["has_access_token"], json!(true));
    let key = owner.post("projects/shop/git/deploy-key", json!({})).await;
    assert_eq!(key.status, 400, "an https address has no use for a key");
    let member = lab.member(&owner, "member").await;
    assert_eq!(member.get("projects/shop/git/webhook").await.status, 403);
    assert!(!made.body.to_string().contains("canary"));
    for name in ["tose.db", "tose.db-wal"] {
        let path = lab.data_dir().join("data").join(name);
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(
            !bytes.windows(6).any(|window| window == b"canary"),
            "{name}"
        );
    }
}

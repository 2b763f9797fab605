//! The server's GitHub App: who may bind an installation, what is asked of GitHub, and whose events count.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::extract::{Path as UrlPath, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tose_api::Timestamp;
use tose_model::Clock;
use tose_server::config::GithubAppConfig;

use crate::harness::{Answer, Client, Lab, eventually};

/// The installation that Ann may use, and what its events are signed with.
const INSTALLATION: u64 = 77;
const WEBHOOK_SECRET: &str = "the app's own secret";
const TOKEN: &str = "ghs_c4nary";

/// A GitHub of a test's own.
struct Github {
    url: String,
    seen: Arc<Seen>,
    dir: tempfile::TempDir,
    _serving: JoinSet<()>,
}

struct Seen {
    public_key: Vec<u8>,
    /// What tokens were asked for: the installation, the signature's claims and the body.
    minted: Mutex<Vec<(u64, Value, Value)>>,
}

impl Github {
    async fn start() -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
        let body = BASE64_STANDARD.encode(der.as_ref());
        let dir = tempfile::tempdir().expect("a directory");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        write_secret(dir.path(), "key", &pem);
        write_secret(dir.path(), "client", "client-secret");
        write_secret(dir.path(), "webhook", WEBHOOK_SECRET);
        let seen = Arc::new(Seen {
            public_key: key.public_key().as_ref().to_vec(),
            minted: Mutex::default(),
        });
        let router = Router::new()
            .route("/login/oauth/access_token", post(exchange))
            .route("/user/installations", get(installations))
            .route("/user/installations/{id}/repositories", get(repositories))
            .route("/app/installations/{id}/access_tokens", post(mint))
            .with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            url,
            seen,
            dir,
            _serving: serving,
        }
    }

    fn config(&self) -> GithubAppConfig {
        let file = |name: &str| self.dir.path().join(name);
        GithubAppConfig {
            app_id: 4711,
            name: "our-app".to_owned(),
            client_id: "client-id".to_owned(),
            private_key_file: file("key"),
            client_secret_file: file("client"),
            webhook_secret_file: file("webhook"),
            api_url: self.url.clone(),
            web_url: self.url.clone(),
        }
    }

    /// The address of a repository: always over https.
    fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.url.replace("http://", "https://"))
    }

    fn minted(&self) -> Vec<(u64, Value, Value)> {
        std::mem::take(&mut *self.seen.minted.lock().expect("no panic"))
    }
}

pub(crate) fn write_secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, private).expect("chmod");
    path
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers["authorization"].to_str().expect("a text");
    value.strip_prefix("Bearer ").expect("a token")
}

async fn exchange(Json(body): Json<Value>) -> Json<Value> {
    assert_eq!(body["client_id"], json!("client-id"));
    assert_eq!(body["client_secret"], json!("client-secret"));
    Json(match body["code"].as_str() {
        Some(code @ ("ann" | "bob")) => json!({"access_token": format!("user-{code}")}),
        _ => json!({"error": "bad_verification_code"}),
    })
}

#[derive(serde::Deserialize)]
struct PageQuery {
    per_page: u64,
    page: u64,
}

/// Ann's list has two pages, and the one that is wanted is on the second.
async fn installations(headers: HeaderMap, Query(query): Query<PageQuery>) -> Json<Value> {
    let row = |id: u64, login: &str| json!({"id": id, "account": {"login": login}});
    let rows: Vec<Value> = match (bearer(&headers), query.page) {
        ("user-ann", 1) => (0..query.per_page).map(|id| row(9000 + id, "x")).collect(),
        ("user-ann", 2) => vec![row(INSTALLATION, "Acme <b>")],
        ("user-bob", 1) => vec![row(5, "bob")],
        other => panic!("{other:?}"),
    };
    Json(json!({"total_count": 101, "installations": rows}))
}

async fn repositories(headers: HeaderMap, UrlPath(id): UrlPath<u64>) -> Json<Value> {
    assert_eq!((bearer(&headers), id), ("user-ann", INSTALLATION));
    let row = |id: u64, name: &str| json!({"id": id, "full_name": name, "private": true, "default_branch": "main"});
    Json(json!({"total_count": 2, "repositories": [row(501, "Acme/Shop"), row(502, "Acme/api")]}))
}

/// Gives a token for an hour to whom the app's key has signed.
async fn mint(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    UrlPath(id): UrlPath<u64>,
    Json(body): Json<Value>,
) -> (http::StatusCode, Json<Value>) {
    let (signed, signature) = bearer(&headers).rsplit_once('.').expect("a signature");
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &seen.public_key)
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the app's key signed it");
    let (_, claims) = signed.split_once('.').expect("two parts");
    let claims: Value = serde_json::from_slice(&decode(claims)).expect("JSON");
    let now = claims["iat"].as_i64().expect("a time") + 60;
    let expires_at = Timestamp::from_nanos((now + 3600) * 1_000_000_000);
    let mut minted = seen.minted.lock().expect("no panic");
    minted.push((id, claims, body));
    let answer = json!({"token": TOKEN, "expires_at": expires_at.to_string()});
    (http::StatusCode::CREATED, Json(answer))
}

async fn lab(github: &Github) -> Lab {
    let config = github.config();
    Lab::start_with(move |all| all.github_app = Some(config.clone())).await
}

async fn begin(owner: &Client, body: Value) -> String {
    let begun = owner.post("github/installations", body).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    begun.data()["state"].as_str().expect("a text").to_owned()
}

/// A browser comes back from GitHub; the status, the error and the page.
async fn come_back(lab: &Lab, query: &str) -> (u16, String) {
    let url = format!("http://{}/api/github/callback?{query}", lab.api_addr());
    let answer = reqwest::get(url).await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("a page"))
}

/// Presses the button of a page.
async fn agree(lab: &Lab, page: &str) -> (u16, String) {
    let (_, rest) = page.split_once("action=\"").expect("a form");
    let (action, _) = rest.split_once('"').expect("its end");
    let url = format!("http://{}{action}", lab.api_addr());
    let answer = reqwest::Client::new().post(url).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("a page"))
}

/// Binds the installation to the caller's workspace.
async fn bind(lab: &Lab, owner: &Client) {
    let state = begin(owner, json!({})).await;
    let query =
        format!("code=ann&installation_id={INSTALLATION}&setup_action=install&state={state}");
    let (status, page) = come_back(lab, &query).await;
    assert_eq!(status, 200, "{page}");
    let (status, page) = agree(lab, &page).await;
    assert_eq!(status, 200, "{page}");
}

async fn bound(owner: &Client) -> Vec<Value> {
    let list = owner.get("github/installations").await;
    list.data().as_array().expect("a list").clone()
}

#[tokio::test]
async fn an_installation_is_bound_by_who_may_use_it_and_agrees() {
    let github = Github::start().await;
    let lab = lab(&github).await;
    let owner = lab.owner("demo").await;
    let begun = owner.post("github/installations", json!({})).await;
    let state = begun.data()["state"].as_str().expect("a text").to_owned();
    let expected = format!(
        "{}/apps/our-app/installations/new?state={state}",
        github.url
    );
    assert_eq!(begun.data()["install_url"], json!(expected));

    let query = format!("code=ann&installation_id={INSTALLATION}&state={state}");
    let (status, page) = come_back(&lab, &query).await;
    assert_eq!(status, 200, "{page}");
    for text in ["<b>demo</b>", "demo@example.com", "Acme &lt;b&gt;", "2 now"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(
        bound(&owner).await,
        [] as [Value; 0],
        "a page binds nothing"
    );
    let (status, again) = come_back(&lab, &query).await;
    assert_eq!(status, 400, "a state works once: {again}");

    let (status, text) = agree(&lab, &page).await;
    assert_eq!(status, 200, "{text}");
    let (status, _) = agree(&lab, &page).await;
    assert_eq!(status, 400, "consent works once");
    let list = bound(&owner).await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["id"], json!(INSTALLATION));
    assert_eq!(list[0]["account"], json!("Acme <b>"));
    assert_eq!(list[0]["connected_by"], json!("demo@example.com"));
    let path = format!("github/installations/{INSTALLATION}/repositories");
    let page = owner.get(&format!("{path}?limit=1&page=2")).await;
    assert_eq!(page.body["meta"]["total"], json!(2));
    assert_eq!(page.data()[0]["full_name"], json!("Acme/api"));
    let stranger = lab.owner("other").await;
    assert_eq!(stranger.get(&path).await.status, 404);
    let events = owner.get("events").await;
    assert_eq!(events.data()[0]["action"], json!("github.connect"));
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_state_that_is_replayed_foreign_old_or_made_up_binds_nothing() {
    let github = Github::start().await;
    let lab = lab(&github).await;
    let owner = lab.owner("demo").await;
    let with = |code: &str, state: &str| {
        format!("code={code}&installation_id={INSTALLATION}&state={state}")
    };
    // Somebody whom GitHub does not show it to, and a code that is none.
    let state = begin(&owner, json!({})).await;
    assert_eq!(come_back(&lab, &with("bob", &state)).await.0, 403);
    assert_eq!(come_back(&lab, &with("ann", &state)).await.0, 400, "used");
    let state = begin(&owner, json!({})).await;
    assert_eq!(come_back(&lab, &with("garbage", &state)).await.0, 400);
    // Another installation than the one that was asked for.
    let state = begin(&owner, json!({"installation_id": 5})).await;
    assert_eq!(come_back(&lab, &with("ann", &state)).await.0, 400);
    // Too old: the link, and the page.
    let state = begin(&owner, json!({})).await;
    lab.clock.advance(Duration::from_secs(600));
    assert_eq!(come_back(&lab, &with("ann", &state)).await.0, 400);
    let state = begin(&owner, json!({})).await;
    let (_, page) = come_back(&lab, &with("ann", &state)).await;
    lab.clock.advance(Duration::from_secs(600));
    assert_eq!(agree(&lab, &page).await.0, 400);
    // A state is no consent, and a consent no state.
    let state = begin(&owner, json!({})).await;
    let form = format!("action=\"/api/github/callback?token={state}\"");
    assert_eq!(agree(&lab, &form).await.0, 400);
    let state = begin(&owner, json!({})).await;
    let (_, page) = come_back(&lab, &with("ann", &state)).await;
    let (_, token) = page.split_once("token=").expect("a token");
    assert_eq!(come_back(&lab, &with("ann", &token[..40])).await.0, 400);
    for state in ["", "x", &"0".repeat(40)] {
        assert_eq!(come_back(&lab, &with("ann", state)).await.0, 400, "{state}");
    }
    assert_eq!(come_back(&lab, "").await.0, 400);
    // Whoever asked is no admin any more.
    let admin = lab.member(&owner, "admin").await;
    let state = begin(&admin, json!({})).await;
    let me = admin.get("/api/me").await;
    let path = format!("members/{}", me.data()["user_id"].as_str().expect("an id"));
    assert_eq!(
        owner.put(&path, json!({"role": "member"})).await.status,
        200
    );
    assert_eq!(come_back(&lab, &with("ann", &state)).await.0, 400);
    assert_eq!(bound(&owner).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_project_reads_its_repository_through_an_installation_of_its_own_workspace_alone() {
    let github = Github::start().await;
    let lab = lab(&github).await;
    let (owner, stranger) = (lab.owner("demo").await, lab.owner("other").await);
    bind(&lab, &owner).await;
    let connect = async |client: &Client, id: u64, url: &str| {
        let body = json!({"repo_url": url, "installation_id": id});
        client.post("projects/shop/git", body).await
    };
    for client in [&owner, &stranger] {
        client.post("projects", json!({"name": "shop"})).await;
    }
    let url = github.repository("acme/shop.git");
    let theirs = connect(&stranger, INSTALLATION, &url).await;
    let unknown = connect(&stranger, 12, &url).await;
    assert_eq!(theirs.status, 400, "{theirs:?}");
    assert_eq!(theirs, unknown, "nobody learns who has it");
    for url in [
        github.repository("acme/other.git"),
        "https://github.com/acme/shop.git".to_owned(),
        "https://evil.example/acme/shop.git".to_owned(),
    ] {
        let refused = connect(&owner, INSTALLATION, &url).await;
        assert_eq!(refused.status, 400, "{url}: {refused:?}");
    }
    let body = json!({"repo_url": url, "installation_id": INSTALLATION, "access_token": "x"});
    assert_eq!(owner.post("projects/shop/git", body).await.status, 400);
    let body = json!({"repo_full_name": "acme/shop", "installation_id": INSTALLATION});
    let made = owner.post("projects/shop/git", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.data()["repo_url"], json!(url));
    assert_eq!(made.data()["installation_id"], json!(INSTALLATION));

    assert_eq!(github.minted(), [], "not before it is needed");
    // Nothing serves Git there, so that the deployment fails after the token was made.
    let failed = async || {
        let id = owner.deploy("shop").await;
        let record = owner.deployment_is("shop", &id, "failed").await;
        let path = format!("projects/shop/deployments/{id}/logs");
        let log = owner.complete_log(&path).await.to_string();
        assert!(!log.contains(TOKEN), "{log}");
        record["error"].as_str().expect("a reason").to_owned()
    };
    let reason = failed().await;
    assert!(reason.contains("git could not fetch"), "{reason}");
    let now = lab.clock.now().as_nanos() / 1_000_000_000;
    let claims = json!({"iat": now - 60, "exp": now + 540, "iss": "4711"});
    let asked = json!({
        "repository_ids": [501],
        "permissions": {"contents": "read", "statuses": "write", "pull_requests": "read"},
    });
    assert_eq!(github.minted(), [(INSTALLATION, claims, asked.clone())]);
    failed().await;
    assert_eq!(github.minted(), [], "a token is used again");
    lab.clock.advance(Duration::from_secs(51 * 60));
    failed().await;
    let minted = github.minted();
    assert_eq!(minted.len(), 1, "and renewed before its end");
    assert_eq!(minted[0].2, asked);

    let path = format!("github/installations/{INSTALLATION}");
    assert_eq!(owner.delete(&path).await.status, 200);
    let reason = failed().await;
    assert!(
        reason.contains("tose github connect --installation 77"),
        "{reason}"
    );
    assert_eq!(github.minted(), []);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

/// An event of the app's.
async fn send(lab: &Lab, kind: &str, delivery: &str, body: &Value, secret: &str) -> Answer {
    let bytes = body.to_string().into_bytes();
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    let mac = hex::encode(mac.chain_update(&bytes).finalize().into_bytes());
    let signature = format!("sha256={mac}");
    let headers = [
        ("X-GitHub-Event", kind),
        ("X-GitHub-Delivery", delivery),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    let anybody = lab.anonymous();
    anybody
        .raw(Method::POST, "/api/webhooks/github", &headers, Some(bytes))
        .await
        .0
}

#[tokio::test]
async fn an_event_of_the_app_reaches_every_workspace_that_has_bound_its_installation() {
    let github = Github::start().await;
    let lab = lab(&github).await;
    let (owner, second) = (lab.owner("demo").await, lab.owner("second").await);
    let unbound = lab.owner("third").await;
    let url = github.repository("acme/shop.git");
    for client in [&owner, &second] {
        bind(&lab, client).await;
        client.post("projects", json!({"name": "shop"})).await;
        let body = json!({"repo_url": url, "installation_id": INSTALLATION});
        let made = client.post("projects/shop/git", body).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    // Connected to the same repository, but not through the app.
    unbound.post("projects", json!({"name": "shop"})).await;
    unbound
        .post("projects/shop/git", json!({"repo_url": url}))
        .await;
    let sha = "1".repeat(40);
    let push = |id: u64| {
        json!({
            "ref": "refs/heads/main", "after": sha, "installation": {"id": id},
            "repository": {"clone_url": url, "full_name": "acme/shop"},
            "head_commit": {"id": sha, "message": "a change"},
            "commits": [{"id": sha, "message": "a change", "added": ["a"], "modified": [], "removed": []}],
        })
    };
    let body = push(INSTALLATION);
    for secret in ["another secret", ""] {
        let answer = send(&lab, "push", "one", &body, secret).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let unsigned = lab
        .anonymous()
        .raw(
            Method::POST,
            "/api/webhooks/github",
            &[("X-GitHub-Event", "push")],
            Some(body.to_string().into_bytes()),
        )
        .await;
    assert_eq!(unsigned.0.status, 401);
    let mut unknown = push(INSTALLATION);
    unknown["repository"] = json!({"clone_url": "https://github.com/no/body.git"});
    let answer = send(&lab, "push", "two", &unknown, "another secret").await;
    assert_eq!(
        answer.status, 401,
        "an app's event is signed whatever it is about"
    );
    let answer = send(&lab, "push", "two", &unknown, WEBHOOK_SECRET).await;
    assert_eq!(
        (answer.status, &answer.data()["projects"]),
        (202, &json!([]))
    );
    let answer = send(&lab, "push", "three", &push(78), WEBHOOK_SECRET).await;
    assert_eq!(answer.data()["projects"], json!([]), "another installation");

    let answer = send(&lab, "push", "four", &body, WEBHOOK_SECRET).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let outcomes = answer.data()["projects"].as_array().expect("a list");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for outcome in outcomes {
        assert_eq!(outcome["verdict"], json!("deployed"));
    }
    let again = send(&lab, "push", "five", &body, WEBHOOK_SECRET).await;
    assert_eq!(again, answer, "what was signed acts once");
    let deliveries = unbound.get("projects/shop/git/deliveries").await;
    assert_eq!(deliveries.data(), &json!([]));

    let deleted = json!({"action": "suspend", "installation": {"id": INSTALLATION}});
    let refused = send(&lab, "installation", "six", &deleted, "another secret").await;
    assert_eq!(refused.status, 401);
    assert_eq!(bound(&owner).await.len(), 1);
    let answer = send(&lab, "installation", "six", &deleted, WEBHOOK_SECRET).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    for client in [&owner, &second] {
        assert_eq!(bound(client).await, [] as [Value; 0]);
    }
    let events = owner.get("events").await;
    assert_eq!(events.data()[0]["action"], json!("github.removed"));
    let answer = send(&lab, "push", "seven", &push(INSTALLATION), WEBHOOK_SECRET).await;
    assert_eq!(answer.data()["projects"], json!([]));
    eventually("the first deployments end", async || {
        let list = owner.get("projects/shop/deployments").await;
        match list.data()[0]["status"].as_str() {
            Some("failed") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let id = owner.deploy("shop").await;
    let record = owner.deployment_is("shop", &id, "failed").await;
    let reason = record["error"].as_str().expect("a reason");
    assert!(
        reason.contains("which this workspace has not connected"),
        "{reason}"
    );
}

#[tokio::test]
async fn events_of_the_app_obey_the_rules_of_a_push_and_previews_use_its_tokens() {
    let github = Github::start().await;
    let lab = lab(&github).await;
    let owner = lab.owner("demo").await;
    bind(&lab, &owner).await;
    owner.post("projects", json!({"name": "shop"})).await;
    let url = github.repository("acme/shop.git");
    let body = json!({
        "repo_url": url, "installation_id": INSTALLATION, "previews": true, "watch_paths": ["web/"],
    });
    let made = owner.post("projects/shop/git", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let tell = async |kind: &str, delivery: &str, mut body: Value| {
        body["installation"] = json!({"id": INSTALLATION});
        body["repository"] = json!({"clone_url": url, "full_name": "acme/shop"});
        let answer = send(&lab, kind, delivery, &body, WEBHOOK_SECRET).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.data()["projects"][0].clone()
    };
    let sha = "1".repeat(40);
    let push = |branch: &str, file: &str| {
        json!({
            "ref": format!("refs/heads/{branch}"), "after": sha,
            "head_commit": {"id": sha, "message": "a change"},
            "commits": [{"id": sha, "message": "a change", "added": [file], "modified": [], "removed": []}],
        })
    };
    let request = |action: &str, head: u64| {
        json!({
            "action": action, "number": 7,
            "pull_request": {
                "title": "a change", "base": {"ref": "main", "repo": {"id": 501}},
                "head": {"ref": "feature", "sha": sha, "repo": {"id": head}},
            },
        })
    };
    for (kind, delivery, body, expected) in [
        ("push", "1", push("other", "web/a"), "other_branch"),
        ("push", "2", push("main", "api/a"), "nothing_watched"),
        ("pull_request", "3", request("opened", 9), "from_fork"),
    ] {
        let outcome = tell(kind, delivery, body).await;
        assert_eq!(outcome["verdict"], json!(expected), "{outcome}");
    }
    assert_eq!(github.minted(), [], "none of these needs a token");

    let outcome = tell("pull_request", "4", request("synchronize", 501)).await;
    assert_eq!(outcome["verdict"], json!("deployed"), "{outcome}");
    let id = outcome["deployment_id"].as_str().expect("an id");
    // Nothing serves Git there, so that the deployment fails after the token was made.
    owner.deployment_is("shop-pr-7", id, "failed").await;
    let minted = github.minted();
    assert_eq!(minted.len(), 1, "{minted:?}");
    assert_eq!(minted[0].2["repository_ids"], json!([501]));
    let outcome = tell("pull_request", "5", request("closed", 501)).await;
    assert_eq!(outcome["verdict"], json!("preview_removed"), "{outcome}");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_without_an_app_says_so() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let answer = owner.post("github/installations", json!({})).await;
    assert_eq!((answer.status, answer.code()), (409, "no_github_app"));
    owner.post("projects", json!({"name": "shop"})).await;
    let body = json!({"repo_full_name": "acme/shop", "installation_id": 1});
    let answer = owner.post("projects/shop/git", body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("no GitHub App"), "{answer:?}");
}

//! The contract to the letter: each documented body is sent as it is documented, and exactly the
//! documented fields come back.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tose_testkit::Program;

use crate::harness::{Client, Lab};

/// The names of an object's fields.
fn fields(value: &Value) -> BTreeSet<String> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().cloned().collect()
}

#[track_caller]
fn has_exactly(value: &Value, expected: &str) {
    let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
    assert_eq!(fields(value), expected, "{value}");
}

const PROJECT: &str = "id name slug workspace status url source image port replicas cpu ram \
    health_check_path start_command volumes build region git_connection live_deployment needs_redeploy template preview created_at updated_at";
const DEPLOYMENT: &str = "id status trigger commit image analysis created_at build_started_at \
    build_finished_at live_at finished_at created_by";
const GIT: &str = "repo_full_name repo_url branch auto_deploy root_directory dockerfile_path \
    has_deploy_key deploy_key_public has_access_token installation_id last_commit_status provider previews preview_limit watch_paths created_at";
const VARIABLE: &str = "key value is_secret updated_at";
const DOMAIN: &str =
    "id domain status reason is_default https settings dns_records created_at checked_at";
const WORKSPACE: &str = "id name slug namespace role created_at";

async fn live_shop(lab: &Lab, owner: &Client) -> String {
    lab.driver.add_image("app:1", Program::default());
    // The documented five fields, and where the image comes from.
    let body = json!({"name": "Shop", "port": 3000, "replicas": 1, "cpu": "0.5", "ram": "0.5", "image": "app:1"});
    let made = owner.post("projects", body).await;
    assert_eq!(made.status, 201);
    has_exactly(made.data(), PROJECT);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    id
}

#[tokio::test]
async fn workspaces_members_and_keys() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let made = owner
        .post(
            "/api/workspaces",
            json!({"name": "Second", "slug": "second"}),
        )
        .await;
    assert_eq!(made.status, 201);
    has_exactly(made.data(), WORKSPACE);
    assert_eq!(made.data()["namespace"], json!("tose-second"));
    has_exactly(owner.get("/api/workspaces/demo").await.data(), WORKSPACE);
    let changed = owner
        .put("/api/workspaces/demo", json!({"name": "Demo"}))
        .await;
    assert_eq!(changed.data()["name"], json!("Demo"));

    let ann = lab.person("ann@example.com").await;
    let member = owner
        .post("members", json!({"user_id": ann.user_id, "role": "admin"}))
        .await;
    assert_eq!(member.status, 201);
    has_exactly(member.data(), "user_id email name role created_at");
    let path = format!("members/{}", ann.user_id);
    let role = owner.put(&path, json!({"role": "member"})).await;
    assert_eq!(role.data()["role"], json!("member"));
    assert_eq!(
        owner.delete(&path).await.data(),
        &json!({"deleted": ann.user_id})
    );

    let invited = owner
        .post(
            "invitations",
            json!({"email": "bob@example.com", "role": "member"}),
        )
        .await;
    has_exactly(
        invited.data(),
        "id email role invited_by created_at expires_at token mailed",
    );
    let key = owner
        .post("api-keys", json!({"name": "ci", "expires_in_days": 30}))
        .await;
    assert_eq!(key.status, 201);
    has_exactly(
        key.data(),
        "id name key key_prefix user_id email created_at expires_at last_used_at",
    );
    has_exactly(
        &owner.get("api-keys").await.data()[0],
        "id name key_prefix user_id email created_at expires_at last_used_at",
    );
    let id = key.data()["id"].as_str().expect("an id");
    let ended = owner.delete(&format!("api-keys/{id}")).await;
    assert_eq!(ended.data(), &json!({"deleted": id}));
    let events = owner.get("events").await;
    has_exactly(&events.body, "success data meta");
    has_exactly(&events.body["meta"], "page limit total has_more");
    has_exactly(
        &events.data()[0],
        "id action target actor user_id via ip created_at",
    );
}

#[tokio::test]
async fn projects_and_their_status() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let deployment = live_shop(&lab, &owner).await;
    let project = owner.project_is("shop", "running").await;
    has_exactly(&project, PROJECT);
    has_exactly(&project["live_deployment"], DEPLOYMENT);
    has_exactly(&owner.get("projects").await.data()[0], PROJECT);
    let changed = owner
        .put("projects/shop", json!({"cpu": 1, "ram": 0.25}))
        .await;
    assert_eq!(
        (&changed.data()["cpu"], &changed.data()["ram"]),
        (&json!("1"), &json!("0.25")),
        "numbers go in, texts come out"
    );
    let status = owner.get("projects/shop/status").await;
    let status = status.data();
    has_exactly(status, "project pods resources");
    has_exactly(&status["project"], "slug status");
    has_exactly(&status["pods"], "ready total items");
    has_exactly(
        &status["pods"]["items"][0],
        "name status ready restarts started_at deployment_id cpu memory",
    );
    assert_eq!(
        status["pods"]["items"][0]["deployment_id"],
        json!(deployment)
    );
    for resource in ["cpu", "memory"] {
        has_exactly(&status["resources"][resource], "used limit");
    }
    assert_eq!(status["resources"]["cpu"]["limit"], json!("1000m"));
    assert_eq!(status["resources"]["memory"]["limit"], json!("256Mi"));
    for action in ["restart", "stop", "start"] {
        let answer = owner
            .post(&format!("projects/shop/{action}"), json!({}))
            .await;
        assert_eq!(answer.status, 200, "{action}");
        has_exactly(answer.data(), PROJECT);
        if action != "stop" {
            owner.project_is("shop", "running").await;
        }
    }
    let scaled = owner
        .post("projects/shop/scale", json!({"replicas": 2}))
        .await;
    assert_eq!(scaled.data()["replicas"], json!(2));
    let ran = owner
        .post("projects/shop/exec", json!({"command": ["echo", "hi"]}))
        .await;
    has_exactly(
        ran.data(),
        "pod exit_code stdout stderr truncated timed_out",
    );
    let deleted = owner.delete("projects/shop").await;
    assert_eq!(
        (deleted.status, deleted.data()),
        (200, &json!({"deleted": "shop"}))
    );
}

#[tokio::test]
async fn git_connections_under_both_names() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    for path in ["projects/shop/git", "projects/shop/git-connection"] {
        let body = json!({"repo_full_name": "you/app", "branch": "main", "auto_deploy": true});
        let made = owner.post(path, body).await;
        assert_eq!(made.status, 201);
        has_exactly(made.data(), GIT);
        assert_eq!(
            made.data()["repo_url"],
            json!("https://github.com/you/app.git")
        );
        has_exactly(owner.get(path).await.data(), GIT);
        let changed = owner.put(path, json!({"branch": "dev"})).await;
        assert_eq!(
            (&changed.data()["branch"], &changed.data()["repo_full_name"]),
            (&json!("dev"), &json!("you/app"))
        );
        let project = owner.get("projects/shop").await;
        has_exactly(&project.data()["git_connection"], GIT);
        assert_eq!(owner.delete(path).await.status, 200);
        assert_eq!(owner.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn variables_under_both_names() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for path in ["projects/shop/env", "projects/shop/env-vars"] {
        let body = json!({"key": "TOKEN", "value": "hunter2", "is_secret": true});
        let made = owner.post(path, body).await;
        assert_eq!(
            (made.status, &made.data()["value"]),
            (201, &json!("********"))
        );
        has_exactly(made.data(), VARIABLE);
        has_exactly(&owner.get(path).await.data()[0], VARIABLE);
        let one = format!("{path}/TOKEN");
        assert_eq!(owner.get(&one).await.data()["value"], json!("********"));
        let shown = owner.get(&format!("{one}?reveal=true")).await;
        assert_eq!(shown.data()["value"], json!("hunter2"));
        let changed = owner.put(&one, json!({"value": "other"})).await;
        assert_eq!(
            (&changed.data()["is_secret"], &changed.data()["value"]),
            (&json!(true), &json!("********")),
            "it stays a secret"
        );
        let bulk = format!("{path}/bulk");
        let merged = owner
            .put(
                &bulk,
                json!({"variables": {"A": "1", "B": "2"}, "merge": true}),
            )
            .await;
        assert_eq!(
            merged.data(),
            &json!({"created": 2, "updated": 0, "deleted": 0})
        );
        let set = owner
            .post(&bulk, json!({"variables": {"A": "3"}, "merge": false}))
            .await;
        assert_eq!(
            set.data(),
            &json!({"created": 0, "updated": 1, "deleted": 2})
        );
        let gone = owner.delete(&format!("{path}/A")).await;
        assert_eq!(gone.data(), &json!({"deleted": "A"}));
    }
}

#[tokio::test]
async fn deployments_and_domains() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = live_shop(&lab, &owner).await;
    has_exactly(&owner.deployment("shop", &first).await, DEPLOYMENT);
    for path in [
        "projects/shop/deployments/redeploy",
        "projects/shop/redeploy",
    ] {
        let made = owner.post(path, json!({})).await;
        assert_eq!(made.status, 201, "{made:?}");
        has_exactly(made.data(), DEPLOYMENT);
        let id = made.data()["id"].as_str().expect("an id");
        owner.deployment_is("shop", id, "running").await;
    }
    let page = owner.get("projects/shop/deployments?page=1&limit=2").await;
    assert_eq!(
        page.body["meta"],
        json!({"page": 1, "limit": 2, "total": 3, "has_more": true})
    );
    for query in ["page=0", "limit=0", "limit=51", "limit=x"] {
        let bad = owner
            .get(&format!("projects/shop/deployments?{query}"))
            .await;
        assert_eq!(bad.status, 400, "{query}");
    }
    let back = owner
        .post(
            &format!("projects/shop/deployments/{first}/rollback"),
            json!({}),
        )
        .await;
    assert_eq!(
        (back.status, &back.data()["trigger"]),
        (201, &json!("rollback"))
    );
    let id = back.data()["id"].as_str().expect("an id");
    owner.deployment_is("shop", id, "running").await;
    let log = owner
        .get(&format!("projects/shop/deployments/{id}/logs"))
        .await;
    has_exactly(log.data(), "lines next complete");
    has_exactly(&log.data()["lines"][0], "timestamp pod stream message");
    let stopped = owner
        .post(&format!("projects/shop/deployments/{id}/stop"), json!({}))
        .await;
    assert_eq!(stopped.data()["status"], json!("stopped"));

    let made = owner
        .post(
            "projects/shop/domains",
            json!({"domain": "app.example.com"}),
        )
        .await;
    assert_eq!(made.status, 201);
    has_exactly(made.data(), DOMAIN);
    has_exactly(&made.data()["dns_records"][0], "type name value purpose");
    let listed = owner.get("projects/shop/domains").await;
    assert_eq!(listed.body["meta"]["total"], json!(2));
    let id = made.data()["id"].as_str().expect("an id");
    let path = format!("projects/shop/domains/{id}");
    has_exactly(
        owner
            .post(&format!("{path}/verify"), json!({}))
            .await
            .data(),
        DOMAIN,
    );
    assert_eq!(
        owner.delete(&path).await.data(),
        &json!({"deleted": "app.example.com"})
    );
}

#[tokio::test]
async fn accounts() {
    let lab = Lab::start().await;
    let person = lab.person("ann@example.com").await;
    let me = person.call(reqwest::Method::GET, "/api/me", None).await;
    has_exactly(
        me.data(),
        "user_id email name two_factor workspace role csrf_token",
    );
    let named = person
        .call(
            reqwest::Method::PUT,
            "/api/me",
            Some(json!({"name": "Ann"})),
        )
        .await;
    assert_eq!(named.data()["name"], json!("Ann"));
    let login = lab
        .anonymous()
        .post(
            "/api/auth/login",
            json!({"email": "ann@example.com", "password": crate::harness::PASSWORD}),
        )
        .await;
    has_exactly(login.data(), "user csrf_token expires_at");
    has_exactly(&login.data()["user"], "id email name two_factor created_at");
    let owner = lab.owner("demo").await;
    has_exactly(
        owner.get("/api/me").await.data(),
        "user_id email name two_factor workspace role",
    );
    has_exactly(owner.get("/api/version").await.data(), "version");
    let failure = owner.get("projects/nothing").await;
    has_exactly(&failure.body, "success error code");
    let invalid = owner
        .post("projects", json!({"name": "x", "port": 0}))
        .await;
    has_exactly(&invalid.body, "success error code fields");
}

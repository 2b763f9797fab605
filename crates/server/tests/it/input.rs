//! Input that is wrong: each has its own answer that says what to do.

use reqwest::Method;
use serde_json::json;

use crate::harness::Lab;

#[tokio::test]
async fn a_body_that_is_no_json_says_so() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let answer = owner
        .send(
            Method::POST,
            "/api/workspaces/demo/projects",
            Some("{\"name\": "),
        )
        .await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_input"));
    assert!(answer.error().contains("no valid JSON"), "{answer:?}");
}

#[tokio::test]
async fn an_unknown_field_is_named() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let answer = owner
        .post("projects", json!({"name": "a", "prot": 3000}))
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body["fields"]["prot"]
            .as_str()
            .is_some_and(|text| text.contains("unknown")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_wrong_type_names_the_field() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    for (field, value) in [
        ("port", json!("http")),
        ("port", json!(0)),
        ("cpu", json!(true)),
        ("ram", json!("-1")),
        ("replicas", json!("many")),
        ("slug", json!("Not A Slug")),
        ("source", json!("svn")),
        ("image", json!("Not An Image")),
        ("health_check_path", json!("no-slash")),
        ("replicas", json!(0)),
        ("cpu", json!("1000")),
    ] {
        let mut body = json!({"name": "a", "image": "app:1"});
        body[field] = value.clone();
        let answer = owner.post("projects", body).await;
        assert_eq!(answer.status, 400, "{field}={value}: {answer:?}");
        assert!(
            answer.body["fields"][field].is_string(),
            "{field}={value}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let answer = owner.post("projects", json!({"port": 3000})).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["fields"]["name"].is_string(), "{answer:?}");
    let answer = owner
        .post("projects", json!({"name": "a", "source": "image"}))
        .await;
    assert!(answer.body["fields"]["image"].is_string(), "{answer:?}");
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let anonymous = lab.anonymous().get("/api/me").await;
    assert_eq!(
        (anonymous.status, anonymous.code()),
        (401, "unauthenticated")
    );
    assert!(anonymous.error().contains("X-API-Key"), "{anonymous:?}");
    let mut unknown = owner.clone();
    unknown.key = Some(format!("tose_sk_{}", "0".repeat(40)));
    assert_eq!(unknown.get("/api/me").await.status, 401);
    assert_eq!(
        owner.get("/api/me").await.data()["email"],
        json!("demo@example.com")
    );
}

#[tokio::test]
async fn a_foreign_workspace_answers_as_one_that_is_not_there() {
    let lab = Lab::start().await;
    let (owner, _other) = (lab.owner("demo").await, lab.owner("other").await);
    let foreign = owner.get("/api/workspaces/other").await;
    let nowhere = owner.get("/api/workspaces/nowhere").await;
    assert_eq!(foreign, nowhere);
    assert_eq!((foreign.status, foreign.code()), (404, "not_found"));
}

#[tokio::test]
async fn a_taken_slug_is_a_conflict() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let again = owner
        .post("projects", json!({"name": "shop", "image": "app:1"}))
        .await;
    assert_eq!((again.status, again.code()), (409, "taken"));
    assert!(again.error().contains("slug"), "{again:?}");
    let workspace = owner
        .post("/api/workspaces", json!({"name": "Demo", "slug": "demo"}))
        .await;
    assert_eq!((workspace.status, workspace.code()), (409, "taken"));
}

#[tokio::test]
async fn pages_have_limits() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    for query in ["limit=0", "limit=51", "page=0", "limit=x", "page=-1"] {
        let answer = owner.get(&format!("projects?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    for slug in ["a", "b", "c"] {
        owner.project(slug, "app:1").await;
    }
    let page = owner.get("projects?page=2&limit=2").await;
    assert_eq!(
        page.body["meta"],
        json!({"page": 2, "limit": 2, "total": 3, "has_more": false})
    );
    assert_eq!(page.data().as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_itself_comes_in_the_envelope() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let unknown = owner.get("/api/nothing").await;
    assert_eq!((unknown.status, unknown.code()), (404, "unknown_route"));
    let method = owner.delete("/api/version").await;
    assert_eq!((method.status, method.code()), (405, "method_not_allowed"));
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20));
    let answer = owner
        .send(Method::POST, "/api/workspaces/demo/projects", Some(&large))
        .await;
    assert_eq!((answer.status, answer.code()), (413, "too_large"));
    let untyped = owner
        .send(Method::POST, "/api/workspaces/demo/projects", None)
        .await;
    assert_eq!((untyped.status, untyped.code()), (415, "not_json"));
    let socket = owner.get("projects/nothing/live-logs").await;
    assert_eq!(socket.status, 404);
}

//! What holds for every call: repeated calls, tags, limits, methods, bodies.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Lab};

async fn post(client: &Client, path: &str, key: &str, body: Value) -> (Answer, HeaderMap) {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    client
        .raw(
            Method::POST,
            path,
            &headers,
            Some(body.to_string().into_bytes()),
        )
        .await
}

#[tokio::test]
async fn the_same_call_again_gets_the_first_answer_again() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let body = json!({"name": "ci"});
    let (first, headers) = post(&owner, "api-keys", "k-1", body.clone()).await;
    assert_eq!(first.status, 201);
    assert!(!headers.contains_key("idempotency-replayed"));
    let (again, headers) = post(&owner, "api-keys", "k-1", body.clone()).await;
    assert_eq!(again, first, "the secret key included");
    assert_eq!(headers["idempotency-replayed"], "true");
    let total = owner.get("api-keys").await.body["meta"]["total"].clone();
    assert_eq!(total, json!(2), "the bootstrap's and one more");

    let (other, _) = post(&owner, "api-keys", "k-1", json!({"name": "other"})).await;
    assert_eq!(
        (other.status, other.code()),
        (409, "idempotency_key_reused")
    );
    let (elsewhere, _) = post(&owner, "projects", "k-1", body.clone()).await;
    assert_eq!(
        (elsewhere.status, elsewhere.code()),
        (409, "idempotency_key_reused")
    );
    let stranger = lab.owner("other").await;
    let (theirs, _) = post(&stranger, "api-keys", "k-1", body.clone()).await;
    assert_eq!(theirs.status, 201, "keys are each caller's own");
    assert_ne!(theirs.data()["key"], first.data()["key"]);

    lab.restart().await;
    let owner = owner.at(&lab);
    let (after, _) = post(&owner, "api-keys", "k-1", body.clone()).await;
    assert_eq!(after, first, "a restart does not forget");
    lab.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let (late, _) = post(&owner, "api-keys", "k-1", body).await;
    assert_ne!(late, first, "a day later it is a new call");
    for bad in ["", "has space", &"x".repeat(256)] {
        let (answer, _) = post(&owner, "api-keys", bad, json!({"name": "x"})).await;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
}

#[tokio::test]
async fn of_calls_at_once_with_one_key_one_takes_effect() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let body = json!({"name": "Shop"});
    let calls = (0..20).map(|_| post(&owner, "projects", "same", body.clone()));
    let answers = futures_util::future::join_all(calls).await;
    let first = answers
        .iter()
        .find(|(answer, _)| answer.status == 201)
        .expect("one took effect");
    for (answer, _) in &answers {
        let is_waiting = answer.status == 409 && answer.code() == "idempotency_in_progress";
        assert!(is_waiting || *answer == first.0, "{answer:?}");
    }
    assert_eq!(owner.get("projects").await.body["meta"]["total"], json!(1));
}

#[tokio::test]
async fn a_refused_call_is_refused_again_with_the_same_words() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let body = json!({"name": "Shop", "slug": "shop"});
    let (taken, _) = post(&owner, "projects", "k", body.clone()).await;
    assert_eq!((taken.status, taken.code()), (409, "taken"));
    owner.delete("projects/shop").await;
    assert_eq!(post(&owner, "projects", "k", body.clone()).await.0, taken);
    assert_eq!(post(&owner, "projects", "fresh", body).await.0.status, 201);
}

#[tokio::test]
async fn a_tag_saves_an_answer_that_is_known() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let get = async |tag: Option<&str>| {
        let headers: Vec<_> = tag.iter().map(|tag| ("If-None-Match", *tag)).collect();
        owner
            .raw(Method::GET, "projects/shop", &headers, None)
            .await
    };
    let (first, headers) = get(None).await;
    assert_eq!(first.status, 200);
    let tag = headers["etag"].to_str().expect("a text").to_owned();
    for known in [tag.as_str(), &format!("\"x\", W/{tag}"), "*"] {
        let (again, headers) = get(Some(known)).await;
        assert_eq!((again.status, again.body), (304, Value::Null), "{known}");
        assert_eq!(headers["etag"], tag.as_str());
    }
    owner.put("projects/shop", json!({"name": "Other"})).await;
    let (changed, headers) = get(Some(&tag)).await;
    assert_eq!(changed.data()["name"], json!("Other"));
    assert_ne!(headers["etag"], tag.as_str());
}

#[tokio::test]
async fn one_key_over_its_limit_waits_and_another_does_not() {
    let lab = Lab::start_with(|config| {
        config.limits.calls_per_minute = 60;
        config.limits.call_burst = 5;
    })
    .await;
    let (owner, other) = (lab.owner("demo").await, lab.owner("other").await);
    for _ in 0..5 {
        assert_eq!(owner.get("/api/me").await.status, 200);
    }
    let (refused, headers) = owner.raw(Method::GET, "/api/me", &[], None).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(other.get("/api/me").await.status, 200);
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(owner.get("/api/me").await.status, 200);
    let anonymous = lab.anonymous();
    for _ in 0..5 {
        assert_eq!(anonymous.get("/api/version").await.status, 200);
    }
    assert_eq!(
        anonymous.get("/api/version").await.status,
        429,
        "by address"
    );
}

#[tokio::test]
async fn a_project_is_deployed_so_many_times_a_minute() {
    let lab = Lab::start_with(|config| config.limits.deployments_per_minute = 3).await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for _ in 0..3 {
        owner.deploy("shop").await;
    }
    let refused = owner.post("projects/shop/deployments", json!({})).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    lab.clock.advance(Duration::from_secs(20));
    owner.deploy("shop").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_envelope() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let send = async |method: Method, path: &str, kind: &str, body: &[u8]| {
        owner
            .raw(method, path, &[("Content-Type", kind)], Some(body.to_vec()))
            .await
    };
    let (wrong, headers) = send(Method::PATCH, "projects", "application/json", b"{}").await;
    assert_eq!((wrong.status, wrong.code()), (405, "method_not_allowed"));
    let allowed = headers["allow"].to_str().expect("a text");
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    let large = vec![b' '; (1 << 20) + 1];
    for (kind, body, status, code) in [
        ("text/plain", &b"{}"[..], 415, "not_json"),
        ("application/json", b"{", 400, "invalid_input"),
        ("application/json", b"[]", 400, "invalid_input"),
        ("application/json", &large, 413, "too_large"),
    ] {
        let (answer, _) = send(Method::POST, "projects", kind, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{kind}");
    }
    let (unknown, _) = send(Method::GET, "/api/nothing", "application/json", b"").await;
    assert_eq!((unknown.status, unknown.code()), (404, "unknown_route"));
}

#[tokio::test]
async fn a_proxy_that_is_trusted_says_who_called() {
    let lab = Lab::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let owner = lab.owner("demo").await;
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", "198.51.100.7, 203.0.113.9, 127.0.0.2"),
    ];
    let body = json!({"name": "a"}).to_string().into_bytes();
    owner
        .raw(Method::POST, "projects", &headers, Some(body))
        .await;
    let events = owner.get("events").await;
    assert_eq!(
        events.data()[0]["ip"],
        json!("203.0.113.9"),
        "the last that is no proxy of ours"
    );
}

#[tokio::test]
async fn a_workspace_has_so_many_websockets() {
    let lab = Lab::start_with(|config| config.limits.max_sockets = 2).await;
    let (owner, other) = (lab.owner("demo").await, lab.owner("other").await);
    owner.project("shop", "app:1").await;
    other.project("shop", "app:1").await;
    let open = async |client: &Client, workspace: &str| {
        let url = format!(
            "ws://{}/api/workspaces/{workspace}/projects/shop/live-logs?api_key={}",
            lab.api_addr(),
            client.key.as_deref().expect("a key")
        );
        tokio_tungstenite::connect_async(url).await
    };
    let first = open(&owner, "demo").await.expect("a socket");
    let _second = open(&owner, "demo").await.expect("a socket");
    let refused = open(&owner, "demo")
        .await
        .expect_err("all places are taken");
    assert!(refused.to_string().contains("429"), "{refused}");
    open(&other, "other")
        .await
        .expect("another workspace's are its own");
    drop(first);
    crate::harness::eventually("a place is free again", async || {
        open(&owner, "demo")
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    })
    .await;
}

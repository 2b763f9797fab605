//! Status pages: what everybody sees, and what nobody does.

use std::time::Duration;

use serde_json::{Value, json};

use super::site::{Behaviour, Site};
use super::{INTERVAL, has_status, reach_loopback, set, shop, watch};
use crate::harness::Lab;

/// Status, headers and text of what anybody is answered.
async fn look(lab: &Lab, path: &str) -> (u16, reqwest::header::HeaderMap, String) {
    let answer = reqwest::get(format!("http://{}{path}", lab.api_addr())).await;
    let answer = answer.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.text().await.expect("a text"))
}

const PATHS: [&str; 4] = [
    "/status/demo",
    "/api/status/demo",
    "/api/status/demo/badge.svg",
    "/api/status/demo/badge/shop.svg",
];

#[tokio::test]
async fn what_is_chosen_is_shown_and_nothing_else() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    owner.project("hidden", "app:1").await;
    set(&owner, json!({"failures_before_down": 1})).await;
    watch(&owner, &site.url()).await;
    has_status(&owner, "up").await;
    site.behave(Behaviour::SICK);
    lab.clock.advance(INTERVAL);
    has_status(&owner, "down").await;
    let page = json!({
        "enabled": true, "title": "<b>Demo</b>",
        "projects": [{"slug": "shop", "name": "Our & shop"}],
    });
    let answer = owner.put("status-page", page).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (projects, title) in [
        (json!(["hidden"]), "Secret work"),
        (json!(["shop"]), "A disk"),
    ] {
        let body = json!({
            "title": title, "projects": projects,
            "starts_at": "2026-01-05T00:00:00Z", "ends_at": "2026-01-05T01:00:00Z",
        });
        assert_eq!(owner.post("maintenance", body).await.status, 201);
    }
    let (status, headers, html) = look(&lab, "/status/demo").await;
    assert_eq!(status, 200);
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert_eq!(headers["cache-control"], "public, max-age=10");
    for shown in [
        "&lt;b&gt;Demo",
        "Our &amp; shop",
        "is down since",
        "A disk",
        "50.000 %",
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    let (_, _, text) = look(&lab, "/api/status/demo").await;
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let data = &json["data"];
    assert_eq!(data["status"], "down");
    assert_eq!(data["projects"][0]["uptime"]["h24"], "50.000");
    let days = data["projects"][0]["days"].as_array().expect("days");
    assert_eq!(days.len(), 90);
    assert_eq!(days[89], json!({"date": "2026-01-01", "uptime": "50.000"}));
    assert_eq!(days[0], json!({"date": "2025-10-04", "uptime": null}));
    assert_eq!(data["maintenance"][0]["names"], json!(["Our & shop"]));
    for path in PATHS {
        let (status, _, text) = look(&lab, path).await;
        assert_eq!(status, 200, "{path}: {text}");
        let port = site.addr.port().to_string();
        for secret in [
            "hidden",
            "Secret",
            "it answered",
            "<script",
            &format!(":{port}"),
        ] {
            assert!(!text.contains(secret), "{path}: {secret}: {text}");
        }
    }
    let (status, headers, _) = look(&lab, "/api/status/demo/badge/shop.svg").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"image/svg+xml".parse().expect("a value"))
    );
    assert_eq!(look(&lab, "/api/status/demo/badge/hidden.svg").await.0, 404);
    // It is put together again once it is some seconds old.
    site.behave(Behaviour::WELL);
    lab.clock.advance(INTERVAL);
    has_status(&owner, "up").await;
    let (_, _, text) = look(&lab, "/api/status/demo").await;
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["data"]["incidents"][0]["duration_sec"], json!(10));
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_maintenance_that_repeats_is_shown_with_its_next_time() {
    let (lab, owner) = shop(|_| {}).await;
    let page = json!({"enabled": true, "projects": [{"slug": "shop"}]});
    assert_eq!(owner.put("status-page", page).await.status, 200);
    // Fifty that are far away, and one that comes each week and whose first time is over.
    for day in 1..=50 {
        let body = json!({
            "title": format!("Far {day}"), "starts_at": format!("2026-03-01T00:{:02}:00Z", day),
            "ends_at": "2026-03-02T00:00:00Z",
        });
        assert_eq!(owner.post("maintenance", body).await.status, 201);
    }
    let body = json!({
        "title": "Each Thursday", "starts_at": "2025-12-25T00:00:00Z",
        "ends_at": "2025-12-25T01:00:00Z", "repeat": "weekly",
    });
    assert_eq!(owner.post("maintenance", body).await.status, 201);
    let read = async || {
        let text = look(&lab, "/api/status/demo").await.2;
        serde_json::from_str::<Value>(&text).expect("JSON")["data"].clone()
    };
    let data = read().await;
    assert_eq!(data["status"], "maintenance");
    assert_eq!(data["projects"][0]["status"], "maintenance");
    let planned = data["maintenance"].as_array().expect("a list");
    assert_eq!(planned.len(), 50, "the last of them is left out");
    let first = json!({
        "title": "Each Thursday", "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2026-01-01T01:00:00Z", "repeat": "weekly", "names": ["shop"],
    });
    assert_eq!(planned[0], first);
    let html = look(&lab, "/status/demo").await.2;
    let words = "Each Thursday</b> (shop): 2026-01-01 00:00 to 2026-01-01 01:00, every week</li>";
    assert!(html.contains(words), "{html}");
    lab.clock.advance(Duration::from_secs(3600));
    let data = read().await;
    assert_eq!(
        data["projects"][0]["status"], "unknown",
        "it is over for this week"
    );
    assert_eq!(data["maintenance"][0]["starts_at"], "2026-01-08T00:00:00Z");
}

#[tokio::test]
async fn a_workspace_without_a_page_is_like_one_that_is_not_there() {
    let (lab, owner) = shop(|_| {}).await;
    let view = owner.get("status-page").await;
    assert_eq!(view.data()["enabled"], json!(false));
    let nowhere = look(&lab, "/api/status/nowhere").await.2;
    for path in PATHS {
        let (status, _, text) = look(&lab, path).await;
        assert_eq!((status, text), (404, nowhere.clone()), "{path}");
    }
    let page = json!({"enabled": true, "projects": [{"slug": "shop"}]});
    assert_eq!(owner.put("status-page", page).await.status, 200);
    assert_eq!(look(&lab, "/status/demo").await.0, 200);
    assert_eq!(
        owner
            .put("status-page", json!({"enabled": false}))
            .await
            .status,
        200
    );
    for path in PATHS {
        assert_eq!(look(&lab, path).await.0, 404, "{path}, at once");
    }
    for body in [
        json!({"title": ""}),
        json!({"projects": [{"slug": "nothing"}]}),
        json!({"projects": [{"slug": "shop"}, {"slug": "shop"}]}),
        json!({"projects": [{"slug": "shop", "name": "a\nb"}]}),
    ] {
        assert_eq!(owner.put("status-page", body).await.status, 400);
    }
    let member = lab.member(&owner, "member").await;
    assert_eq!(member.put("status-page", json!({})).await.status, 403);
    assert_eq!(member.get("status-page").await.status, 200);
}

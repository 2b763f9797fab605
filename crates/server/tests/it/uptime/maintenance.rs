//! Maintenances: checks go on, and count for nothing.

use serde_json::json;

use super::site::{Behaviour, Site};
use super::{INTERVAL, checks, has_status, log_lines, reach_loopback, set, shop, watch};

#[tokio::test]
async fn failures_in_a_maintenance_are_seen_and_count_for_nothing() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    set(&owner, json!({"failures_before_down": 1})).await;
    watch(&owner, &site.url()).await;
    has_status(&owner, "up").await;
    let body = json!({
        "title": "A larger disk", "starts_at": "2026-01-01T00:00:05Z",
        "ends_at": "2026-01-01T00:00:25Z", "projects": ["shop"],
    });
    let made = owner.post("maintenance", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    site.behave(Behaviour::SICK);
    for count in [2, 3] {
        lab.clock.advance(INTERVAL);
        let newest = checks(&owner, count).await.remove(0);
        assert_eq!(newest["ok"], json!(false));
        assert_eq!(newest["maintenance"], json!(true), "{newest}");
    }
    let view = owner.get(super::UPTIME).await.data().clone();
    assert_eq!(view["status"], "up");
    assert_eq!(view["uptime"]["h24"], "100.000");
    assert_eq!(view["incidents"], json!([]));
    assert_eq!(log_lines(&lab, &owner, "is down").await, 0);
    lab.clock.advance(INTERVAL);
    let down = has_status(&owner, "down").await;
    assert_eq!(down["since"], "2026-01-01T00:00:30Z", "it is over");
    assert_eq!(down["uptime"]["h24"], "50.000");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_maintenance_of_something_else_is_none_and_one_that_is_deleted_neither() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    owner.project("other", "app:1").await;
    let body = json!({
        "title": "Later", "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2026-01-02T00:00:00Z", "projects": ["other", "other"],
    });
    let other = owner.post("maintenance", body).await;
    assert_eq!(other.data()["projects"], json!(["other"]), "{other:?}");
    let all = json!({"title": "All", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"});
    let all = owner.post("maintenance", all).await;
    assert_eq!(all.data()["projects"], json!(null));
    let listed = owner.get("maintenance").await;
    assert_eq!(listed.data().as_array().expect("a list").len(), 2);
    set(&owner, json!({"failures_before_down": 1})).await;
    site.behave(Behaviour::SICK);
    watch(&owner, &site.url()).await;
    assert_eq!(checks(&owner, 1).await[0]["maintenance"], json!(true));
    let id = all.data()["id"].as_str().expect("an id");
    assert_eq!(owner.delete(&format!("maintenance/{id}")).await.status, 200);
    assert_eq!(owner.delete(&format!("maintenance/{id}")).await.status, 404);
    lab.clock.advance(INTERVAL);
    has_status(&owner, "down").await;
    assert_eq!(checks(&owner, 2).await[0]["maintenance"], json!(false));
}

#[tokio::test]
async fn what_cannot_be_a_maintenance_is_refused() {
    let (lab, owner) = shop(|_| {}).await;
    let (begin, end) = ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z");
    for (body, field) in [
        (
            json!({"title": "", "starts_at": begin, "ends_at": end}),
            "title",
        ),
        (
            json!({"title": "a\nb", "starts_at": begin, "ends_at": end}),
            "title",
        ),
        (
            json!({"title": "x", "starts_at": end, "ends_at": begin}),
            "ends_at",
        ),
        (
            json!({"title": "x", "starts_at": "2025-01-01T00:00:00Z", "ends_at": "2025-01-02T00:00:00Z"}),
            "ends_at",
        ),
        (
            json!({"title": "x", "starts_at": begin, "ends_at": "2026-03-01T00:00:00Z"}),
            "ends_at",
        ),
        (
            json!({"title": "x", "starts_at": begin, "ends_at": "2026-01-09T00:00:00Z", "repeat": "weekly"}),
            "ends_at",
        ),
        (
            json!({"title": "x", "starts_at": begin, "ends_at": end, "projects": []}),
            "projects",
        ),
        (
            json!({"title": "x", "starts_at": begin, "ends_at": end, "projects": ["nothing"]}),
            "projects",
        ),
    ] {
        let refused = owner.post("maintenance", body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body["fields"][field].is_string(), "{refused:?}");
    }
    let member = lab.member(&owner, "member").await;
    let body = json!({"title": "x", "starts_at": begin, "ends_at": end});
    assert_eq!(member.post("maintenance", body.clone()).await.status, 403);
    assert_eq!(member.get("maintenance").await.status, 200);
    let stranger = lab.owner("other").await.in_workspace("demo");
    assert_eq!(stranger.post("maintenance", body).await.status, 404);
}

/// The first of January 2026, when the tests' clock begins, is a Thursday.
const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

#[tokio::test]
async fn one_that_repeats_comes_again_at_the_same_time_of_the_next_week() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    set(&owner, json!({"failures_before_down": 1})).await;
    watch(&owner, &site.url()).await;
    has_status(&owner, "up").await;
    // Its first time was in the year before, so this is one of the later ones.
    let body = json!({
        "title": "Each Thursday", "starts_at": "2025-12-18T00:00:05Z",
        "ends_at": "2025-12-18T00:00:15Z", "repeat": "weekly", "projects": ["shop"],
    });
    let made = owner.post("maintenance", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.data()["repeat"], "weekly");
    let next = json!({"starts_at": "2026-01-01T00:00:05Z", "ends_at": "2026-01-01T00:00:15Z"});
    assert_eq!(made.data()["next"], next);
    site.behave(Behaviour::SICK);
    lab.clock.advance(INTERVAL);
    let newest = checks(&owner, 2).await.remove(0);
    assert_eq!(newest["maintenance"], json!(true), "{newest}");
    assert_eq!(owner.get(super::UPTIME).await.data()["status"], "up");
    site.behave(Behaviour::WELL);
    lab.clock.advance(INTERVAL);
    let newest = checks(&owner, 3).await.remove(0);
    assert_eq!(newest["maintenance"], json!(false), "{newest}");
    // A week after the failure that counted for nothing, another one does.
    site.behave(Behaviour::SICK);
    lab.clock.advance(WEEK - INTERVAL);
    let newest = newest_at(&owner, "2026-01-08T00:00:10Z").await;
    assert_eq!(newest["ok"], json!(false));
    assert_eq!(newest["maintenance"], json!(true), "{newest}");
    let view = owner.get(super::UPTIME).await.data().clone();
    assert_eq!(
        (&view["status"], &view["incidents"]),
        (&json!("up"), &json!([]))
    );
    assert_eq!(log_lines(&lab, &owner, "is down").await, 0);
    lab.clock.advance(INTERVAL);
    let down = has_status(&owner, "down").await;
    assert_eq!(down["since"], "2026-01-08T00:00:20Z", "it is over");
    let listed = owner.get("maintenance").await;
    let next = json!({"starts_at": "2026-01-15T00:00:05Z", "ends_at": "2026-01-15T00:00:15Z"});
    assert_eq!(listed.data()[0]["next"], next);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

/// The newest check, once that is of this time.
async fn newest_at(owner: &crate::harness::Client, at: &str) -> serde_json::Value {
    crate::harness::eventually(&format!("a check at {at}"), async || {
        let answer = owner.get(super::CHECKS).await;
        let newest = answer.data()[0].clone();
        match newest["time"] == at {
            true => Ok(newest),
            false => Err(newest.to_string()),
        }
    })
    .await
}

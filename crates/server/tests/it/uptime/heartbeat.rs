//! Heartbeats: jobs that call this server, and what follows when they do not.

use std::time::Duration;

use serde_json::{Value, json};

use super::{INTERVAL, UPTIME, checks, has_status, log_lines, set, shop, uptime_is};
use crate::harness::{Client, Lab};

const BEAT: &str = "projects/shop/uptime/heartbeat";

/// The path at which the project's job calls.
async fn address(owner: &Client) -> String {
    let made = owner.post(BEAT, json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let url = made.data()["url"].as_str().expect("an address");
    let begin = url.find("/api/heartbeats/").expect("its path");
    url[begin..].to_owned()
}

/// A job that is to call each 10 s, with a grace of 5.
async fn job() -> (Lab, Client, String) {
    let (lab, owner) = shop(|_| {}).await;
    let body = json!({
        "enabled": true, "kind": "heartbeat", "check_interval_sec": 10, "heartbeat_grace_sec": 5,
    });
    let view = set(&owner, body).await;
    assert_eq!(view["check_url"], "");
    assert_eq!(view["status"], "unknown");
    let path = address(&owner).await;
    (lab, owner, path)
}

async fn beat(lab: &Lab, path: &str) -> u16 {
    let answer = lab.anonymous().post(path, json!({"ignored": true})).await;
    answer.status
}

#[tokio::test]
async fn a_job_that_does_not_call_in_its_time_is_down_until_it_does() {
    let (lab, owner, path) = job().await;
    assert_eq!(beat(&lab, &path).await, 200);
    let view = has_status(&owner, "up").await;
    assert_eq!(view["last_heartbeat_at"], "2026-01-01T00:00:00Z");
    lab.clock.advance(Duration::from_secs(14));
    let answer = lab.anonymous().get(&path).await;
    assert_eq!(answer.status, 200, "by GET as well: {answer:?}");
    assert_eq!(answer.data()["received_at"], "2026-01-01T00:00:14Z");
    checks(&owner, 2).await;
    lab.clock.advance(Duration::from_secs(15));
    let down = has_status(&owner, "down").await;
    assert_eq!(down["reason"], "no heartbeat since 2026-01-01T00:00:14Z");
    crate::liveness::log_has(&lab, &owner, "is down: no heartbeat since").await;
    lab.clock.advance(Duration::from_secs(1));
    let url = format!("http://{}{path}", lab.api_addr());
    let head = reqwest::Client::new().head(url).send().await;
    assert_eq!(head.expect("an answer").status().as_u16(), 200);
    let up = has_status(&owner, "up").await;
    assert_eq!(up["uptime"]["h24"], "75.000");
    assert_eq!(up["incidents"].as_array().expect("a list").len(), 1);
    assert_eq!(up["incidents"][0]["ended_at"], "2026-01-01T00:00:30Z");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_can_say_that_it_failed() {
    let (lab, owner, path) = job().await;
    assert_eq!(beat(&lab, &path).await, 200);
    has_status(&owner, "up").await;
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(beat(&lab, &format!("{path}/fail")).await, 200);
    let down = has_status(&owner, "down").await;
    assert_eq!(down["reason"], "its job reported a failure");
    assert_eq!(down["last_heartbeat_at"], "2026-01-01T00:00:00Z");
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(beat(&lab, &path).await, 200);
    has_status(&owner, "up").await;
}

#[tokio::test]
async fn a_restart_forgets_no_heartbeat() {
    let (mut lab, owner, path) = job().await;
    assert_eq!(beat(&lab, &path).await, 200);
    lab.restart().await;
    let owner = owner.at(&lab);
    let view = owner.get(UPTIME).await.data().clone();
    assert_eq!(view["last_heartbeat_at"], "2026-01-01T00:00:00Z");
    // Whether the call before the restart was noted as a check then or is now, it counts once.
    has_status(&owner, "up").await;
    checks(&owner, 1).await;
    lab.clock.advance(INTERVAL + Duration::from_secs(5));
    let down = has_status(&owner, "down").await;
    assert_eq!(down["reason"], "no heartbeat since 2026-01-01T00:00:00Z");
    assert_eq!(down["uptime"]["h24"], "50.000");
}

#[tokio::test]
async fn only_the_newest_token_counts_and_it_is_shown_once() {
    let (lab, owner, path) = job().await;
    let newer = address(&owner).await;
    assert_ne!(path, newer);
    let old = lab.anonymous().post(&path, json!({})).await;
    assert_eq!((old.status, old.code()), (404, "not_found"));
    assert_eq!(beat(&lab, &newer).await, 200);
    let token = newer.rsplit('/').next().expect("a token");
    for shown in [owner.get(UPTIME).await, owner.get("events").await] {
        assert!(!shown.body.to_string().contains(token), "{shown:?}");
    }
    // Another kind waits for none, and the token is gone for good.
    set(&owner, json!({"kind": "http"})).await;
    assert_eq!(beat(&lab, &newer).await, 404);
    let refused = owner.post(BEAT, json!({})).await;
    assert_eq!((refused.status, refused.code()), (409, "not_heartbeat"));
    let refused = owner
        .put(
            UPTIME,
            json!({"kind": "heartbeat", "check_url": "https://example.com"}),
        )
        .await;
    assert_eq!(refused.status, 400, "{refused:?}");
    set(&owner, json!({"kind": "heartbeat"})).await;
    assert_eq!(beat(&lab, &newer).await, 404);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_calls_too_often_and_guesses_are_slowed_down() {
    let (lab, owner) = shop(|config| config.limits.failures_per_minute = 3).await;
    set(&owner, json!({"enabled": true, "kind": "heartbeat"})).await;
    let path = address(&owner).await;
    for _ in 0..30 {
        assert_eq!(beat(&lab, &path).await, 200);
    }
    assert_eq!(beat(&lab, &path).await, 429);
    let guess = format!("/api/heartbeats/{}", "0".repeat(40));
    for _ in 0..3 {
        assert_eq!(beat(&lab, &guess).await, 404);
    }
    assert_eq!(beat(&lab, &guess).await, 429);
}

#[tokio::test]
async fn a_project_that_rests_owes_no_heartbeat() {
    let (lab, owner, path) = job().await;
    assert_eq!(beat(&lab, &path).await, 200);
    has_status(&owner, "up").await;
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    let noted = |view: &Value| view["status"] == "paused" && view["since"].is_string();
    uptime_is(&owner, "a pause", noted).await;
    lab.clock.advance(INTERVAL * 10);
    assert_eq!(beat(&lab, &path).await, 200, "it may call all the same");
    uptime_is(&owner, "its call", |view| {
        view["last_heartbeat_at"] == "2026-01-01T00:01:40Z"
    })
    .await;
    assert_eq!(log_lines(&lab, &owner, "is down").await, 0);
    checks(&owner, 1).await;
}

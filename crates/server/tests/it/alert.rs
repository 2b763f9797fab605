//! `…/alerts`: rules, when they fire, and who is told of it.

use std::time::Duration;

use serde_json::{Value, json};
use tose_api::ProjectId;
use tose_model::Clock;
use tose_model::driver::{ReplicaName, Usage};
use tose_model::traffic::Traffic;
use tose_server::config::Config;

use crate::harness::{Client, Lab, eventually};
use crate::receiver::{Call, Receiver};

const ALERTS: &str = "alerts";

fn reach_loopback(config: &mut Config) {
    config.drains.allow_private = true;
}

/// A server with the project `shop`, of which a replica runs, and a service that is told of alerts.
async fn shop() -> (Lab, Client, Receiver) {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let told = Receiver::start().await;
    let body = json!({"name": "hook", "kind": "webhook", "url": told.url,
        "events": ["alert_firing", "alert_resolved"]});
    let made = owner.post("notifications", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    (lab, owner, told)
}

/// A rule for the window of a minute.
fn rule(metric: &str, comparison: &str, threshold: u64) -> Value {
    json!({"name": metric.replace('_', "-"), "metric": metric, "comparison": comparison,
        "threshold": threshold, "window_seconds": 60})
}

/// Makes a rule; its path.
async fn create(owner: &Client, body: Value) -> String {
    let made = owner.post(ALERTS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    format!("{ALERTS}/{}", made.data()["id"].as_str().expect("an id"))
}

async fn view(owner: &Client, path: &str) -> Value {
    let answer = owner.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

/// How a rule stands for the only project that it was looked at for.
async fn state(owner: &Client, path: &str) -> Value {
    let view = view(owner, path).await;
    assert_eq!(view["states"].as_array().map(Vec::len), Some(1), "{view}");
    view["states"][0].clone()
}

/// Waits until everything was looked at by what is measured now.
async fn is_seen(lab: &Lab, owner: &Client, path: &str) {
    let now = json!(lab.clock.now().to_string());
    eventually(&format!("it is looked at {now}"), async || {
        let view = view(owner, path).await;
        let states = view["states"].as_array().expect("a list");
        match !states.is_empty() && states.iter().all(|state| state["seen_at"] == now) {
            true => Ok(()),
            false => Err(view.to_string()),
        }
    })
    .await;
}

/// Measures so many times, ten seconds apart.
async fn rounds(lab: &Lab, owner: &Client, path: &str, count: usize) {
    for _ in 0..count {
        lab.clock.advance(Duration::from_secs(10));
        is_seen(lab, owner, path).await;
    }
}

/// From now on the only replica uses so much of its processor time.
fn use_cpu(lab: &Lab, percent: u64) {
    let replica = &lab.driver.peek()[0];
    let usage = Usage {
        cpu_milli: replica.load.cpu_milli * percent / 100,
        memory_bytes: 64 << 20,
        ..Usage::default()
    };
    lab.driver.set_usage(&replica.name, usage);
}

/// What somebody was told: the event, the title and the text.
fn words(call: &Call) -> [&str; 3] {
    ["event", "title", "text"].map(|key| call.body[key].as_str().expect("a text"))
}

#[tokio::test]
async fn it_fires_once_and_ends_once_over_restarts_of_the_server() {
    let (mut lab, owner, told) = shop().await;
    let mut body = rule("cpu_percent", "above", 50);
    body["project"] = json!("shop");
    let path = create(&owner, body).await;
    assert_eq!(view(&owner, &path).await["states"], json!([]));
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &path, 5).await;
    let seen = state(&owner, &path).await;
    let expected = json!({"project": "shop", "state": "ok", "since": null, "value": 90,
        "seen_at": "2026-01-01T00:00:50Z"});
    assert_eq!(seen, expected);
    assert_eq!(told.calls().len(), 0);

    rounds(&lab, &owner, &path, 1).await;
    let call = told.is_called(1).await.remove(0);
    assert_eq!(
        words(&call),
        [
            "alert_firing",
            "demo/shop: the alert cpu-percent fires",
            "cpu 90 % of the limit, above 50 for 1 min."
        ]
    );
    assert_eq!(call.body["project"], "shop");
    assert_eq!(call.body["at"], "2026-01-01T00:01:00Z");
    use_cpu(&lab, 70);
    rounds(&lab, &owner, &path, 2).await;
    lab.restart().await;
    let owner = owner.at(&lab);
    rounds(&lab, &owner, &path, 3).await;
    let expected = json!({"project": "shop", "state": "firing", "since": "2026-01-01T00:01:00Z",
        "value": 70, "seen_at": "2026-01-01T00:01:50Z"});
    assert_eq!(state(&owner, &path).await, expected);
    assert_eq!(view(&owner, &path).await["firing"], 1);

    // A short pause is no end.
    use_cpu(&lab, 10);
    rounds(&lab, &owner, &path, 3).await;
    use_cpu(&lab, 70);
    rounds(&lab, &owner, &path, 1).await;
    use_cpu(&lab, 20);
    rounds(&lab, &owner, &path, 5).await;
    assert_eq!(state(&owner, &path).await["state"], "firing");
    rounds(&lab, &owner, &path, 1).await;
    let call = told.is_called(2).await.remove(1);
    assert_eq!(
        words(&call),
        [
            "alert_resolved",
            "demo/shop: the alert cpu-percent is over",
            "cpu 20 % of the limit, no longer above 50. It fired for 2 min 30 s."
        ]
    );
    lab.restart().await;
    let owner = owner.at(&lab);
    rounds(&lab, &owner, &path, 2).await;
    let seen = state(&owner, &path).await;
    assert_eq!(
        (&seen["state"], &seen["since"]),
        (&json!("ok"), &Value::Null)
    );
    assert_eq!(told.calls().len(), 2);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_gap_is_no_measurement() {
    let (lab, owner, told) = shop().await;
    let path = create(&owner, rule("cpu_percent", "above", 50)).await;
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &path, 3).await;
    lab.driver.go_down();
    rounds(&lab, &owner, &path, 3).await;
    lab.driver.come_back();
    rounds(&lab, &owner, &path, 5).await;
    assert_eq!(state(&owner, &path).await["state"], "ok");
    rounds(&lab, &owner, &path, 1).await;
    told.is_called(1).await;
    // It stays as it is until nothing was measured for the whole window.
    lab.driver.go_down();
    rounds(&lab, &owner, &path, 5).await;
    assert_eq!(state(&owner, &path).await["state"], "firing");
    rounds(&lab, &owner, &path, 1).await;
    let seen = state(&owner, &path).await;
    assert_eq!(
        (&seen["state"], &seen["value"]),
        (&json!("unknown"), &Value::Null)
    );
    let call = told.is_called(2).await.remove(1);
    let expected = "nothing was measured for 1 min. It fired for 1 min 0 s.";
    assert_eq!(words(&call)[2], expected);
    lab.driver.come_back();
}

#[tokio::test]
async fn a_server_that_starts_while_the_engine_is_silent_ends_nothing() {
    let (mut lab, owner, told) = shop().await;
    let path = create(&owner, rule("cpu_percent", "above", 50)).await;
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &path, 6).await;
    told.is_called(1).await;
    lab.driver.go_down();
    lab.restart().await;
    let owner = owner.at(&lab);
    // Of what the measurements of the window are a percentage is not known.
    rounds(&lab, &owner, &path, 2).await;
    assert_eq!(state(&owner, &path).await["state"], "firing");
    lab.driver.come_back();
    rounds(&lab, &owner, &path, 2).await;
    let seen = state(&owner, &path).await;
    assert_eq!(
        (&seen["state"], &seen["since"]),
        (&json!("firing"), &json!("2026-01-01T00:01:00Z"))
    );
    assert_eq!(told.calls().len(), 1);
    // What was measured before the start says no more than that.
    lab.driver.go_down();
    lab.restart().await;
    let owner = owner.at(&lab);
    rounds(&lab, &owner, &path, 6).await;
    let call = told.is_called(2).await.remove(1);
    assert!(words(&call)[2].starts_with("nothing was measured for 1 min."));
    lab.driver.come_back();
}

#[tokio::test]
async fn a_rule_may_be_about_a_database() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let made = owner
        .post("databases", json!({"name": "store", "type": "redis"}))
        .await;
    assert_eq!(made.status, 202, "{made:?}");
    let mut body = rule("disk_bytes", "above", 5);
    body["project"] = json!("store");
    let path = create(&owner, body).await;
    assert_eq!(view(&owner, &path).await["project"], "store");
}

#[tokio::test]
async fn nothing_fires_for_a_project_that_is_stopped() {
    let (lab, owner, told) = shop().await;
    let (above, below) = (
        create(&owner, rule("cpu_percent", "above", 50)).await,
        create(&owner, rule("requests_per_second", "below", 5)).await,
    );
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &above, 6).await;
    assert_eq!(state(&owner, &above).await["state"], "firing");
    assert_eq!(state(&owner, &below).await["state"], "firing");
    rounds(&lab, &owner, &above, 2).await;
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    lab.has_replicas(0).await;
    rounds(&lab, &owner, &above, 1).await;
    assert_eq!(state(&owner, &above).await["state"], "unknown");
    rounds(&lab, &owner, &below, 8).await;
    assert_eq!(state(&owner, &below).await["state"], "unknown");
    // Those of one moment may come in one message.
    let all = || {
        let calls = told.calls();
        let notices = calls.iter().flat_map(|call| {
            let notices = call.body["notices"].as_array().expect("a list");
            notices.iter().map(|notice| notice["text"].to_string())
        });
        let mut texts: Vec<_> = notices.collect();
        texts.sort();
        texts
    };
    let texts = eventually("four events are told of", async || match all() {
        texts if texts.len() < 4 => Err(format!("{texts:?}")),
        texts => Ok(texts),
    })
    .await;
    let ended = r#""nothing of the project is to run any more. It fired for 30 s.""#;
    let expected = [
        r#""0 requests a second, below 5 for 1 min.""#,
        r#""cpu 90 % of the limit, above 50 for 1 min.""#,
        ended,
        ended,
    ];
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn each_metric_says_what_was_measured() {
    let (lab, owner, told) = shop().await;
    let id: ProjectId = view(&owner, "projects/shop").await["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id");
    let replica = lab.driver.peek().remove(0);
    let limit = (replica.load.ram_milli << 30) / 1000;
    let usage = Usage {
        cpu_milli: replica.load.cpu_milli / 4,
        memory_bytes: limit / 2,
        ..Usage::default()
    };
    lab.driver.set_usage(&replica.name, usage);
    let mut paths = Vec::new();
    for metric in [
        "cpu_percent",
        "memory_percent",
        "requests_per_second",
        "error_percent",
        "p95_ms",
        "restarts",
    ] {
        let path = create(&owner, rule(metric, "above", 1_000_000)).await;
        paths.push(path);
    }
    let errors = create(
        &owner,
        json!({"name": "errors", "metric": "error_percent",
        "comparison": "above", "threshold": 19.5, "window_seconds": 120}),
    )
    .await;
    let visit = |count: u64| {
        let mut traffic = lab.data_plane.traffic.lock().expect("no panic");
        let of_shop = traffic.entry(id).or_default();
        let mut more = Traffic {
            requests: 5 * count,
            by_class: [0, 4 * count, 0, 0, count],
            ..Traffic::default()
        };
        for _ in 0..5 * count {
            more.latency.record(Duration::from_secs(500));
        }
        of_shop.merge(&more);
    };
    // What came before the first look is nobody's.
    rounds(&lab, &owner, &errors, 1).await;
    visit(3);
    rounds(&lab, &owner, &errors, 1).await;
    let mut seen = Vec::new();
    for path in &paths {
        let state = state(&owner, path).await;
        assert_eq!(state["state"], "ok", "{path}: {state}");
        seen.push(state["value"].clone());
    }
    // Whatever takes longer than is told apart counts as 120 s.
    let expected = [
        json!(25),
        json!(50),
        json!(1.5),
        json!(20),
        json!(120_000),
        json!(0),
    ];
    assert_eq!(seen, expected);

    // One request a minute that fails is enough.
    for _ in 0..10 {
        rounds(&lab, &owner, &errors, 4).await;
        visit(1);
        rounds(&lab, &owner, &errors, 1).await;
        if state(&owner, &errors).await["state"] == "firing" {
            break;
        }
    }
    let call = told.is_called(1).await.remove(0);
    let expected = "20 % of the answers are 5xx, above 19.5 for 2 min.";
    assert_eq!(words(&call)[2], expected);
    // Without visitors there is nothing to be told of.
    rounds(&lab, &owner, &errors, 12).await;
    let call = told.is_called(2).await.remove(1);
    let text = words(&call)[2];
    assert!(
        text.starts_with("there was no request for 2 min. "),
        "{text}"
    );
}

#[tokio::test]
async fn restarts_within_the_window_are_added_up() {
    let (lab, owner, told) = shop().await;
    let path = create(&owner, rule("restarts", "above", 1)).await;
    let crash = async |name: &ReplicaName, count: u32| {
        lab.driver.exit(name, 1);
        eventually("it is started again", async || {
            let restarts = lab.driver.peek()[0].restarts;
            match restarts == count {
                true => Ok(()),
                false => Err(format!("{restarts}")),
            }
        })
        .await;
    };
    rounds(&lab, &owner, &path, 1).await;
    let name = lab.driver.peek()[0].name.clone();
    crash(&name, 1).await;
    rounds(&lab, &owner, &path, 2).await;
    assert_eq!(state(&owner, &path).await["value"], 1);
    crash(&name, 2).await;
    rounds(&lab, &owner, &path, 1).await;
    let call = told.is_called(1).await.remove(0);
    assert_eq!(words(&call)[2], "restarts 2 within 1 min, above 1.");
    // Too many for another minute are not over.
    rounds(&lab, &owner, &path, 8).await;
    assert_eq!(state(&owner, &path).await["state"], "firing");
    rounds(&lab, &owner, &path, 1).await;
    let call = told.is_called(2).await.remove(1);
    let expected = "restarts 0, no longer above 1. It fired for 1 min 30 s.";
    assert_eq!(words(&call)[2], expected);
}

#[tokio::test]
async fn a_rule_that_is_changed_is_a_new_one_and_another_name_is_none() {
    let (lab, owner, told) = shop().await;
    let path = create(&owner, rule("cpu_percent", "above", 50)).await;
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &path, 6).await;
    told.is_called(1).await;
    let put = async |body: Value| {
        let changed = owner.put(&path, body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        changed.data().clone()
    };
    let renamed = put(json!({"name": "hot"})).await;
    assert_eq!(
        (&renamed["name"], &renamed["firing"]),
        (&json!("hot"), &json!(1))
    );
    rounds(&lab, &owner, &path, 2).await;
    assert_eq!(told.calls().len(), 1);
    let changed = put(json!({"threshold": 60})).await;
    assert_eq!(
        (&changed["firing"], &changed["states"]),
        (&json!(0), &json!([]))
    );
    // It is judged anew, by what was measured all along.
    rounds(&lab, &owner, &path, 1).await;
    let call = told.is_called(2).await.remove(1);
    assert_eq!(words(&call)[1], "demo/shop: the alert hot fires");
    assert_eq!(
        words(&call)[2],
        "cpu 90 % of the limit, above 60 for 1 min."
    );
    let off = put(json!({"enabled": false})).await;
    assert_eq!((&off["firing"], &off["states"]), (&json!(0), &json!([])));
    let other = create(&owner, rule("memory_percent", "above", 99)).await;
    rounds(&lab, &owner, &other, 2).await;
    assert_eq!(view(&owner, &path).await["states"], json!([]));
    put(json!({"enabled": true, "project": "shop"})).await;
    rounds(&lab, &owner, &path, 1).await;
    told.is_called(3).await;
    assert_eq!(put(json!({"project": null})).await["project"], Value::Null);
    rounds(&lab, &owner, &path, 1).await;
    told.is_called(4).await;
    assert_eq!(owner.delete(&path).await.status, 200);
    assert_eq!(owner.get(&path).await.status, 404);
    rounds(&lab, &owner, &other, 2).await;
    let calls = told.calls();
    assert!(calls.iter().all(|call| words(call)[0] == "alert_firing"));
    assert_eq!(calls.len(), 4);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
    let events = owner.get("events").await.body.to_string();
    for action in ["alert.create", "alert.update", "alert.delete"] {
        assert!(events.contains(action), "{action}: {events}");
    }
}

#[tokio::test]
async fn a_rule_goes_with_its_project_and_knows_those_of_its_workspace_only() {
    let (lab, owner, told) = shop().await;
    let mut body = rule("cpu_percent", "above", 50);
    body["project"] = json!("shop");
    let own = create(&owner, body).await;
    let mut body = rule("cpu_percent", "above", 50);
    body["name"] = json!("all");
    let all = create(&owner, body).await;
    owner.project("blog", "app:1").await;
    let stranger = lab.owner("other").await;
    stranger.project("theirs", "app:1").await;
    let theirs = create(&stranger, rule("cpu_percent", "above", 50)).await;
    use_cpu(&lab, 90);
    rounds(&lab, &owner, &all, 6).await;
    let seen = view(&owner, &all).await;
    let short = |view: &Value| -> Vec<(String, String)> {
        let states = view["states"].as_array().expect("a list");
        let text = |state: &Value, key: &str| state[key].as_str().expect("a text").to_owned();
        states
            .iter()
            .map(|state| (text(state, "project"), text(state, "state")))
            .collect()
    };
    let pair = |project: &str, state: &str| (project.to_owned(), state.to_owned());
    let expected = [pair("shop", "firing"), pair("blog", "unknown")];
    assert_eq!(short(&seen), expected, "what fires comes first");
    is_seen(&lab, &stranger, &theirs).await;
    let expected = [pair("theirs", "unknown")];
    assert_eq!(short(&view(&stranger, &theirs).await), expected);
    assert_eq!(
        stranger.get(ALERTS).await.data().as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(stranger.get(&own).await.status, 404);
    assert_eq!(
        stranger.put(&own, json!({"threshold": 1})).await.status,
        404
    );
    assert_eq!(stranger.delete(&own).await.status, 404);
    let body = json!({"project": "shop"});
    assert_eq!(stranger.put(&theirs, body).await.status, 400);

    told.is_called(1).await;
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    assert_eq!(owner.get(&own).await.status, 404);
    rounds(&lab, &owner, &all, 2).await;
    let seen = view(&owner, &all).await;
    assert_eq!(seen["firing"], 0);
    assert_eq!(short(&seen), [pair("blog", "unknown")]);
    assert_eq!(told.calls().len(), 1);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_there_are_fifty_at_most() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let good = rule("restarts", "above", 3);
    for (key, value, field) in [
        ("window_seconds", json!(30), Some("window_seconds")),
        ("window_seconds", json!(90), Some("window_seconds")),
        ("window_seconds", json!(3_660), Some("window_seconds")),
        ("comparison", json!("below"), Some("comparison")),
        ("project", json!("nowhere"), Some("project")),
        ("comparison", json!("equal"), None),
        ("metric", json!("luck"), None),
        ("threshold", json!(-1), None),
        ("threshold", json!("many"), None),
        ("name", json!("No Slug"), None),
        ("color", json!("red"), None),
    ] {
        let mut body = good.clone();
        body[key] = value;
        let answer = owner.post(ALERTS, body).await;
        assert_eq!(answer.status, 400, "{key}: {answer:?}");
        if let Some(field) = field {
            assert!(answer.body["fields"][field].is_string(), "{answer:?}");
        }
    }
    let path = create(&owner, good.clone()).await;
    let answer = owner.put(&path, json!({"comparison": "below"})).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(owner.post(ALERTS, good.clone()).await.code(), "taken");
    let member = lab.member(&owner, "member").await;
    assert_eq!(member.get(&path).await.status, 200);
    assert_eq!(member.delete(&path).await.status, 403);
    for number in 1..50 {
        let mut body = good.clone();
        body["name"] = json!(format!("rule-{number}"));
        create(&owner, body).await;
    }
    let mut body = good;
    body["name"] = json!("one-more");
    let refused = owner.post(ALERTS, body).await;
    assert_eq!((refused.status, refused.code()), (409, "too_many_alerts"));
    let listed = owner.get(ALERTS).await;
    assert_eq!(listed.data().as_array().map(Vec::len), Some(50));
}

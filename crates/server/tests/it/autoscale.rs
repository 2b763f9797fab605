//! `…/projects/:project_slug/autoscaling`, and the replicas that come and go by it.

use std::time::Duration;

use serde_json::{Value, json};
use tose_api::{ProjectId, Timestamp};
use tose_model::Clock;
use tose_model::autoscale::DOWN_LOOKS;
use tose_model::driver::Usage;
use tose_model::money::Money;
use tose_server::config::Config;
use tose_testkit::{Act, Program};

use crate::harness::{Client, Lab, eventually};

const AUTOSCALING: &str = "projects/shop/autoscaling";
const PERIOD: Duration = Duration::from_secs(10);

/// A server with the project `shop`, which is live.
async fn shop(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> (Lab, Client) {
    let lab = Lab::start_with(configure).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    owner.project_is("shop", "running").await;
    (lab, owner)
}

async fn set(owner: &Client, body: Value) -> Value {
    let answer = owner.put(AUTOSCALING, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

/// Up to `most` replicas of 100 requests a second each.
async fn by_requests(owner: &Client, most: u32) -> Value {
    let body = json!({"enabled": true, "max_replicas": most, "target_requests_per_second": 100});
    set(owner, body).await
}

async fn view(owner: &Client) -> Value {
    owner.get(AUTOSCALING).await.data().clone()
}

/// So many looks, with so many requests a second before each. What is answered after the last.
async fn pass(lab: &Lab, owner: &Client, looks: usize, per_second: u64) -> Value {
    let project = owner.get("projects/shop").await.data().clone();
    let id: ProjectId = serde_json::from_value(project["id"].clone()).expect("an id");
    let mut seen = Value::Null;
    for _ in 0..looks {
        let mut traffic = lab.data_plane.traffic.lock().expect("no panic").clone();
        traffic.entry(id).or_default().requests += per_second * 10;
        *lab.data_plane.traffic.lock().expect("no panic") = traffic;
        lab.clock.advance(PERIOD);
        let now = lab.clock.now();
        seen = eventually("a look", async || {
            let view = view(owner).await;
            let at: Option<Timestamp> =
                serde_json::from_value(view["looked_at"].clone()).expect("a time");
            match at == Some(now) {
                true => Ok(view),
                false => Err(view.to_string()),
            }
        })
        .await;
    }
    seen
}

/// Waits until so many replicas are there and ready.
async fn has_ready(lab: &Lab, owner: &Client, count: usize) {
    lab.has_replicas(count).await;
    owner.project_is("shop", "running").await;
}

async fn told(owner: &Client, channel: &Value) -> Vec<Value> {
    let id = channel["id"].as_str().expect("an id");
    let path = format!("notifications/{id}/deliveries");
    let list = owner.get(&path).await.data().clone();
    let list = list.as_array().expect("a list").iter();
    list.filter(|one| one["event"] == "autoscaled")
        .map(|one| one["title"].clone())
        .collect()
}

async fn channel(owner: &Client) -> Value {
    let body = json!({"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/"});
    let made = owner.post("notifications", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data().clone()
}

fn reach_loopback(config: &mut Config) {
    config.drains.allow_private = true;
}

#[tokio::test]
async fn more_replicas_come_after_half_a_minute_beside_those_that_run() {
    let (lab, owner) = shop(reach_loopback).await;
    let channel = channel(&owner).await;
    let before = view(&owner).await;
    assert_eq!(
        before,
        json!({
            "enabled": false, "min_replicas": 1, "max_replicas": 1, "target_cpu_percent": null,
            "target_requests_per_second": null, "replicas": 1, "looked_at": null, "load": null,
            "waiting": null, "last_scaled": null, "refused": null,
        })
    );
    let first = lab.driver.peek().remove(0);
    let on = by_requests(&owner, 5).await;
    assert_eq!(on["enabled"], json!(true));
    assert_eq!(on["waiting"], "it was not looked at so far");
    let two = pass(&lab, &owner, 2, 250).await;
    assert_eq!(two["waiting"], "it is measured for thirty seconds first");
    let four = pass(&lab, &owner, 2, 250).await;
    assert_eq!(
        four["load"],
        json!({"cpu_percent": null, "requests_per_second_milli": 250_000, "wanted": 3})
    );
    assert_eq!(four["replicas"], json!(1));
    assert_eq!(four["last_scaled"], Value::Null);
    let five = pass(&lab, &owner, 1, 250).await;
    assert_eq!(five["replicas"], json!(3));
    assert_eq!(
        five["last_scaled"],
        json!({
            "at": "2026-01-01T00:00:50Z", "from": 1, "to": 3,
            "reason": "250 requests a second come, and a replica is to answer 100",
        })
    );
    has_ready(&lab, &owner, 3).await;
    let after = lab.driver.peek();
    let same = after.iter().find(|replica| replica.name == first.name);
    assert_eq!(same, Some(&first), "those that ran still do");
    let event = owner.get("events?limit=1").await.data()[0].clone();
    assert_eq!(event["action"], "project.autoscale");
    assert_eq!(event["target"], "shop");
    assert_eq!(
        (&event["actor"], &event["via"], &event["user_id"]),
        (&json!("autoscaling"), &json!("system"), &Value::Null)
    );
    assert_eq!(
        told(&owner, &channel).await,
        ["demo/shop: 3 replicas instead of 1"]
    );
    // A load that stays asks for no more.
    let later = pass(&lab, &owner, 6, 250).await;
    assert_eq!(
        (&later["replicas"], &later["load"]["wanted"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn fewer_replicas_are_kept_after_five_minutes_that_begin_anew_with_the_server() {
    let (mut lab, owner) = shop(|_| {}).await;
    let scaled = owner
        .post("projects/shop/scale", json!({"replicas": 3}))
        .await;
    assert_eq!(scaled.status, 200, "{scaled:?}");
    has_ready(&lab, &owner, 3).await;
    by_requests(&owner, 5).await;
    pass(&lab, &owner, 20, 90).await;
    lab.restart().await;
    let owner = owner.at(&lab);
    has_ready(&lab, &owner, 3).await;
    let almost = pass(&lab, &owner, DOWN_LOOKS + 1, 90).await;
    assert_eq!(
        (&almost["replicas"], &almost["load"]["wanted"]),
        (&json!(3), &json!(1))
    );
    let down = pass(&lab, &owner, 1, 90).await;
    assert_eq!(down["replicas"], json!(1), "{down}");
    assert_eq!(
        down["last_scaled"]["reason"],
        "no more were needed for 5 minutes"
    );
    has_ready(&lab, &owner, 1).await;
}

#[tokio::test]
async fn what_replicas_use_counts_as_a_share_of_their_limit() {
    let (lab, owner) = shop(|_| {}).await;
    let uses = |cpu_milli| Usage {
        cpu_milli,
        memory_bytes: 1 << 20,
        ..Usage::default()
    };
    lab.driver.set_usage(&lab.driver.peek()[0].name, uses(480));
    let body = json!({"enabled": true, "max_replicas": 4, "target_cpu_percent": 70});
    set(&owner, body).await;
    let seen = pass(&lab, &owner, 3, 0).await;
    assert_eq!(
        seen["load"],
        json!({"cpu_percent": 96, "requests_per_second_milli": null, "wanted": 2})
    );
    let up = pass(&lab, &owner, 2, 0).await;
    assert_eq!(
        up["last_scaled"]["reason"],
        "0.48 cores are used, and a replica is to use 70 % of 0.5"
    );
    has_ready(&lab, &owner, 2).await;
    for replica in lab.driver.peek() {
        lab.driver.set_usage(&replica.name, uses(330));
    }
    let enough = pass(&lab, &owner, 6, 0).await;
    assert_eq!(
        enough["load"],
        json!({"cpu_percent": 66, "requests_per_second_milli": null, "wanted": 2})
    );
    assert_eq!(enough["replicas"], json!(2));
}

#[tokio::test]
async fn bounds_count_at_once_and_a_change_by_hand_has_to_be_within_them() {
    let (lab, owner) = shop(|_| {}).await;
    let body = json!({
        "enabled": true, "min_replicas": 2, "max_replicas": 3, "target_requests_per_second": 100,
    });
    set(&owner, body).await;
    let first = pass(&lab, &owner, 1, 0).await;
    assert_eq!(first["replicas"], json!(2));
    assert_eq!(first["last_scaled"]["reason"], "there are to be 2 to 3");
    has_ready(&lab, &owner, 2).await;
    for body in [json!({"replicas": 1}), json!({"replicas": 4})] {
        for refused in [
            owner.post("projects/shop/scale", body.clone()).await,
            owner.put("projects/shop", body.clone()).await,
        ] {
            assert_eq!((refused.status, refused.code()), (409, "autoscaling_on"));
            assert_eq!(
                refused.error(),
                "autoscaling keeps between 2 and 3 replicas: choose a number within, set other bounds, or switch autoscaling off first"
            );
        }
    }
    let folder = json!({"volumes": [{"name": "data", "path": "/data"}], "replicas": 1});
    let refused = owner.put("projects/shop", folder).await;
    assert_eq!((refused.status, refused.code()), (409, "autoscaling_on"));
    assert!(refused.error().starts_with("a project with volumes"));
    for body in [json!({"replicas": 3}), json!({"cpu": "0.25"})] {
        let taken = owner.post("projects/shop/scale", body).await;
        assert_eq!(taken.status, 200, "{taken:?}");
    }
    has_ready(&lab, &owner, 3).await;
    // More than may be now: one too many goes at once.
    set(&owner, json!({"min_replicas": 1, "max_replicas": 2})).await;
    assert_eq!(pass(&lab, &owner, 1, 0).await["replicas"], json!(2));
    has_ready(&lab, &owner, 2).await;
    let off = set(&owner, json!({"enabled": false})).await;
    assert_eq!(
        (&off["waiting"], &off["looked_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(off["target_requests_per_second"], json!(100), "it is kept");
    let taken = owner
        .post("projects/shop/scale", json!({"replicas": 4}))
        .await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let gone = owner.delete(AUTOSCALING).await;
    assert_eq!(gone.status, 200);
    assert_eq!(gone.data()["target_requests_per_second"], Value::Null);
    assert_eq!(gone.data()["replicas"], json!(4));
    assert_eq!(owner.delete(AUTOSCALING).await.status, 404);
}

#[tokio::test]
async fn nothing_is_decided_by_what_was_not_measured_or_of_what_is_not_well() {
    let (lab, owner) = shop(|_| {}).await;
    by_requests(&owner, 5).await;
    pass(&lab, &owner, 4, 250).await;
    lab.data_plane.set_down(true);
    let missing = pass(&lab, &owner, 3, 250).await;
    assert_eq!(
        missing["waiting"],
        "the requests of visitors could not be counted"
    );
    assert_eq!(missing["replicas"], json!(1));
    lab.data_plane.set_down(false);
    // What came meanwhile is counted for the whole time.
    let counted = pass(&lab, &owner, 2, 250).await;
    assert_eq!(counted["load"]["requests_per_second_milli"], json!(250_000));
    assert_eq!(counted["replicas"], json!(1));
    let stopped = owner.post("projects/shop/stop", json!({})).await;
    assert_eq!(stopped.status, 200);
    lab.has_replicas(0).await;
    let stopped = pass(&lab, &owner, 6, 250).await;
    assert_eq!(stopped["waiting"], "the project is stopped");
    assert_eq!(stopped["replicas"], json!(1));
    let started = owner.post("projects/shop/start", json!({})).await;
    assert_eq!(started.status, 200);
    has_ready(&lab, &owner, 1).await;
    // The looks begin anew.
    let again = pass(&lab, &owner, 4, 250).await;
    assert_eq!(again["replicas"], json!(1));
    // Another replica, which never gets ready.
    lab.driver
        .add_image("app:1", Program::new([Act::Exit { code: 1 }]));
    let scaled = owner
        .post("projects/shop/scale", json!({"replicas": 2}))
        .await;
    assert_eq!(scaled.status, 200, "{scaled:?}");
    owner.project_is("shop", "degraded").await;
    let ill = pass(&lab, &owner, 1, 250).await;
    assert_eq!(ill["waiting"], "not all of its replicas are ready");
    assert_eq!(ill["last_scaled"], Value::Null);
}

#[tokio::test]
async fn a_project_that_was_never_deployed_is_left_alone() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    by_requests(&owner, 5).await;
    let seen = pass(&lab, &owner, 1, 0).await;
    assert_eq!(seen["waiting"], "no version of it is live");
}

#[tokio::test]
async fn what_the_quota_refuses_is_told_once_and_the_rest_is_given() {
    let (lab, owner) = shop(|config| {
        reach_loopback(config);
        config.limits.workspace.cpu = "1".parse().ok();
    })
    .await;
    let channel = channel(&owner).await;
    by_requests(&owner, 5).await;
    let one_more = pass(&lab, &owner, 5, 390).await;
    assert_eq!(one_more["replicas"], json!(2));
    assert_eq!(
        one_more["last_scaled"]["reason"],
        "390 requests a second come, and a replica is to answer 100; there is no room for 4 at once"
    );
    has_ready(&lab, &owner, 2).await;
    let refused = pass(&lab, &owner, 5, 390).await;
    let expected = json!({
        "since": "2026-01-01T00:01:40Z", "wanted": 4,
        "reason": "the workspace may use 1 core in all, and it would need 2; stop or scale down something, or ask the operator for more",
    });
    assert_eq!(refused["refused"], expected);
    assert_eq!(refused["load"]["wanted"], json!(4));
    let still = pass(&lab, &owner, 4, 390).await;
    assert_eq!(still["refused"], refused["refused"]);
    let titles = [
        "demo/shop: 4 replicas are needed, and it stays at 2",
        "demo/shop: 2 replicas instead of 1",
    ];
    assert_eq!(told(&owner, &channel).await, titles);
    // It was not needed for a short time only: that is no new event.
    pass(&lab, &owner, 8, 150).await;
    let again = pass(&lab, &owner, 6, 390).await;
    assert_eq!(again["refused"], refused["refused"]);
    assert_eq!(told(&owner, &channel).await, titles);
    pass(&lab, &owner, 20, 150).await;
    let calm = pass(&lab, &owner, 20, 150).await;
    assert_eq!(calm["refused"], Value::Null);
    assert_eq!(calm["replicas"], json!(2));
    let anew = pass(&lab, &owner, 6, 390).await;
    assert_ne!(anew["refused"], Value::Null);
    assert_eq!(told(&owner, &channel).await.len(), 3);
}

#[tokio::test]
async fn what_the_wallet_refuses_is_said() {
    let (lab, owner) = shop(|config| {
        config.billing.enabled = true;
        config.billing.signup_credit = Money::of(600);
    })
    .await;
    by_requests(&owner, 5).await;
    let refused = pass(&lab, &owner, 5, 250).await;
    assert_eq!(refused["replicas"], json!(1));
    assert_eq!(refused["refused"]["wanted"], json!(3));
    let reason = refused["refused"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("wallet"), "{reason}");
    // Other settings are another question.
    let asked = set(&owner, json!({"max_replicas": 2})).await;
    assert_eq!(asked["refused"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_and_says_why() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for (body, field) in [
        (
            json!({"enabled": true, "max_replicas": 2}),
            "target_cpu_percent",
        ),
        (json!({"min_replicas": 0}), "min_replicas"),
        (json!({"min_replicas": 2}), "max_replicas"),
        (json!({"max_replicas": 100_000}), "max_replicas"),
        (json!({"target_cpu_percent": 0}), "target_cpu_percent"),
        (json!({"target_cpu_percent": 101}), "target_cpu_percent"),
        (
            json!({"target_requests_per_second": 0}),
            "target_requests_per_second",
        ),
    ] {
        let answer = owner.put(AUTOSCALING, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let problem = &answer.body["fields"][field];
        assert!(problem.is_string(), "{body}: {answer:?}");
    }
    let unknown = owner.put(AUTOSCALING, json!({"cpu": 70})).await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    let both = json!({
        "enabled": true, "max_replicas": 3, "target_cpu_percent": 70, "target_requests_per_second": 50,
    });
    set(&owner, both).await;
    let kept = set(&owner, json!({"target_cpu_percent": null})).await;
    assert_eq!(
        (
            &kept["target_cpu_percent"],
            &kept["target_requests_per_second"]
        ),
        (&Value::Null, &json!(50))
    );
    let none = json!({"target_requests_per_second": null});
    assert_eq!(owner.put(AUTOSCALING, none).await.status, 400);

    let body = json!({
        "name": "disk", "slug": "disk", "image": "app:1", "port": 3000,
        "volumes": [{"name": "data", "path": "/data"}],
    });
    assert_eq!(owner.post("projects", body).await.status, 201);
    let more = json!({"replicas": 2});
    let by_hand = owner.post("projects/disk/scale", more).await;
    let body = json!({"enabled": true, "max_replicas": 2, "target_cpu_percent": 70});
    let refused = owner.put("projects/disk/autoscaling", body).await;
    assert_eq!((refused.status, refused.code()), (409, "one_replica_only"));
    assert_eq!(refused, by_hand, "the words of scaling it by hand");
}

#[tokio::test]
async fn another_workspaces_project_is_neither_seen_nor_scaled() {
    let (lab, owner) = shop(|_| {}).await;
    by_requests(&owner, 5).await;
    let stranger = lab.owner("other").await;
    stranger.project("mine", "app:1").await;
    let body = json!({"enabled": false});
    for answer in [
        stranger.get(AUTOSCALING).await,
        stranger.put(AUTOSCALING, body.clone()).await,
        stranger.delete(AUTOSCALING).await,
    ] {
        assert_eq!((answer.status, answer.error()), (404, "project not found"));
    }
    let mine = stranger.get("projects/mine/autoscaling").await;
    assert_eq!(mine.data()["enabled"], json!(false));
    assert_eq!(view(&owner).await["enabled"], json!(true));
}

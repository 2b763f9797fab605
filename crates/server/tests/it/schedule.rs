//! Schedules.

use std::time::Duration;

use serde_json::{Value, json};
use tose_api::Timestamp;
use tose_model::Clock;
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};

const HOUR: Duration = Duration::from_secs(3600);

async fn set(owner: &Client, name: &str, body: Value) -> Value {
    let answer = owner
        .put(&format!("projects/shop/schedules/{name}"), body)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

/// The only schedule, once it looks as it is to look.
async fn schedule_is(owner: &Client, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let list = owner.get("projects/shop/schedules").await;
        let schedule = list.data()[0].clone();
        match is(&schedule) {
            true => Ok(schedule),
            false => Err(schedule.to_string()),
        }
    })
    .await
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}

async fn jobs(owner: &Client) -> Vec<Value> {
    let list = owner.get("projects/shop/jobs").await;
    list.data().as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_schedule_runs_once_for_each_time_and_once_for_all_that_were_missed() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let body = json!({"cron": "30 * * * *", "command": ["echo", "tick"]});
    let made = set(&owner, "hourly", body).await;
    let first = time(&made["next_at"]);
    assert_eq!(
        (&made["timezone"], &made["enabled"]),
        (&json!("UTC"), &json!(true))
    );
    assert_eq!(jobs(&owner).await, Vec::<Value>::new());

    lab.clock.set(first);
    let succeeded = |schedule: &Value| schedule["last_job"]["status"] == "succeeded";
    let ran = schedule_is(&owner, "it has run", succeeded).await;
    assert_eq!(time(&ran["next_at"]), first.saturating_add(HOUR));
    let list = jobs(&owner).await;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["schedule"], "hourly");
    assert_eq!(list[0]["id"], ran["last_job"]["id"]);

    // The clock jumps by days while the server is down; it goes back an hour after that.
    lab.clock.advance(50 * HOUR);
    lab.restart().await;
    let owner = owner.at(&lab);
    let newer = |schedule: &Value| {
        succeeded(schedule) && schedule["last_job"]["id"] != ran["last_job"]["id"]
    };
    let caught_up = schedule_is(&owner, "it has caught up", newer).await;
    assert!(time(&caught_up["next_at"]) > lab.clock.now());
    lab.clock.set(first.saturating_add(49 * HOUR));
    set(
        &owner,
        "other",
        json!({"cron": "0 0 1 1 *", "command": ["true"]}),
    )
    .await;
    assert_eq!(jobs(&owner).await.len(), 2);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_cannot_be_is_left_out_with_its_reason() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let body = json!({
        "cron": "30 * * * *", "command": ["work"], "timeout_seconds": 86_400,
    });
    let made = set(&owner, "hourly", body).await;
    let mut due = time(&made["next_at"]);
    let mut skipped = async |reason: &str| {
        lab.clock.set(due);
        let is = |schedule: &Value| schedule["last_skip"]["reason"] == reason;
        let schedule = schedule_is(&owner, reason, is).await;
        assert_eq!(time(&schedule["last_skip"]["due_at"]), due);
        due = time(&schedule["next_at"]);
        assert!(due > lab.clock.now());
    };
    skipped("nothing was deployed so far").await;
    lab.driver.add_image("app:1", Program::default());
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let stopped = owner.post("projects/shop/stop", json!({})).await;
    assert_eq!(stopped.status, 200);
    skipped("the project is stopped").await;
    owner.post("projects/shop/start", json!({})).await;
    owner.project_is("shop", "running").await;
    lab.clock.advance(HOUR);
    let running = |schedule: &Value| schedule["last_job"]["status"] == "running";
    let schedule = schedule_is(&owner, "a run goes on", running).await;
    let mut due = time(&schedule["next_at"]);
    lab.clock.set(due);
    let is = |schedule: &Value| schedule["last_skip"]["reason"] == "the run before has not ended";
    due = time(&schedule_is(&owner, "the next is left out", is).await["next_at"]);
    assert_eq!(jobs(&owner).await.len(), 1);

    let off = json!({"cron": "30 * * * *", "command": ["work"], "enabled": false});
    let made = set(&owner, "hourly", off).await;
    assert_eq!(
        (&made["enabled"], &made["next_at"]),
        (&json!(false), &Value::Null)
    );
    lab.clock.set(due);
    let gone = owner.delete("projects/shop/schedules/hourly").await;
    assert_eq!(gone.data()["deleted"], "hourly");
    let list = owner.get("projects/shop/schedules").await;
    assert_eq!(list.data(), &json!([]));
    assert_eq!(jobs(&owner).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for (name, body, words) in [
        (
            "a",
            json!({"cron": "* * * *", "command": ["x"]}),
            "five fields",
        ),
        (
            "a",
            json!({"cron": "0 0 31 2 *", "command": ["x"]}),
            "never comes",
        ),
        (
            "a",
            json!({"cron": "* * * * *", "command": ["x"], "timezone": "Mars"}),
            "time zone",
        ),
        ("a", json!({"cron": "* * * * *", "command": []}), "command"),
        (
            "a",
            json!({"cron": "* * * * *", "command": ["x"], "timeout_seconds": 0}),
            "between 1 and 86400",
        ),
        (
            "A b",
            json!({"cron": "* * * * *", "command": ["x"]}),
            "small letters",
        ),
    ] {
        let path = format!("projects/shop/schedules/{}", name.replace(' ', "%20"));
        let answer = owner.put(&path, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains(words), "{answer:?}");
    }
    for number in 0..20 {
        let body = json!({"cron": "* * * * *", "command": ["x"], "enabled": false});
        set(&owner, &format!("s{number}"), body).await;
    }
    let body = json!({"cron": "* * * * *", "command": ["x"]});
    let answer = owner
        .put("projects/shop/schedules/more", body.clone())
        .await;
    assert_eq!((answer.status, answer.code()), (409, "too_many_schedules"));
    set(&owner, "s3", body).await;
    let missing = owner.delete("projects/shop/schedules/more").await;
    assert_eq!(missing.status, 404);
}

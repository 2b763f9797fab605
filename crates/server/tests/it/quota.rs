//! A workspace with room for little.

use serde_json::json;
use tose_model::driver::{EngineStep, Spare, Usage};
use tose_testkit::{Act, Program};

use crate::harness::{Client, Lab};

/// A server that gives a workspace half a core, and no time to drain.
async fn small() -> (Lab, Client) {
    let lab = Lab::start_with(|config| {
        config.limits.workspace.cpu = "0.5".parse().ok();
        config.limits.drain = std::time::Duration::ZERO;
    })
    .await;
    let owner = lab.owner("demo").await;
    (lab, owner)
}

async fn log_of(owner: &Client, id: &str) -> String {
    let path = format!("projects/shop/deployments/{id}/logs");
    let log = owner.get(&path).await;
    log.data()["lines"].to_string()
}

/// The most replicas that there were at once.
fn most_at_once(lab: &Lab) -> i32 {
    let mut now = 0;
    let counts = lab.driver.applied().into_iter().map(|step| {
        now += match step {
            EngineStep::StartReplica(_) => 1,
            EngineStep::RemoveReplica { .. } => -1,
            _ => 0,
        };
        now
    });
    counts.max().unwrap_or_default()
}

#[tokio::test]
async fn a_version_takes_the_place_of_the_one_before_where_there_is_room_for_one() {
    let (lab, owner) = small().await;
    lab.live(&owner, "app:1").await;
    let next = owner.deploy("shop").await;
    owner.deployment_is("shop", &next, "running").await;
    lab.has_replicas(1).await;
    assert_eq!(most_at_once(&lab), 1);
    let log = log_of(&owner, &next).await;
    let words = "the version before ends first: the workspace may use 0.5 cores in all, and it would need 1 with both versions at once";
    assert!(log.contains(words), "{log}");
}

#[tokio::test]
async fn a_version_that_fails_in_the_place_of_another_gives_it_back() {
    let (lab, owner) = small().await;
    let first = lab.live(&owner, "app:1").await;
    lab.driver
        .add_image("broken:1", Program::new([Act::Exit { code: 3 }]));
    let changed = owner
        .put("projects/shop", json!({"image": "broken:1"}))
        .await;
    assert_eq!(changed.status, 200);
    let next = owner.deploy("shop").await;
    owner.deployment_is("shop", &next, "failed").await;
    owner.deployment_is("shop", &first, "running").await;
    lab.has_replicas(1).await;
    owner.project_is("shop", "running").await;
}

#[tokio::test]
async fn what_is_too_much_for_a_workspace_is_refused_and_changes_nothing() {
    let (lab, owner) = small().await;
    lab.live(&owner, "app:1").await;
    owner.project("other", "app:1").await;
    let more = json!({"replicas": 2});
    for refused in [
        owner.post("projects/other/deployments", json!({})).await,
        owner.post("projects/shop/scale", more.clone()).await,
        owner.put("projects/shop", more).await,
        owner.post("projects/shop/scale", json!({"cpu": "1"})).await,
    ] {
        assert_eq!(
            (refused.status, refused.code()),
            (409, "quota_exceeded"),
            "{refused:?}"
        );
    }
    let shop = owner.get("projects/shop").await.data().clone();
    assert_eq!(
        (&shop["replicas"], &shop["cpu"]),
        (&json!(1), &json!("0.5"))
    );
    let none = owner.get("projects/other/deployments").await;
    assert_eq!(none.data(), &json!([]));

    let stopped = owner.post("projects/shop/stop", json!({})).await;
    assert_eq!(stopped.status, 200);
    let id = owner.deploy("other").await;
    owner.deployment_is("other", &id, "running").await;
    let started = owner.post("projects/shop/start", json!({})).await;
    assert_eq!((started.status, started.code()), (409, "quota_exceeded"));
}

#[tokio::test]
async fn of_two_versions_at_once_only_one_gets_the_room() {
    let (lab, owner) = small().await;
    lab.driver.add_image("app:1", Program::default());
    let names = ["one", "two"];
    for name in names {
        owner.project(name, "app:1").await;
    }
    let (one, two) = tokio::join!(
        owner.post("projects/one/deployments", json!({})),
        owner.post("projects/two/deployments", json!({}))
    );
    let mut ends = Vec::new();
    for (name, answer) in names.iter().zip([one, two]) {
        if answer.status == 409 {
            ends.push("failed".to_owned());
            continue;
        }
        let id = answer.data()["id"].as_str().expect("an id").to_owned();
        ends.push(owner.deployment_ends(name, &id).await);
    }
    ends.sort_unstable();
    assert_eq!(ends, ["failed", "running"]);
    lab.has_replicas(1).await;
}

#[tokio::test]
async fn a_machine_without_memory_left_runs_one_version_at_a_time() {
    let lab = Lab::start_with(|config| config.limits.drain = std::time::Duration::ZERO).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let replica = lab.driver.peek()[0].name.clone();
    let usage = Usage {
        memory_bytes: 300 << 20,
        ..Usage::default()
    };
    lab.driver.set_usage(&replica, usage);
    lab.driver.set_spare(Spare {
        memory_bytes: Some(200 << 20),
        disk: None,
    });
    let next = owner.deploy("shop").await;
    owner.deployment_is("shop", &next, "running").await;
    lab.has_replicas(1).await;
    assert_eq!(most_at_once(&lab), 1);
    let log = log_of(&owner, &next).await;
    let words = "the machine has 200 MiB of memory left, and the version before uses 300";
    assert!(log.contains(words), "{log}");

    // The fresh replica uses nothing so far.
    let beside = owner.deploy("shop").await;
    owner.deployment_is("shop", &beside, "running").await;
    lab.has_replicas(1).await;
    assert_eq!(most_at_once(&lab), 2);
}

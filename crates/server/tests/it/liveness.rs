//! Versions that are live: what becomes of one that is not well.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::driver::{ObservedReplica, ReplicaState};
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};

async fn lab() -> Lab {
    Lab::start_with(|config| {
        config.limits.health_interval = Duration::from_millis(20);
        config.limits.drain = Duration::ZERO;
    })
    .await
}

/// The project `shop` with a health path and so many replicas, of a version that is live.
async fn live(lab: &Lab, owner: &Client, replicas: u32) -> String {
    for image in ["app:1", "app:2"] {
        lab.driver.add_image(image, Program::default());
    }
    let body = json!({
        "name": "shop", "port": 3000, "image": "app:1", "replicas": replicas, "health_check_path": "/up",
    });
    assert_eq!(owner.post("projects", body).await.status, 201);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    id
}

async fn second_version(owner: &Client) -> String {
    owner.put("projects/shop", json!({"image": "app:2"})).await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    id
}

fn route_of(lab: &Lab) -> Vec<String> {
    let route = lab.data_plane.route("demo-shop.localhost");
    let backends = route.expect("a route").backends;
    backends
        .into_iter()
        .map(|backend| backend.replica)
        .collect()
}

fn replica(lab: &Lab, index: u32) -> ObservedReplica {
    let all = lab.driver.peek();
    all.into_iter()
        .find(|replica| replica.key.index == index)
        .expect("a replica")
}

pub(crate) async fn log_has(lab: &Lab, owner: &Client, words: &str) {
    eventually(words, async || {
        let log = crate::log_socket::read(lab, "live-logs?follow=false", owner.key.as_deref());
        let (lines, _) = log.await.expect("a log");
        if lines.iter().any(|line| line.contains(words)) {
            Ok(())
        } else {
            Err(lines.join("\n"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_fails_its_health_path_leaves_the_route_and_is_replaced() {
    let lab = lab().await;
    let owner = lab.owner("demo").await;
    live(&lab, &owner, 2).await;
    // What follows is no matter of a fresh version.
    lab.clock.advance(Duration::from_secs(3600));
    let (sick, well) = (replica(&lab, 0), replica(&lab, 1));
    lab.driver.answer_with(&sick.name, 500);
    let replaced = eventually("it is started again", async || {
        // There is none for a moment.
        let all = lab.driver.peek();
        let now = all
            .into_iter()
            .find(|now| now.key.index == 0)
            .ok_or("none")?;
        let is_other = now.started_at != sick.started_at && now.state == ReplicaState::Running;
        if is_other {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    eventually("both serve", async || match route_of(&lab).len() {
        2 => Ok(()),
        count => Err(count.to_string()),
    })
    .await;
    assert_eq!(replaced.name, sick.name);
    assert_eq!(
        replica(&lab, 1).started_at,
        well.started_at,
        "its neighbour goes on"
    );
    log_has(
        &lab,
        &owner,
        "is replaced: /up answered 500, three times in a row",
    )
    .await;
    owner.project_is("shop", "running").await;
}

#[tokio::test]
async fn when_every_replica_is_sick_one_at_a_time_is_replaced() {
    let lab = lab().await;
    let owner = lab.owner("demo").await;
    live(&lab, &owner, 3).await;
    lab.clock.advance(Duration::from_secs(3600));
    let before: Vec<_> = (0..3).map(|index| replica(&lab, index)).collect();
    for sick in &before {
        lab.driver.answer_with(&sick.name, 503);
    }
    eventually("all were started again", async || {
        assert!(route_of(&lab).len() >= 2, "one at a time");
        let is_new = |old: &ObservedReplica| {
            lab.driver.peek().iter().any(|now| {
                now.name == old.name
                    && now.started_at != old.started_at
                    && now.state == ReplicaState::Running
            })
        };
        let count = before.iter().filter(|old| is_new(old)).count();
        if count == 3 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    })
    .await;
}

async fn crash(lab: &Lab, times: u32) {
    for restarts in 1..=times {
        let name = replica(lab, 0).name;
        lab.driver.exit(&name, 3);
        if restarts < times {
            eventually("the engine starts it again", async || {
                let now = replica(lab, 0);
                if now.restarts >= restarts && now.state == ReplicaState::Running {
                    Ok(())
                } else {
                    Err(format!("{now:?}"))
                }
            })
            .await;
        }
    }
}

async fn newest(owner: &Client) -> Value {
    owner.get("projects/shop/deployments").await.data()[0].clone()
}

#[tokio::test]
async fn a_version_that_crashes_soon_after_it_went_live_is_rolled_back() {
    let lab = lab().await;
    let owner = lab.owner("demo").await;
    let first = live(&lab, &owner, 1).await;
    let second = second_version(&owner).await;
    lab.has_replicas(1).await;
    crash(&lab, 3).await;
    let back = eventually("the first version is back", async || {
        let newest = newest(&owner).await;
        if newest["trigger"] == json!("auto_rollback") && newest["status"] == json!("running") {
            Ok(newest)
        } else {
            Err(newest.to_string())
        }
    })
    .await;
    assert_eq!(back["image"], json!("app:1"));
    assert_eq!(back["created_by"], json!("automatic rollback"));
    let broken = owner.deployment("shop", &second).await;
    assert_eq!(broken["status"], json!("superseded"));
    let error = broken["error"].as_str().expect("a reason");
    assert!(
        error.contains(&first) && error.contains("code 3"),
        "{error}"
    );
    log_has(&lab, &owner, "going back to the version of deployment").await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());

    // What came back is not watched: where that breaks too, nothing goes round in circles.
    lab.has_replicas(1).await;
    crash(&lab, 4).await;
    owner.get("projects/shop").await;
    assert_eq!(newest(&owner).await["id"], back["id"]);
}

#[tokio::test]
async fn a_crash_later_on_rolls_nothing_back() {
    let lab = lab().await;
    let owner = lab.owner("demo").await;
    live(&lab, &owner, 1).await;
    let second = second_version(&owner).await;
    lab.has_replicas(1).await;
    lab.clock.advance(Duration::from_secs(61));
    crash(&lab, 4).await;
    owner.project_is("shop", "degraded").await;
    assert_eq!(newest(&owner).await["id"], json!(second));
}

#[tokio::test]
async fn a_version_that_turns_sick_soon_after_it_went_live_is_rolled_back() {
    let lab = lab().await;
    let owner = lab.owner("demo").await;
    live(&lab, &owner, 1).await;
    let second = second_version(&owner).await;
    lab.has_replicas(1).await;
    lab.driver.answer_with(&replica(&lab, 0).name, 500);
    eventually("the first version is back", async || {
        let newest = newest(&owner).await;
        if newest["image"] == json!("app:1") && newest["status"] == json!("running") {
            Ok(())
        } else {
            Err(newest.to_string())
        }
    })
    .await;
    let error = owner.deployment("shop", &second).await["error"].clone();
    assert!(
        error
            .as_str()
            .expect("a reason")
            .contains("/up answered 500"),
        "{error}"
    );
}

//! Deployments: to life, one after the other, or to a reason.

use std::time::Duration;

use serde_json::json;
use tose_model::driver::{ObservedReplica, ReplicaState};
use tose_testkit::{Act, Program};

use crate::harness::{Lab, eventually};

/// Waits until a replica runs: from then on its time counts.
async fn replica_runs(lab: &Lab) {
    eventually("a replica runs", async || {
        let replicas = lab.driver.peek();
        let is_running = |replica: &ObservedReplica| replica.state == ReplicaState::Running;
        if replicas.iter().any(is_running) {
            Ok(())
        } else {
            Err(format!("{replicas:?}"))
        }
    })
    .await;
}

/// The one replica that visitors are sent to.
fn routed(lab: &Lab) -> String {
    let route = lab
        .data_plane
        .route("demo-shop.localhost")
        .expect("a route");
    assert_eq!(route.backends.len(), 1, "{route:?}");
    route.backends[0].replica.clone()
}

#[tokio::test]
async fn an_image_becomes_an_app_that_visitors_reach() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let id = lab.live(&owner, "app:1").await;
    let deployment = owner.deployment("shop", &id).await;
    assert_eq!(deployment["image"], json!("app:1"));
    for time in [
        "created_at",
        "build_started_at",
        "build_finished_at",
        "live_at",
    ] {
        assert!(deployment[time].is_string(), "{time}: {deployment}");
    }
    let view = owner.project_is("shop", "running").await;
    assert_eq!(view["live_deployment"]["id"], json!(id));
    let status = owner.get("projects/shop/status").await;
    let pod = &status.data()["pods"]["items"][0];
    assert_eq!(
        (&pod["status"], &pod["ready"]),
        (&json!("running"), &json!(true))
    );
    assert_eq!(pod["name"], json!(routed(&lab)));
}

#[tokio::test]
async fn a_newer_version_takes_over_and_the_older_one_drains() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = lab.live(&owner, "app:1").await;
    let old_replica = routed(&lab);
    lab.data_plane.set_in_flight(&old_replica, 1);
    lab.driver.add_image("app:2", Program::default());
    owner.put("projects/shop", json!({"image": "app:2"})).await;
    let second = owner.deploy("shop").await;
    owner.deployment_is("shop", &second, "running").await;
    owner.deployment_is("shop", &first, "superseded").await;
    assert_ne!(routed(&lab), old_replica);
    let is_there = || {
        lab.driver
            .peek()
            .iter()
            .any(|replica| replica.name.as_str() == old_replica)
    };
    assert!(is_there(), "a replica with a request on it stays");
    lab.data_plane.set_in_flight(&old_replica, 0);
    eventually("the old replica goes", async || {
        if is_there() {
            Err(String::new())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_an_old_version_for_ever() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let old_replica = routed(&lab);
    lab.data_plane.set_in_flight(&old_replica, 1);
    let second = owner.post("projects/shop/redeploy", json!({})).await.data()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    owner.deployment_is("shop", &second, "running").await;
    eventually(
        "the old replica is ended once its time is over",
        async || {
            lab.clock.advance(Duration::from_secs(1));
            let is_there = lab
                .driver
                .peek()
                .iter()
                .any(|replica| replica.name.as_str() == old_replica);
            if is_there { Err(String::new()) } else { Ok(()) }
        },
    )
    .await;
}

#[tokio::test]
async fn a_version_that_never_listens_fails_with_the_port() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("deaf:1", Program::new([]));
    owner.project("shop", "deaf:1").await;
    let id = owner.deploy("shop").await;
    replica_runs(&lab).await;
    lab.clock.advance(Duration::from_secs(120));
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(
        error.contains("nothing listened on port 3000 within 60 s"),
        "{error}"
    );
    owner.project_is("shop", "failed").await;
}

#[tokio::test]
async fn a_version_that_ends_at_once_fails_with_its_code_and_last_words() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let program = Program::new([Act::print("no DATABASE_URL"), Act::Exit { code: 7 }]);
    lab.driver.add_image("broken:1", program);
    owner.project("shop", "broken:1").await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(
        error.contains("exited with code 7") && error.contains("no DATABASE_URL"),
        "{error}"
    );
}

#[tokio::test]
async fn a_broken_version_leaves_the_live_one_alone() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = lab.live(&owner, "app:1").await;
    let replica = routed(&lab);
    lab.driver
        .add_image("broken:1", Program::new([Act::Exit { code: 1 }]));
    owner
        .put("projects/shop", json!({"image": "broken:1"}))
        .await;
    let second = owner.deploy("shop").await;
    owner.deployment_is("shop", &second, "failed").await;
    assert_eq!(routed(&lab), replica);
    assert_eq!(
        owner.deployment("shop", &first).await["status"],
        json!("running")
    );
    lab.has_replicas(1).await;
    owner.project_is("shop", "running").await;
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_named() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "nowhere:1").await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|text| text.contains("nowhere:1")),
        "{failed}"
    );
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let unconnected = owner.post("projects/shop/deployments", json!({})).await;
    assert_eq!((unconnected.status, unconnected.code()), (409, "no_source"));
    for path in ["redeploy", "restart", "start"] {
        let answer = owner
            .post(&format!("projects/shop/{path}"), json!({}))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (409, "nothing_deployed"),
            "{path}"
        );
    }
    let commit = owner
        .post("projects/shop/deployments", json!({"commit": "main"}))
        .await;
    assert!(commit.body["fields"]["commit"].is_string(), "{commit:?}");
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(
            owner
                .get(&format!("projects/shop/deployments/{id}"))
                .await
                .status,
            404
        );
    }
}

#[tokio::test]
async fn of_many_deployments_at_once_one_is_under_way_and_the_newest_waits() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("deaf:1", Program::new([]));
    owner.project("shop", "deaf:1").await;
    let first = owner.deploy("shop").await;
    owner.deployment_is("shop", &first, "deploying").await;
    let mut last = String::new();
    for _ in 0..5 {
        last = owner.deploy("shop").await;
    }
    let list = owner.get("projects/shop/deployments").await;
    let statuses: Vec<_> = list
        .data()
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| d["status"].as_str().expect("a status"))
        .collect();
    assert_eq!(
        statuses,
        [
            "queued",
            "superseded",
            "superseded",
            "superseded",
            "superseded",
            "deploying"
        ]
    );
    let restart = owner.post("projects/shop/restart", json!({})).await;
    assert_eq!(restart.code(), "deployment_in_progress");
    owner
        .post(
            &format!("projects/shop/deployments/{first}/stop"),
            json!({}),
        )
        .await;
    owner.deployment_is("shop", &first, "cancelled").await;
    owner.deployment_is("shop", &last, "deploying").await;
    let ended = owner
        .post(
            &format!("projects/shop/deployments/{first}/stop"),
            json!({}),
        )
        .await;
    assert_eq!(ended.code(), "deployment_ended");
}

#[tokio::test]
async fn a_crashed_replica_leaves_the_route_and_comes_back() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let name = tose_model::driver::ReplicaName::from_label(&routed(&lab));
    lab.driver.exit(&name, 0);
    eventually("the route is empty", async || {
        let route = lab
            .data_plane
            .route("demo-shop.localhost")
            .expect("a route");
        if route.backends.is_empty() {
            Ok(())
        } else {
            Err(format!("{route:?}"))
        }
    })
    .await;
    owner.project_is("shop", "degraded").await;
    let status = owner.get("projects/shop/status").await;
    assert_eq!(
        status.data()["pods"]["items"][0]["reason"],
        json!("exited with code 0")
    );
    eventually("it is started again after a while", async || {
        lab.clock.advance(Duration::from_secs(1));
        let route = lab
            .data_plane
            .route("demo-shop.localhost")
            .expect("a route");
        if route.backends.len() == 1 {
            Ok(())
        } else {
            Err(format!("{route:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_ends_a_deployment_with_a_reason() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    lab.data_plane.set_down(true);
    let id = owner.deploy("shop").await;
    replica_runs(&lab).await;
    lab.clock.advance(Duration::from_secs(120));
    let failed = owner.deployment_is("shop", &id, "failed").await;
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|text| text.contains("proxy")),
        "{failed}"
    );
}

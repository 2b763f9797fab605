//! Processes beside the one that answers visitors.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::driver::{EngineStep, ReplicaSpec};

use crate::git::commit;
use crate::harness::{Client, Lab, eventually};

/// A project that is built from a repository whose file says this of its processes; its deployment.
async fn deploy(lab: &Lab, owner: &Client, processes: Value) -> String {
    let repo = lab.data_dir().join("repo");
    let file = json!({"run": {"processes": processes}}).to_string();
    let files = [("Dockerfile", "FROM base\n"), ("tose.json", file.as_str())];
    commit(&repo, &files, &file);
    owner.post("projects", json!({"name": "Shop"})).await;
    let connection = json!({"repo_url": format!("file://{}", repo.display())});
    owner.post("projects/shop/git", connection).await;
    owner.deploy("shop").await
}

/// Waits until a record has this status, while the time goes on: a worker has to run for a moment.
async fn status_is(lab: &Lab, owner: &Client, path: &str, status: &str) -> Value {
    eventually(&format!("{path} is {status}"), async || {
        lab.clock.advance(Duration::from_millis(500));
        let answer = owner.get(path).await;
        match answer.data()["status"] == status {
            true => Ok(answer.data().clone()),
            false => Err(answer.data().to_string()),
        }
    })
    .await
}

async fn deployment_is(lab: &Lab, owner: &Client, id: &str, status: &str) -> Value {
    status_is(
        lab,
        owner,
        &format!("projects/shop/deployments/{id}"),
        status,
    )
    .await
}

/// The processes of the pods, `web` among them, once each of them does its work.
async fn pods_are(lab: &Lab, owner: &Client, expected: &[&str]) {
    eventually(&format!("the pods are {expected:?}"), async || {
        lab.clock.advance(Duration::from_millis(500));
        let status = owner.get("projects/shop/status").await;
        let pods = status.data()["pods"]["items"].as_array().expect("a list");
        let mut names: Vec<_> = pods
            .iter()
            .filter(|pod| pod["ready"] == true)
            .map(|pod| pod["process"].as_str().unwrap_or("web"))
            .collect();
        names.sort_unstable();
        match names == expected && pods.len() == expected.len() {
            true => Ok(()),
            false => Err(status.data().to_string()),
        }
    })
    .await;
}

fn started(lab: &Lab) -> Vec<ReplicaSpec> {
    let steps = lab.driver.applied();
    steps
        .into_iter()
        .filter_map(|step| match step {
            EngineStep::StartReplica(spec) => Some(*spec),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn workers_run_beside_the_app_with_their_own_command_and_scale_at_once() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let processes = json!({
        "mail": {"command": "work --on mail", "replicas": 0},
        "worker": {"command": "work"},
    });
    let id = deploy(&lab, &owner, processes).await;
    deployment_is(&lab, &owner, &id, "running").await;
    pods_are(&lab, &owner, &["web", "worker"]).await;
    let specs = started(&lab);
    let worker = specs.iter().find(|spec| !spec.key.is_web());
    let worker = worker.expect("a worker");
    assert!(
        worker.name.as_str().ends_with("-worker-0"),
        "{}",
        worker.name
    );
    assert_eq!(worker.command, Some(vec!["work".to_owned()]));
    // Visitors are sent to the app only.
    let route = lab
        .data_plane
        .route("demo-shop.localhost")
        .expect("a route");
    assert_eq!(route.backends.len(), 1);
    assert_ne!(route.backends[0].replica, worker.name.as_str());

    let scaled = json!({"processes": {"worker": 2, "mail": 1}});
    let answer = owner.post("projects/shop/scale", scaled).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    pods_are(&lab, &owner, &["mail", "web", "worker", "worker"]).await;
    let answer = owner
        .post("projects/shop/scale", json!({"processes": {"worker": 0}}))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    pods_are(&lab, &owner, &["mail", "web"]).await;
    let deployments = owner.get("projects/shop/deployments").await;
    assert_eq!(deployments.data().as_array().map(Vec::len), Some(1));

    // A restart replaces them all, and stopped is stopped.
    owner.post("projects/shop/restart", json!({})).await;
    let newest = owner.get("projects/shop/deployments").await.data()[0]["id"].clone();
    let newest = newest.as_str().expect("an id");
    deployment_is(&lab, &owner, newest, "running").await;
    pods_are(&lab, &owner, &["mail", "web"]).await;
    owner.post("projects/shop/stop", json!({})).await;
    pods_are(&lab, &owner, &[]).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_version_whose_worker_crashes_does_not_take_over() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = deploy(&lab, &owner, json!({"worker": {"command": "work"}})).await;
    deployment_is(&lab, &owner, &first, "running").await;
    let broken = deploy(&lab, &owner, json!({"worker": {"command": "false"}})).await;
    let record = deployment_is(&lab, &owner, &broken, "failed").await;
    let error = record["error"].as_str().expect("a reason");
    assert!(
        error.starts_with("the process worker exited with code 1"),
        "{error}"
    );
    deployment_is(&lab, &owner, &first, "running").await;
    pods_are(&lab, &owner, &["web", "worker"]).await;
}

#[tokio::test]
async fn a_live_worker_that_ends_degrades_the_project_until_it_runs_again() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let id = deploy(&lab, &owner, json!({"worker": {"command": "work"}})).await;
    deployment_is(&lab, &owner, &id, "running").await;
    status_is(&lab, &owner, "projects/shop", "running").await;
    let worker = started(&lab)
        .into_iter()
        .find(|spec| !spec.key.is_web())
        .expect("a worker");
    lab.driver.exit(&worker.name, 0);
    status_is(&lab, &owner, "projects/shop", "degraded").await;
    status_is(&lab, &owner, "projects/shop", "running").await;
    pods_are(&lab, &owner, &["web", "worker"]).await;
}

#[tokio::test]
async fn what_cannot_be_scaled_is_named() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let answer = owner
        .post("projects/shop/scale", json!({"processes": {"worker": 2}}))
        .await;
    assert_eq!(answer.status, 400);
    let text = format!("{answer:?}");
    assert!(text.contains("it has none besides web"), "{text}");

    owner.put("projects/shop", json!({"source": "git"})).await;
    let id = deploy(&lab, &owner, json!({"worker": {"command": "work"}})).await;
    deployment_is(&lab, &owner, &id, "running").await;
    let many = deploy(
        &lab,
        &owner,
        json!({"worker": {"command": "work", "replicas": 11}}),
    )
    .await;
    let record = deployment_is(&lab, &owner, &many, "failed").await;
    let error = record["error"].to_string();
    assert!(
        error.contains("replicas must be between 0 and 10"),
        "{error}"
    );
    for (processes, words) in [
        (json!({"mail": 1}), "it has worker"),
        (json!({"worker": 11}), "must be between 0 and 10"),
    ] {
        let answer = owner
            .post("projects/shop/scale", json!({"processes": processes}))
            .await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let text = format!("{answer:?}");
        assert!(text.contains(words), "{text}");
    }
}

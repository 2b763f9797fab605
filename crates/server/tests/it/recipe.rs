//! Sources without a Dockerfile, and sources with a file of their own, on a fake engine.

use serde_json::{Value, json};
use tose_model::driver::ReplicaSpec;

use crate::git::{commit, connected, failure};
use crate::harness::{Client, Lab};
use crate::log_socket;

const PACKAGE: (&str, &str) = (
    "package.json",
    r#"{"scripts": {"build": "make", "start": "node server.js"}}"#,
);

async fn build_log(lab: &Lab, owner: &Client, deployment: &Value) -> String {
    let id = deployment["id"].as_str().expect("an id");
    let path = format!("deployments/{id}/build-logs");
    let read = log_socket::read(lab, &path, owner.key.as_deref()).await;
    read.expect("a log").0.join("\n")
}

async fn deployed(owner: &Client) -> Value {
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await
}

async fn spec(lab: &Lab, deployment: &Value) -> ReplicaSpec {
    lab.has_replicas(1).await;
    let id = deployment["id"].as_str().expect("an id");
    let replicas = lab.driver.peek();
    let replica = replicas
        .iter()
        .find(|replica| replica.key.deployment_id.to_string() == id);
    let name = &replica.expect("a replica of it").name;
    lab.driver.spec_of(name).expect("a spec")
}

#[tokio::test]
async fn a_source_without_a_dockerfile_is_built_by_a_recipe_that_the_log_shows() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &[PACKAGE]).await;
    for (key, is_secret) in [("API_URL", false), ("TOKEN", true)] {
        let body = json!({"key": key, "value": "canary-of-it", "is_secret": is_secret});
        owner.post("projects/shop/env", body).await;
    }
    let deployment = deployed(&owner).await;
    let log = build_log(&lab, &owner, &deployment).await;
    for words in [
        "building by the recipe `node`, because it has a package.json",
        "note: there is no lock file",
        "  FROM node:22-slim AS build",
        "  ARG API_URL",
        "  CMD [\"/bin/sh\",\"-c\",\"exec node server.js\"]",
        "image built",
    ] {
        assert!(log.contains(words), "{words} in\n{log}");
    }
    assert!(!log.contains("TOKEN"), "{log}");
}

#[tokio::test]
async fn what_the_source_says_of_running_it_counts_also_after_a_restart() {
    let lab = Lab::start().await;
    let file = r#"{"build": {"start": "node other.js"}, "run": {"port": 8080, "start_command": "node 'a b'"}}"#;
    let (owner, _, repo) = connected(&lab, &[PACKAGE, ("tose.json", file)]).await;
    let first = deployed(&owner).await;
    let log = build_log(&lab, &owner, &first).await;
    for words in ["reading tose.json", "run.port: 8080", "exec node other.js"] {
        assert!(log.contains(words), "{words} in\n{log}");
    }
    let running = spec(&lab, &first).await;
    assert_eq!(running.port.get(), 8080);
    assert_eq!(
        running.command,
        Some(vec!["node".to_owned(), "a b".to_owned()])
    );

    let again = owner
        .post("projects/shop/deployments/redeploy", json!({}))
        .await;
    let id = again.data()["id"].as_str().expect("an id").to_owned();
    let again = owner.deployment_is("shop", &id, "running").await;
    assert_eq!(spec(&lab, &again).await.port.get(), 8080);

    // What the project says goes before the file.
    owner
        .put("projects/shop", json!({"start_command": "node mine.js"}))
        .await;
    let third = deployed(&owner).await;
    let log = build_log(&lab, &owner, &third).await;
    assert!(
        log.contains("run.start_command: node 'a b' is not used"),
        "{log}"
    );
    let command = spec(&lab, &third).await.command;
    assert_eq!(command, Some(vec!["node".to_owned(), "mine.js".to_owned()]));

    commit(
        &repo,
        &[("tose.json", r#"{"run": {"ports": 1}}"#)],
        "a mistake",
    );
    let reason = failure(&owner, json!({})).await;
    assert!(
        reason.contains("tose.json: run.ports: unknown field `ports`"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_log_and_a_source_tree_have_limits() {
    let lab = Lab::start_with(|config| {
        config.limits.build_log.lines = 5;
        config.limits.max_source_bytes = 1 << 20;
    })
    .await;
    let dockerfile = ("Dockerfile", "FROM base\nRUN chatter\n");
    let (owner, _, repo) = connected(&lab, &[dockerfile]).await;
    let lines: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lab.driver.on_run("chatter", &lines, 0);
    let deployment = deployed(&owner).await;
    let log = build_log(&lab, &owner, &deployment).await;
    assert!(log.contains("the build wrote more than 5 lines"), "{log}");
    assert!(
        log.contains("lines are left out …") && log.contains("line 499"),
        "{log}"
    );
    assert!(!log.contains("line 100\n"), "{log}");

    // What Git cannot make smaller.
    let noise: String = (0_u64..200_000)
        .map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    commit(&repo, &[("noise", &noise)], "too much");
    let reason = failure(&owner, json!({})).await;
    assert!(
        reason.contains("the source tree has more than 1 MiB"),
        "{reason}"
    );
}

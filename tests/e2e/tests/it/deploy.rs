//! From a commit to an app, and to the next one.

use http::Method;
use serde_json::json;
use tose_e2e::{Installation, Source};

fn node_hello(version: &str) -> Source {
    Source::example("node-hello").file("version.txt", version)
}

#[tokio::test]
async fn a_commit_becomes_an_app_and_the_next_one_replaces_it_without_a_failed_request() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let settings = json!({"port": 3000, "health_check_path": "/healthz"});
    let project = site
        .project_of(site.api(), "hello", &node_hello("one"), settings)
        .await;
    assert_eq!(project.get("").await["status"], "created");
    let first = project.deploy_live().await;
    let page = site.visit(&project.host, "/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("Version <code>one</code>"),
        "{}",
        page.text
    );

    let crowd = site.crowd(&project).await;
    let sha = project.repository.commit(&node_hello("two")).await;
    let second = project.deploy_live().await;
    crowd.sees("Version <code>two</code>").await;
    project.has_one_replica(&second).await;
    crowd.goes_on().await;
    crowd.leaves_content().await;

    project.becomes("running").await;
    let record = project.get(&format!("/deployments/{second}")).await;
    assert_eq!(record["commit"]["sha"], sha.as_str());
    assert_eq!(record["commit"]["author"], "Ada");
    let record = project.get(&format!("/deployments/{first}")).await;
    assert_eq!(record["status"], "superseded");
}

#[tokio::test]
async fn a_project_with_an_image_is_deployed_without_a_repository() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let settings = json!({"image": "python:3.12-slim"});
    let project = site
        .project_of(site.api(), "shell", &Source::app("unused"), settings)
        .await;
    // The image's own program is an interpreter without input: it ends at once.
    let record = project.deploy_and_wait().await;
    assert_eq!(record["status"], "failed");
    assert_eq!(record["image"], "python:3.12-slim");
    let error = record["error"].as_str().expect("a reason");
    assert!(error.contains("exited with code 0"), "{error}");
}

#[tokio::test]
async fn the_next_deployment_after_a_cancelled_one_goes_its_way() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one").gated()).await;
    let cancelled = project.deploy().await;
    site.at_the_gate().await;
    project
        .build_log_says(&cancelled, "waiting at the gate")
        .await;
    let stop = format!("/deployments/{cancelled}/stop");
    project.post(&stop, &json!({})).await;
    let record = project.settled(&cancelled).await;
    assert_eq!(record["status"], "cancelled");
    site.has_no_build_container().await;
    let log = project.build_log(&cancelled).await;
    log.position("waiting at the gate");
    assert_eq!(log.error, None);
    project.has_no_container().await;

    project.deploy_commit(&Source::app("two")).await;
    assert_eq!(site.visit(&project.host, "/").await.text, "two");
}

#[tokio::test]
async fn where_a_workspace_has_room_for_one_replica_the_next_version_takes_its_place() {
    let room = "[limits]\nworkspace_cpu = \"1\"\n";
    let Some(site) = Installation::start_with(room).await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let second = project.deploy_commit(&Source::app("two")).await;
    assert_eq!(site.visit(&project.host, "/").await.text, "two");
    project.has_one_replica(&second).await;
    let log = project.build_log(&second).await;
    let said = log.position("the version before ends first: the workspace may use 1 core in all");
    assert!(said < log.position("live at "));
    let refused = site
        .api()
        .call(
            Method::POST,
            &project.path("/scale"),
            Some(&json!({"replicas": 2})),
        )
        .await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body["code"], "quota_exceeded");
}

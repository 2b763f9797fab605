//! Stop, start, restart, delete.

use http::Method;
use serde_json::json;
use tose_e2e::{Installation, Source, docker, eventually, when};

#[tokio::test]
async fn stop_means_zero_and_start_brings_it_back() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    project.post("/stop", &json!({})).await;
    project.has_no_container().await;
    project.becomes("stopped").await;
    let status = project.get("/status").await;
    assert_eq!(status["pods"]["total"], 0, "{status}");
    assert_eq!(site.visit(&project.host, "/").await.status, 503);

    project.post("/start", &json!({})).await;
    assert_eq!(site.shows(&project.host, 200).await.text, "one");
    project.becomes("running").await;
}

#[tokio::test]
async fn a_project_stays_stopped_when_the_control_plane_is_restarted() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    project.post("/stop", &json!({})).await;
    site.kill_9();
    site.restart().await;
    project.has_no_container().await;
    project.becomes("stopped").await;
    assert_eq!(site.shows(&project.host, 503).await.status, 503);
}

#[tokio::test]
async fn a_restart_rolls_without_a_failed_request() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let settings = json!({"replicas": 2});
    let project = site
        .project_of(site.api(), "web", &Source::app("one"), settings)
        .await;
    let first = project.deploy_live().await;
    let crowd = site.crowd(&project).await;
    project.post("/restart", &json!({})).await;
    eventually("two fresh replicas are left", async || {
        let found = project.containers().await;
        let is_fresh = found.iter().all(|container| {
            container.is_running && container.deployment.as_deref() != Some(first.as_str())
        });
        when(found.len() == 2 && is_fresh, format!("{found:?}"))
    })
    .await;
    crowd.goes_on().await;
    crowd.leaves_content().await;
    project.becomes("running").await;
    let deployments = project.get("/deployments").await;
    assert_eq!(deployments[0]["trigger"], "restart", "{deployments}");
    assert_eq!(deployments[0]["status"], "running", "{deployments}");
}

#[tokio::test]
async fn a_redeploy_takes_the_variables_of_today() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let main = "import app, os\napp.PAGE = os.environ.get('GREETING', 'unset')\napp.serve()\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "unset");
    let crowd = site.crowd(&project).await;
    let body = json!({"key": "GREETING", "value": "xin chào", "is_secret": true});
    let variable = project.post("/env", &body).await;
    assert_eq!(variable["value"], "********");
    let made = project.post("/redeploy", &json!({})).await;
    let id = made["id"].as_str().expect("an id");
    assert_eq!(project.settled(id).await["status"], "running");
    crowd.sees("xin chào").await;
    crowd.leaves_content().await;
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    project.deploy_commit(&Source::app("two")).await;
    let repository = format!("reference=*/{}", project.id.replace('-', ""));
    let images = async || docker(&["images", "--quiet", "--filter", &repository]).await;
    assert_eq!(images().await.lines().count(), 2);
    project.delete().await;
    let answer = project.api.call(Method::GET, &project.path(""), None).await;
    assert_eq!(answer.status, 404);
    let page = site.shows(&project.host, 404).await;
    assert_eq!(page.headers["x-tose-error"], "unknown_host");
    project.has_no_container().await;
    eventually("no image of the project is left", async || {
        let found = images().await;
        when(found.is_empty(), found)
    })
    .await;
    let projects = site.api().get("/projects").await;
    assert_eq!(projects, json!([]));
}

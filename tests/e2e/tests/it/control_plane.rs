//! The control plane comes and goes; apps and visitors do not notice.

use serde_json::json;
use tose_e2e::{Installation, Project, Source, containers};

/// What tells whether a replica is still the very same process.
async fn replica(project: &Project) -> serde_json::Value {
    let status = project.get("/status").await;
    assert_eq!(status["pods"]["total"], 1, "{status}");
    let pod = &status["pods"]["items"][0];
    json!([pod["name"], pod["started_at"], pod["restarts"]])
}

#[tokio::test]
async fn visitors_do_not_notice_that_the_control_plane_is_killed() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    let before = replica(&project).await;
    let proxies = site.proxies();
    assert_eq!(proxies.len(), 1);
    let crowd = site.crowd(&project).await;

    site.kill_9();
    crowd.goes_on().await;
    site.restart().await;
    project.becomes("running").await;
    crowd.goes_on().await;
    assert_eq!(site.proxies(), proxies);
    assert_eq!(replica(&project).await, before);
    project.has_one_replica(&id).await;
    crowd.leaves_content().await;
}

#[tokio::test]
async fn a_build_that_is_cut_off_by_a_kill_is_done_again() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let crowd = site.crowd(&project).await;
    project.repository.commit(&Source::app("two").gated()).await;
    let second = project.deploy().await;
    let cut_off = site.at_the_gate().await;

    site.kill_9();
    crowd.goes_on().await;
    site.has_no_build_container().await;
    site.restart().await;
    let gate = site.at_the_gate().await;
    assert_ne!(gate, cut_off);
    crowd.sees("one").await;
    site.open_gate(&gate).await;

    assert_eq!(project.settled(&second).await["status"], "running");
    let log = project.build_log(&second).await;
    assert_eq!(log.error, None);
    log.position("through the gate");
    crowd.sees("two").await;
    crowd.leaves_content().await;
    let known = project.has_one_replica(&second).await;
    let status = project.get("/status").await;
    assert_eq!(status["pods"]["items"][0]["name"], known.as_str());
    site.has_no_build_container().await;
    let all = containers(&format!("tose.project={}", project.id)).await;
    assert_eq!(all.len(), 1, "{all:?}");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_refuses() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let proxies = site.proxies();
    let outcome = site.serve_again().await;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("another tosed serves from"),
        "{outcome}"
    );
    assert_eq!(site.proxies(), proxies);
    site.api().get("").await;
}

#[tokio::test]
async fn an_upgrade_hands_the_visitors_over_to_the_new_proxy() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let before = replica(&project).await;
    let proxies = site.proxies();
    let crowd = site.crowd(&project).await;

    site.restart().await;
    assert_eq!(site.proxies(), proxies, "the same build keeps its proxy");
    site.upgrade();
    site.restart().await;
    let upgraded = tose_e2e::eventually("only the new proxy is left", async || {
        let found = site.proxies();
        match found[..] {
            [one] if found != proxies => Ok(one),
            _ => Err(format!("{found:?} after {proxies:?}")),
        }
    })
    .await;
    crowd.goes_on().await;
    crowd.leaves_content().await;
    project.becomes("running").await;
    assert_eq!(replica(&project).await, before);
    assert_eq!(site.proxies(), [upgraded]);
}

//! The control plane is killed in the middle of deployments, and things are taken from under it.
//!
//! `TOSE_CHAOS=all` (`make chaos`) kills it after each thing that the engine does; without it, after
//! some.

use tose_e2e::{Crowd, Installation, Project, Source, docker, eventually, when};

/// How many events of the engine lie between two kills.
fn stride() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting"
    )]
    let is_all = std::env::var("TOSE_CHAOS").is_ok_and(|value| value == "all");
    if is_all { 1 } else { 3 }
}

/// Deploys `page`, and kills the server after the `nth` event of the engine. Answers whether there were
/// that many.
async fn deploy_and_kill(
    site: &mut Installation,
    project: &Project,
    page: &str,
    nth: usize,
) -> bool {
    let mut events = site.engine_events();
    project.repository.commit(&Source::app(page)).await;
    let id = project.deploy().await;
    let killed_after = tokio::select! {
        last = events.skip_to(nth) => Some(last),
        _ = project.settled(&id) => None,
    };
    let point = format!("killed after event {nth} ({killed_after:?})");
    if killed_after.is_some() {
        site.kill_9();
        site.restart().await;
    }
    let record = project.settled(&id).await;
    assert_eq!(record["status"], "running", "{point}: {record}");
    project.has_one_replica(&id).await;
    site.has_no_build_container().await;
    let log = project.build_log(&id).await;
    assert_eq!(log.error, None, "{point}");
    assert_eq!(
        log.text().matches("live at ").count(),
        1,
        "{point}: {}",
        log.text()
    );
    killed_after.is_some()
}

async fn one_project(site: &Installation) -> (Project, Crowd) {
    let project = site.project("web", &Source::app("first")).await;
    project.deploy_live().await;
    let crowd = site.crowd(&project).await;
    (project, crowd)
}

#[tokio::test]
async fn a_deployment_goes_its_way_and_visitors_notice_nothing_whenever_the_server_is_killed() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let (project, crowd) = one_project(&site).await;
    let mut kills = 0;
    for nth in (1..).step_by(stride()) {
        let page = format!("version {nth}");
        let was_killed = deploy_and_kill(&mut site, &project, &page, nth).await;
        crowd.sees(&page).await;
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3, "{kills} kills are too few");
    crowd.leaves_content().await;
}

#[tokio::test]
async fn a_container_that_somebody_removes_is_replaced() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let (project, crowd) = one_project(&site).await;
    crowd.leaves_content().await;
    let before = project.containers().await[0].id.clone();
    docker(&["rm", "--force", &before]).await;
    eventually("another container serves", async || {
        let found = project.containers().await;
        let is_new = found
            .iter()
            .any(|container| container.is_running && container.id != before);
        when(is_new, format!("{found:?}"))
    })
    .await;
    let page = site.shows(&project.host, 200).await;
    assert_eq!(page.text, "first");
    project.becomes("running").await;
}

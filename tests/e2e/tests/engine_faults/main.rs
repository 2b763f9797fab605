//! What becomes of deployments and apps when the engine itself is restarted, killed, or out of disk.
//!
//! `scripts/engine-faults` runs these in namespaces of their own, one after the other: they are not for the
//! machine's engine.

mod engine;

use engine::Engine;
use tose_e2e::{Installation, Project, Source};

async fn one_project(site: &Installation) -> (Project, String) {
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    (project, id)
}

/// The project serves `page`, and has one container, which is of this deployment.
async fn serves(site: &Installation, project: &Project, page: &str, id: &str) {
    let shown = site.shows(&project.host, 200).await;
    assert_eq!(shown.text, page);
    project.becomes("running").await;
    project.has_one_replica(id).await;
    site.has_no_build_container().await;
}

#[tokio::test]
async fn a_build_that_the_engines_crash_cut_off_is_done_again() {
    let mut engine = Engine::start().await;
    let site = Installation::start().await.expect("an engine");
    let (project, _) = one_project(&site).await;
    project.repository.commit(&Source::app("two").gated()).await;
    let second = project.deploy().await;
    site.at_the_gate().await;
    engine.kill();
    engine.start_again().await;

    let gate = site.at_the_gate().await;
    site.open_gate(&gate).await;
    let record = project.settled(&second).await;
    assert_eq!(record["status"], "running", "{record}");
    serves(&site, &project, "two", &second).await;
    let log = project.build_log(&second).await.text();
    assert!(
        log.contains("the container engine does not answer; waiting for it"),
        "{log}"
    );
}

#[tokio::test]
async fn apps_and_a_version_on_its_way_come_back_after_the_engine_was_restarted() {
    let mut engine = Engine::start().await;
    let site = Installation::start().await.expect("an engine");
    let (project, first) = one_project(&site).await;
    engine.end();
    engine.start_again().await;
    serves(&site, &project, "one", &first).await;

    // It is asked for while there is no engine.
    engine.end();
    project.repository.commit(&Source::app("two")).await;
    let second = project.deploy().await;
    engine.start_again().await;
    let record = project.settled(&second).await;
    assert_eq!(record["status"], "running", "{record}");
    serves(&site, &project, "two", &second).await;
}

#[tokio::test]
async fn a_full_disk_fails_deployments_with_its_reason_and_leaves_what_serves_alone() {
    let mut engine = Engine::start().await;
    let site = Installation::start().await.expect("an engine");
    let (project, first) = one_project(&site).await;
    let crowd = site.crowd(&project).await;

    // Full from the beginning: nothing is built.
    engine.fill(16);
    project.repository.commit(&Source::app("two")).await;
    let record = project.deploy_and_wait().await;
    let reason = record["error"].as_str().expect("a reason");
    assert!(reason.contains("disk"), "{reason}");

    // Full in the middle of a build.
    engine.empty();
    let step = "RUN cat /dev/zero > all-that-there-is";
    let greedy = Source::app("two").dockerfile(&[step]);
    project.repository.commit(&greedy).await;
    let record = project.deploy_and_wait().await;
    assert_eq!(record["status"], "failed", "{record}");
    let reason = record["error"].as_str().expect("a reason");
    assert!(reason.contains("all-that-there-is"), "{reason}");
    serves(&site, &project, "one", &first).await;

    project.repository.commit(&Source::app("three")).await;
    project.deploy_live().await;
    crowd.sees("three").await;
    crowd.leaves_content().await;
}

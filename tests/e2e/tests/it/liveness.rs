//! Versions that are live, and what becomes of one that is not well.

use serde_json::json;
use tose_e2e::{Installation, Source, eventually, when};

const OFTEN: &str = "[limits]\nhealth_interval_seconds = 1\n";

#[tokio::test]
async fn a_replica_that_fails_its_health_path_is_replaced_and_visitors_notice_nothing() {
    let Some(site) = Installation::start_with(OFTEN).await else {
        return;
    };
    let settings = json!({"replicas": 2, "health_check_path": "/healthz"});
    let project = site
        .project_of(site.api(), "web", &Source::app("one"), settings)
        .await;
    project.deploy_live().await;
    let before = project.containers().await;
    let crowd = site.crowd(&project).await;
    site.visit(&project.host, "/sicken").await;
    eventually("one of the two is another", async || {
        let now = project.containers().await;
        let is_known = |id: &str| before.iter().any(|old| old.id == id);
        let fresh = now
            .iter()
            .filter(|one| one.is_running && !is_known(&one.id));
        let is_done = now.len() == 2 && fresh.count() == 1;
        when(is_done, format!("{now:?}"))
    })
    .await;
    project.becomes("running").await;
    crowd.goes_on().await;
    crowd.leaves_content().await;
    let log = project.log_so_far().await.text();
    assert!(log.contains("is replaced: /healthz answered 500"), "{log}");
}

#[tokio::test]
async fn a_version_that_crashes_soon_after_it_went_live_gives_way_to_the_one_before() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let first = project.deploy_live().await;
    let second = project.deploy_commit(&Source::app("two")).await;
    project.has_one_replica(&second).await;
    let back = eventually("the first version is back", async || {
        let newest = project.get("/deployments").await[0].clone();
        if newest["trigger"] != "auto_rollback" {
            // Whoever is there is sent into its crash; nobody may be there for a moment.
            site.visit(&project.host, "/crash").await;
        }
        let is_back = newest["trigger"] == "auto_rollback" && newest["status"] == "running";
        if is_back {
            Ok(newest)
        } else {
            Err(newest.to_string())
        }
    })
    .await;
    assert_eq!(site.shows(&project.host, 200).await.text, "one");
    let record = project.get(&format!("/deployments/{second}")).await;
    assert_eq!(record["status"], "superseded", "{record}");
    let error = record["error"].as_str().expect("a reason");
    assert!(
        error.contains(&first) && error.contains("code 1"),
        "{error}"
    );
    let id = back["id"].as_str().expect("an id");
    let log = project.build_log(id).await.text();
    assert!(
        log.contains("going back to the version of deployment"),
        "{log}"
    );
}

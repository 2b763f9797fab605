//! Replicas that come by themselves.

use serde_json::json;
use tose_e2e::{Installation, Source, eventually, when};

#[tokio::test]
async fn visitors_bring_a_second_replica_beside_the_one_that_runs_and_all_are_answered() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let settings = json!({"cpu": "0.5", "ram": "0.125"});
    let project = site
        .project_of(site.api(), "web", &Source::app("one"), settings)
        .await;
    project.deploy_live().await;
    let before = project.containers().await;
    let crowd = site.crowd(&project).await;
    let body = json!({"enabled": true, "max_replicas": 2, "target_requests_per_second": 20});
    let set = site.api().put(&project.path("/autoscaling"), &body).await;
    assert_eq!(
        (&set["enabled"], &set["replicas"]),
        (&json!(true), &json!(1))
    );
    let scaled = eventually("two replicas are wanted", async || {
        let view = project.get("/autoscaling").await;
        match view["replicas"] == json!(2) {
            true => Ok(view["last_scaled"].clone()),
            false => Err(view.to_string()),
        }
    })
    .await;
    assert_eq!((&scaled["from"], &scaled["to"]), (&json!(1), &json!(2)));
    let reason = scaled["reason"].as_str().expect("a reason");
    let words = "requests a second come, and a replica is to answer 20";
    assert!(reason.ends_with(words), "{reason}");
    eventually("both are ready", async || {
        let pods = project.get("/status").await["pods"].clone();
        when(pods["ready"] == json!(2), pods)
    })
    .await;
    let after = project.containers().await;
    let is_there = |id: &str| after.iter().any(|one| one.is_running && one.id == id);
    assert!(before.iter().all(|one| is_there(&one.id)), "{after:?}");
    crowd.goes_on().await;
    crowd.leaves_content().await;
}

//! Many deployments one after the other, while visitors never stop asking.

use serde_json::json;
use tose_e2e::{Installation, Project, Source};

const DEPLOYS: usize = 50;
/// A version that is never ready is given up soon, and what is replaced goes at once when it is idle.
const IMPATIENT: &str = "[limits]\nstart_timeout_seconds = 3\nwatch_seconds = 0\n";

/// Two versions of one app, `one` and `two`; the first is live.
async fn two_versions(site: &Installation) -> (Project, [String; 2]) {
    let settings = json!({"health_check_path": "/healthz"});
    let project = site
        .project_of(site.api(), "web", &Source::app("one"), settings)
        .await;
    let one = project.deploy_live().await;
    let two = project.deploy_commit(&Source::app("two")).await;
    let versions = [one, two];
    bring(&project, &versions[0]).await;
    (project, versions)
}

/// Deploys the version of an earlier deployment.
async fn bring(project: &Project, id: &str) {
    let made = project
        .post(&format!("/deployments/{id}/rollback"), &json!({}))
        .await;
    let record = project.settled(made["id"].as_str().expect("an id")).await;
    assert_eq!(record["status"], "running", "{record}");
}

/// Each a way in which a version does not come up, with words of the reason.
fn broken() -> [(Source, &'static str); 3] {
    let app = Source::app("broken");
    [
        (app.clone().dockerfile(&["RUN exit 7"]), "exit code 7"),
        (app.clone().main("raise SystemExit(9)\n"), "code 9"),
        (
            app.main("import time\nwhile True: time.sleep(60)\n"),
            "nothing listened",
        ),
    ]
}

#[tokio::test]
async fn fifty_deployments_in_a_row_lose_no_request_and_switch_once_each() {
    let Some(site) = Installation::start_with(IMPATIENT).await else {
        return;
    };
    let (project, versions) = two_versions(&site).await;
    let crowd = site.crowd(&project).await;
    crowd.sees("one").await;
    let before = crowd.switches();
    for number in 1..=DEPLOYS {
        bring(&project, &versions[number % 2]).await;
        crowd.sees(["one", "two"][number % 2]).await;
    }
    for (after, before) in crowd.switches().iter().zip(before) {
        assert_eq!(after - before, DEPLOYS, "each deployment is one switch");
    }
    crowd.leaves_content().await;
    leaves_one_replica(&project).await;
}

#[tokio::test]
async fn deployments_of_which_every_third_is_broken_never_disturb_the_one_that_serves() {
    let Some(site) = Installation::start_with(IMPATIENT).await else {
        return;
    };
    let (project, versions) = two_versions(&site).await;
    let crowd = site.crowd(&project).await;
    crowd.sees("one").await;
    let (before, broken, mut good) = (crowd.switches(), broken(), 0);
    for number in 1..=DEPLOYS {
        if number % 3 == 0 {
            let (source, words) = &broken[number / 3 % 3];
            project.repository.commit(source).await;
            let record = project.deploy_and_wait().await;
            assert_eq!(record["status"], "failed", "{record}");
            let error = record["error"].as_str().expect("a reason");
            assert!(error.contains(words), "{error}");
        } else {
            good += 1;
            bring(&project, &versions[good % 2]).await;
        }
        crowd.sees(["one", "two"][good % 2]).await;
    }
    for (after, before) in crowd.switches().iter().zip(before) {
        assert_eq!(after - before, good, "only what came up was ever seen");
    }
    crowd.leaves_content().await;
    leaves_one_replica(&project).await;
}

async fn leaves_one_replica(project: &Project) {
    let live = project.get("").await["live_deployment"]["id"].clone();
    project
        .has_one_replica(live.as_str().expect("a live version"))
        .await;
}

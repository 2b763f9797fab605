//! What users get wrong: the reason says what to do, and nothing of it is left running.

use serde_json::json;
use tose_e2e::{EmptyRegistry, Installation, Log, Project, Source};

/// A version has this long to become ready in these tests.
const SHORT_START: &str = "[limits]\nstart_timeout_seconds = 3";

/// Deploys what cannot come to life; the log. The reason has these words, and the log ends with it.
async fn fails(project: &Project, words: &[&str]) -> Log {
    let record = project.deploy_and_wait().await;
    assert_eq!(record["status"], "failed", "{record}");
    let reason = record["error"].as_str().expect("a reason");
    for words in words {
        assert!(reason.contains(words), "{words:?} is not in: {reason}");
    }
    let log = project
        .build_log(record["id"].as_str().expect("an id"))
        .await;
    assert_eq!(log.error.as_deref(), Some(reason));
    log
}

/// Deploys a first version that cannot come to life.
async fn fails_at_once(project: &Project, words: &[&str]) -> Log {
    let log = fails(project, words).await;
    project.has_no_container().await;
    let record = project.get("").await;
    assert_eq!(record["status"], "failed", "{record}");
    assert!(record["live_deployment"].is_null(), "{record}");
    log
}

#[tokio::test]
async fn a_branch_that_does_not_exist_is_named() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let body = json!({"branch": "production"});
    project.api.put(&project.path("/git"), &body).await;
    fails_at_once(
        &project,
        &[
            "branch production does not exist",
            "push it, or connect another branch",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_named() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let url = format!("file://{}", site.path("nowhere").display());
    let body = json!({"repo_url": url});
    project.api.put(&project.path("/git"), &body).await;
    fails_at_once(&project, &[&url, "was not found", "check the address"]).await;
}

#[tokio::test]
async fn a_missing_dockerfile_is_named() {
    let Some(site) = Installation::start().await else {
        return;
    };
    // Without these two a recipe would fit.
    let source = Source::app("one").without("app.py").without("main.py");
    let project = site.project("web", &source.without("Dockerfile")).await;
    let words = ["no Dockerfile", "no recipe fits", "dockerfile_path"];
    fails_at_once(&project, &words).await;
}

#[tokio::test]
async fn a_build_step_that_fails_is_named_and_its_output_is_in_the_log() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let steps = ["RUN echo looking for trouble && exit 23"];
    let project = site
        .project("web", &Source::app("one").dockerfile(&steps))
        .await;
    let log = fails_at_once(&project, &["echo looking for trouble", "exit code 23"]).await;
    let output = log
        .lines
        .iter()
        .any(|line| line.text == "looking for trouble");
    assert!(output, "{}", log.text());
    site.has_no_build_container().await;
}

#[tokio::test]
async fn an_app_that_exits_at_once_is_explained_by_its_code_and_last_words() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let main = "import sys\nprint('no database is configured')\nsys.exit(7)\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    fails_at_once(
        &project,
        &["exited with code 7", "no database is configured"],
    )
    .await;
}

#[tokio::test]
async fn an_app_on_another_port_is_told_which() {
    let Some(site) = Installation::start_with(SHORT_START).await else {
        return;
    };
    let main = "import app\napp.serve(port=9999)\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    let words = [
        "nothing listened on port 8000",
        "listens on 9999",
        "variable PORT",
    ];
    fails_at_once(&project, &words).await;
}

#[tokio::test]
async fn an_app_on_the_loopback_address_is_told_so() {
    let Some(site) = Installation::start_with(SHORT_START).await else {
        return;
    };
    let main = "import app\napp.serve(host='127.0.0.1')\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    fails_at_once(&project, &["loopback address only", "listen on 0.0.0.0"]).await;
}

#[tokio::test]
async fn a_failed_deploy_leaves_the_live_version_alone() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let live = project.deploy_live().await;
    let replica = project.has_one_replica(&live).await;
    let crowd = site.crowd(&project).await;

    let broken = Source::app("two").main("raise SystemExit('out of luck')\n");
    project.repository.commit(&broken).await;
    fails(&project, &["exited with code 1", "out of luck"]).await;
    assert_eq!(project.has_one_replica(&live).await, replica);
    crowd.goes_on().await;
    crowd.sees("one").await;
    crowd.leaves_content().await;
    let record = project.get("").await;
    assert_eq!(record["status"], "running", "{record}");
    assert_eq!(record["live_deployment"]["id"], live.as_str());
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_named() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let registry = EmptyRegistry::start().await;
    let image = format!("{}/team/nothing:1", registry.addr);
    let settings = json!({"image": image});
    let project = site
        .project_of(site.api(), "web", &Source::app("unused"), settings)
        .await;
    fails_at_once(&project, &[&image, "no such tag"]).await;
}

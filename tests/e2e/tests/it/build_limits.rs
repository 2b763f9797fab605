//! What a build's steps may see and write.

use serde_json::json;
use tose_e2e::{Installation, Project, Source, docker};

const CANARY: &str = "canary-7f3a9c-is-secret";

/// The image of the live version holds the canary nowhere: not in its layers, nor in what is told of it
/// or of the steps that made it.
async fn holds_no_secret(site: &Installation, project: &Project) {
    let live = project.get("").await["live_deployment"].clone();
    let image = live["image"].as_str().expect("an image");
    let history = docker(&["history", "--no-trunc", image]).await;
    assert!(!history.contains(CANARY), "{history}");
    let ids = docker(&["history", "--quiet", "--no-trunc", image]).await;
    let known = ids.lines().filter(|id| id.starts_with("sha256:"));
    for id in known.chain([image]) {
        let told = docker(&["image", "inspect", id]).await;
        assert!(!told.contains(CANARY), "{told}");
    }
    let file = site.path("image.tar");
    docker(&["save", "--output", &file.to_string_lossy(), image]).await;
    let bytes = std::fs::read(&file).expect("the image");
    let canary = CANARY.as_bytes();
    assert!(bytes.windows(canary.len()).all(|window| window != canary));
}

async fn set_secret(project: &Project) {
    let body = json!({"key": "BUILD_TOKEN", "value": CANARY, "is_secret": true});
    project.post("/env", &body).await;
}

#[tokio::test]
async fn a_dockerfiles_step_gets_the_secret_that_it_asks_for_and_the_image_none() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let source = Source::app("one").dockerfile(&[
        "RUN --mount=type=secret,id=BUILD_TOKEN,env=TOKEN \\\n    printf 'the token is %s\\n' \"$TOKEN\" && printf %s \"$TOKEN\" | wc -c > length",
        "RUN --mount=type=secret,id=BUILD_TOKEN test \"$(wc -c < /run/secrets/BUILD_TOKEN)\" = 23",
        "RUN --mount=type=cache,target=/tmp/c env > env-of-a-step && test ! -e /run/secrets/BUILD_TOKEN",
        "RUN ! grep -q ftp_proxy /proc/1/environ",
        "RUN [\"/bin/cp\", \"length\", \"page\"]",
    ]);
    let project = site.project("web", &source).await;
    set_secret(&project).await;
    let id = project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text.trim(), "23");
    let log = project.build_log(&id).await.text();
    assert!(log.contains("the token is [secret]"), "{log}");
    assert!(log.contains(" : RUN env > env-of-a-step"), "{log}");
    assert!(!log.contains(CANARY), "{log}");
    assert!(
        log.contains("RUN --mount=type=cache keeps nothing here"),
        "{log}"
    );
    holds_no_secret(&site, &project).await;
}

#[tokio::test]
async fn a_recipes_steps_get_the_secrets_that_the_sources_file_names() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let file = json!({"build": {
        "secrets": ["BUILD_TOKEN"],
        "build": "node -e \"require('fs').writeFileSync('length', String(process.env.BUILD_TOKEN.length))\"",
        "start": "node -e \"require('http').createServer((q, r) => r.end(require('fs').readFileSync('length'))).listen(process.env.PORT)\"",
    }});
    let source = Source::recipe("node-npm").file("tose.json", &file.to_string());
    let project = site.project("web", &source).await;
    let record = project.deploy_and_wait().await;
    let reason = record["error"].as_str().expect("a reason");
    assert!(
        reason.contains("asks for the secret BUILD_TOKEN"),
        "{reason}"
    );
    set_secret(&project).await;
    project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "23");
    holds_no_secret(&site, &project).await;
}

#[tokio::test]
async fn a_step_that_writes_too_much_is_ended_with_its_reason() {
    let Some(site) = Installation::start_with("[limits]\nbuild_disk_mb = 32").await else {
        return;
    };
    let greedy = "RUN head -c 64M /dev/zero > much && tail -f /dev/null";
    let source = Source::app("one").dockerfile(&[greedy]);
    let project = site.project("web", &source).await;
    let record = project.deploy_and_wait().await;
    let reason = record["error"].as_str().expect("a reason");
    assert!(
        reason.contains("wrote more than the 32 MiB that a build step may"),
        "{reason}"
    );
    site.has_no_build_container().await;
}

#[tokio::test]
async fn a_dockerfile_cannot_take_another_tenants_image_by_its_id() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let theirs = site.project("theirs", &Source::app("theirs")).await;
    theirs.deploy_live().await;
    let live = theirs.get("").await["live_deployment"].clone();
    let image = live["image"].as_str().expect("an image");
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", image]).await;
    let beginning = &id.trim_start_matches("sha256:")[..12];
    let stranger = site.bootstrap("stranger").await;
    let given = Source::app("mine").file("Dockerfile", "ARG BASE=node:22\nFROM $BASE\n");
    let project = site.project_of(&stranger, "mine", &given, json!({})).await;
    let base = json!({"key": "BASE", "value": beginning});
    project.post("/env", &base).await;
    let record = project.deploy_and_wait().await;
    let reason = record["error"].as_str().expect("a reason");
    assert!(
        reason.contains("may be the beginning of an image's id"),
        "{reason}"
    );
}

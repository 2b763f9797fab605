//! Private repositories over SSH.

use serde_json::json;
use tose_e2e::{Installation, Source, Sshd, free_addr};

#[tokio::test]
async fn a_deploy_key_opens_a_repository_over_ssh_and_a_wrong_one_is_told_so() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let sshd = Sshd::start(&site.path("sshd"), free_addr()).await;
    let url = sshd.url(project.repository.path());
    let connect = async |key: String| {
        let body = json!({"repo_url": url, "deploy_key": key});
        project.api.put(&project.path("/git"), &body).await
    };

    connect(sshd.unknown_key()).await;
    let record = project.deploy_and_wait().await;
    assert_eq!(record["status"], "failed", "{record}");
    let error = record["error"].as_str().expect("a reason");
    assert!(error.contains("refused the deploy key"), "{error}");

    let accepted = sshd.accepted_key();
    let connection = connect(accepted.clone()).await;
    assert_eq!(connection["has_deploy_key"], true);
    let id = project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "one");
    let secret = accepted.lines().nth(1).expect("a line of the key");
    assert!(!connection.to_string().contains(secret));
    assert!(!project.build_log(&id).await.text().contains(secret));
    assert!(!site.output().contains(secret));

    let made = project
        .api
        .post(&project.path("/git/deploy-key"), &json!({}))
        .await;
    let public = made["deploy_key_public"].as_str().expect("a public half");
    let record = project.deploy_and_wait().await;
    assert_eq!(
        record["status"], "failed",
        "the repository does not know the made key yet"
    );
    sshd.accept(public);
    let id = project.deploy_live().await;
    let log = project.build_log(&id).await.text();
    assert!(log.contains("the host key of [localhost]:"), "{log}");
    assert!(log.contains("ED25519 SHA256:"), "{log}");
}

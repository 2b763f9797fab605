//! Repositories over HTTPS.

use serde_json::json;
use tose_e2e::{ApiCall, HttpsGit, Installation, Project, Source, TOKEN, eventually};

#[tokio::test]
async fn a_repository_over_https_is_built_and_one_that_is_not_there_is_named() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("web").await;
    repository.commit(&Source::app("over https")).await;
    let root = repository.path().parent().expect("a folder");
    let server = HttpsGit::start(&site.path("https"), root).await;
    server.write_authorities(&site.authorities());
    site.kill_9();
    site.restart().await;

    let project = site.project("web", &Source::app("not this one")).await;
    let connect = async |name: &str| {
        let body = json!({"repo_url": server.url(name)});
        project.api.put(&project.path("/git"), &body).await
    };
    let name = repository
        .path()
        .file_name()
        .expect("a name")
        .to_string_lossy();
    connect(&name).await;
    project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "over https");

    connect("nothing.git").await;
    let record = project.deploy_and_wait().await;
    let error = record["error"].as_str().expect("a reason");
    assert!(
        error.contains("was not found, or it is not public"),
        "{error}"
    );

    let private = site.repository("private").await;
    private.commit(&Source::app("with a token")).await;
    let name = private.path().file_name().expect("a name");
    let url = server.url(&name.to_string_lossy());
    let with_token = async |token: &str| {
        let body = json!({"repo_url": url, "access_token": token});
        project.api.put(&project.path("/git"), &body).await
    };
    with_token("wrong").await;
    let record = project.deploy_and_wait().await;
    let error = record["error"].as_str().expect("a reason");
    assert!(error.contains("give an access_token (https)"), "{error}");
    let connection = with_token(TOKEN).await;
    assert_eq!(connection["has_access_token"], true);
    let id = project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "with a token");
    for text in [
        connection.to_string(),
        project.build_log(&id).await.text(),
        site.output(),
    ] {
        assert!(
            !text.contains(TOKEN) && !text.contains("e2e-token"),
            "{text}"
        );
    }
}

/// Waits until the server was told of both states of a deployment; the calls.
async fn told(server: &HttpsGit) -> Vec<ApiCall> {
    let mut calls = Vec::new();
    eventually("the Git server is told of the commit", async || {
        calls.extend(server.take_calls());
        match calls.last() {
            Some(call) if call.body["state"] == "success" => Ok(()),
            _ => Err(format!("{calls:?}")),
        }
    })
    .await;
    calls
}

async fn last_report(project: &Project, is_wanted: impl Fn(&serde_json::Value) -> bool) {
    eventually("the connection shows the last report", async || {
        let shown = project.get("/git").await["last_commit_status"].take();
        if is_wanted(&shown) {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn each_kind_of_git_server_is_told_how_a_commit_fares() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("private-shop").await;
    repository.commit(&Source::app("told")).await;
    let parent = repository.path().parent().expect("a folder");
    let root = parent.parent().expect("a folder");
    let server = HttpsGit::start(&site.path("https"), root).await;
    server.write_authorities(&site.authorities());
    site.kill_9();
    site.restart().await;
    let project = site.project("web", &Source::app("not this one")).await;
    let name = |path: &std::path::Path| {
        let name = path.file_name().expect("a name");
        name.to_string_lossy().trim_end_matches(".git").to_owned()
    };
    let (owner, name) = (name(parent), name(repository.path()));
    let folder = repository.path().file_name().expect("a name");
    let url = server.url(&format!("{owner}/{}", folder.to_string_lossy()));
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for (provider, path, token, context) in [
        (
            "github",
            format!("/api/v3/repos/{owner}/{name}"),
            bearer,
            "context",
        ),
        (
            "gitlab",
            format!("/api/v4/projects/{owner}%2F{name}"),
            format!("PRIVATE-TOKEN: {TOKEN}"),
            "name",
        ),
        (
            "gitea",
            format!("/api/v1/repos/{owner}/{name}"),
            format!("Authorization: token {TOKEN}"),
            "context",
        ),
    ] {
        let body = json!({"repo_url": url, "access_token": TOKEN, "provider": provider});
        project.api.put(&project.path("/git"), &body).await;
        let id = project.deploy_live().await;
        let record = project.get(&format!("/deployments/{id}")).await;
        let sha = record["commit"]["sha"].as_str().expect("a commit");
        let calls = told(&server).await;
        let call = |body| ApiCall {
            path: format!("{path}/statuses/{sha}"),
            token: token.clone(),
            body,
        };
        let live = json!({
            "state": "success", "description": "live", context: "tose/demo/web",
            "target_url": project.get("").await["url"],
        });
        let pending = json!({
            "state": "pending", "description": "being deployed", context: "tose/demo/web",
        });
        assert_eq!(calls.last(), Some(&call(live)), "{provider}");
        let before = &calls[..calls.len() - 1];
        assert!(
            before.iter().all(|seen| *seen == call(pending.clone())),
            "{before:?}"
        );
        last_report(&project, |shown| {
            shown["reported_at"].is_string() && shown["error"].is_null()
        })
        .await;
    }
    server.refuse_calls();
    project.deploy_live().await;
    let refused = "the Git server refused the access token (401)";
    last_report(&project, |shown| shown["error"] == refused).await;
    assert!(!site.output().contains("e2e-token"));
}

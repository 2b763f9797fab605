//! A private repository is deployed through an installation of the server's GitHub App.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use tose_e2e::{HttpsGit, Installation, Source, TOKEN, eventually, program, run};

const ID: u64 = 77;

fn name(path: &Path) -> String {
    let name = path.file_name().expect("a name").to_string_lossy();
    name.trim_end_matches(".git").to_owned()
}

/// Gives the server an app at this GitHub, with a key as GitHub makes them.
async fn configure(site: &Installation, server: &HttpsGit) {
    let mut command = program("openssl");
    command
        .args(["genrsa", "-traditional", "-out"])
        .arg(site.path("app.pem"))
        .arg("2048");
    run(command).await.ok();
    let pem = fs::read_to_string(site.path("app.pem")).expect("a key");
    assert!(pem.contains("BEGIN RSA PRIVATE KEY"), "PKCS#1, as GitHub's");
    fs::write(site.path("client"), "client-s3cret\n").expect("a file");
    fs::write(site.path("webhook"), "webhook-s3cret\n").expect("a file");
    let file = |name: &str| {
        let path = site.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        path.display().to_string()
    };
    let mut settings = fs::read_to_string(site.path("tose.toml")).expect("settings");
    settings.push_str(&format!(
        "\n[github_app]\napp_id = 4711\nname = \"our-app\"\nclient_id = \"id\"\n\
         private_key_file = \"{}\"\nclient_secret_file = \"{}\"\nwebhook_secret_file = \"{}\"\n\
         api_url = \"{}\"\nweb_url = \"{}\"\n",
        file("app.pem"),
        file("client"),
        file("webhook"),
        server.url("api/v3"),
        server.url("").trim_end_matches('/'),
    ));
    fs::write(site.path("tose.toml"), settings).expect("settings");
}

#[tokio::test]
async fn a_private_repository_is_deployed_through_an_installation() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("private-shop").await;
    repository.commit(&Source::app("through the app")).await;
    let parent = repository.path().parent().expect("a folder");
    let root = parent.parent().expect("a folder");
    let server = HttpsGit::start(&site.path("https"), root).await;
    server.write_authorities(&site.authorities());
    configure(&site, &server).await;
    site.kill_9();
    site.restart().await;
    let full_name = format!("{}/{}", name(parent), name(repository.path()));
    let installation = format!("/api/v3/user/installations/{ID}/repositories");
    let tokens = format!("/api/v3/app/installations/{ID}/access_tokens");
    let row = json!({"id": 501, "full_name": full_name, "private": true, "default_branch": "main"});
    let account = json!({"id": ID, "account": {"login": "you"}});
    server.answer("/login/oauth/access_token", json!({"access_token": "user"}));
    server.answer(
        "/api/v3/user/installations",
        json!({"installations": [account]}),
    );
    server.answer(&installation, json!({"repositories": [row]}));
    let end = "2200-01-01T00:00:00Z";
    server.answer(&tokens, json!({"token": TOKEN, "expires_at": end}));

    let begun = site.api().post("/github/installations", &json!({})).await;
    let state = begun["state"].as_str().expect("a state");
    let page = site
        .api()
        .page(
            Method::GET,
            &format!("/api/github/callback?code=c&installation_id={ID}&state={state}"),
        )
        .await;
    let (_, action) = page.split_once("action=\"").expect("a form");
    let (action, _) = action.split_once('"').expect("its end");
    site.api().page(Method::POST, action).await;
    let list = site.api().get("/github/installations").await;
    assert_eq!(list[0]["account"], "you");

    let project = site.project("web", &Source::app("not this one")).await;
    let folder = repository.path().file_name().expect("a name");
    let url = server.url(&format!("{}/{}", name(parent), folder.to_string_lossy()));
    let body = json!({"repo_url": url, "installation_id": ID});
    project.api.put(&project.path("/git"), &body).await;
    server.take_calls();
    let id = project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "through the app");
    let record = project.get(&format!("/deployments/{id}")).await;
    let sha = record["commit"]["sha"].as_str().expect("a commit");
    let status = format!("/api/v3/repos/{full_name}/statuses/{sha}");
    let mut calls = Vec::new();
    eventually("GitHub is told of the commit", async || {
        calls.extend(server.take_calls());
        match calls.last() {
            Some(call) if call.path == status && call.body["state"] == "success" => Ok(()),
            _ => Err(format!("{calls:?}")),
        }
    })
    .await;
    let minted: Vec<_> = calls.iter().filter(|call| call.path == tokens).collect();
    assert_eq!(minted.len(), 1, "one token does for all: {calls:?}");
    let asked = json!({
        "repository_ids": [501],
        "permissions": {"contents": "read", "statuses": "write", "pull_requests": "read"},
    });
    assert_eq!(minted[0].body, asked);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let told = calls.iter().filter(|call| call.path == status);
    assert!(told.clone().all(|call| call.token == bearer), "{calls:?}");

    let path = format!("/github/installations/{ID}");
    site.api().call(Method::DELETE, &path, None).await.data();
    let record = project.deploy_and_wait().await;
    let error = record["error"].as_str().expect("a reason");
    assert!(error.contains("tose github connect"), "{error}");
    let log = project.build_log(&id).await.text();
    for text in [log, site.output(), Value::to_string(&record)] {
        for secret in [TOKEN, "e2e-token", "s3cret", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    for file in ["data/tose.db", "data/tose.db-wal"] {
        let bytes = fs::read(site.path(file)).unwrap_or_default();
        let token = TOKEN.as_bytes();
        let is_there = bytes.windows(token.len()).any(|part| part == token);
        assert!(!is_there, "{file}");
    }
}

//! Two workspaces on one installation: neither sees or reaches the other.

use http::Method;
use serde_json::json;
use tose_e2e::{
    Installation, Opening, Source, docker, eventually, installation_of, may_change_rules,
    network_of, read_socket, remove_own_rules, when,
};

#[tokio::test]
async fn the_key_of_another_workspace_finds_nothing() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    let stranger = site.bootstrap("other").await;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let workspace = "/api/workspaces/demo";
    let base = format!("{workspace}/projects/web");
    let variable = json!({"key": "A", "value": "1"});
    let variables = json!({"variables": {"A": "1"}});
    let nothing = json!({});
    for (method, path, body) in [
        (&get, workspace.to_owned(), None),
        (&put, workspace.to_owned(), Some(&nothing)),
        (&delete, workspace.to_owned(), None),
        (&get, format!("{workspace}/projects"), None),
        (
            &post,
            format!("{workspace}/projects"),
            Some(&json!({"name": "x"})),
        ),
        (&get, base.clone(), None),
        (&put, base.clone(), Some(&nothing)),
        (&delete, base.clone(), None),
        (&get, format!("{base}/status"), None),
        (&post, format!("{base}/start"), None),
        (&post, format!("{base}/stop"), None),
        (&post, format!("{base}/restart"), None),
        (&get, format!("{base}/domains"), None),
        (&get, format!("{base}/git"), None),
        (&put, format!("{base}/git"), Some(&nothing)),
        (&delete, format!("{base}/git"), None),
        (&get, format!("{base}/env"), None),
        (&post, format!("{base}/env"), Some(&variable)),
        (&put, format!("{base}/env/bulk"), Some(&variables)),
        (&get, format!("{base}/env/A?reveal=true"), None),
        (&delete, format!("{base}/env/A"), None),
        (&get, format!("{base}/deployments"), None),
        (&post, format!("{base}/deployments"), Some(&nothing)),
        (&post, format!("{base}/redeploy"), None),
        (&get, format!("{base}/deployments/{id}"), None),
        (&post, format!("{base}/deployments/{id}/stop"), None),
    ] {
        let answer = stranger.send(method.clone(), &path, body).await;
        assert_eq!(answer.status, 404, "{} {}", answer.request, answer.body);
        assert_eq!(answer.body["success"], false, "{}", answer.request);
    }
    for path in [
        "/live-logs",
        "/build-logs",
        &format!("/deployments/{id}/build-logs"),
    ] {
        let url = project.api.socket_url(&project.path(path));
        let events = read_socket(&url, Some(&stranger.key)).await;
        assert!(
            events.contains(&json!({"refused": 404})),
            "{path}: {events:?}"
        );
    }
    let workspaces = stranger.send(Method::GET, "/api/workspaces", None).await;
    assert!(!workspaces.data().to_string().contains("demo"));
    project.has_one_replica(&id).await;
    project.becomes("running").await;
}

#[tokio::test]
async fn apps_reach_each_other_within_a_workspace_and_not_beyond() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let stranger = site.bootstrap("other").await;
    let front = site.project("front", &Source::app("front")).await;
    let back = site.project("back", &Source::app("the back")).await;
    let foreign = site
        .project_of(&stranger, "foreign", &Source::app("foreign"), json!({}))
        .await;
    tokio::join!(front.deploy_live(), back.deploy_live());
    foreign.deploy_live().await;
    let found = back.containers().await;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let ip = docker(&["inspect", "--format", format, &found[0].id]).await;

    let fetch = async |from: &str, url: &str| {
        let path = format!("/fetch?{url}");
        site.visit(from, &path).await.text
    };
    for (host, url, expected) in [
        (
            &front.host,
            "http://back:8000/".to_owned(),
            "fetched the back",
        ),
        (
            &front.host,
            format!("http://{ip}:8000/"),
            "fetched the back",
        ),
        (&back.host, "http://front:8000/".to_owned(), "fetched front"),
        (
            &front.host,
            "http://foreign:8000/".to_owned(),
            "unreachable",
        ),
        (&foreign.host, "http://back:8000/".to_owned(), "unreachable"),
        (&foreign.host, format!("http://{ip}:8000/"), "unreachable"),
    ] {
        assert_eq!(fetch(host, &url).await, expected, "{url} from {host}");
    }
}

#[tokio::test]
async fn workspaces_stay_apart_while_the_engine_takes_its_rules_away() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    if !may_change_rules() {
        // The server may not either: only the engine's rules are there.
        return;
    }
    let stranger = site.bootstrap("other").await;
    let back = site.project("back", &Source::app("the back")).await;
    let foreign = site
        .project_of(&stranger, "foreign", &Source::app("foreign"), json!({}))
        .await;
    back.deploy_live().await;
    foreign.deploy_live().await;
    let back_container = back.containers().await[0].id.clone();
    let foreign_container = foreign.containers().await[0].id.clone();
    let networks = (
        network_of(&back_container).await,
        network_of(&foreign_container).await,
    );
    let installation = installation_of(&back_container).await;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let ip = docker(&["inspect", "--format", format, &back_container]).await;
    let fetch = async |site: &Installation| {
        let path = format!("/fetch?http://{ip}:8000/");
        site.visit(&foreign.host, &path).await.text
    };

    let opening = Opening::between(&networks.0, &networks.1).await;
    assert_eq!(fetch(&site).await, "unreachable");
    remove_own_rules(&installation).await;
    assert_eq!(fetch(&site).await, "fetched the back", "the way is open");
    site.restart().await;
    eventually("the server's rules are back", async || {
        let text = fetch(&site).await;
        when(text == "unreachable", text)
    })
    .await;
    drop(opening);
}

//! What visitors see when no app answers, and what the proxy passes on when one does.

use serde_json::json;
use tose_e2e::{Installation, Source, echo};

#[tokio::test]
async fn a_host_that_nobody_has_is_not_found() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let page = site.visit("demo-nobody.localhost", "/some/path").await;
    assert_eq!(page.status, 404);
    assert_eq!(page.headers["x-tose-error"], "unknown_host");
    assert!(page.text.contains("demo-nobody.localhost"), "{}", page.text);
}

#[tokio::test]
async fn a_project_that_does_not_run_says_so_and_names_itself() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let page = site.shows(&project.host, 503).await;
    assert!(page.text.contains("demo/web"), "{}", page.text);
    project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.status, 200);
    project.post("/stop", &json!({})).await;
    let page = site.shows(&project.host, 503).await;
    assert_eq!(page.headers["x-tose-error"], "no_replica");
    assert!(page.text.contains("demo/web"), "{}", page.text);
    assert!(page.text.contains("stopped"), "{}", page.text);
    project.has_no_container().await;
}

#[tokio::test]
async fn an_app_that_crashes_is_named_and_comes_back() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    let page = site.visit(&project.host, "/crash").await;
    let status = page.status.as_u16();
    assert!([502, 503].contains(&status), "{page:?}");
    assert!(page.text.contains("demo/web"), "{}", page.text);
    assert_eq!(site.shows(&project.host, 200).await.text, "one");
    project.becomes("running").await;
    project.has_one_replica(&id).await;
    let status = project.get("/status").await;
    assert_eq!(status["pods"]["items"][0]["restarts"], 1, "{status}");
}

#[tokio::test]
async fn a_websocket_reaches_the_app_through_the_proxy() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let source = Source::example("node-hello");
    let settings = json!({"port": 3000});
    let project = site
        .project_of(site.api(), "hello", &source, settings)
        .await;
    project.deploy_live().await;
    let url = format!("ws://{}/ws", site.http_addr());
    let events = echo(&url, &project.host, "xin chào").await;
    let expected = [
        json!({"open": true}),
        json!({"message": "xin chào", "isBinary": false}),
        json!({"close": 1000}),
    ];
    assert_eq!(events, expected);
}

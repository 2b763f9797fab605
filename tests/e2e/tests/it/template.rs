//! Templates of the catalogue, built from what package registries serve, until they answer on their URL.

use std::time::Duration;

use serde_json::{Value, json};
use tose_e2e::{Installation, eventually, when, within};

/// How long a build may take.
const BUILD: Duration = Duration::from_secs(600);

async fn site() -> Option<Installation> {
    Installation::start_with("[build]\nshared_cache = true\n").await
}

/// Makes an instance, gives it what it asks for, and deploys it; its host name.
async fn deploy(site: &Installation, key: &str, env: &[(&str, &str)]) -> String {
    let api = site.api();
    let body = json!({"name": key, "template_name": key});
    let made = api.post("/templates", &body).await;
    let url = made["url"].as_str().expect("an address").to_owned();
    let env: Vec<Value> = env
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    if !env.is_empty() {
        api.put(&format!("/templates/{key}/env"), &Value::Array(env))
            .await;
    }
    let body = json!({"mode": "build"});
    let deployment = api
        .post(&format!("/templates/{key}/deployments"), &body)
        .await;
    let id = deployment["id"].as_str().expect("an id");
    let path = format!("/templates/{key}/deployments/{id}");
    // The first time on a machine, an application with all of its packages is installed.
    let ended = within(BUILD, async || {
        let record = api.get(&path).await;
        let is_under_way = ["queued", "building", "deploying"]
            .iter()
            .any(|status| record["status"] == *status);
        when(!is_under_way, &record)?;
        Ok(record)
    })
    .await
    .expect("the deployment has a result");
    assert_eq!(ended["status"], "running", "{ended}");
    let rest = url.strip_prefix("http://").expect("an address");
    let host = rest.split(':').next().expect("a host");
    host.to_owned()
}

/// Waits until a page answers well and has these words.
async fn shows(site: &Installation, host: &str, path: &str, words: &str) {
    eventually(&format!("{host}{path} shows {words}"), async || {
        let page = site.visit(host, path).await;
        let seen = format!("{} {}", page.status, page.text);
        when(page.status.is_success() && page.text.contains(words), seen)
    })
    .await;
}

#[tokio::test]
async fn datasette_and_verdaccio_answer() {
    let Some(site) = site().await else {
        return;
    };
    let datasette = deploy(&site, "datasette", &[]).await;
    shows(&site, &datasette, "/", "Datasette").await;
    let verdaccio = deploy(&site, "verdaccio", &[]).await;
    shows(&site, &verdaccio, "/-/ping", "").await;
    shows(&site, &verdaccio, "/", "Verdaccio").await;
}

#[tokio::test]
async fn node_red_keeps_strangers_out_of_its_editor() {
    let Some(site) = site().await else {
        return;
    };
    let host = deploy(&site, "node-red", &[]).await;
    shows(&site, &host, "/", "Node-RED").await;
    let flows = site.visit(&host, "/flows").await;
    assert_eq!(flows.status.as_u16(), 401, "{}", flows.text);
}

#[tokio::test]
async fn pgadmin_asks_for_an_account_first() {
    let Some(site) = site().await else {
        return;
    };
    let email = [("PGADMIN_DEFAULT_EMAIL", "ann@example.org")];
    let host = deploy(&site, "pgadmin", &email).await;
    shows(&site, &host, "/login", "pgAdmin").await;
}

#[tokio::test]
async fn strapi_comes_with_its_database() {
    let Some(site) = site().await else {
        return;
    };
    let host = deploy(&site, "strapi", &[]).await;
    let database = site.api().get("/databases/strapi-db").await;
    assert_eq!(database["status"], "running", "{database}");
    shows(&site, &host, "/admin", "Strapi").await;
    let health = site.visit(&host, "/_health").await;
    assert_eq!(health.status.as_u16(), 204);
}

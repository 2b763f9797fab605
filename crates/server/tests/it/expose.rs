//! Databases that are reached from the outside: which port they get, and what the data plane is told.
//! That bytes pass is for the tests of the proxy and `tests/e2e`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tose_model::route::PortRoute;
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};

async fn lab(ports: Option<std::ops::RangeInclusive<u16>>) -> (Lab, Client) {
    let lab = Lab::start_with(move |config| {
        config.databases.expose_ports = ports.clone();
    })
    .await;
    lab.driver.publish_image("redis:8", Program::default());
    let owner = lab.owner("demo").await;
    (lab, owner)
}

async fn running(owner: &Client, name: &str) {
    let body = json!({"name": name, "type": "redis"});
    assert_eq!(owner.post("databases", body).await.status, 202);
    database_is(owner, name, "running").await;
}

async fn database_is(owner: &Client, name: &str, status: &str) {
    eventually(&format!("{name} is {status}"), async || {
        let answer = owner.get(&format!("databases/{name}")).await;
        match answer.data()["status"] == status {
            true => Ok(()),
            false => Err(format!("{answer:?}")),
        }
    })
    .await;
}

async fn expose(owner: &Client, name: &str, body: Value) -> Value {
    let answer = owner.post(&format!("databases/{name}/expose"), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data()["expose"].clone()
}

/// What the data plane has of a port.
fn route(lab: &Lab, port: u16) -> Option<PortRoute> {
    let file = tose_proxy::routes_file(&lab.data_dir().join("data"));
    let table = tose_proxy::snapshot::read(&file).expect("a table");
    table
        .ports
        .get(&SocketAddr::from(([0, 0, 0, 0], port)))
        .cloned()
}

/// Waits until the port leads to where the one replica listens, and to nowhere without one.
async fn follows(lab: &Lab, port: u16) -> PortRoute {
    eventually("the port leads to the server", async || {
        let found = route(lab, port).ok_or("there is no such port".to_owned())?;
        let ip = lab.driver.peek().first().and_then(|replica| replica.ip);
        match found.backend == ip.map(|ip| SocketAddr::new(ip, 6379)) {
            true => Ok(found),
            false => Err(format!("{found:?}")),
        }
    })
    .await
}

async fn is_closed(lab: &Lab, port: u16) {
    eventually("the port is closed", async || match route(lab, port) {
        None => Ok(()),
        Some(found) => Err(format!("{found:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_database_gets_a_port_that_follows_its_server_and_gives_it_back() {
    let (mut lab, owner) = lab(Some(32_000..=32_001)).await;
    running(&owner, "db").await;
    let found = owner.get("databases/db").await;
    assert_eq!(found.data()["expose"], Value::Null);
    assert_eq!(route(&lab, 32_000), None);

    let view = expose(
        &owner,
        "db",
        json!({"enabled": true, "allow": ["203.0.113.7/24"]}),
    )
    .await;
    assert_eq!(view["host"], "demo-db.localhost");
    assert_eq!(view["port"], 32_000);
    assert_eq!(view["allow"], json!(["203.0.113.0/24"]));
    let url = view["url"].as_str().expect("an address");
    assert!(url.ends_with("@demo-db.localhost:32000/0"), "{url}");
    let port = follows(&lab, 32_000).await;
    assert_eq!(port.host.as_str(), "demo-db.localhost");
    assert_eq!(port.allow.len(), 1);
    assert!(port.backend.is_some());

    // It keeps its port with another list, through a restart and while it does not run.
    let view = expose(&owner, "db", json!({"enabled": true})).await;
    assert_eq!(
        (&view["port"], &view["allow"]),
        (&json!(32_000), &json!([]))
    );
    eventually("the list is there", async || {
        match route(&lab, 32_000).is_some_and(|port| port.allow.is_empty()) {
            true => Ok(()),
            false => Err("it is not".to_owned()),
        }
    })
    .await;
    owner.post("databases/db/restart", json!({})).await;
    database_is(&owner, "db", "running").await;
    follows(&lab, 32_000).await;
    lab.restart().await;
    let owner = owner.at(&lab);
    assert!(
        route(&lab, 32_000).is_some(),
        "a restart takes no port away"
    );
    owner.post("databases/db/stop", json!({})).await;
    lab.has_replicas(0).await;
    assert_eq!(follows(&lab, 32_000).await.backend, None);
    owner.post("databases/db/start", json!({})).await;
    database_is(&owner, "db", "running").await;
    follows(&lab, 32_000).await;

    let view = expose(&owner, "db", json!({"enabled": false})).await;
    assert_eq!(view, Value::Null);
    is_closed(&lab, 32_000).await;
    let events = owner.get("events").await;
    assert_eq!(events.data()[0]["action"], "database.expose");

    // One that is deleted leaves nothing open.
    expose(&owner, "db", json!({"enabled": true})).await;
    follows(&lab, 32_000).await;
    owner.delete("databases/db").await;
    is_closed(&lab, 32_000).await;
    lab.has_replicas(0).await;
}

#[tokio::test]
async fn ports_run_out_and_come_back() {
    let (lab, owner) = lab(Some(32_000..=32_000)).await;
    running(&owner, "one").await;
    running(&owner, "two").await;
    expose(&owner, "one", json!({"enabled": true})).await;
    let refused = owner
        .post("databases/two/expose", json!({"enabled": true}))
        .await;
    assert_eq!((refused.status, refused.code()), (409, "no_port_free"));
    expose(&owner, "one", json!({"enabled": false})).await;
    let view = expose(&owner, "two", json!({"enabled": true})).await;
    assert_eq!(view["port"], 32_000);
    let two = owner.get("databases/two").await.data()["id"].clone();
    eventually("the port leads to the other", async || {
        match route(&lab, 32_000) {
            Some(port) if port.project_id.to_string() == two => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn only_admins_open_databases_and_only_they_see_the_password() {
    let (lab, owner) = lab(Some(32_000..=32_000)).await;
    running(&owner, "db").await;
    let member = lab.member(&owner, "member").await;
    let body = json!({"enabled": true});
    let refused = member.post("databases/db/expose", body.clone()).await;
    assert_eq!(refused.status, 403);
    let stranger = lab.owner("other").await.in_workspace("demo");
    let refused = stranger.post("databases/db/expose", body.clone()).await;
    assert_eq!(refused.status, 404);
    expose(&owner, "db", body).await;
    let seen = member.get("databases/db").await;
    assert_eq!(seen.data()["expose"]["port"], 32_000);
    assert_eq!(seen.data()["expose"]["url"], Value::Null);
    for allow in [json!(["nowhere"]), json!(vec!["203.0.113.7"; 51])] {
        let body = json!({"enabled": true, "allow": allow});
        let refused = owner.post("databases/db/expose", body).await;
        assert_eq!(refused.status, 400);
    }
}

#[tokio::test]
async fn an_operator_who_gives_no_ports_opens_none() {
    let (_lab, owner) = lab(None).await;
    running(&owner, "db").await;
    let refused = owner
        .post("databases/db/expose", json!({"enabled": true}))
        .await;
    assert_eq!((refused.status, refused.code()), (409, "expose_off"));
    let view = expose(&owner, "db", json!({"enabled": false})).await;
    assert_eq!(view, Value::Null);
}

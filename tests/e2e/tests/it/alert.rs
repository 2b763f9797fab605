//! Alert rules, on what a real replica uses.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tose_e2e::{Installation, Source, eventually, run, when};

/// The service listens on this machine.
const PRIVATE: &str = "[drains]\nallow_private = true\n";

/// Takes a call to a webhook; its body.
async fn call(listener: &TcpListener) -> Value {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = connection.read(&mut part).await.expect("a request");
        text.extend_from_slice(&part[..count]);
        let seen = String::from_utf8_lossy(&text);
        let body = seen.split_once("\r\n\r\n").map(|(_, body)| body);
        let body = body.and_then(|body| serde_json::from_str(body).ok());
        if let Some(body) = body {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.write_all(answer).await.expect("an answer");
            return body;
        }
        assert_ne!(count, 0, "the request ended early: {seen}");
    }
}

#[tokio::test]
async fn what_a_replica_uses_fires_a_rule_and_a_stop_ends_that() {
    let Some(mut site) = Installation::start_with(PRIVATE).await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let channel = json!({"name": "hook", "kind": "webhook", "url": url,
        "events": ["alert_firing", "alert_resolved"]});
    site.api().post("/notifications", &channel).await;
    let rule = json!({"name": "awake", "metric": "memory_percent", "comparison": "above",
        "threshold": 0.001, "window_seconds": 60});
    let rule = site.api().post("/alerts", &rule).await;
    let path = format!("/alerts/{}", rule["id"].as_str().expect("an id"));
    // Measured by one server, and told of by the next one.
    eventually("it is looked at", async || {
        let seen = site.api().get(&path).await;
        when(seen["states"][0]["value"].is_number(), &seen)
    })
    .await;
    site.kill_9();
    site.restart().await;
    let fired = call(&listener).await;
    assert_eq!(fired["event"], "alert_firing", "{fired}");
    assert_eq!(fired["title"], "demo/web: the alert awake fires");
    let text = fired["text"].as_str().expect("a text");
    let is_worded =
        text.starts_with("memory ") && text.ends_with(" % of the limit, above 0.001 for 1 min.");
    assert!(is_worded, "{text}");

    let folder = tempfile::tempdir().expect("a folder");
    let mut listing = site.tose(folder.path(), &["alert"]);
    listing.env("TOSE_API_KEY", &site.api().key);
    listing.env("TOSE_API_URL", &site.api().base_url);
    let listed = run(listing).await.ok();
    assert!(listed.contains("firing for 1"), "{listed}");

    project.post("/stop", &json!({})).await;
    let ended = call(&listener).await;
    assert_eq!(ended["event"], "alert_resolved", "{ended}");
    let text = ended["text"].as_str().expect("a text");
    let reason = "nothing of the project is to run any more. It fired for ";
    assert!(text.starts_with(reason), "{text}");
    assert_eq!(site.api().get(&path).await["firing"], 0);
}

//! `…/projects/:project_slug/metrics`, and `/metrics` of the server itself.

use reqwest::Method;
use serde_json::{Value, json};
use tose_model::driver::Usage;

use crate::harness::{Client, Lab, eventually};

/// The points around the moment at which the test's clock stands, once there are any.
async fn points(owner: &Client) -> Vec<Value> {
    eventually("the replica is measured", async || {
        let query = "projects/shop/metrics?end=2026-01-01T00:01:00Z&step=10";
        let answer = owner.get(query).await;
        let points = answer.data()["points"].as_array().expect("a list").clone();
        if points.is_empty() {
            Err(format!("{answer:?}"))
        } else {
            Ok(points)
        }
    })
    .await
}

#[tokio::test]
async fn what_a_replica_uses_is_seen_and_outlives_a_restart() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let usage = Usage {
        cpu_milli: 120,
        memory_bytes: 64 << 20,
        received_bytes: 5_000,
        sent_bytes: 7_000,
    };
    lab.driver.set_usage(&lab.driver.peek()[0].name, usage);
    // Each start measures at once.
    lab.restart().await;
    let owner = owner.at(&lab);
    let seen = points(&owner).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    let expected = json!({
        "time": "2026-01-01T00:00:00Z",
        "cpu_milli": 120,
        "memory_bytes": 64 << 20,
        // What it moved before is nobody's.
        "network_received_bytes": 0,
        "network_sent_bytes": 0,
        "replicas": 1,
        "requests": 0,
        "requests_per_second_milli": 0,
        "errors_5xx": 0,
        "p50_us": null,
        "p90_us": null,
        "p95_us": null,
        "p99_us": null,
        "disk_bytes": null,
        "restarts": 0,
    });
    assert_eq!(seen[0], expected);
}

#[tokio::test]
async fn only_time_that_makes_sense_is_answered() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for (query, field) in [
        ("start=2026-01-01T00:00:00Z", Some("start")),
        ("step=9", Some("step")),
        ("start=2025-01-01T00:00:00Z&step=10", Some("step")),
        ("start=yesterday", None),
        ("step=-1", None),
    ] {
        let answer = owner.get(&format!("projects/shop/metrics?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        if let Some(field) = field {
            assert!(answer.body["fields"][field].is_string(), "{answer:?}");
        }
    }
    let answer = owner.get("projects/shop/metrics?step=60").await;
    let expected = json!({
        "start": "2025-12-31T23:00:00Z",
        "end": "2026-01-01T00:00:00Z",
        "step": 60,
        "points": [],
    });
    assert_eq!(answer.data(), &expected);
    assert_eq!(owner.get("projects/other/metrics").await.status, 404);
}

#[tokio::test]
async fn the_metrics_of_a_deleted_project_go_with_it() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    lab.restart().await;
    let owner = owner.at(&lab);
    points(&owner).await;
    let dir = lab.data_dir().join("data/metrics");
    let count = || std::fs::read_dir(&dir).expect("a folder").count();
    assert_eq!(count(), 1);
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    eventually("the file is gone", async || match count() {
        0 => Ok(()),
        count => Err(format!("{count} files")),
    })
    .await;
}

#[tokio::test]
async fn the_servers_own_metrics_are_for_operators() {
    let lab = Lab::start().await;
    let (owner, operator) = (lab.owner("demo").await, lab.owner("ops").await);
    lab.make_operator("ops@example.com").await;
    owner.project("shop", "app:1").await;
    let refused = owner.send(Method::GET, "/metrics", None).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let answer = reqwest::Client::new()
        .get(format!("http://{}/metrics", lab.api_addr()))
        .header("X-API-Key", operator.key.expect("a key"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let kind = answer.headers()["content-type"].to_str().expect("a text");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text().await.expect("a text");
    for line in [
        r#"tose_projects{status="created"} 1"#,
        r#"tose_http_requests_total{operation="create_project",method="POST",class="2xx"} 1"#,
        r#"tose_http_requests_total{operation="get_server_metrics",method="GET",class="4xx"} 1"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

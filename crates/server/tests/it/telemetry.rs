//! What operators are told of projects: at `/metrics`, and by OTLP.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::driver::Usage;
use tose_model::secret::SecretString;
use tose_model::traffic::Traffic;
use tose_server::config::{Config, OtlpConfig};

use crate::harness::{Client, Lab, eventually};
use crate::receiver::{Call, Receiver};

const SLOT: Duration = Duration::from_secs(10);

fn usage(received_bytes: u64) -> Usage {
    Usage {
        cpu_milli: 120,
        memory_bytes: 64 << 20,
        received_bytes,
        sent_bytes: 7_000,
    }
}

fn traffic() -> Traffic {
    let mut traffic = Traffic {
        requests: 8,
        by_class: [0, 5, 0, 1, 2],
        received_bytes: 100,
        sent_bytes: 900,
        ..Traffic::default()
    };
    for millis in [1, 40, 40, 45_000] {
        traffic.latency.record(Duration::from_millis(millis));
    }
    traffic
}

/// A server that measured its project `shop` once, with an operator.
async fn measured(
    configure: impl Fn(&mut Config) + Send + Sync + 'static,
) -> (Lab, Client, Client) {
    let mut lab = Lab::start_with(configure).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    lab.driver
        .set_usage(&lab.driver.peek()[0].name, usage(5_000));
    // Each start measures at once.
    lab.restart().await;
    let owner = owner.at(&lab);
    let operator = lab.owner("ops").await;
    lab.make_operator("ops@example.com").await;
    eventually("it is measured", async || {
        let answer = owner
            .get("projects/shop/metrics?end=2026-01-01T00:01:00Z")
            .await;
        match answer.data()["points"].as_array().expect("a list").len() {
            0 => Err(format!("{answer:?}")),
            _ => Ok(()),
        }
    })
    .await;
    (lab, owner, operator)
}

/// Something happens with `shop`.
fn visit(lab: &Lab) {
    let replica = &lab.driver.peek()[0];
    lab.driver.set_usage(&replica.name, usage(5_600));
    let id = replica.key.project_id;
    lab.data_plane
        .traffic
        .lock()
        .expect("no panic")
        .insert(id, traffic());
}

/// The text of `/metrics`.
async fn scrape(lab: &Lab, operator: &Client) -> String {
    let answer = reqwest::Client::new()
        .get(format!("http://{}/metrics", lab.api_addr()))
        .header("X-API-Key", operator.key.as_ref().expect("a key"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    answer.text().await.expect("a text")
}

/// The lines about projects.
async fn scrape_projects(lab: &Lab, operator: &Client) -> String {
    let text = scrape(lab, operator).await;
    let lines = text.lines().filter(|line| line.contains("tose_project_"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Waits until `/metrics` has this line; answers those about projects.
async fn has_line(lab: &Lab, operator: &Client, line: &str) -> String {
    eventually(line, async || {
        let text = scrape(lab, operator).await;
        match text.lines().any(|found| found == line) {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
    scrape_projects(lab, operator).await
}

#[tokio::test]
async fn each_project_has_its_series_while_it_is_there() {
    let (mut lab, owner, operator) = measured(|_| {}).await;
    visit(&lab);
    lab.clock.advance(SLOT);
    let requests = r#"tose_project_requests_total{workspace="demo",project="shop",kind="project"}"#;
    let text = has_line(&lab, &operator, &format!("{requests} 8")).await;
    insta::assert_snapshot!(text);
    // A counter begins anew with the server, and what came before is nobody's.
    lab.restart().await;
    let again = has_line(&lab, &operator, &format!("{requests} 0")).await;
    assert!(!again.contains("duration_seconds"), "{again}");
    assert_eq!(owner.at(&lab).delete("projects/shop").await.status, 200);
    assert_eq!(scrape_projects(&lab, &operator).await, "");
}

#[tokio::test]
async fn the_series_of_projects_can_be_switched_off() {
    let (lab, _, operator) = measured(|config| config.telemetry.projects = false).await;
    visit(&lab);
    assert_eq!(scrape_projects(&lab, &operator).await, "");
}

fn otlp(endpoint: String) -> OtlpConfig {
    OtlpConfig {
        endpoint,
        headers: vec![(
            "authorization".to_owned(),
            SecretString::from("Bearer t0ken"),
        )],
        interval_seconds: 10,
        ca_file: None,
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// What a call says of the server, and of a project.
fn resource<'a>(call: &'a Call, service: &str) -> Option<&'a Value> {
    let resources = call.body["resourceMetrics"].as_array().expect("a list");
    let name = attribute("service.name", service);
    resources.iter().find(|resource| {
        let attributes = resource["resource"]["attributes"].as_array();
        attributes.expect("a list").contains(&name)
    })
}

fn metric<'a>(resource: &'a Value, name: &str) -> Option<&'a Value> {
    let metrics = resource["scopeMetrics"][0]["metrics"].as_array();
    metrics
        .expect("a list")
        .iter()
        .find(|metric| metric["name"] == name)
}

/// Lets time pass until a call that is new says what is looked for.
async fn exported(lab: &Lab, receiver: &Receiver, is_wanted: impl Fn(&Call) -> bool) -> Call {
    let seen = receiver.calls().len();
    for next in seen + 1..seen + 20 {
        lab.clock.advance(SLOT);
        let calls = receiver.is_called(next).await;
        if let Some(call) = calls[seen..].iter().find(|call| is_wanted(call)) {
            return call.clone();
        }
    }
    panic!("no call is as it should be: {:?}", receiver.calls().last());
}

#[tokio::test]
async fn metrics_go_to_the_service_that_is_named() {
    let receiver = Receiver::start().await;
    let endpoint = format!("{}/v1/metrics", receiver.url);
    let (lab, _, operator) = measured(move |config| {
        config.telemetry.otlp = Some(otlp(endpoint.clone()));
    })
    .await;
    visit(&lab);
    let call = exported(&lab, &receiver, |call| {
        let requests =
            resource(call, "shop").and_then(|shop| metric(shop, "tose.project.requests"));
        requests.is_some_and(|metric| metric["sum"]["dataPoints"][0]["asInt"] == "8")
    })
    .await;
    assert_eq!(call.path, "/v1/metrics");
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["authorization"], "Bearer t0ken");
    let shop = resource(&call, "shop").expect("found above");
    let attributes = shop["resource"]["attributes"].as_array().expect("a list");
    for (key, value) in [
        ("service.namespace", "demo"),
        ("tose.workspace", "demo"),
        ("tose.project", "shop"),
        ("tose.kind", "project"),
    ] {
        assert!(attributes.contains(&attribute(key, value)), "{shop}");
    }
    let at = &metric(shop, "tose.project.replicas").expect("measured")["gauge"]["dataPoints"][0]["timeUnixNano"];
    let start = "1767225600000000000";
    let sum = |name: &str, unit: &str, count: &str| {
        let metric = metric(shop, name).unwrap_or_else(|| panic!("no {name}: {shop}"));
        assert_eq!(metric["unit"], unit);
        let expected = json!({
            "dataPoints": [{"startTimeUnixNano": start, "timeUnixNano": at, "asInt": count}],
            "aggregationTemporality": 2,
            "isMonotonic": true,
        });
        assert_eq!(metric["sum"], expected);
    };
    sum("tose.project.requests", "{request}", "8");
    sum("tose.project.errors_5xx", "{response}", "2");
    sum("tose.project.network.received", "By", "600");
    sum("tose.project.network.sent", "By", "0");
    let cpu = metric(shop, "tose.project.cpu.usage_cores").expect("measured");
    assert_eq!(
        cpu["gauge"],
        json!({"dataPoints": [{"timeUnixNano": at, "asDouble": 0.12}]})
    );
    let latency = metric(shop, "tose.project.request.duration").expect("counted");
    let expected = json!({
        "dataPoints": [{
            "startTimeUnixNano": start,
            "timeUnixNano": at,
            "count": "4",
            "bucketCounts": ["1", "0", "0", "2", "0", "0", "0", "0", "0", "0", "0", "0", "1"],
            "explicitBounds": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0],
        }],
        "aggregationTemporality": 2,
    });
    assert_eq!(latency["histogram"], expected);
    let server = resource(&call, "tose").expect("the server tells of itself");
    let projects = metric(server, "tose.projects").expect("counted");
    let point = &projects["gauge"]["dataPoints"][0];
    assert_eq!(
        (&point["attributes"], &point["asInt"]),
        (&json!([attribute("status", "running")]), &json!("1"))
    );
    let text = scrape(&lab, &operator).await;
    assert!(
        text.contains("tose_otlp_exports_total{outcome=\"delivered\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_and_what_is_refused_is_not() {
    let receiver = Receiver::start().await;
    receiver.answer(503, None);
    receiver.answer(429, Some("2"));
    let endpoint = receiver.url.clone() + "/v1/metrics";
    let lab = Lab::start_with(move |config| {
        config.telemetry.otlp = Some(OtlpConfig {
            interval_seconds: 3_600,
            ..otlp(endpoint.clone())
        });
    })
    .await;
    // How long a pause is counts from when the server got the answer.
    let calls = eventually("it is tried again", async || {
        let calls = receiver.calls();
        if calls.len() >= 3 {
            return Ok(calls);
        }
        lab.clock.advance(Duration::from_secs(1));
        Err(format!("{calls:?}"))
    })
    .await;
    assert_eq!(calls[0].raw, calls[2].raw, "the same numbers");
    assert_eq!(calls[2].status, 200);
    receiver.answer(400, None);
    lab.clock.advance(Duration::from_secs(3_600));
    receiver.is_called(4).await;
    // Its round is over.
    let operator = lab.owner("ops").await;
    lab.make_operator("ops@example.com").await;
    has_line(
        &lab,
        &operator,
        r#"tose_otlp_exports_total{outcome="failed"} 1"#,
    )
    .await;
    lab.clock.advance(Duration::from_secs(3_600));
    let calls = receiver.is_called(5).await;
    let times: Vec<&Value> = calls
        .iter()
        .map(|call| {
            let server = resource(call, "tose").expect("the server tells of itself");
            let exports = metric(server, "tose.otlp.exports").expect("it exports");
            &exports["sum"]["dataPoints"][0]["timeUnixNano"]
        })
        .collect();
    assert_eq!((times[0], times[1]), (times[2], times[2]));
    assert!(times[2] != times[3] && times[3] != times[4], "{times:?}");
}

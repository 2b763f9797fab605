//! `tose alert`.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tose_api::alert::{
    AlertComparison, AlertMetric, AlertProjectState, AlertState, AlertView, MetricValue,
};
use tose_api::workspace::Deleted;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

const ID: &str = "0198c0de-0000-7000-8000-0000000000a1";

/// One that fires for the only project that it is about.
fn busy() -> AlertView {
    AlertView {
        id: ID.parse().expect("an id"),
        name: "busy".parse().expect("a slug"),
        metric: AlertMetric::CpuPercent,
        comparison: AlertComparison::Above,
        threshold: MetricValue::from_milli(90_500),
        window_seconds: 300,
        project: Some("hello".parse().expect("a slug")),
        enabled: true,
        firing: 1,
        states: vec![AlertProjectState {
            project: "hello".parse().expect("a slug"),
            state: AlertState::Firing,
            since: Some(time(60_000)),
            value: Some(MetricValue::from_milli(97_000)),
            seen_at: Some(time(90_000)),
        }],
        created_at: time(0),
        updated_at: time(0),
    }
}

/// One about everything.
fn quiet() -> AlertView {
    let state = |project: &str, state, value| AlertProjectState {
        project: project.parse().expect("a slug"),
        state,
        since: None,
        value,
        seen_at: Some(time(90_000)),
    };
    AlertView {
        id: "0198c0de-0000-7000-8000-0000000000a2"
            .parse()
            .expect("an id"),
        name: "quiet".parse().expect("a slug"),
        metric: AlertMetric::RequestsPerSecond,
        comparison: AlertComparison::Below,
        threshold: MetricValue::from_milli(1_000),
        window_seconds: 600,
        project: None,
        firing: 0,
        states: vec![
            state(
                "hello",
                AlertState::Ok,
                Some(MetricValue::from_milli(1_500)),
            ),
            state("store", AlertState::Unknown, None),
        ],
        ..busy()
    }
}

fn server() -> StandIn {
    StandIn::start(|method, path, _| match method {
        "GET" => success(vec![
            busy(),
            quiet(),
            AlertView {
                name: "resting".parse().expect("a slug"),
                metric: AlertMetric::Restarts,
                comparison: AlertComparison::Above,
                enabled: false,
                firing: 0,
                states: Vec::new(),
                ..quiet()
            },
        ]),
        "PUT" | "POST" => success(busy()),
        "DELETE" => success(Deleted {
            deleted: ID.to_owned(),
        }),
        _ => failure(404, "not_found", path),
    })
}

/// The method, the path and the body of the newest request.
fn sent(server: &StandIn) -> (String, String, Value) {
    let request = server.requests().pop().expect("a request");
    let body = serde_json::from_str(&request.body).unwrap_or(Value::Null);
    (request.method, request.path, body)
}

#[test]
fn rules_are_listed_and_shown_with_how_they_stand() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["alert"]));
    assert_snapshot!(sandbox.run(&["alert", "show", "busy"]));
    assert_snapshot!(sandbox.run(&["alert", "show", "quiet"]));
    let by_id = sandbox.run(&["alert", "show", ID, "--json"]).ok().stdout;
    let shown: Value = serde_json::from_str(&by_id).expect("JSON");
    assert_eq!(shown, json!(busy()));
    assert_snapshot!(sandbox.run(&["alert", "show", "none"]));
    let nobody = StandIn::start(|_, _, _| success(Vec::<AlertView>::new()));
    assert_snapshot!(Sandbox::linked(&nobody).run(&["alert"]));
}

#[test]
fn a_rule_is_about_this_folders_project_another_one_or_all() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let add = ["alert", "add", "busy", "cpu-percent", "above", "90.5"];
    assert_snapshot!(sandbox.run(&add));
    let (method, path, body) = sent(&server);
    assert_eq!(method, "POST");
    assert!(path.ends_with("/alerts"), "{path}");
    let expected = json!({"name": "busy", "metric": "cpu_percent", "comparison": "above",
        "threshold": 90.5, "window_seconds": 300, "project": "hello"});
    assert_eq!(body, expected);
    for (arguments, project, window) in [
        (
            &["--project", "store", "--for", "60"][..],
            json!("store"),
            3600,
        ),
        (&["--all", "--off"], Value::Null, 300),
    ] {
        sandbox.run(&[&add[..], arguments].concat()).ok();
        let (_, _, body) = sent(&server);
        assert_eq!(body["project"], project);
        assert_eq!(body["window_seconds"], window);
        assert_eq!(body.get("enabled").is_some(), project.is_null());
    }
}

#[test]
fn a_rule_is_changed_and_removed() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    for (arguments, expected) in [
        (
            &["--threshold", "5e9", "--for", "2"][..],
            json!({"threshold": 5_000_000_000_u64, "window_seconds": 120}),
        ),
        (
            &["--all", "--enabled", "off"],
            json!({"project": null, "enabled": false}),
        ),
        (
            &["--project", "store", "--name", "hot"],
            json!({"project": "store", "name": "hot"}),
        ),
        (
            &["--metric", "p95_ms", "--comparison", "below"],
            json!({"metric": "p95_ms", "comparison": "below"}),
        ),
    ] {
        sandbox
            .run(&[&["alert", "edit", "busy"], arguments].concat())
            .ok();
        let (method, path, body) = sent(&server);
        assert_eq!((method.as_str(), &body), ("PUT", &expected));
        assert!(path.ends_with(ID), "{path}");
    }
    assert_snapshot!(sandbox.run(&["alert", "remove", "busy"]));
    let (method, path, _) = sent(&server);
    assert_eq!(method, "DELETE");
    assert!(path.ends_with(ID), "{path}");
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["alert", "edit", "busy"]));
    assert_snapshot!(sandbox.run(&["alert", "add", "busy", "luck", "above", "1"]));
    assert_snapshot!(sandbox.run(&["alert", "add", "busy", "restarts", "above", "-1"]));
    let both = ["alert", "edit", "busy", "--all", "--project", "shop"];
    assert_snapshot!(sandbox.run(&both));
}

//! `tose autoscale`.

use insta::assert_snapshot;
use serde_json::json;
use tose_api::autoscaling::{AutoscalingLoad, AutoscalingView, RefusedScaling, ScaledView};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};

fn busy() -> AutoscalingView {
    let at = |text: &str| text.parse().expect("a time");
    AutoscalingView {
        enabled: true,
        min_replicas: 1,
        max_replicas: 5,
        target_cpu_percent: Some(70),
        target_requests_per_second: Some(50),
        replicas: 2,
        looked_at: Some(at("2026-01-31T08:03:00Z")),
        load: Some(AutoscalingLoad {
            cpu_percent: Some(64),
            requests_per_second_milli: Some(180_500),
            wanted: 4,
        }),
        waiting: None,
        last_scaled: Some(ScaledView {
            at: at("2026-01-31T08:00:20Z"),
            from: 1,
            to: 2,
            reason: "90 requests a second come, and a replica is to answer 50".to_owned(),
        }),
        refused: Some(RefusedScaling {
            since: at("2026-01-31T08:02:00Z"),
            wanted: 4,
            reason: "the workspace may use 1 core in all".to_owned(),
        }),
    }
}

fn off() -> AutoscalingView {
    AutoscalingView {
        enabled: false,
        max_replicas: 1,
        target_cpu_percent: None,
        target_requests_per_second: None,
        replicas: 1,
        looked_at: None,
        load: None,
        last_scaled: None,
        refused: None,
        ..busy()
    }
}

#[test]
fn what_it_sees_did_and_cannot_have_is_shown() {
    let server = StandIn::start(|_, _, _| success(busy()));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["autoscale"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  on  2 replicas, 1 to 5
    targets     70 % of the CPU limit, 50 requests a second each
    load        64 % of the CPU limit, 180.5 requests a second in all, which asks for 4 replicas
    cannot have 4 replicas since 2026-01-31T08:02:00Z: the workspace may use 1 core in all
    last        2026-01-31T08:00:20Z  1 -> 2, 90 requests a second come, and a replica is to answer 50

    ----- stderr -----
    ");
    let shown = sandbox.run(&["autoscale", "show", "--json"]).ok();
    let shown: AutoscalingView = serde_json::from_str(&shown.stdout).expect("a view");
    assert_eq!(shown, busy());
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/autoscaling
    GET /api/workspaces/demo/projects/hello/autoscaling
    ");
}

#[test]
fn where_it_is_off_the_way_to_it_is_shown() {
    let server = StandIn::start(|_, _, _| success(off()));
    assert_snapshot!(Sandbox::linked(&server).run(&["autoscale", "--project", "shop"]), @"
    exit: 0
    ----- stdout -----
    demo/shop  off  1 replica, 1 to 1
    targets     none

    ----- stderr -----
    switch it on with `tose autoscale on --project shop --max 3 --cpu 70`
    ");
}

#[test]
fn only_what_is_named_is_set_and_a_target_of_0_is_none() {
    let server = StandIn::start(|_, _, _| {
        success(AutoscalingView {
            waiting: Some("it was not looked at so far".to_owned()),
            load: None,
            last_scaled: None,
            refused: None,
            ..busy()
        })
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["autoscale", "on", "--max", "5"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  on  2 replicas, 1 to 5
    targets     70 % of the CPU limit, 50 requests a second each
    waiting     it was not looked at so far

    ----- stderr -----
    ");
    let all = ["--min", "1", "--max", "5", "--cpu", "0", "--rps", "50"];
    sandbox.run(&[&["autoscale", "on"][..], &all].concat()).ok();
    assert_snapshot!(sandbox.run(&["autoscale", "off"]), @"
    exit: 0
    ----- stdout -----
    demo/hello is scaled by hand only, and stays at 2 replicas

    ----- stderr -----
    ");
    let sent: Vec<serde_json::Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_str(&request.body).expect("JSON"))
        .collect();
    let expected = [
        json!({"enabled": true, "max_replicas": 5}),
        json!({
            "enabled": true, "min_replicas": 1, "max_replicas": 5, "target_cpu_percent": null,
            "target_requests_per_second": 50,
        }),
        json!({"enabled": false}),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn a_refusal_is_told() {
    let text = "a project with volumes has one replica: more would write to the same files";
    let server = StandIn::start(move |_, _, _| failure(409, "one_replica_only", text));
    let refused = Sandbox::linked(&server).run(&["autoscale", "on", "--max", "2", "--cpu", "70"]);
    assert_snapshot!(refused, @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: a project with volumes has one replica: more would write to the same files
    ");
}

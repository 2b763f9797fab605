//! `tose uptime`.

use insta::assert_snapshot;
use serde_json::json;
use tose_api::uptime::{
    CheckView, IncidentView, MonitorKind, UptimeShares, UptimeStatus, UptimeView,
};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, page, success};
use crate::views::time;

const WEBHOOK: &str = "https://discord.com/api/webhooks/1/s3cret";

fn monitor(status: UptimeStatus) -> UptimeView {
    let is_down = status == UptimeStatus::Down;
    let incident = |from, to: Option<i64>, reason: &str| IncidentView {
        started_at: time(from),
        ended_at: to.map(time),
        reason: reason.to_owned(),
    };
    let mut incidents = vec![incident(0, Some(7_500_000), "it answered 500")];
    if is_down {
        let reason = "it did not answer within 10000 ms";
        incidents.insert(0, incident(86_400_000, None, reason));
    }
    UptimeView {
        enabled: true,
        kind: MonitorKind::Http,
        check_interval_sec: 30,
        check_url: "https://demo-hello.example.com/up".to_owned(),
        expected_status: "2xx,3xx".to_owned(),
        keyword: Some("ready".to_owned()),
        timeout_ms: 10_000,
        failures_before_down: 2,
        discord_webhook_url: Some("https://discord.com/…".to_owned()),
        notify_email: Some("ops@example.com".to_owned()),
        certificate_warn_days: 14,
        certificate_expires_at: None,
        heartbeat_grace_sec: 60,
        last_heartbeat_at: None,
        status,
        reason: is_down.then(|| "it did not answer within 10000 ms".to_owned()),
        since: Some(time(86_400_000)),
        last_checked_at: Some(time(86_430_500)),
        last_response_ms: Some(42),
        uptime: UptimeShares {
            h24: Some("99.950".to_owned()),
            d7: Some("99.993".to_owned()),
            d30: None,
            d90: None,
        },
        incidents,
    }
}

/// One that nobody has set.
fn unset() -> UptimeView {
    UptimeView {
        enabled: false,
        keyword: None,
        failures_before_down: 1,
        discord_webhook_url: None,
        notify_email: None,
        since: None,
        last_checked_at: None,
        last_response_ms: None,
        uptime: UptimeShares::default(),
        incidents: Vec::new(),
        ..monitor(UptimeStatus::Paused)
    }
}

fn server(monitor: fn() -> UptimeView) -> StandIn {
    StandIn::start(move |_, _, _| success(monitor()))
}

/// The body of the newest request.
fn sent(server: &StandIn) -> serde_json::Value {
    let request = server.requests().pop().expect("a request");
    assert_eq!(request.method, "PUT");
    serde_json::from_str(&request.body).expect("JSON")
}

#[test]
fn a_monitor_says_how_it_is_and_how_it_has_been() {
    let up = server(|| monitor(UptimeStatus::Up));
    assert_snapshot!(Sandbox::linked(&up).run(&["uptime"]));
    assert_eq!(
        up.transcript(),
        "GET /api/workspaces/demo/projects/hello/uptime"
    );
    let down = server(|| monitor(UptimeStatus::Down));
    assert_snapshot!(Sandbox::linked(&down).run(&["uptime", "show"]));
    let shown = Sandbox::linked(&down).run(&["uptime", "--json"]).ok();
    let shown: UptimeView = serde_json::from_str(&shown.stdout).expect("a monitor");
    assert_eq!(shown, monitor(UptimeStatus::Down));
}

#[test]
fn without_a_monitor_the_way_to_one_is_shown() {
    let server = server(unset);
    assert_snapshot!(Sandbox::linked(&server).run(&["uptime"]));
    let arguments = ["uptime", "--database", "orders"];
    let shown = Sandbox::linked(&server).run(&arguments).ok();
    let hint = "nobody checks it: have it checked with `tose uptime on --database orders`\n";
    assert_eq!(shown.stderr, hint);
    let other = Sandbox::linked(&server).run(&["uptime", "--project", "shop"]);
    assert!(other.stderr.contains("`tose uptime on --project shop`"));
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/uptime
    GET /api/workspaces/demo/databases/orders/uptime
    GET /api/workspaces/demo/projects/shop/uptime
    ");
}

#[test]
fn only_what_is_named_is_set() {
    let server = server(unset);
    assert_snapshot!(Sandbox::linked(&server).run(&["uptime", "on"]));
    assert_eq!(sent(&server), json!({"enabled": true}));
    let arguments = ["uptime", "on", "--kind", "http", "--interval", "5m"];
    let more = ["--url", "https://example.com/up", "--expect", "2xx,3xx"];
    let others = ["--keyword", "ready", "--timeout", "500ms"];
    let last = ["--failures", "3", "--email", "ops@example.com"];
    let all = [&arguments[..], &more, &others, &last, &["--discord", ""]].concat();
    Sandbox::linked(&server).run(&all).ok();
    let expected = json!({
        "enabled": true, "kind": "http", "check_interval_sec": 300,
        "check_url": "https://example.com/up", "expected_status": "2xx,3xx",
        "keyword": "ready", "timeout_ms": 500, "failures_before_down": 3,
        "notify_email": "ops@example.com", "discord_webhook_url": "",
    });
    assert_eq!(sent(&server), expected);
}

#[test]
fn a_job_gets_an_address_and_its_monitor_shows_when_it_called() {
    let server = StandIn::start(|method, _, _| match method {
        "POST" => success(json!({"url": "https://tose.example.com/api/heartbeats/tose_beat_1"})),
        _ => success(UptimeView {
            kind: MonitorKind::Heartbeat,
            check_url: String::new(),
            last_heartbeat_at: Some(time(86_420_000)),
            certificate_expires_at: Some(time(86_400_000_000)),
            ..monitor(UptimeStatus::Up)
        }),
    });
    let arguments = ["uptime", "on", "--kind", "heartbeat", "--grace", "10m"];
    assert_snapshot!(Sandbox::linked(&server).run(&arguments));
    let expected = json!({"enabled": true, "kind": "heartbeat", "heartbeat_grace_sec": 600});
    assert_eq!(sent(&server), expected);
    let made = Sandbox::linked(&server).run(&["uptime", "heartbeat"]).ok();
    assert_eq!(
        made.stdout,
        "https://tose.example.com/api/heartbeats/tose_beat_1\n"
    );
    let last = server.requests().pop().expect("a request");
    let asked = (last.method.as_str(), last.path.as_str());
    assert_eq!(
        asked,
        (
            "POST",
            "/api/workspaces/demo/projects/hello/uptime/heartbeat"
        )
    );
    let arguments = ["uptime", "heartbeat", "--database", "orders"];
    Sandbox::linked(&server).run(&arguments).ok();
    let last = server.requests().pop().expect("a request");
    assert_eq!(
        last.path,
        "/api/workspaces/demo/databases/orders/uptime/heartbeat"
    );
    let arguments = ["uptime", "on", "--kind", "certificate", "--warn-days", "0"];
    Sandbox::linked(&server).run(&arguments).ok();
    let expected = json!({"enabled": true, "kind": "certificate", "certificate_warn_days": 0});
    assert_eq!(sent(&server), expected);
}

#[test]
fn a_webhook_comes_from_stdin() {
    let server = server(|| monitor(UptimeStatus::Up));
    let arguments = ["uptime", "on", "--discord", "-", "--database", "orders"];
    let shown = Sandbox::linked(&server).run_with_input(&arguments, &format!("{WEBHOOK}\n"));
    assert!(!shown.ok().to_string().contains("s3cret"));
    let expected = json!({"enabled": true, "discord_webhook_url": WEBHOOK});
    assert_eq!(sent(&server), expected);
    let path = server.requests().pop().expect("a request").path;
    assert_eq!(path, "/api/workspaces/demo/databases/orders/uptime");
}

#[test]
fn checking_is_switched_off_and_the_rest_is_kept() {
    let server = server(unset);
    assert_snapshot!(Sandbox::linked(&server).run(&["uptime", "off"]));
    assert_eq!(sent(&server), json!({"enabled": false}));
}

#[test]
fn checks_are_listed_with_why_they_failed() {
    let server = StandIn::start(|_, _, _| {
        let check = |millis, reason: Option<&str>, status_code| CheckView {
            time: time(millis),
            ok: reason.is_none(),
            status_code,
            response_ms: 42,
            reason: reason.map(str::to_owned),
            maintenance: false,
        };
        let in_maintenance = |check: CheckView| CheckView {
            maintenance: true,
            ..check
        };
        page(vec![
            in_maintenance(check(90_000, Some("it answered 502"), Some(502))),
            check(60_000, None, Some(200)),
            check(30_000, Some("it answered 503"), Some(503)),
            check(0, Some("no connection to it came about"), None),
        ])
    });
    let since = ["--since", "2026-01-01T00:00:00Z"];
    let until = ["--until", "2026-01-02T00:00:00Z", "--limit", "3"];
    let arguments = [&["uptime", "checks"], &since[..], &until].concat();
    assert_snapshot!(Sandbox::linked(&server).run(&arguments));
    let arguments = ["uptime", "checks", "--database", "orders", "--json"];
    let shown = Sandbox::linked(&server).run(&arguments).ok();
    let shown: Vec<CheckView> = serde_json::from_str(&shown.stdout).expect("checks");
    assert_eq!(shown.len(), 4);
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/uptime/checks?start=2026-01-01T00%3A00%3A00Z&end=2026-01-02T00%3A00%3A00Z&page=1&limit=3
    GET /api/workspaces/demo/databases/orders/uptime/checks?page=1&limit=20
    ");
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["uptime", "on", "--interval", "30"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value '30' for '--interval <DURATION>': a duration is 30s, 10m, 2h or 1d

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["uptime", "on", "--timeout", "1.5s"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value '1.5s' for '--timeout <DURATION>': a duration is 500ms, 10s or 1m

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["uptime", "checks", "--limit", "51"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --limit is out of range
    ");
    assert_snapshot!(sandbox.run(&["uptime", "--project", "a", "--database", "b"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --project and --database are two things: name one of them
    ");
    assert!(server.requests().is_empty());
}

#[test]
fn what_the_server_does_not_take_is_a_failure() {
    let server = StandIn::start(|_, _, _| failure(409, "no_mail", "this server sends no mail"));
    let arguments = ["uptime", "on", "--email", "ops@example.com"];
    assert_snapshot!(Sandbox::linked(&server).run(&arguments), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: this server sends no mail
    ");
}

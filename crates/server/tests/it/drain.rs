//! Log drains.

mod receiver;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tose_api::log::LogSource;
use tose_model::driver::ReplicaName;
use tose_server::config::Config;
use tose_testkit::{Act, Program};

use crate::harness::{Client, Lab, eventually};
use crate::receiver::Receiver;
use receiver::SyslogReceiver;

const DRAINS: &str = "projects/shop/drains";
const SECRET: &str = "t0ken-nobody-sees";

/// Receivers of tests are on loopback.
fn reach_loopback(config: &mut Config) {
    config.drains.allow_private = true;
}

/// An app that runs, and prints what it is told to.
struct App {
    owner: Client,
    pod: ReplicaName,
}

impl App {
    async fn start(lab: &Lab) -> Self {
        let owner = lab.owner("demo").await;
        lab.live(&owner, "app:1").await;
        let status = owner.get("projects/shop/status").await;
        let pod = status.data()["pods"]["items"][0]["name"].as_str();
        let pod = ReplicaName::from_label(pod.expect("a name"));
        Self { owner, pod }
    }

    fn print(&self, lab: &Lab, texts: &[&str]) {
        for text in texts {
            lab.driver.print(&self.pod, LogSource::Stdout, text);
        }
    }

    /// Waits until the log has so many lines of the app.
    async fn has_logged(&self, lab: &Lab, count: usize) {
        eventually(&format!("{count} lines are stored"), async || {
            let path = "live-logs?follow=false&tail=1000&format=json";
            let read = crate::log_socket::read(lab, path, self.owner.key.as_deref());
            let (lines, _) = read.await.expect("a log");
            let of_app = lines.iter().filter(|line| line.contains("\"stdout\""));
            match of_app.count() {
                found if found == count => Ok(()),
                found => Err(format!("{found} lines")),
            }
        })
        .await;
    }

    async fn create(&self, name: &str, kind: &str, url: &str) -> Value {
        let body = json!({"name": name, "kind": kind, "url": url});
        let made = self.owner.post(DRAINS, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.data().clone()
    }

    /// The drain with this name, once it looks as it is to look.
    async fn drain_is(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            let list = self.owner.get(DRAINS).await;
            let drains = list.data().as_array().expect("a list").clone();
            let found = drains.into_iter().find(|drain| drain["name"] == name);
            let drain = found.expect("the drain");
            match is(&drain) {
                true => Ok(drain),
                false => Err(drain.to_string()),
            }
        })
        .await
    }

    async fn has_state(&self, name: &str, state: &str) -> Value {
        self.drain_is(name, state, |drain| drain["status"]["state"] == state)
            .await
    }
}

fn path_of(drain: &Value) -> String {
    format!("{DRAINS}/{}", drain["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn lines_arrive_once_in_order_with_their_numbers_and_from_now_on() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    app.print(&lab, &["before"]);
    app.has_logged(&lab, 1).await;
    let body = json!({
        "name": "logs", "kind": "http", "url": receiver.url, "token": SECRET,
        "headers": {"x-key": SECRET},
    });
    let made = app.owner.post(DRAINS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.data()["has_token"], json!(true));
    assert_eq!(made.data()["headers"], json!(["x-key"]));
    assert_eq!(made.data()["status"]["lag_lines"], json!(0));
    app.print(&lab, &["one", "two"]);
    receiver.has_taken(&["one", "two"]).await;
    lab.driver.print(&app.pod, LogSource::Stderr, "three");
    receiver.has_taken(&["one", "two", "three"]).await;
    let numbers: Vec<u64> = receiver.taken().iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let call = &receiver.calls()[0];
    assert_eq!(call.headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(call.headers["x-key"], SECRET);
    assert_eq!(call.headers["content-encoding"], "gzip");
    let expected = json!({
        "seq": 2, "timestamp": "2026-01-01T00:00:00.000000002Z", "workspace": "demo", "project": "shop",
        "pod": app.pod.as_str(), "stream": "stdout", "level": "info", "message": "one",
    });
    assert_eq!(call.body[0], expected);
    let is_done = |drain: &Value| drain["status"]["delivered_lines"] == json!(3);
    let drain = app.drain_is("logs", "three lines are noted", is_done).await;
    assert_eq!(drain["status"]["lag_lines"], json!(0));
    assert_eq!(
        drain["status"]["last_delivered_at"],
        json!("2026-01-01T00:00:00Z")
    );
    for answer in [
        made,
        app.owner.get(DRAINS).await,
        app.owner.get("events").await,
    ] {
        assert!(!answer.body.to_string().contains(SECRET), "{answer:?}");
    }
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn many_lines_come_in_order_in_batches_of_a_thousand_at_most() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    let program = Program::new([Act::Count { lines: 2500 }, Act::Serve { status: 200 }]);
    lab.driver.add_image("app:1", program);
    owner.project("shop", "app:1").await;
    let receiver = Receiver::start().await;
    let body = json!({"name": "logs", "kind": "http", "url": receiver.url});
    assert_eq!(owner.post(DRAINS, body).await.status, 201);
    owner.deploy("shop").await;
    let expected: Vec<String> = (0..2500).map(|line| format!("line {line}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    receiver.has_taken(&expected).await;
    for call in receiver.calls() {
        assert!(call.body.as_array().expect("an array").len() <= 1000);
    }
}

#[tokio::test]
async fn a_service_that_fails_loses_nothing_and_is_asked_later_and_later() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    app.create("logs", "http", &receiver.url).await;
    receiver.answer(500, None);
    receiver.answer(503, None);
    app.print(&lab, &["one"]);
    app.has_logged(&lab, 1).await;
    let drain = app.has_state("logs", "retrying").await;
    assert_eq!(drain["status"]["last_error"], "it answered 500");
    assert_eq!(drain["status"]["lag_lines"], json!(1));
    app.print(&lab, &["two", "three"]);
    lab.clock.advance(Duration::from_secs(1));
    receiver.is_called(2).await;
    let is_second = |drain: &Value| drain["status"]["last_error"] == "it answered 503";
    app.drain_is("logs", "the second failure", is_second).await;
    lab.clock.advance(Duration::from_secs(2));
    receiver.has_taken(&["one", "two", "three"]).await;
    let calls = receiver.calls();
    assert_eq!(calls[0].body, calls[2].body, "the same batch again");
    let drain = app.has_state("logs", "ok").await;
    assert_eq!(drain["status"]["last_error"], Value::Null);
}

#[tokio::test]
async fn a_service_that_asks_for_time_gets_it() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let (busy, other) = (Receiver::start().await, Receiver::start().await);
    app.create("busy", "http", &busy.url).await;
    app.create("other", "http", &other.url).await;
    busy.answer(429, Some("600"));
    other.answer(429, None);
    app.print(&lab, &["one"]);
    app.has_state("busy", "retrying").await;
    app.has_state("other", "retrying").await;
    lab.clock.advance(Duration::from_secs(599));
    other.has_taken(&["one"]).await;
    // The next batch comes a second later: by then the busy one would have been called as well.
    app.print(&lab, &["two"]);
    other.has_taken(&["one", "two"]).await;
    assert_eq!(busy.calls().len(), 1);
    lab.clock.advance(Duration::from_secs(1));
    busy.has_taken(&["one", "two"]).await;
}

#[tokio::test]
async fn a_server_that_was_killed_goes_on_where_it_stood() {
    let mut lab = Lab::start_to_be_killed(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    app.create("logs", "http", &receiver.url).await;
    app.print(&lab, &["one", "two"]);
    receiver.has_taken(&["one", "two"]).await;
    let is_noted = |drain: &Value| drain["status"]["delivered_lines"] == json!(2);
    app.drain_is("logs", "it is noted", is_noted).await;
    receiver.answer_always(500);
    app.print(&lab, &["three"]);
    app.has_state("logs", "retrying").await;
    lab.kill().await;
    app.print(&lab, &["four"]);
    receiver.answer_always(200);
    receiver.has_taken(&["one", "two", "three", "four"]).await;
    let app = App {
        owner: app.owner.at(&lab),
        ..app
    };
    let is_noted = |drain: &Value| drain["status"]["delivered_lines"] == json!(4);
    app.drain_is("logs", "it is noted", is_noted).await;
    lab.restart().await;
    app.print(&lab, &["five"]);
    receiver
        .has_taken(&["one", "two", "three", "four", "five"])
        .await;
}

#[tokio::test]
async fn an_hour_of_refusals_pauses_a_drain_until_a_test_succeeds() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    let drain = app.create("logs", "http", &receiver.url).await;
    receiver.answer_always(403);
    app.print(&lab, &["one"]);
    app.has_state("logs", "retrying").await;
    lab.clock.advance(Duration::from_secs(3600));
    let paused = app.has_state("logs", "paused").await;
    assert_eq!(paused["status"]["last_error"], "it answered 403");
    let events = app.owner.get("events").await;
    assert_eq!(events.data()[0]["action"], "drain.pause", "{events:?}");
    assert_eq!(events.data()[0]["target"], "shop/logs");
    let test = format!("{}/test", path_of(&drain));
    let tested = app.owner.post(&test, json!({})).await;
    let expected = json!({"taken": false, "said": "it answered 403"});
    assert_eq!(tested.data(), &expected);
    app.has_state("logs", "paused").await;
    receiver.answer_always(200);
    let tested = app.owner.post(&test, json!({})).await;
    let expected = json!({"taken": true, "said": "it answered 200"});
    assert_eq!(tested.data(), &expected);
    let said =
        "the log drain logs is paused: its service refused lines for an hour (it answered 403)";
    receiver
        .has_taken(&["a test of the drain logs", "one", said])
        .await;
    app.has_state("logs", "ok").await;
}

#[tokio::test]
async fn lines_that_were_removed_before_their_turn_are_counted_and_told_of() {
    let mut lab = Lab::start_with(|config| {
        reach_loopback(config);
        config.log_retention.bytes = 1 << 20;
    })
    .await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    app.create("logs", "http", &receiver.url).await;
    receiver.answer_always(500);
    let long = "x".repeat(1 << 20);
    for _ in 0..12 {
        // Lines of the last moments are asked for again when a server starts.
        lab.clock.advance(Duration::from_secs(60));
        app.print(&lab, &[long.as_str()]);
    }
    app.has_logged(&lab, 12).await;
    // What is too much goes when a server starts.
    lab.restart().await;
    let app = App {
        owner: app.owner.at(&lab),
        ..app
    };
    let path = "live-logs?follow=false&tail=1000&format=json";
    eventually("lines are gone", async || {
        let read = crate::log_socket::read(&lab, path, app.owner.key.as_deref());
        let (lines, _) = read.await.expect("a log");
        let count = lines.iter().filter(|line| line.contains("xxx")).count();
        match count {
            1..12 => Ok(()),
            count => Err(format!("{count} lines")),
        }
    })
    .await;
    receiver.answer_always(200);
    let is_done = |drain: &Value| {
        let status = &drain["status"];
        status["lag_lines"] == json!(0) && status["state"] == "ok"
    };
    let drain = eventually("all that is left is taken", async || {
        lab.clock.advance(Duration::from_secs(300));
        let list = app.owner.get(DRAINS).await;
        match is_done(&list.data()[0]) {
            true => Ok(list.data()[0].clone()),
            false => Err(list.data().to_string()),
        }
    })
    .await;
    let count = |name: &str| drain["status"][name].as_u64().expect("a number");
    let (delivered, dropped) = (count("delivered_lines"), count("dropped_lines"));
    assert_eq!(delivered + dropped, 12);
    assert!(dropped > 0, "{drain}");
    let note = format!("removed before they could be delivered: {dropped} lines");
    let taken = receiver.taken();
    let at = taken.iter().position(|(_, text)| *text == note);
    let numbers: Vec<u64> = taken.iter().map(|(seq, _)| *seq).collect();
    let from_note_on = &numbers[at.expect("a line that says so")..];
    let expected: Vec<u64> = (from_note_on[0]..=12).collect();
    assert_eq!(
        from_note_on, expected,
        "it has the number of the last that is gone"
    );
}

#[tokio::test]
async fn syslog_goes_over_tcp_and_anew_when_the_other_side_hangs_up() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = SyslogReceiver::start().await;
    let url = format!("syslog://127.0.0.1:{}", receiver.port);
    let body = json!({"name": "logs", "kind": "syslog", "url": url, "token": "t0ken@41058"});
    let made = app.owner.post(DRAINS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    app.print(&lab, &["one"]);
    let mut connection = receiver.accept().await;
    let pod = app.pod.as_str();
    let expected = |severity: u8, stream: &str, seq: u64, text: &str| {
        format!(
            "<{severity}>1 2026-01-01T00:00:00Z demo shop {pod} {stream} [meta sequenceId=\"{seq}\"][t0ken@41058] {text}"
        )
    };
    assert_eq!(connection.message().await, expected(14, "stdout", 1, "one"));
    lab.driver.print(&app.pod, LogSource::Stderr, "two");
    assert_eq!(connection.message().await, expected(12, "stderr", 2, "two"));
    drop(connection);
    app.print(&lab, &["three"]);
    let mut connection = receiver.accept().await;
    assert_eq!(
        connection.message().await,
        expected(14, "stdout", 3, "three")
    );
    let is_done = |drain: &Value| drain["status"]["delivered_lines"] == json!(3);
    app.drain_is("logs", "three lines are noted", is_done).await;
}

#[tokio::test]
async fn syslog_over_tls_needs_a_certificate_that_somebody_vouches_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let receiver = SyslogReceiver::start_with_tls().await;
    let roots = dir.path().join("ca.pem");
    let certificate = receiver.certificate.as_deref().expect("a certificate");
    std::fs::write(&roots, certificate).expect("written");
    let lab = Lab::start_with(move |config| {
        reach_loopback(config);
        config.drains.ca_file = Some(roots.clone());
    })
    .await;
    let app = App::start(&lab).await;
    let port = receiver.port;
    let drain = app
        .create("logs", "syslog", &format!("syslog+tls://localhost:{port}"))
        .await;
    app.print(&lab, &["one"]);
    let mut connection = receiver.accept().await;
    let message = connection.message().await;
    assert!(
        message.ends_with("[meta sequenceId=\"1\"] one"),
        "{message}"
    );
    // The certificate is for another name than this.
    let url = format!("syslog+tls://127.0.0.1:{port}");
    let body = json!({"name": "logs", "kind": "syslog", "url": url});
    let changed = app.owner.put(&path_of(&drain), body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let test = format!("{}/test", path_of(&drain));
    let refused = async { app.owner.post(&test, json!({})).await };
    let tested = tokio::select! {
        tested = refused => tested,
        _ = receiver.accept() => panic!("the handshake succeeded"),
    };
    let said = "its certificate is not trusted, or is for another name";
    assert_eq!(tested.data(), &json!({"taken": false, "said": said}));
}

#[tokio::test]
async fn loki_and_otlp_are_called_at_their_usual_paths() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let (loki, otlp) = (Receiver::start().await, Receiver::start().await);
    app.create("loki", "loki", &loki.url).await;
    app.create("otlp", "otlp", &format!("{}/custom", otlp.url))
        .await;
    app.print(&lab, &["one"]);
    let call = &loki.is_called(1).await[0];
    assert_eq!(call.path, "/loki/api/v1/push");
    let stream = &call.body["streams"][0];
    let labels = json!({"project": "shop", "workspace": "demo", "pod": app.pod.as_str(), "stream": "stdout"});
    assert_eq!(stream["stream"], labels);
    assert_eq!(stream["values"], json!([["1767225600000000001", "one"]]));
    let call = &otlp.is_called(1).await[0];
    assert_eq!(call.path, "/custom");
    let record = &call.body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["body"], json!({"stringValue": "one"}));
}

#[tokio::test]
async fn what_is_kept_secret_stays_for_the_same_service_and_goes_to_no_other() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let body = |url: &str| json!({"name": "logs", "kind": "http", "url": url});
    let mut with_token = body(&receiver.url);
    with_token["token"] = json!(SECRET);
    let made = app.owner.post(DRAINS, with_token).await;
    let path = path_of(made.data());
    let kept = app
        .owner
        .put(&path, body(&format!("{}/x", receiver.url)))
        .await;
    assert_eq!(kept.data()["has_token"], json!(true), "{kept:?}");
    app.print(&lab, &["one"]);
    let call = &receiver.is_called(1).await[0];
    assert_eq!(call.path, "/x");
    assert_eq!(call.headers["authorization"], format!("Bearer {SECRET}"));
    let refused = app.owner.put(&path, body(&other.url)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body["fields"]["token"].is_string(), "{refused:?}");
    let mut without = body(&other.url);
    without["token"] = json!("");
    let moved = app.owner.put(&path, without).await;
    assert_eq!(moved.data()["has_token"], json!(false), "{moved:?}");
    app.print(&lab, &["two"]);
    other.has_taken(&["two"]).await;
    assert!(!other.calls()[0].headers.contains_key("authorization"));
    assert_eq!(receiver.taken().len(), 1);
    // One that is switched off goes on where it stood.
    let mut off = body(&other.url);
    off["enabled"] = json!(false);
    assert_eq!(app.owner.put(&path, off).await.status, 200);
    app.print(&lab, &["three"]);
    app.has_logged(&lab, 3).await;
    assert_eq!(other.taken().len(), 1);
    assert_eq!(app.owner.put(&path, body(&other.url)).await.status, 200);
    other.has_taken(&["two", "three"]).await;
    let gone = app.owner.delete(&path).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(app.owner.delete(&path).await.status, 404);
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_unless_the_operator_allows_them() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for (kind, url) in [
        ("http", "http://127.0.0.1:9200"),
        ("http", "https://localhost/logs"),
        ("http", "https://127.1/"),
        ("http", "https://[::ffff:10.0.0.1]/"),
        ("loki", "http://169.254.169.254/"),
        ("otlp", "https://192.168.1.1:4318"),
        ("syslog", "syslog://10.0.0.1:514"),
        ("syslog", "syslog+tls://[::1]:6514"),
    ] {
        let body = json!({"name": "logs", "kind": kind, "url": url});
        let refused = owner.post(DRAINS, body).await;
        assert_eq!(refused.status, 400, "{url}: {refused:?}");
        let problem = refused.body["fields"]["url"].as_str().expect("a problem");
        assert!(problem.contains("not public"), "{problem}");
    }
    let plain = json!({
        "name": "logs", "kind": "http", "url": "http://8.8.8.8", "token": SECRET,
    });
    let refused = owner.post(DRAINS, plain).await;
    assert!(refused.error().contains("https://"), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_a_drain_is_refused() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let with = |field: &str, value: Value| {
        let mut body = json!({
            "name": "logs", "kind": "http", "url": "http://127.0.0.1:9", "enabled": false,
        });
        body[field] = value;
        body
    };
    let syslog = json!({"kind": "syslog", "url": "syslog://127.0.0.1:9", "name": "logs"});
    let merged = |more: Value| {
        let mut body = syslog.clone();
        let more = more.as_object().expect("an object");
        body.as_object_mut()
            .expect("an object")
            .extend(more.clone());
        body
    };
    for (body, field) in [
        (with("url", json!("syslog://127.0.0.1:9")), "url"),
        (with("url", json!("http://user:secret@127.0.0.1:9")), "url"),
        (with("url", json!("http://127.0.0.1:25")), "url"),
        (with("token", json!("a\nb")), "token"),
        (with("headers", json!({"Host": "x"})), "headers"),
        (with("headers", json!({"x y": "x"})), "headers"),
        (with("headers", json!({"x": "a\r\nb"})), "headers"),
        (merged(json!({"headers": {"x": "y"}})), "headers"),
        (merged(json!({"token": "a]b"})), "token"),
    ] {
        let refused = owner.post(DRAINS, body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body["fields"][field].is_string(), "{refused:?}");
    }
    let mut first = Value::Null;
    for number in 0..5 {
        let made = owner
            .post(DRAINS, with("name", json!(format!("d{number}"))))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        first = made.data().clone();
    }
    let more = owner.post(DRAINS, with("name", json!("d5"))).await;
    assert_eq!((more.status, more.code()), (409, "too_many_drains"));
    let taken = owner.put(&path_of(&first), with("name", json!("d0"))).await;
    assert_eq!((taken.status, taken.code()), (409, "taken"));
    let list = owner.get(DRAINS).await;
    let names: Vec<&Value> = list
        .data()
        .as_array()
        .expect("a list")
        .iter()
        .map(|drain| &drain["name"])
        .collect();
    assert_eq!(names, ["d0", "d1", "d2", "d3", "d4"]);
}

#[tokio::test]
async fn a_drain_is_seen_by_its_own_project_only_and_ends_with_it() {
    let lab = Lab::start_with(reach_loopback).await;
    let app = App::start(&lab).await;
    let receiver = Receiver::start().await;
    let drain = app.create("logs", "http", &receiver.url).await;
    app.owner.project("other", "app:1").await;
    let stranger = lab.owner("other").await;
    stranger.project("shop", "app:1").await;
    let own = path_of(&drain);
    let body = json!({"name": "logs", "kind": "http", "url": receiver.url});
    for (who, path) in [
        (&stranger, own.clone()),
        (&app.owner, own.replace("shop", "other")),
    ] {
        assert_eq!(who.put(&path, body.clone()).await.status, 404);
        assert_eq!(who.delete(&path).await.status, 404);
        assert_eq!(
            who.post(&format!("{path}/test"), json!({})).await.status,
            404
        );
    }
    let foreign = format!("/api/workspaces/demo/{own}");
    let answer = stranger.send(Method::DELETE, &foreign, None).await;
    assert_eq!(answer.status, 404);
    assert_eq!(receiver.calls().len(), 0);
    assert_eq!(app.owner.delete("projects/shop").await.status, 200);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

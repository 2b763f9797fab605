//! `tose logs`.

use std::io::{BufRead, BufReader, Read};

use insta::assert_snapshot;
use tose_api::deployment::DeploymentStatus;

use crate::harness::Sandbox;
use crate::stand_in::{Answer, StandIn, failure, frames, page, success};
use crate::views::{DEPLOYMENT_ID, deployment};

const LINE_1: &str = "2026-01-01T00:00:01Z one";
const LINE_2: &str = "2026-01-01T00:00:02Z [END]";
const LINE_3: &str = "2026-01-01T00:00:03Z three";

#[test]
fn the_lines_that_there_are_come_and_the_command_ends() {
    let server = StandIn::start(|_, _, _| frames(&[LINE_1, LINE_2, "[END]"]));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["logs", "--tail", "2"]), @"
    exit: 0
    ----- stdout -----
    2026-01-01T00:00:01Z one
    2026-01-01T00:00:02Z [END]

    ----- stderr -----
    ");
    sandbox
        .run(&["logs", "--since", "2026-01-01T00:00:00Z"])
        .ok();
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/live-logs?tail=2&follow=false&format=text
    GET /api/workspaces/demo/projects/hello/live-logs?since=2026-01-01T00%3A00%3A00Z&follow=false&format=text
    ");
}

#[test]
fn json_lines_pass_as_the_server_writes_them() {
    let line = r#"{"timestamp":"2026-01-01T00:00:01Z","pod":"p","stream":"stdout","message":"m"}"#;
    let server = StandIn::start(move |_, _, _| frames(&[line, "[END]"]));
    let outcome = Sandbox::linked(&server).run(&["logs", "--json"]).ok();
    assert_eq!(outcome.stdout, format!("{line}\n"));
    assert!(
        server
            .transcript()
            .ends_with("live-logs?follow=false&format=json")
    );
}

#[test]
fn a_stream_that_stops_early_is_no_success() {
    let server = StandIn::start(|_, _, _| frames(&[LINE_1, "[ERROR] the log store is full"]));
    assert_snapshot!(Sandbox::linked(&server).run(&["logs"]), @"
    exit: 1
    ----- stdout -----
    2026-01-01T00:00:01Z one

    ----- stderr -----
    warning: the log store is full
    error: the log stream ended before it was complete: run the command again
    ");
}

#[test]
fn following_goes_on_after_a_broken_connection() {
    let server = StandIn::start(|_, _, count| match count {
        0 => frames(&[LINE_1, LINE_2]),
        1 => failure(503, "unavailable", "the server is starting"),
        _ => frames(&[LINE_2, LINE_3, "[END]"]),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["logs", "--follow"]), @"
    exit: 0
    ----- stdout -----
    2026-01-01T00:00:01Z one
    2026-01-01T00:00:02Z [END]
    2026-01-01T00:00:03Z three

    ----- stderr -----
    warning: the connection broke off; connecting again
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/live-logs?follow=true&format=text
    GET /api/workspaces/demo/projects/hello/live-logs?since=2026-01-01T00%3A00%3A02Z&follow=true&format=text
    GET /api/workspaces/demo/projects/hello/live-logs?since=2026-01-01T00%3A00%3A02Z&follow=true&format=text
    ");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_quietly() {
    let server = StandIn::start(|_, _, _| Answer::Endless(LINE_1.to_owned()));
    let sandbox = Sandbox::linked(&server);
    let mut child = sandbox
        .command(&["logs", "-f"])
        .spawn()
        .expect("the binary starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    drop(stdout);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{stderr}");
    assert_eq!((line.trim_end(), stderr.as_str()), (LINE_1, ""));
}

#[test]
fn the_newest_deployment_is_the_one_whose_build_is_shown() {
    let server = StandIn::start(|_, path, _| match path.contains("/build-logs?") {
        true => frames(&[LINE_1, "[END]"]),
        false => page(vec![deployment(DeploymentStatus::Failed)]),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["logs", "--build"]), @"
    exit: 0
    ----- stdout -----
    2026-01-01T00:00:01Z one

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["logs", "--build", "--json", "--deployment", DEPLOYMENT_ID]), @"
    exit: 0
    ----- stdout -----
    2026-01-01T00:00:01Z one

    ----- stderr -----
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/deployments?page=1&limit=1
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001/build-logs?follow=false&format=text
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001/build-logs?follow=false&format=json
    ");
}

#[test]
fn without_a_deployment_there_is_no_build_to_show() {
    let server = StandIn::start(|_, _, _| page::<()>(vec![]));
    assert_snapshot!(Sandbox::linked(&server).run(&["logs", "--build"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: the project has no deployment so far: run `tose deploy`
    ");
}

/// A page of `GET P/logs`.
fn log_page(messages: &[&str], cursor: Option<&str>) -> Answer {
    let line = |message: &&str| serde_json::json!({"timestamp": "2026-01-01T00:00:01Z", "pod": "p", "stream": "stdout", "message": message});
    let lines: Vec<_> = messages.iter().map(line).collect();
    success(serde_json::json!({"lines": lines, "cursor": cursor}))
}

#[test]
fn lines_are_narrowed_down_by_the_server() {
    let server = StandIn::start(|_, _, _| frames(&[LINE_1, "[END]"]));
    let arguments = ["logs", "--search", "-healthz \"a b\"", "--level", "warn"];
    let more = ["--source", "stderr", "--pod", "web-1"];
    Sandbox::linked(&server)
        .run(&[&arguments[..], &more].concat())
        .ok();
    assert_snapshot!(server.transcript(), @"GET /api/workspaces/demo/projects/hello/live-logs?search=-healthz+%22a+b%22&level=warn&source=stderr&pod=web-1&follow=false&format=text");
}

#[test]
fn the_last_lines_before_a_time_come_in_their_order() {
    let server = StandIn::start(|_, url, _| match url.contains("cursor=7") {
        true => log_page(&["one"], None),
        false => log_page(&["three", "two"], Some("7")),
    });
    let sandbox = Sandbox::linked(&server);
    let outcome = sandbox
        .run(&["logs", "--until", "2026-01-02T00:00:00Z"])
        .ok();
    let texts = ["one", "two", "three"].map(|text| format!("2026-01-01T00:00:01Z {text}\n"));
    assert_eq!(outcome.stdout, texts.concat());
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/logs?limit=100&end=2026-01-02T00%3A00%3A00Z
    GET /api/workspaces/demo/projects/hello/logs?limit=98&end=2026-01-02T00%3A00%3A00Z&cursor=7
    ");
}

#[test]
fn a_range_of_time_comes_page_by_page() {
    let server = StandIn::start(|_, url, _| match url.contains("cursor=7") {
        true => log_page(&["three"], None),
        false => log_page(&["one", "two"], Some("7")),
    });
    let sandbox = Sandbox::linked(&server);
    let range = [
        "--since",
        "2026-01-01T00:00:00Z",
        "--until",
        "2026-01-02T00:00:00Z",
    ];
    let outcome = sandbox.run(&[&["logs"][..], &range].concat()).ok();
    let texts = ["one", "two", "three"].map(|text| format!("2026-01-01T00:00:01Z {text}\n"));
    assert_eq!(outcome.stdout, texts.concat());
}

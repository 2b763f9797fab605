//! `tose drains`.

use insta::assert_snapshot;
use serde_json::json;
use tose_api::drain::{DrainKind, DrainState, DrainStatus, DrainTest, DrainView};
use tose_api::workspace::Deleted;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

const ID: &str = "01990d2c-7a80-7cc4-9f6b-3a1de61a2b4c";

fn drain(name: &str) -> DrainView {
    DrainView {
        id: ID.parse().expect("an id"),
        name: name.parse().expect("a slug"),
        kind: DrainKind::Loki,
        url: "https://logs.example.com".to_owned(),
        has_token: true,
        headers: Vec::new(),
        enabled: true,
        status: DrainStatus {
            state: DrainState::Retrying,
            last_error: Some("it answered 503".to_owned()),
            last_delivered_at: Some(time(0)),
            delivered_lines: 1200,
            dropped_lines: 0,
            lag_lines: 17,
        },
        created_at: time(0),
        updated_at: time(0),
    }
}

fn server(taken: bool) -> StandIn {
    StandIn::start(move |method, path, _| match method {
        "GET" => success(vec![drain("loki")]),
        "DELETE" => success(Deleted {
            deleted: ID.to_owned(),
        }),
        "POST" if path.ends_with("/test") => success(DrainTest {
            taken,
            said: match taken {
                true => "it answered 204".to_owned(),
                false => "it answered 401: no such tenant".to_owned(),
            },
        }),
        "POST" => success(drain("logs")),
        _ => failure(404, "not_found", path),
    })
}

#[test]
fn drains_are_listed_with_how_they_go() {
    let server = server(true);
    assert_snapshot!(Sandbox::linked(&server).run(&["drains"]));
}

#[test]
fn a_drain_is_added_with_a_token_from_stdin() {
    let server = server(true);
    let arguments = [
        "drains",
        "add",
        "logs",
        "syslog+tls://logs.example.com:6514",
        "--token",
        "--header",
        "X-Scope-OrgID: shop",
    ];
    let shown = Sandbox::linked(&server).run_with_input(&arguments, "s3cret\n");
    assert_snapshot!(shown);
    let sent = server.requests().pop().expect("a request");
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    let expected = json!({
        "name": "logs", "kind": "syslog", "url": "syslog+tls://logs.example.com:6514",
        "token": "s3cret", "headers": {"X-Scope-OrgID": "shop"},
    });
    assert_eq!((sent.method.as_str(), body), ("POST", expected));
}

#[test]
fn a_test_says_what_the_service_said() {
    let took = server(true);
    assert_snapshot!(Sandbox::linked(&took).run(&["drains", "test", "loki"]));
    let refused = server(false);
    assert_snapshot!(Sandbox::linked(&refused).run(&["drains", "test", "loki"]));
    let sent = refused.requests().pop().expect("a request");
    assert!(
        sent.path.ends_with(&format!("/drains/{ID}/test")),
        "{}",
        sent.path
    );
}

#[test]
fn a_drain_is_removed_by_its_name() {
    let server = server(true);
    assert_snapshot!(Sandbox::linked(&server).run(&["drains", "remove", "loki"]));
    assert_snapshot!(Sandbox::linked(&server).run(&["drains", "remove", "other"]));
}

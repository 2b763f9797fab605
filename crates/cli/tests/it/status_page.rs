//! `tose status-page`.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tose_api::status_page::{StatusPageProject, StatusPageView};

use crate::harness::{Outcome, Sandbox};
use crate::stand_in::{Answer, StandIn, success};

/// One that everybody sees.
fn shown() -> StatusPageView {
    let project = |slug: &str, name: Option<&str>| StatusPageProject {
        slug: slug.parse().expect("a slug"),
        name: name.map(str::to_owned),
    };
    StatusPageView {
        enabled: true,
        title: "Demo, our shop".to_owned(),
        projects: vec![project("shop", Some("Our shop")), project("orders", None)],
        url: "https://tose.example.com/status/demo".to_owned(),
    }
}

/// One that nobody has set.
fn unset() -> StatusPageView {
    StatusPageView {
        enabled: false,
        title: "demo".to_owned(),
        projects: Vec::new(),
        ..shown()
    }
}

fn server(page: fn() -> StatusPageView) -> StandIn {
    StandIn::start(move |_, _, _| -> Answer { success(page()) })
}

fn run(server: &StandIn, arguments: &[&str]) -> Outcome {
    Sandbox::linked(server).run(&[&["status-page"], arguments].concat())
}

/// The body of the newest request.
fn sent(server: &StandIn) -> Value {
    let request = server.requests().pop().expect("a request");
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("PUT", "/api/workspaces/demo/status-page")
    );
    serde_json::from_str(&request.body).expect("JSON")
}

#[test]
fn a_page_says_where_it_and_its_badges_are() {
    let server = server(shown);
    assert_snapshot!(run(&server, &[]), @"
    exit: 0
    ----- stdout -----
    demo  on
    title  Demo, our shop
    page   https://tose.example.com/status/demo
    badge  https://tose.example.com/api/status/demo/badge.svg

    SHOWN   NAME      BADGE
    shop    Our shop  https://tose.example.com/api/status/demo/badge/shop.svg
    orders  -         https://tose.example.com/api/status/demo/badge/orders.svg

    ----- stderr -----
    ");
    let shown_again = run(&server, &["show", "--json"]).ok();
    let shown_again: StatusPageView = serde_json::from_str(&shown_again.stdout).expect("a page");
    assert_eq!(shown_again, shown());
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/status-page
    GET /api/workspaces/demo/status-page
    ");
}

#[test]
fn one_that_nobody_sees_says_how_that_is_changed() {
    let server = server(unset);
    assert_snapshot!(run(&server, &["show"]), @"
    exit: 0
    ----- stdout -----
    demo  off
    title  demo
    page   https://tose.example.com/status/demo
    badge  https://tose.example.com/api/status/demo/badge.svg

    ----- stderr -----
    nobody sees it: `tose status-page on` shows it to everybody
    nothing is on it: `tose status-page projects SLUG…` says what is
    ");
}

#[test]
fn only_what_is_named_is_changed() {
    let server = server(shown);
    for (arguments, body) in [
        (&["on"][..], json!({"enabled": true})),
        (&["off"], json!({"enabled": false})),
        (&["title", "Demo"], json!({"title": "Demo"})),
        (
            &["projects", "shop=Our shop, a = b", "orders", "site="],
            json!({"projects": [
                {"slug": "shop", "name": "Our shop, a = b"}, {"slug": "orders"}, {"slug": "site"},
            ]}),
        ),
        (&["projects", "--none"], json!({"projects": []})),
    ] {
        run(&server, arguments).ok();
        assert_eq!(sent(&server), body, "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    assert_snapshot!(run(&server, &["projects"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      <SLUG[=NAME]>...

    Usage: tose status-page projects <SLUG[=NAME]>...

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&server, &["projects", "Our shop"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'Our shop' for '[SLUG[=NAME]]...': a slug holds only a-z, 0-9 and -

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&server, &["projects", "shop", "--none"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '[SLUG[=NAME]]...' cannot be used with '--none'

    Usage: tose status-page projects <SLUG[=NAME]>...

    For more information, try '--help'.
    ");
    assert!(server.requests().is_empty());
}

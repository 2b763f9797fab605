//! `tose events`.

use insta::assert_snapshot;
use tose_api::event::{EventView, Via};
use tose_api::{Meta, Success};

use crate::harness::Sandbox;
use crate::stand_in::{Answer, StandIn, page};
use crate::views::time;

fn event(number: i64, via: Option<Via>) -> EventView {
    EventView {
        id: format!("0198c0de-0000-7000-8000-{number:012}")
            .parse()
            .expect("an id"),
        action: "project.create".to_owned(),
        target: format!("shop-{number}"),
        actor: "ada@example.com".to_owned(),
        user_id: None,
        via,
        ip: via.map(|_| "203.0.113.7".to_owned()),
        created_at: time(number * 1_000),
    }
}

/// A page of a list that goes on.
fn page_of_many(items: Vec<EventView>) -> Answer {
    let meta = Meta {
        page: 1,
        limit: 50,
        total: 100,
        has_more: true,
    };
    let body = serde_json::to_string(&Success::page(items, meta)).expect("JSON");
    Answer::Http(200, "", body)
}

#[test]
fn events_say_who_did_what_from_where() {
    let server = StandIn::start(|_, _, _| {
        page(vec![
            event(4, Some(Via::System)),
            event(3, Some(Via::ApiKey)),
            event(2, Some(Via::Session)),
            event(1, Some(Via::Hook)),
            event(0, None),
        ])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["events"]));
    let shown = sandbox.run(&["events", "--json", "--page", "2", "--limit", "50"]);
    let shown: Vec<EventView> = serde_json::from_str(&shown.ok().stdout).expect("events");
    assert_eq!(shown.len(), 5);
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/events?page=1&limit=20
    GET /api/workspaces/demo/events?page=2&limit=50
    ");
}

#[test]
fn a_list_that_goes_on_says_how_to_go_on() {
    let server = StandIn::start(|_, _, _| page_of_many(vec![event(1, None)]));
    let shown = Sandbox::linked(&server).run(&["events"]).ok();
    assert_eq!(shown.stderr, "100 in all; go on with --page 2\n");
}

#[test]
fn all_events_from_a_time_on_are_looked_for_page_by_page() {
    // Between the two answers something happened, so the second page begins with what was seen.
    let server = StandIn::start(|_, _, count| match count {
        0 => page_of_many(vec![event(4, None), event(3, None)]),
        _ => page_of_many(vec![event(3, None), event(2, None), event(1, None)]),
    });
    let arguments = ["events", "--since", "2026-01-01T00:00:02Z"];
    let shown = Sandbox::linked(&server).run(&arguments);
    assert_snapshot!(shown);
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/events?page=1&limit=50
    GET /api/workspaces/demo/events?page=2&limit=50
    ");
}

#[test]
fn a_time_and_a_page_are_not_both_named() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    let both = ["events", "--since", "1d", "--page", "2"];
    assert_snapshot!(sandbox.run(&both), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '--since <TIME>' cannot be used with '--page <PAGE>'

    Usage: tose events --since <TIME>

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["events", "--limit", "0"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --limit is out of range
    ");
    assert!(server.requests().is_empty());
}

//! `tose maintenance`.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tose_api::maintenance::{MaintenanceRepeat, MaintenanceTime, MaintenanceView};
use tose_api::workspace::Deleted;

use crate::harness::{Outcome, Sandbox};
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

const ID: &str = "0198c0de-0000-7000-8000-0000000000d1";
const FAR: &str = "2150-01-01T00:00:00Z";

fn maintenance(
    id: &str,
    title: &str,
    times: [&str; 2],
    projects: Option<&[&str]>,
) -> MaintenanceView {
    let [starts_at, ends_at] = times.map(|time| time.parse().expect("a time"));
    let slugs = |slugs: &[&str]| {
        slugs
            .iter()
            .map(|slug| slug.parse().expect("a slug"))
            .collect()
    };
    MaintenanceView {
        id: id.parse().expect("an id"),
        title: title.to_owned(),
        starts_at,
        ends_at,
        repeat: None,
        next: None,
        projects: projects.map(slugs),
        created_at: time(0),
    }
}

/// One of each state, whenever the test runs.
fn known() -> Vec<MaintenanceView> {
    let second = ID.replace("d1", "d2");
    let third = ID.replace("d1", "d3");
    let (begin, end) = ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z");
    vec![
        maintenance(
            &third,
            "Move",
            [FAR, "2150-01-02T00:00:00Z"],
            Some(&["hello", "orders"]),
        ),
        maintenance(ID, "A larger disk", [begin, FAR], None),
        maintenance(&second, "Move", [begin, end], Some(&[])),
    ]
}

fn server() -> StandIn {
    StandIn::start(|method, _, _| match method {
        "GET" => success(known()),
        "DELETE" => success(Deleted {
            deleted: ID.to_owned(),
        }),
        _ => success(known().remove(0)),
    })
}

fn run(server: &StandIn, arguments: &[&str]) -> Outcome {
    Sandbox::linked(server).run(&[&["maintenance"], arguments].concat())
}

/// The body of the newest request.
fn sent(server: &StandIn) -> Value {
    let request = server.requests().pop().expect("a request");
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/api/workspaces/demo/maintenance")
    );
    serde_json::from_str(&request.body).expect("JSON")
}

fn nanos(value: &Value) -> i64 {
    let time: tose_api::Timestamp = value.as_str().expect("text").parse().expect("a time");
    time.as_nanos()
}

const HOUR: i64 = 3_600_000_000_000;

#[test]
fn maintenances_are_listed_with_their_state() {
    let server = server();
    assert_snapshot!(run(&server, &[]), @"
    exit: 0
    ----- stdout -----
    ID                                    STATE      FROM                  UNTIL                 REPEAT  OF             TITLE
    0198c0de-0000-7000-8000-0000000000d3  planned    2150-01-01T00:00:00Z  2150-01-02T00:00:00Z  -       hello, orders  Move
    0198c0de-0000-7000-8000-0000000000d1  under way  2026-01-01T00:00:00Z  2150-01-01T00:00:00Z  -       all            A larger disk
    0198c0de-0000-7000-8000-0000000000d2  over       2026-01-01T00:00:00Z  2026-01-01T02:00:00Z  -       nothing        Move

    ----- stderr -----
    ");
    let shown = run(&server, &["list", "--json"]).ok();
    let shown: Vec<MaintenanceView> = serde_json::from_str(&shown.stdout).expect("a list");
    assert_eq!(shown, known());
    let none = StandIn::start(|_, _, _| success(Vec::<MaintenanceView>::new()));
    assert_snapshot!(run(&none, &[]), @"
    exit: 0
    ----- stdout -----
    ID  STATE  FROM  UNTIL  REPEAT  OF  TITLE

    ----- stderr -----
    none is planned: `tose maintenance add TITLE --for 1h` begins one
    ");
}

#[test]
fn one_is_planned_with_times_that_are_written_out() {
    let server = server();
    let times = [
        "--from",
        "2150-01-01T07:00:00+07:00",
        "--until",
        "2150-01-02T00:00:00Z",
    ];
    let projects = ["--projects", "hello,orders"];
    let shown = run(&server, &[&["add", "Move"], &times[..], &projects].concat());
    assert_snapshot!(shown, @"
    exit: 0
    ----- stdout -----
    failures of hello, orders count for nothing from 2150-01-01T00:00:00Z to 2150-01-02T00:00:00Z

    ----- stderr -----
    end it with: tose maintenance remove 0198c0de-0000-7000-8000-0000000000d3
    ");
    let expected = json!({
        "title": "Move", "starts_at": FAR, "ends_at": "2150-01-02T00:00:00Z",
        "projects": ["hello", "orders"],
    });
    assert_eq!(sent(&server), expected);
}

#[test]
fn one_is_planned_from_now_on_and_for_so_long() {
    let server = server();
    run(&server, &["add", "Move", "--for", "2h"]).ok();
    let begun = sent(&server);
    assert_eq!(
        nanos(&begun["ends_at"]) - nanos(&begun["starts_at"]),
        2 * HOUR
    );
    assert_eq!(
        nanos(&begun["starts_at"]) % 1_000_000_000,
        0,
        "as it is shown"
    );
    assert_eq!(begun.get("projects"), None, "all of the workspace");
    run(
        &server,
        &["add", "Move", "--from", "in 2h", "--until", "+1d"],
    )
    .ok();
    let ahead = sent(&server);
    assert_eq!(
        nanos(&ahead["ends_at"]) - nanos(&ahead["starts_at"]),
        22 * HOUR
    );
    assert!(nanos(&ahead["starts_at"]) >= nanos(&begun["ends_at"]));
    let arguments = [
        "add",
        "Move",
        "--for",
        "1d",
        "--from",
        FAR,
        "--project",
        "shop",
    ];
    run(&server, &arguments).ok();
    let expected = json!({
        "title": "Move", "starts_at": FAR, "ends_at": "2150-01-02T00:00:00Z", "projects": ["shop"],
    });
    assert_eq!(sent(&server), expected, "--project names one as well");
}

/// One that comes each week, of which the server tells the next time.
fn weekly() -> MaintenanceView {
    let first = ["2026-01-04T22:00:00Z", "2026-01-05T00:00:00Z"];
    MaintenanceView {
        repeat: Some(MaintenanceRepeat::Weekly),
        next: Some(MaintenanceTime {
            starts_at: "2150-01-04T22:00:00Z".parse().expect("a time"),
            ends_at: "2150-01-05T00:00:00Z".parse().expect("a time"),
        }),
        ..maintenance(ID, "Each Sunday", first, None)
    }
}

#[test]
fn one_comes_again_each_week() {
    let server = StandIn::start(|method, _, _| match method {
        "GET" => success(vec![weekly()]),
        _ => success(weekly()),
    });
    let first = ["--from", "2026-01-04T22:00:00Z", "--for", "2h"];
    let arguments = [&["add", "Each Sunday", "--weekly"], &first[..]].concat();
    assert_snapshot!(run(&server, &arguments), @"
    exit: 0
    ----- stdout -----
    failures of all of demo count for nothing from 2150-01-04T22:00:00Z to 2150-01-05T00:00:00Z, and so each week

    ----- stderr -----
    end it with: tose maintenance remove 0198c0de-0000-7000-8000-0000000000d1
    ");
    let expected = json!({
        "title": "Each Sunday", "starts_at": "2026-01-04T22:00:00Z",
        "ends_at": "2026-01-05T00:00:00Z", "repeat": "weekly",
    });
    assert_eq!(sent(&server), expected);
    assert_snapshot!(run(&server, &[]), @"
    exit: 0
    ----- stdout -----
    ID                                    STATE    FROM                  UNTIL                 REPEAT  OF   TITLE
    0198c0de-0000-7000-8000-0000000000d1  planned  2150-01-04T22:00:00Z  2150-01-05T00:00:00Z  weekly  all  Each Sunday

    ----- stderr -----
    ");
}

#[test]
fn one_is_removed_by_its_id_or_its_title() {
    let server = server();
    assert_snapshot!(run(&server, &["remove", "A larger disk"]), @"
    exit: 0
    ----- stdout -----
    the maintenance `A larger disk` is planned no more

    ----- stderr -----
    ");
    run(&server, &["remove", ID]).ok();
    let transcript = server.transcript();
    let deleted = format!("DELETE /api/workspaces/demo/maintenance/{ID}");
    assert_eq!(transcript.matches(&deleted).count(), 2, "{transcript}");
    assert_snapshot!(run(&server, &["remove", "Move"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: `Move` is the title of several: name one by its id, which `tose maintenance` lists
    ");
    assert_snapshot!(run(&server, &["remove", "other"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no maintenance `other`: see with `tose maintenance` what there is
    ");
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    assert_snapshot!(run(&server, &["add", "Move"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      <--until <TIME>|--for <DURATION>>

    Usage: tose maintenance add <--until <TIME>|--for <DURATION>> <TITLE>

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&server, &["add", "Move", "--from", "2h", "--for", "1h"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value '2h' for '--from <TIME>': from now on it is written with a plus, such as +2h

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&server, &["add", "Move", "--until", "tomorrow"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'tomorrow' for '--until <TIME>': a time is 2026-01-31T22:00:00Z, +30m, +2h, +1d or 'in 2h'

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&server, &["add", "Move", "--for", "2h", "--until", "+2h"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '--for <DURATION>' cannot be used with '--until <TIME>'

    Usage: tose maintenance add <--until <TIME>|--for <DURATION>> <TITLE>

    For more information, try '--help'.
    ");
    let backwards = [
        "add",
        "Move",
        "--from",
        FAR,
        "--until",
        "2149-01-01T00:00:00Z",
    ];
    assert_snapshot!(run(&server, &backwards), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: it would end at 2149-01-01T00:00:00Z, and begin no earlier than 2150-01-01T00:00:00Z: give a later --until, or how long it takes with --for
    ");
    let past = [
        "add",
        "Move",
        "--from",
        "2026-01-01T00:00:00Z",
        "--for",
        "1h",
    ];
    assert_snapshot!(run(&server, &past), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: it would have ended at 2026-01-01T01:00:00Z already: give times that are to come
    ");
    assert_snapshot!(run(&server, &["add", "Move", "--for", "1h", "--projects", ""]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value '' for '--projects <SLUGS>': a slug has 1 to 40 characters

    For more information, try '--help'.
    ");
    assert!(server.requests().is_empty());
}

#[test]
fn what_the_server_does_not_take_is_a_failure() {
    let server = StandIn::start(|_, _, _| {
        failure(
            409,
            "too_many_maintenances",
            "100 maintenances have not ended",
        )
    });
    assert_snapshot!(run(&server, &["add", "Move", "--for", "1h"]), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: 100 maintenances have not ended
    ");
}

//! `tose schedules`.

use insta::assert_snapshot;
use tose_api::schedule::{ScheduleView, SkippedRun};
use tose_api::workspace::Deleted;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn schedule() -> ScheduleView {
    ScheduleView {
        name: "nightly".parse().expect("a slug"),
        cron: "30 3 * * *".to_owned(),
        timezone: "Asia/Ho_Chi_Minh".to_owned(),
        command: vec!["npm".to_owned(), "run".to_owned(), "report".to_owned()],
        timeout_seconds: 3600,
        enabled: true,
        next_at: Some(time(3600)),
        last_job: None,
        last_skip: Some(SkippedRun {
            due_at: time(0),
            reason: "the project is stopped".to_owned(),
        }),
        updated_at: time(0),
    }
}

fn server() -> StandIn {
    StandIn::start(|method, path, _| match method {
        "GET" => success(vec![schedule()]),
        "PUT" => success(schedule()),
        "DELETE" => success(Deleted {
            deleted: "nightly".to_owned(),
        }),
        _ => failure(404, "not_found", path),
    })
}

#[test]
fn schedules_are_listed_with_what_did_not_run() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["schedules"]));
}

#[test]
fn a_schedule_is_set_with_its_command_word_for_word() {
    let server = server();
    let arguments = [
        "schedules",
        "set",
        "nightly",
        "--cron",
        "30 3 * * *",
        "--timezone",
        "Asia/Ho_Chi_Minh",
        "--",
        "npm",
        "run",
        "report",
    ];
    assert_snapshot!(Sandbox::linked(&server).run(&arguments));
    let sent = server.requests().pop().expect("a request");
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    let expected = serde_json::json!({
        "cron": "30 3 * * *", "timezone": "Asia/Ho_Chi_Minh", "command": ["npm", "run", "report"],
    });
    assert_eq!((sent.method.as_str(), body), ("PUT", expected));
    assert!(sent.path.ends_with("/schedules/nightly"), "{}", sent.path);
}

#[test]
fn a_schedule_is_removed() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["schedules", "remove", "nightly"]));
}

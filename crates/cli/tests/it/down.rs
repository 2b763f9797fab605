//! `tose down`.

use insta::assert_snapshot;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, success};

#[test]
fn where_nobody_can_be_asked_a_deletion_needs_a_yes() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["down", "--delete"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: deleting demo/hello needs --yes where nobody can be asked
    ");
    assert!(server.requests().is_empty());
    assert!(sandbox.file("tose.json").exists());
}

#[test]
fn a_deleted_project_takes_its_link_along() {
    let server = StandIn::start(|_, _, _| success(serde_json::json!({ "deleted": "hello" })));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["down", "--delete", "--yes"]), @"
    exit: 0
    ----- stdout -----
    deleted demo/hello

    ----- stderr -----
    removed [dir]/hello/tose.json
    ");
    assert!(!sandbox.file("tose.json").exists());
    assert_snapshot!(server.transcript(), @"DELETE /api/workspaces/demo/projects/hello");
}

#[test]
fn the_link_of_another_project_stays() {
    let server = StandIn::start(|_, _, _| success(serde_json::json!({ "deleted": "web" })));
    let sandbox = Sandbox::linked(&server);
    sandbox
        .run(&["down", "--delete", "--yes", "--project", "web", "--json"])
        .ok();
    assert!(sandbox.file("tose.json").exists());
}

//! `tose scale`.

use insta::assert_snapshot;
use tose_api::project::ProjectView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::project;

#[test]
fn only_what_is_given_is_sent() {
    let server = StandIn::start(|_, _, _| {
        success(ProjectView {
            replicas: 3,
            ..project()
        })
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["scale", "--replicas", "3"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  running  http://demo-hello.localhost
    replicas  3
    cpu       0.5 each
    memory    0.5 GB each

    ----- stderr -----
    ");
    sandbox.run(&["scale", "--cpu", "1", "--ram", "0.5"]).ok();
    assert_snapshot!(server.transcript(), @r#"
    POST /api/workspaces/demo/projects/hello/scale {"replicas":3}
    POST /api/workspaces/demo/projects/hello/scale {"cpu":"1","ram":"0.5"}
    "#);
}

#[test]
fn a_size_has_to_be_given() {
    let server = StandIn::unused();
    assert_snapshot!(Sandbox::linked(&server).run(&["scale"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      <PROCESS=N|--replicas <N>|--cpu <CORES>|--ram <GB>>

    Usage: tose scale <PROCESS=N|--replicas <N>|--cpu <CORES>|--ram <GB>>

    For more information, try '--help'.
    ");
}

#[test]
fn a_refusal_is_told() {
    let text = "a project with volumes has one replica";
    let server = StandIn::start(|_, _, _| failure(409, "one_replica_only", text));
    assert_snapshot!(Sandbox::linked(&server).run(&["scale", "--replicas", "2"]), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: a project with volumes has one replica
    ");
}

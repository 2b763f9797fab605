use std::fs;

use insta::assert_snapshot;
use tose_api::env_var::{EnvVarsChanged, MASK};

use crate::harness::{Sandbox, mode};
use crate::stand_in::{Answer, StandIn, failure, success};
use crate::views::{secret, variable};

fn changed() -> Answer {
    success(EnvVarsChanged {
        created: 1,
        updated: 1,
        deleted: 0,
    })
}

#[test]
fn a_file_that_cannot_be_read_as_variables_names_its_line() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file(".env"), "GOOD=1\n\nBAD LINE\n").expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push"]), @"");
    fs::write(sandbox.file(".env"), "A=\"no end\nB=2\n").expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push", "--json"]), @"");
    assert_snapshot!(sandbox.run(&["env", "push", "missing.env"]), @"");
    assert!(server.requests().is_empty());
}

#[test]
fn a_pushed_file_is_merged_or_replaces_all() {
    let server = StandIn::start(|_, _, _| changed());
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file(".env"), "B='2 3'\nA=1\n").expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push"]), @"");
    sandbox
        .run_with_input(&["env", "push", "-", "--replace"], "C=\n")
        .ok();
    assert_snapshot!(server.transcript(), @"");
}

#[test]
fn a_mask_is_not_pushed_over_a_secret() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file("a.env"), format!("TOKEN={MASK}\n")).expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push", "a.env"]), @"");
    assert!(server.requests().is_empty());
}

#[test]
fn variables_are_set_together_and_secrets_as_such() {
    let server = StandIn::start(|method, _, _| match method {
        "PUT" => changed(),
        _ => success(secret("TOKEN", MASK)),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "set", "A=1", "B=x=y"]), @"");
    assert_snapshot!(sandbox.run(&["env", "set", "--secret", "TOKEN=hush"]), @"");
    assert_snapshot!(server.transcript(), @"");
}

#[test]
fn a_value_is_not_repeated_in_an_error() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "set", "A=1", "hush"]), @"");
    assert_snapshot!(sandbox.run(&["env", "set", "BAD-KEY=hush"]), @"");
}

#[test]
fn variables_are_listed_with_secrets_masked() {
    let server = StandIn::start(|_, _, _| {
        success(vec![variable("LOG_LEVEL", "debug"), secret("TOKEN", MASK)])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "list"]), @"");
    assert_snapshot!(sandbox.run(&["env", "list", "--json"]), @"");
}

#[test]
fn variables_are_removed_one_by_one() {
    let server = StandIn::start(|_, _, _| success(serde_json::json!({ "deleted": "A" })));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "unset", "A", "B"]), @"");
    assert_snapshot!(server.transcript(), @"");
}

#[test]
fn a_pulled_file_holds_the_secrets_and_is_its_owners() {
    let server = StandIn::start(|_, path, _| match path.ends_with("?reveal=true") {
        true => success(secret("TOKEN", "it's a\nsecret")),
        false => success(vec![variable("A", "1 2"), secret("TOKEN", MASK)]),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "pull"]), @"");
    let expected = "A='1 2'\nTOKEN=\"it's a\\nsecret\"\n";
    assert_eq!(
        fs::read_to_string(sandbox.file(".env")).expect("a file"),
        expected
    );
    assert_eq!(mode(&sandbox.file(".env")), 0o600);

    let before = server.requests().len();
    assert_snapshot!(sandbox.run(&["env", "pull"]), @"");
    assert_eq!(server.requests().len(), before);
    sandbox.run(&["env", "pull", "--force"]).ok();
    assert_eq!(sandbox.run(&["env", "pull", "-"]).ok().stdout, expected);
}

#[test]
fn secrets_that_may_not_be_read_are_left_out() {
    let server = StandIn::start(|_, path, _| match path.ends_with("?reveal=true") {
        true => failure(403, "forbidden", "only admins can read secrets"),
        false => success(vec![variable("A", "1"), secret("TOKEN", MASK)]),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "pull", "b.env"]), @"");
    let text = fs::read_to_string(sandbox.file("b.env")).expect("a file");
    assert_eq!(text, "A=1\n# TOKEN is secret: admins can read it\n");
}

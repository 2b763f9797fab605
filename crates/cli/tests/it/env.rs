//! `tose env`: variables one by one, in sets, and in files.

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
    assert_snapshot!(sandbox.run(&["env", "push"]), @"
    exit: 7
    ----- stdout -----

    ----- stderr -----
    error: .env cannot be read as variables: line 3: this is no KEY=value
    ");
    fs::write(sandbox.file(".env"), "A=\"no end\nB=2\n").expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push", "--json"]), @r#"
    exit: 7
    ----- stdout -----

    ----- stderr -----
    {"success":false,"error":".env cannot be read as variables: line 1: the value has no closing \"","code":"invalid_file"}
    "#);
    assert_snapshot!(sandbox.run(&["env", "push", "missing.env"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    error: cannot read missing.env: No such file or directory (os error 2)
    ");
    assert!(server.requests().is_empty());
}

#[test]
fn a_pushed_file_is_merged_or_replaces_all() {
    let server = StandIn::start(|_, _, _| changed());
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file(".env"), "B='2 3'\nA=1\n").expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push"]), @"
    exit: 0
    ----- stdout -----
    1 created, 1 updated, 0 deleted

    ----- stderr -----
    applies from the next deployment on: `tose deploy --redeploy` is the shortest
    ");
    sandbox
        .run_with_input(&["env", "push", "-", "--replace"], "C=\n")
        .ok();
    assert_snapshot!(server.transcript(), @r#"
    PUT /api/workspaces/demo/projects/hello/env/bulk {"variables":{"A":"1","B":"2 3"},"merge":true}
    PUT /api/workspaces/demo/projects/hello/env/bulk {"variables":{"C":""},"merge":false}
    "#);
}

#[test]
fn a_mask_is_not_pushed_over_a_secret() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file("a.env"), format!("TOKEN={MASK}\n")).expect("a file");
    assert_snapshot!(sandbox.run(&["env", "push", "a.env"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: a.env: the value of TOKEN is the mask of a secret, not the secret
    ");
    assert!(server.requests().is_empty());
}

#[test]
fn variables_are_set_together_and_secrets_as_such() {
    let server = StandIn::start(|method, _, _| match method {
        "PUT" => changed(),
        _ => success(secret("TOKEN", MASK)),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "set", "A=1", "B=x=y"]), @"
    exit: 0
    ----- stdout -----
    1 created, 1 updated, 0 deleted

    ----- stderr -----
    applies from the next deployment on: `tose deploy --redeploy` is the shortest
    ");
    assert_snapshot!(sandbox.run(&["env", "set", "--secret", "TOKEN=hush"]), @"
    exit: 0
    ----- stdout -----
    set TOKEN as secret

    ----- stderr -----
    applies from the next deployment on: `tose deploy --redeploy` is the shortest
    ");
    assert_snapshot!(server.transcript(), @r#"
    PUT /api/workspaces/demo/projects/hello/env/bulk {"variables":{"A":"1","B":"x=y"},"merge":true}
    POST /api/workspaces/demo/projects/hello/env {"key":"TOKEN","value":"hush","is_secret":true}
    "#);
}

#[test]
fn a_value_is_not_repeated_in_an_error() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "set", "A=1", "hush"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: argument 2 is no KEY=VALUE
    ");
    assert_snapshot!(sandbox.run(&["env", "set", "BAD-KEY=hush"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: `BAD-KEY`: a variable name starts with a letter or _, holds letters, digits and _, and has at most 128 characters
    ");
}

#[test]
fn variables_are_listed_with_secrets_masked() {
    let server = StandIn::start(|_, _, _| {
        success(vec![variable("LOG_LEVEL", "debug"), secret("TOKEN", MASK)])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "list"]), @"
    exit: 0
    ----- stdout -----
    KEY        KIND    UPDATED               VALUE
    LOG_LEVEL          2026-01-01T00:00:00Z  debug
    TOKEN      secret  2026-01-01T00:00:00Z  ********

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["env", "list", "--json"]), @r#"
    exit: 0
    ----- stdout -----
    [
      {
        "key": "LOG_LEVEL",
        "value": "debug",
        "is_secret": false,
        "updated_at": "2026-01-01T00:00:00Z"
      },
      {
        "key": "TOKEN",
        "value": "********",
        "is_secret": true,
        "updated_at": "2026-01-01T00:00:00Z"
      }
    ]

    ----- stderr -----
    "#);
}

#[test]
fn variables_are_removed_one_by_one() {
    let server = StandIn::start(|_, _, _| success(serde_json::json!({ "deleted": "A" })));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "unset", "A", "B"]), @"
    exit: 0
    ----- stdout -----
    removed A, B

    ----- stderr -----
    applies from the next deployment on: `tose deploy --redeploy` is the shortest
    ");
    assert_snapshot!(server.transcript(), @"
    DELETE /api/workspaces/demo/projects/hello/env/A
    DELETE /api/workspaces/demo/projects/hello/env/B
    ");
}

#[test]
fn a_pulled_file_holds_the_secrets_and_is_its_owners() {
    let server = StandIn::start(|_, path, _| match path.ends_with("?reveal=true") {
        true => success(secret("TOKEN", "it's a\nsecret")),
        false => success(vec![variable("A", "1 2"), secret("TOKEN", MASK)]),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["env", "pull"]), @"
    exit: 0
    ----- stdout -----
    wrote 2 variables to .env

    ----- stderr -----
    ");
    let expected = "A='1 2'\nTOKEN=\"it's a\\nsecret\"\n";
    assert_eq!(
        fs::read_to_string(sandbox.file(".env")).expect("a file"),
        expected
    );
    assert_eq!(mode(&sandbox.file(".env")), 0o600);

    let before = server.requests().len();
    assert_snapshot!(sandbox.run(&["env", "pull"]), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: .env exists: overwrite it with --force
    ");
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
    assert_snapshot!(sandbox.run(&["env", "pull", "b.env"]), @"
    exit: 0
    ----- stdout -----
    wrote 1 variables to b.env

    ----- stderr -----
    warning: left out, since only admins can read secrets: TOKEN
    ");
    let text = fs::read_to_string(sandbox.file("b.env")).expect("a file");
    assert_eq!(text, "A=1\n# TOKEN is secret: admins can read it\n");
}

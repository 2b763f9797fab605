//! Command lines that are wrong, and what exit codes say.

use insta::assert_snapshot;

use crate::harness::{KEY, Sandbox};
use crate::stand_in::{StandIn, failure, success};
use crate::views::me;

#[test]
fn a_wrong_command_line_ends_with_2() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["deplyo"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: unrecognized subcommand 'deplyo'

      tip: some similar subcommands exist: 'deployments', 'deploy'

    Usage: tose [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["status", "--project", "Not A Slug"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'Not A Slug' for '--project <SLUG>': a slug holds only a-z, 0-9 and -

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["deploy", "--redeploy", "--no-cache"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '--redeploy' cannot be used with '--no-cache'

    Usage: tose deploy --redeploy

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["status", "--api-url", "ftp://example.com"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'ftp://example.com' for '--api-url <URL>': a server address starts with http:// or https://, and a host follows

    For more information, try '--help'.
    ");
}

#[test]
fn no_command_shows_the_help() {
    let outcome = Sandbox::new().run::<&str>(&[]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("Usage: tose"), "{outcome}");
}

#[test]
fn without_a_login_the_way_to_one_is_shown() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["whoami"]), @"
    exit: 3
    ----- stdout -----

    ----- stderr -----
    error: not logged in to http://127.0.0.1:8700: run `tose login --api-url http://127.0.0.1:8700`, or set TOSE_API_KEY
    ");
    assert_snapshot!(sandbox.run(&["whoami", "--json"]), @r#"
    exit: 3
    ----- stdout -----

    ----- stderr -----
    {"success":false,"error":"not logged in to http://127.0.0.1:8700: run `tose login --api-url http://127.0.0.1:8700`, or set TOSE_API_KEY","code":"not_logged_in"}
    "#);
}

#[test]
fn without_a_link_the_way_to_one_is_shown() {
    let server = StandIn::unused();
    let sandbox = Sandbox::with_key(&server);
    assert_snapshot!(sandbox.run(&["status"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: no project is linked to this folder: run `tose init`, or name one with --project
    ");
    assert!(server.requests().is_empty());
}

#[test]
fn a_malformed_key_is_not_repeated() {
    let outcome = Sandbox::new()
        .variable("TOSE_API_KEY", "tose_sk_oops")
        .run(&["whoami"]);
    assert_snapshot!(outcome, @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: TOSE_API_KEY: an API key is tose_sk_ followed by 40 digits of 0-9 and a-f
    ");
}

#[test]
fn a_server_that_is_not_there_ends_with_8() {
    let url = StandIn::unused().url().to_owned();
    let sandbox = Sandbox::new()
        .variable("TOSE_API_URL", url)
        .variable("TOSE_API_KEY", KEY);
    let outcome = sandbox.run(&["whoami"]);
    assert_eq!(outcome.code, Some(8));
    let expected =
        "error: cannot reach [server]: check the address, and that the server is running: ";
    assert!(outcome.stderr.starts_with(expected), "{outcome}");
}

#[test]
fn each_kind_of_refusal_has_its_exit_code() {
    for (status, code) in [
        (400, 7),
        (401, 3),
        (402, 9),
        (403, 4),
        (404, 5),
        (409, 6),
        (429, 10),
        (500, 1),
        (503, 8),
    ] {
        let server = StandIn::start(move |_, _, _| failure(status, "some_code", "it did not work"));
        let sandbox = Sandbox::with_key(&server);
        let outcome = sandbox.run(&["whoami", "--json"]);
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert_eq!(outcome.stdout, "");
        let expected = r#"{"success":false,"error":"it did not work","code":"some_code"}"#;
        assert_eq!(outcome.stderr, format!("{expected}\n"));
    }
}

#[test]
fn a_refusal_says_what_to_do_next() {
    let server = StandIn::start(|_, path, _| match path {
        "/api/me" => failure(401, "unauthenticated", "the API key is not valid"),
        _ => failure(500, "internal", "something went wrong"),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["whoami"]), @"
    exit: 3
    ----- stdout -----

    ----- stderr -----
    error: the API key is not valid
    hint: run `tose login`, or check TOSE_API_KEY
    ");
    assert_snapshot!(sandbox.run(&["restart"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    error: something went wrong
    hint: the server's log has it as request req-1
    ");
}

#[test]
fn a_server_of_another_kind_is_recognised() {
    let server = StandIn::start(|_, _, _| {
        crate::stand_in::Answer::Http(404, "content-type: text/html\r\n", "<html>".to_owned())
    });
    assert_snapshot!(Sandbox::with_key(&server).run(&["whoami"]), @"
    exit: 8
    ----- stdout -----

    ----- stderr -----
    error: what answers at [server] is no TOSE server (HTTP 404): check the address, and any proxy on the way
    ");
}

#[test]
fn options_come_before_the_environment() {
    let (wrong, right) = (StandIn::unused(), StandIn::start(|_, _, _| success(me())));
    let sandbox = Sandbox::with_key(&wrong);
    sandbox.run(&["whoami", "--api-url", right.url()]).ok();
    assert!(wrong.requests().is_empty());
    assert_eq!(right.requests()[0].key.as_deref(), Some(KEY));
}

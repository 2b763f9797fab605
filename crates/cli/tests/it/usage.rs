use insta::assert_snapshot;

use crate::harness::{KEY, Sandbox};
use crate::stand_in::{StandIn, failure, success};
use crate::views::me;

#[test]
fn a_wrong_command_line_ends_with_2() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["deplyo"]), @"");
    assert_snapshot!(sandbox.run(&["status", "--project", "Not A Slug"]), @"");
    assert_snapshot!(sandbox.run(&["deploy", "--redeploy", "--no-cache"]), @"");
    assert_snapshot!(sandbox.run(&["status", "--api-url", "ftp://example.com"]), @"");
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
    assert_snapshot!(sandbox.run(&["whoami"]), @"");
    assert_snapshot!(sandbox.run(&["whoami", "--json"]), @"");
}

#[test]
fn without_a_link_the_way_to_one_is_shown() {
    let server = StandIn::unused();
    let sandbox = Sandbox::with_key(&server);
    assert_snapshot!(sandbox.run(&["status"]), @"");
    assert!(server.requests().is_empty());
}

#[test]
fn a_malformed_key_is_not_repeated() {
    let outcome = Sandbox::new()
        .variable("TOSE_API_KEY", "tose_sk_oops")
        .run(&["whoami"]);
    assert_snapshot!(outcome, @"");
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
    assert_snapshot!(sandbox.run(&["whoami"]), @"");
    assert_snapshot!(sandbox.run(&["restart"]), @"");
}

#[test]
fn a_server_of_another_kind_is_recognised() {
    let server = StandIn::start(|_, _, _| {
        crate::stand_in::Answer::Http(404, "content-type: text/html\r\n", "<html>".to_owned())
    });
    assert_snapshot!(Sandbox::with_key(&server).run(&["whoami"]), @"");
}

#[test]
fn options_come_before_the_environment() {
    let (wrong, right) = (StandIn::unused(), StandIn::start(|_, _, _| success(me())));
    let sandbox = Sandbox::with_key(&wrong);
    sandbox.run(&["whoami", "--api-url", right.url()]).ok();
    assert!(wrong.requests().is_empty());
    assert_eq!(right.requests()[0].key.as_deref(), Some(KEY));
}

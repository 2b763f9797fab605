use std::fs;

use insta::assert_snapshot;

use crate::harness::{KEY, Sandbox, mode};
use crate::stand_in::{StandIn, failure, success};
use crate::views::me;

fn server() -> StandIn {
    StandIn::start(|_, _, _| success(me()))
}

#[test]
fn a_login_is_checked_and_kept_for_its_owner_only() {
    let server = server();
    let sandbox = Sandbox::new().variable("TOSE_API_URL", server.url());
    assert_snapshot!(sandbox.run_with_input(&["login", "--api-key-stdin"], &format!("{KEY}\n")), @"");
    assert_eq!(server.requests()[0].key.as_deref(), Some(KEY));

    let file = sandbox.home_file(".tose/config.json");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&sandbox.home_file(".tose")), 0o700);
    let kept = sandbox.normal(&fs::read_to_string(file).expect("a file"));
    assert_snapshot!(kept, @"");

    assert_snapshot!(sandbox.run(&["whoami"]), @"");
    assert_snapshot!(sandbox.run(&["whoami", "--json"]), @"");
}

#[test]
fn a_login_is_kept_where_the_environment_says() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let config_dir = folder.path().join("a/b").display().to_string();
    let sandbox = Sandbox::new().variable("TOSE_CONFIG_DIR", config_dir);
    sandbox
        .run(&["login", "--api-url", server.url(), "--api-key", KEY])
        .ok();
    assert!(folder.path().join("a/b/config.json").exists());
    assert!(!sandbox.home_file(".tose").exists());
}

#[test]
fn a_refused_key_is_not_kept() {
    let server =
        StandIn::start(|_, _, _| failure(401, "unauthenticated", "the API key is not valid"));
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["login", "--api-url", server.url(), "--api-key", KEY]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    assert!(!sandbox.home_file(".tose").exists());
}

#[test]
fn where_nobody_can_be_asked_the_key_must_be_given() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["login"]), @"");
    assert_snapshot!(sandbox.run(&["login", "--api-key", "tose_sk_typo"]), @"");
}

#[test]
fn a_kept_key_goes_to_its_own_server_only() {
    let (server, other) = (server(), StandIn::unused());
    let sandbox = Sandbox::new();
    sandbox
        .run(&["login", "--api-url", server.url(), "--api-key", KEY])
        .ok();
    let outcome = sandbox.run(&["whoami", "--api-url", other.url()]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    assert!(other.requests().is_empty());
    sandbox
        .run(&["whoami", "--api-url", &format!("{}/", server.url())])
        .ok();
}

#[test]
fn logging_out_forgets_the_key() {
    let server = server();
    let sandbox = Sandbox::new();
    sandbox
        .run(&["login", "--api-url", server.url(), "--api-key", KEY])
        .ok();
    assert_snapshot!(sandbox.run(&["logout"]), @"");
    assert!(!sandbox.home_file(".tose/config.json").exists());
    assert_snapshot!(sandbox.run(&["logout", "--json"]), @"");
}

#[test]
fn a_broken_login_file_says_how_to_mend_it() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home_file(".tose")).expect("a folder");
    fs::write(sandbox.home_file(".tose/config.json"), "{").expect("a file");
    assert_snapshot!(sandbox.run(&["whoami"]), @"");
}

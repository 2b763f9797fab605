//! `tose login`, `logout` and `whoami`.

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
    assert_snapshot!(sandbox.run_with_input(&["login", "--api-key-stdin"], &format!("{KEY}\n")), @"
    exit: 0
    ----- stdout -----
    logged in to [server] as ada@example.com, owner of demo

    ----- stderr -----
    ");
    assert_eq!(server.requests()[0].key.as_deref(), Some(KEY));

    let file = sandbox.home_file(".tose/config.json");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&sandbox.home_file(".tose")), 0o700);
    let kept = sandbox.normal(&fs::read_to_string(file).expect("a file"));
    assert_snapshot!(kept, @r#"
    {
      "api_url": "[server]",
      "api_key": "tose_sk_0123456789abcdef0123456789abcdef01234567",
      "workspace": "demo"
    }
    "#);

    assert_snapshot!(sandbox.run(&["whoami"]), @"
    exit: 0
    ----- stdout -----
    ada@example.com, owner of demo on [server]

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["whoami", "--json"]), @r#"
    exit: 0
    ----- stdout -----
    {
      "user_id": "0198c0de-0000-7000-8000-00000000000a",
      "email": "ada@example.com",
      "name": null,
      "two_factor": false,
      "workspace": "demo",
      "role": "owner"
    }

    ----- stderr -----
    "#);
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
    assert_snapshot!(sandbox.run(&["login"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: give the API key with --api-key-stdin or --api-key
    ");
    assert_snapshot!(sandbox.run(&["login", "--api-key", "tose_sk_typo"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: an API key is tose_sk_ followed by 40 digits of 0-9 and a-f
    ");
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
    assert_snapshot!(sandbox.run(&["logout"]), @"
    exit: 0
    ----- stdout -----
    logged out; the key itself stays valid until it expires or is deleted

    ----- stderr -----
    ");
    assert!(!sandbox.home_file(".tose/config.json").exists());
    assert_snapshot!(sandbox.run(&["logout", "--json"]), @r#"
    exit: 0
    ----- stdout -----
    {
      "logged_out": false
    }

    ----- stderr -----
    "#);
}

#[test]
fn a_broken_login_file_says_how_to_mend_it() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home_file(".tose")).expect("a folder");
    fs::write(sandbox.home_file(".tose/config.json"), "{").expect("a file");
    assert_snapshot!(sandbox.run(&["whoami"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    error: [dir]/user/.tose/config.json holds no login: run `tose login` again: EOF while parsing an object at line 1 column 1
    ");
}

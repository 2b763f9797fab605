//! `tose registry`.

use insta::assert_snapshot;
use tose_api::registry::RegistryView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn server() -> StandIn {
    StandIn::start(|method, path, _| match method {
        "GET" | "PUT" => success(RegistryView {
            registry: "ghcr.io".parse().expect("a registry"),
            username: "ada".to_owned(),
            has_password: true,
            updated_at: time(0),
        }),
        _ => failure(404, "not_found", path),
    })
}

#[test]
fn whose_credentials_are_kept_is_shown() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["registry"]));
}

#[test]
fn a_password_comes_from_stdin_and_is_not_shown() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let arguments = [
        "registry",
        "set",
        "--username",
        "ada",
        "--registry",
        "ghcr.io",
    ];
    let shown = sandbox.run_with_input(&arguments, "s3cret\n").ok();
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
    let sent = server.requests().pop().expect("a request");
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    let expected = serde_json::json!({
        "registry": "ghcr.io", "username": "ada", "password": "s3cret",
    });
    assert_eq!((sent.method.as_str(), body), ("PUT", expected));
}

#[test]
fn a_registry_that_is_none_is_refused_before_anything_is_sent() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let refused = sandbox.run(&[
        "registry",
        "set",
        "--username",
        "a",
        "--registry",
        "https://x",
    ]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(server.requests().is_empty());
}

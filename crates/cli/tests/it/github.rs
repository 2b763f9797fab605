//! `tose github`.

use insta::assert_snapshot;
use tose_api::github::{GithubConnectView, GithubInstallationView};
use tose_api::workspace::Deleted;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn installation(id: u64, at: i64) -> GithubInstallationView {
    GithubInstallationView {
        id,
        account: "acme".to_owned(),
        repositories: 2,
        connected_by: "ada@example.com".to_owned(),
        connected_at: time(at),
    }
}

/// The first installation was there before the link was asked for.
fn server() -> StandIn {
    StandIn::start(|method, path, _| match method {
        "GET" => success(vec![installation(5, 0), installation(77, 60)]),
        "POST" => success(GithubConnectView {
            install_url: "https://github.com/apps/our-app/installations/new?state=0a".to_owned(),
            state: "0a".to_owned(),
            created_at: time(30),
            expires_at: time(630),
        }),
        "DELETE" => success(Deleted {
            deleted: "77".to_owned(),
        }),
        _ => failure(404, "not_found", path),
    })
}

#[test]
fn installations_are_listed() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["github"]));
}

#[test]
fn a_link_is_printed_until_somebody_has_agreed() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["github", "connect"]));
    let detached = ["github", "connect", "--installation", "77", "--detach"];
    let printed = Sandbox::linked(&server).run(&detached).ok();
    assert!(printed.stdout.ends_with("?state=0a\n"), "{printed}");
    let sent = server.requests().pop().expect("a request");
    assert_eq!(sent.body, "{\"installation_id\":77}");
}

#[test]
fn an_installation_is_disconnected() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["github", "disconnect", "77"]));
}

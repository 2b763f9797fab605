//! `tose git`.

use insta::assert_snapshot;
use tose_api::git::{
    CommitReportView, GitConnectionView, GitProvider, GitWebhookView, PushDeliveryView, PushVerdict,
};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, page, success};
use crate::views::{git, time};

fn webhook(secret: &str) -> GitWebhookView {
    let url = |provider: &str| format!("https://tose.example.com/api/webhooks/{provider}");
    GitWebhookView {
        github_url: url("github"),
        gitlab_url: url("gitlab"),
        gitea_url: url("gitea"),
        secret: secret.to_owned(),
    }
}

fn delivery(verdict: PushVerdict) -> PushDeliveryView {
    let is_deployed = verdict == PushVerdict::Deployed;
    let id = "0198c0de-0000-7000-8000-0000000000e0";
    PushDeliveryView {
        id: id.parse().expect("an id"),
        provider: GitProvider::Github,
        git_ref: Some("main".to_owned()),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        verdict,
        deployment_id: is_deployed.then(|| id.parse().expect("an id")),
        received_at: time(0),
    }
}

fn server() -> StandIn {
    StandIn::start(|method, path, _| {
        let last = path
            .split('?')
            .next()
            .and_then(|path| path.rsplit('/').next());
        let made = GitConnectionView {
            has_deploy_key: true,
            deploy_key_public: Some("ssh-ed25519 AAAA tose-demo-hello".to_owned()),
            watch_paths: vec!["web/".to_owned(), "!web/docs/".to_owned()],
            last_commit_status: Some(CommitReportView {
                reported_at: time(0),
                error: Some("the Git server refused the access token (401)".to_owned()),
            }),
            ..git("git@git.example.com:ada/hello.git")
        };
        match (method, last) {
            ("GET" | "PUT", Some("git")) | ("POST", Some("deploy-key")) => success(made),
            ("GET", Some("webhook")) => success(webhook("first")),
            ("POST", Some("webhook")) => success(webhook("second")),
            ("GET", Some("deliveries")) => page(vec![
                delivery(PushVerdict::Deployed),
                delivery(PushVerdict::NothingWatched),
            ]),
            _ => failure(404, "not_found", path),
        }
    })
}

#[test]
fn the_repository_is_shown() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["git"]));
}

#[test]
fn what_a_git_server_has_to_know_is_shown_and_renewed() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["git", "webhook"]));
    let renewed = sandbox.run(&["git", "webhook", "--renew"]).ok();
    assert!(renewed.stdout.contains("secret: second"), "{renewed}");
}

#[test]
fn a_made_key_is_shown_by_its_public_half() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["git", "deploy-key"]));
}

#[test]
fn the_address_to_push_to_is_printed() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let printed = sandbox.run(&["git", "url"]).ok().stdout;
    assert_eq!(printed.trim(), "[server]/git/demo/hello.git");
}

#[test]
fn push_events_are_listed_with_what_they_led_to() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["git", "deliveries"]));
}

#[test]
fn a_change_sends_what_was_given_and_a_token_from_its_file() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    std::fs::write(sandbox.file("token"), "s3cret\n").expect("a file");
    let shown = sandbox.run(&[
        "git",
        "set",
        "--provider",
        "gitea",
        "--auto-deploy",
        "false",
        "--watch",
        "web/",
        "--access-token-file",
        "token",
    ]);
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
    let sent = server.requests().pop().expect("a request");
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    let expected = serde_json::json!({
        "auto_deploy": false, "watch_paths": ["web/"], "access_token": "s3cret",
        "provider": "gitea",
    });
    assert_eq!((sent.method.as_str(), body), ("PUT", expected));
}

//! `tose open`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tose_api::project::ProjectView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, success};
use crate::views::project;

const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

fn server() -> StandIn {
    StandIn::start(|_, _, _| success(project()))
}

/// A sandbox whose opener is a script.
fn sandbox(server: &StandIn, script: &str) -> Sandbox {
    let sandbox = Sandbox::linked(server);
    let opener = sandbox.file(OPENER);
    fs::write(&opener, format!("#!/bin/sh\n{script}\n")).expect("a file");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).expect("a file");
    let path = sandbox.file("").display().to_string();
    sandbox.variable("PATH", path)
}

#[test]
fn the_address_is_handed_to_the_opener() {
    let server = server();
    let sandbox = sandbox(&server, "echo \"$1\" > opened");
    assert_eq!(sandbox.run(&["open"]).ok().stdout, "");
    let opened = fs::read_to_string(sandbox.file("opened")).expect("a file");
    assert_eq!(opened, "http://demo-hello.localhost\n");
}

#[test]
fn the_address_is_printed_where_nothing_opens_it() {
    let server = server();
    let sandbox = sandbox(&server, "exit 3");
    assert_eq!(
        sandbox.run(&["open"]).ok().stdout,
        "http://demo-hello.localhost\n"
    );
    fs::remove_file(sandbox.file(OPENER)).expect("a file");
    assert_eq!(
        sandbox.run(&["open"]).ok().stdout,
        "http://demo-hello.localhost\n"
    );
}

#[test]
fn the_address_can_be_printed_only() {
    let server = server();
    let sandbox = sandbox(&server, "echo \"$1\" > opened");
    let outcome = sandbox.run(&["open", "--print"]).ok();
    assert_eq!(outcome.stdout, "http://demo-hello.localhost\n");
    assert!(!sandbox.file("opened").exists());
}

#[test]
fn only_a_web_address_is_opened() {
    let server = StandIn::start(|_, _, _| {
        success(ProjectView {
            url: "file:///etc/passwd".to_owned(),
            ..project()
        })
    });
    let sandbox = sandbox(&server, "echo \"$1\" > opened");
    assert_eq!(sandbox.run(&["open"]).code, Some(1));
    assert!(!sandbox.file("opened").exists());
}

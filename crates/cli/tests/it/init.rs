//! `tose init`: a folder becomes a project.

use std::fs;
use std::sync::Mutex;

use insta::assert_snapshot;
use tose_api::project::ProjectView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::{connected_project, git, me, project};

const REPO: &str = "https://git.example.com/ada/hello.git";

/// Knows `demo/hello` as soon as it was made, and its repository as soon as that was connected.
fn server(existing: Option<ProjectView>) -> StandIn {
    let project_now = Mutex::new(existing);
    StandIn::start(move |method, path, _| {
        let mut now = project_now.lock().expect("no panic");
        match (method, path) {
            ("GET", "/api/me") => success(me()),
            ("POST", "/api/workspaces/demo/projects") => success(now.insert(project())),
            ("POST", "/api/workspaces/demo/projects/hello/git") => {
                *now = Some(connected_project());
                success(git(REPO))
            }
            (_, "/api/workspaces/demo/projects/hello") => match &*now {
                Some(project) => success(project),
                None => failure(404, "not_found", "there is no such project"),
            },
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

fn repository(sandbox: &Sandbox, origin: &str) {
    for folder in [".git/objects", ".git/refs"] {
        fs::create_dir_all(sandbox.file(folder)).expect("a folder");
    }
    fs::write(sandbox.file(".git/HEAD"), "ref: refs/heads/main\n").expect("a file");
    let config =
        format!("[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = {origin}\n");
    fs::write(sandbox.file(".git/config"), config).expect("a file");
}

#[test]
fn a_folder_becomes_a_project_and_stays_it() {
    let server = server(None);
    let sandbox = Sandbox::with_key(&server);
    let arguments = ["init", "--port", "8080", "--repo", REPO];
    assert_snapshot!(sandbox.run(&arguments), @"
    exit: 0
    ----- stdout -----
    demo/hello  running  http://demo-hello.localhost

    ----- stderr -----
    linked this folder to demo/hello
    connected to https://git.example.com/ada/hello.git (main)
    ");
    assert_snapshot!(fs::read_to_string(sandbox.file("tose.json")).expect("a link"), @r#"
    {
      "workspace": "demo",
      "project": "hello"
    }
    "#);
    assert_snapshot!(server.transcript(), @r#"
    GET /api/me
    GET /api/workspaces/demo/projects/hello
    POST /api/workspaces/demo/projects {"name":"hello","port":8080}
    POST /api/workspaces/demo/projects/hello/git {"repo_url":"https://git.example.com/ada/hello.git"}
    GET /api/workspaces/demo/projects/hello
    "#);

    let before = server.requests().len();
    sandbox.run(&["init", "--repo", REPO]).ok();
    let again = server.requests().split_off(before);
    assert!(
        again.iter().all(|request| request.method == "GET"),
        "{again:?}"
    );
}

#[test]
fn the_origin_is_connected_without_its_credentials() {
    let server = server(None);
    let sandbox = Sandbox::with_key(&server);
    repository(&sandbox, "https://ada:hush@git.example.com/ada/hello.git");
    sandbox.run(&["init", "--name", "hello"]).ok();
    let transcript = server.transcript();
    assert!(
        transcript.contains(&format!(r#"/git {{"repo_url":"{REPO}"}}"#)),
        "{transcript}"
    );
    assert!(!transcript.contains("hush"), "{transcript}");
}

#[test]
fn a_project_that_has_the_name_by_chance_is_left_alone() {
    let server = server(Some(connected_project()));
    let sandbox = Sandbox::with_key(&server);
    assert_snapshot!(sandbox.run(&["init", "--repo", "https://git.example.com/bob/other"]), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: there is a project `hello` in `demo` already: link this folder to it with `tose init --slug hello`, or make another with --name
    ");
    assert!(!sandbox.file("tose.json").exists());
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[test]
fn a_project_is_linked_by_its_slug() {
    let server = server(Some(connected_project()));
    let sandbox = Sandbox::with_key(&server);
    sandbox.run(&["init", "--slug", "hello"]).ok();
    assert!(sandbox.file("tose.json").exists());
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[test]
fn only_what_differs_is_changed() {
    let server = server(Some(connected_project()));
    let sandbox = Sandbox::linked(&server);
    let settings = ["--port", "3000", "--ram", "1", "--health-path", "/up"];
    sandbox.run(&[&["init"][..], &settings].concat()).ok();
    assert_snapshot!(server.transcript(), @r#"
    GET /api/workspaces/demo/projects/hello
    PUT /api/workspaces/demo/projects/hello {"ram":"1","health_check_path":"/up"}
    "#);
}

#[test]
fn a_linked_folder_does_not_change_its_project_by_name() {
    let server = server(Some(connected_project()));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["init", "--name", "other"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: this folder is linked to `hello`, which is called "hello": name another project with --slug too, or rename this one with `--slug hello --name`
    "#);
}

#[test]
fn an_image_needs_no_repository() {
    let server = server(None);
    let sandbox = Sandbox::with_key(&server);
    let outcome = sandbox.run(&["init", "--image", "nginx:1.27", "--branch", "main"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    sandbox
        .run(&["init", "--image", "nginx:1.27", "--quiet"])
        .ok();
    let transcript = server.transcript();
    assert!(
        transcript.contains(r#"{"name":"hello","image":"nginx:1.27"}"#),
        "{transcript}"
    );
}

#[test]
fn without_a_repository_the_way_to_connect_one_is_shown() {
    let server = server(None);
    assert_snapshot!(Sandbox::with_key(&server).run(&["init"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  running  http://demo-hello.localhost

    ----- stderr -----
    linked this folder to demo/hello
    warning: no repository is connected: `tose init --repo URL` connects one
    ");
}

//! `tose up --upload`: the folder itself is what is built.

use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;
use insta::assert_snapshot;
use tose_api::deployment::{DeploymentStatus, DeploymentView, Trigger};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, frames, success};
use crate::views::{DEPLOYMENT_ID, deployment, project};

fn server() -> StandIn {
    StandIn::start(|method, path, _| {
        let uploaded = |status| DeploymentView {
            trigger: Trigger::Upload,
            ..deployment(status)
        };
        match path.trim_start_matches("/api/workspaces/demo/projects/hello") {
            "" => success(project()),
            "/deployments/upload" => success(uploaded(DeploymentStatus::Queued)),
            path if path.contains("/build-logs?") => frames(&["[END]"]),
            path if path.ends_with(DEPLOYMENT_ID) => success(uploaded(DeploymentStatus::Running)),
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

#[test]
fn a_folder_is_sent_and_its_build_is_followed() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    fs::write(sandbox.file("Dockerfile"), "FROM scratch\n").expect("a file");
    fs::write(sandbox.file(".gitignore"), "*.log\n").expect("a file");
    fs::write(sandbox.file("a.log"), "").expect("a file");
    fs::create_dir(sandbox.file("node_modules")).expect("a folder");
    fs::write(sandbox.file("node_modules/a.js"), "").expect("a file");
    let outcome = sandbox.run(&["up", "--upload"]).ok();
    assert_eq!(outcome.stdout, "http://demo-hello.localhost\n");
    assert!(outcome.stderr.starts_with("sending 3 files, "), "{outcome}");
    assert!(outcome.stderr.ends_with("live after 12.0 s\n"), "{outcome}");

    let requests = server.requests();
    let upload = requests
        .iter()
        .find(|request| request.path.ends_with("/upload"))
        .expect("an upload");
    assert_eq!(upload.method, "POST");
    assert_eq!(upload.content_type.as_deref(), Some("application/gzip"));
    let mut plain = Vec::new();
    GzDecoder::new(upload.bytes.as_slice())
        .read_to_end(&mut plain)
        .expect("gzip");
    let mut archive = tar::Archive::new(plain.as_slice());
    let names: Vec<_> = archive
        .entries()
        .expect("entries")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .expect("a path")
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(names, [".gitignore", "Dockerfile", "tose.json"]);
}

#[test]
fn a_folder_that_is_sent_needs_no_repository() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["up"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: no repository is connected, and this folder has no remote `origin`: send the folder itself with `tose up --upload`, or connect a repository with `tose up --repo URL`
    ");
    assert_snapshot!(sandbox.run(&["up", "--upload", "--branch", "next"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '--upload' cannot be used with '--branch <NAME>'

    Usage: tose up --upload

    For more information, try '--help'.
    ");
    let outcome = sandbox.run(&["up", "--upload", "--detach", "--quiet"]).ok();
    assert_eq!(outcome.stdout, format!("{DEPLOYMENT_ID}\n"));
}

#[test]
fn an_archive_that_is_too_large_is_told() {
    let server = StandIn::start(|_, path, _| match path.ends_with("/upload") {
        true => failure(413, "too_large", "the archive is larger than 256 MiB"),
        false => success(project()),
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["up", "--upload", "--quiet"]), @"
    exit: 7
    ----- stdout -----

    ----- stderr -----
    error: the archive is larger than 256 MiB
    ");
}

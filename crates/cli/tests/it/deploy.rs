//! `tose deploy`: what is shown while it runs, and how it ends.

use std::io::{BufRead, BufReader};

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use tose_api::deployment::{DeploymentStatus, DeploymentView, Trigger};

use crate::harness::Sandbox;
use crate::stand_in::{Answer, StandIn, failure, frames, success};
use crate::views::{DEPLOYMENT_ID, analysis, deployment, project};

const LINE_1: &str = "2026-01-01T00:00:01Z step 1";
const LINE_2: &str = "2026-01-01T00:00:02Z step 2";

/// Answers the calls of a deploy; `polls` are the deployment's states, the last one for ever.
fn server(polls: Vec<DeploymentView>, build_log: fn(usize) -> Answer) -> StandIn {
    let asked = std::sync::Mutex::new((0, 0));
    StandIn::start(move |method, path, _| {
        let mut asked = asked.lock().expect("no panic");
        match path.trim_start_matches("/api/workspaces/demo/projects/hello") {
            "" => success(project()),
            "/deployments" | "/deployments/redeploy" => success(DeploymentView {
                ..deployment(DeploymentStatus::Queued)
            }),
            path if path.contains("/build-logs?") => {
                asked.1 += 1;
                build_log(asked.1)
            }
            path if path.ends_with(DEPLOYMENT_ID) => {
                let poll = polls[asked.0.min(polls.len() - 1)].clone();
                asked.0 += 1;
                success(poll)
            }
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

fn whole_log(_: usize) -> Answer {
    frames(&[LINE_1, LINE_2, "[END]"])
}

#[test]
fn a_deploy_is_followed_until_it_is_live() {
    let polls = [
        DeploymentStatus::Building,
        DeploymentStatus::Deploying,
        DeploymentStatus::Running,
    ];
    let server = server(polls.map(deployment).to_vec(), whole_log);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deploy", "--branch", "next"]), @"
    exit: 0
    ----- stdout -----
    http://demo-hello.localhost

    ----- stderr -----
    deployment 0198c0de-0000-7000-8000-000000000001 of demo/hello
    building after 0.2 s
    step 1
    step 2
    deploying after 9.2 s
    live after 12.0 s
    ");
    let created = &server.requests()[0];
    assert_eq!(created.method, "POST");
    assert_eq!(created.body, r#"{"branch":"next","no_cache":false}"#);
}

#[test]
fn a_deploy_as_json_is_one_value_and_nothing_else() {
    let server = server(vec![deployment(DeploymentStatus::Running)], whole_log);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deploy", "--json"]), @r#"
    exit: 0
    ----- stdout -----
    {
      "id": "0198c0de-0000-7000-8000-000000000001",
      "status": "running",
      "trigger": "manual",
      "commit": null,
      "image": null,
      "analysis": null,
      "created_at": "2026-01-01T00:00:00Z",
      "build_started_at": "2026-01-01T00:00:00.25Z",
      "build_finished_at": "2026-01-01T00:00:09.25Z",
      "live_at": "2026-01-01T00:00:12Z",
      "finished_at": null,
      "created_by": "ada@example.com",
      "url": "http://demo-hello.localhost"
    }

    ----- stderr -----
    "#);
}

#[test]
fn a_failed_deploy_says_why_and_ends_with_1() {
    let failed = DeploymentView {
        error: Some("nothing listened on port 3000 within 60 s".to_owned()),
        ..deployment(DeploymentStatus::Failed)
    };
    let server = server(vec![failed], whole_log);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deploy"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    deployment 0198c0de-0000-7000-8000-000000000001 of demo/hello
    step 1
    step 2
    error: deployment 0198c0de-0000-7000-8000-000000000001 failed: nothing listened on port 3000 within 60 s
    ");
    assert_snapshot!(sandbox.run(&["deploy", "--json"]), @r#"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    {"success":false,"error":"deployment 0198c0de-0000-7000-8000-000000000001 failed: nothing listened on port 3000 within 60 s","code":"deployment_failed"}
    "#);
}

#[test]
fn a_failed_deploy_says_its_likely_cause_where_it_is_known() {
    let failed = DeploymentView {
        error: Some("the app exited with code 1".to_owned()),
        analysis: Some(analysis()),
        ..deployment(DeploymentStatus::Failed)
    };
    let server = server(vec![failed], whole_log);
    assert_snapshot!(Sandbox::linked(&server).run(&["deploy", "--quiet"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    error: deployment 0198c0de-0000-7000-8000-000000000001 failed: the app exited with code 1
    likely cause: The package `express` is not installed
    what to do: Add it to package.json.
    ");
}

#[test]
fn a_deploy_that_gave_way_did_not_succeed() {
    for status in [DeploymentStatus::Cancelled, DeploymentStatus::Superseded] {
        let server = server(vec![deployment(status)], whole_log);
        let outcome = Sandbox::linked(&server).run(&["deploy", "--quiet"]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains(status.as_str()), "{outcome}");
    }
}

#[test]
fn a_build_log_that_breaks_off_goes_on_where_it_was() {
    let polls = [
        DeploymentStatus::Building,
        DeploymentStatus::Building,
        DeploymentStatus::Running,
    ];
    let server = server(polls.map(deployment).to_vec(), |attempt| match attempt {
        1 => frames(&[LINE_1]),
        2 => failure(503, "unavailable", "try again"),
        _ => whole_log(attempt),
    });
    let outcome = Sandbox::linked(&server).run(&["deploy"]).ok();
    assert_eq!(outcome.stderr.matches("step 1").count(), 1, "{outcome}");
    assert_eq!(outcome.stderr.matches("step 2").count(), 1, "{outcome}");
}

#[test]
fn a_detached_deploy_returns_at_once() {
    let server = server(vec![], whole_log);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deploy", "--detach", "--no-cache"]), @"
    exit: 0
    ----- stdout -----
    0198c0de-0000-7000-8000-000000000001

    ----- stderr -----
    follow it with `tose logs --build -f --deployment 0198c0de-0000-7000-8000-000000000001`
    ");
}

#[test]
fn a_redeploy_is_followed_like_any_deploy() {
    let running = DeploymentView {
        trigger: Trigger::Redeploy,
        ..deployment(DeploymentStatus::Running)
    };
    let server = server(vec![running], whole_log);
    let sandbox = Sandbox::linked(&server);
    sandbox.run(&["deploy", "--redeploy"]).ok();
    assert_snapshot!(server.transcript(), @"
    POST /api/workspaces/demo/projects/hello/deployments/redeploy
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001/build-logs?follow=true&format=text
    GET /api/workspaces/demo/projects/hello
    ");
}

#[test]
fn an_interrupted_deploy_goes_on_by_itself() {
    let server = server(vec![deployment(DeploymentStatus::Building)], whole_log);
    let sandbox = Sandbox::linked(&server);
    let mut child = sandbox
        .command(&["deploy"])
        .spawn()
        .expect("the binary starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut seen = String::new();
    while !seen.contains("building after") {
        assert_ne!(stderr.read_line(&mut seen).expect("text"), 0, "{seen}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(130), "{rest}");
    let hint = format!("tose logs --build -f --deployment {DEPLOYMENT_ID}");
    assert!(rest.contains(&hint), "{rest}");
}

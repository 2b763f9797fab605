//! `tose rollback`: which deployment it goes back to.

use insta::assert_snapshot;
use tose_api::DeploymentId;
use tose_api::deployment::{CommitView, DeploymentStatus, DeploymentView, Trigger};
use tose_api::project::ProjectView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, frames, page, success};
use crate::views::{DEPLOYMENT_ID, deployment, project, time};

/// The deployment with a number, asked for in that minute.
fn numbered(number: i64, status: DeploymentStatus) -> DeploymentView {
    let id = format!("0198c0de-0000-7000-8000-00000000010{number}");
    DeploymentView {
        id: id.parse().expect("an id"),
        created_at: time(number * 60_000),
        ..deployment(status)
    }
}

fn was_live(number: i64) -> DeploymentView {
    DeploymentView {
        live_at: Some(time(number * 60_000 + 12_000)),
        ..numbered(number, DeploymentStatus::Superseded)
    }
}

/// A project whose deployments are `history`, the live one among them.
fn server(history: fn() -> Vec<DeploymentView>) -> StandIn {
    StandIn::start(move |method, path, _| {
        let rest = path.trim_start_matches("/api/workspaces/demo/projects/hello");
        let rolled_back = DeploymentView {
            trigger: Trigger::Rollback,
            ..deployment(DeploymentStatus::Running)
        };
        match rest {
            "" => success(ProjectView {
                live_deployment: history()
                    .into_iter()
                    .find(|one| one.status == DeploymentStatus::Running),
                ..project()
            }),
            "/deployments?page=1&limit=50" => page(history()),
            _ if rest.ends_with("/rollback") => success(DeploymentView {
                status: DeploymentStatus::Queued,
                ..rolled_back
            }),
            _ if rest.contains("/build-logs?") => frames(&["[END]"]),
            _ if rest.ends_with(DEPLOYMENT_ID) => success(rolled_back),
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

#[test]
fn a_rollback_goes_to_the_newest_that_was_live_before() {
    let server = server(|| {
        let commit = CommitView {
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            message: "Say hello".to_owned(),
            author: "Ada".to_owned(),
        };
        vec![
            numbered(6, DeploymentStatus::Failed),
            was_live(5),
            numbered(4, DeploymentStatus::Running),
            numbered(3, DeploymentStatus::Failed),
            DeploymentView {
                commit: Some(commit),
                ..was_live(2)
            },
            was_live(1),
        ]
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["rollback"]), @"
    exit: 0
    ----- stdout -----
    http://demo-hello.localhost

    ----- stderr -----
    going back to 0198c0de-0000-7000-8000-000000000102, live since 2026-01-01T00:02:12Z: 0123456 Say hello
    deployment 0198c0de-0000-7000-8000-000000000001 of demo/hello
    live after 12.0 s
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello
    GET /api/workspaces/demo/projects/hello/deployments?page=1&limit=50
    POST /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000102/rollback
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001
    GET /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000001/build-logs?follow=true&format=text
    GET /api/workspaces/demo/projects/hello
    ");
}

#[test]
fn a_rollback_of_what_is_not_live_goes_to_the_newest_that_was() {
    let server = server(|| vec![was_live(2), was_live(1)]);
    Sandbox::linked(&server).run(&["rollback", "--detach"]).ok();
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello
    GET /api/workspaces/demo/projects/hello/deployments?page=1&limit=50
    POST /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000102/rollback
    GET /api/workspaces/demo/projects/hello
    ");
}

#[test]
fn a_rollback_goes_to_the_deployment_that_is_named() {
    let server = server(Vec::new);
    let id: DeploymentId = was_live(1).id;
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["rollback", &id.to_string(), "--detach"]), @"
    exit: 0
    ----- stdout -----
    0198c0de-0000-7000-8000-000000000001

    ----- stderr -----
    follow it with `tose logs --build -f --deployment 0198c0de-0000-7000-8000-000000000001`
    ");
    assert_snapshot!(server.transcript(), @"
    POST /api/workspaces/demo/projects/hello/deployments/0198c0de-0000-7000-8000-000000000101/rollback
    GET /api/workspaces/demo/projects/hello
    ");
}

#[test]
fn a_first_version_has_none_to_go_back_to() {
    let server = server(|| {
        vec![
            numbered(2, DeploymentStatus::Running),
            numbered(1, DeploymentStatus::Failed),
        ]
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["rollback"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: no deployment was live before the current one: see with `tose deployments` what there is
    ");
    assert_snapshot!(sandbox.run(&["rollback", "--json"]), @r#"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    {"success":false,"error":"no deployment was live before the current one: see with `tose deployments` what there is","code":"no_earlier_deployment"}
    "#);
}

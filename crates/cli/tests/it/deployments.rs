//! `tose deployments`.

use insta::assert_snapshot;
use tose_api::deployment::{CommitView, DeploymentStatus, DeploymentView};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, page};
use crate::views::{analysis, deployment};

#[test]
fn deployments_are_listed_with_their_commits_and_errors() {
    let server = StandIn::start(|_, _, _| {
        let commit = CommitView {
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            message: "Say hello".to_owned(),
            author: "Ada".to_owned(),
        };
        let running = DeploymentView {
            commit: Some(commit),
            ..deployment(DeploymentStatus::Running)
        };
        let failed = DeploymentView {
            error: Some("the build failed\nline 2".to_owned()),
            ..deployment(DeploymentStatus::Failed)
        };
        let explained = DeploymentView {
            analysis: Some(analysis()),
            ..failed.clone()
        };
        page(vec![running, failed, explained])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deployments", "--limit", "5"]), @"
    exit: 0
    ----- stdout -----
    ID                                    STATUS   TRIGGER  CREATED               COMMIT   MESSAGE
    0198c0de-0000-7000-8000-000000000001  running  manual   2026-01-01T00:00:00Z  0123456  Say hello
    0198c0de-0000-7000-8000-000000000001  failed   manual   2026-01-01T00:00:00Z           the build failed
    0198c0de-0000-7000-8000-000000000001  failed   manual   2026-01-01T00:00:00Z           The package `express` is not installed

    ----- stderr -----
    ");
    assert_snapshot!(server.transcript(), @"GET /api/workspaces/demo/projects/hello/deployments?page=1&limit=5");
    assert_snapshot!(sandbox.run(&["deployments", "--limit", "51"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --limit is out of range
    ");
}

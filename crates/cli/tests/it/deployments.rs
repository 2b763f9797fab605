use insta::assert_snapshot;
use tose_api::deployment::{CommitView, DeploymentStatus, DeploymentView};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, page};
use crate::views::deployment;

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
        page(vec![running, failed])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["deployments", "--limit", "5"]), @"");
    assert_snapshot!(server.transcript(), @"");
    assert_snapshot!(sandbox.run(&["deployments", "--limit", "51"]), @"");
}

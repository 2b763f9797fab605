//! `tose previews`.

use insta::assert_snapshot;
use tose_api::project::{PreviewView, ProjectView};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::project;

#[test]
fn pull_requests_that_run_are_listed() {
    let server = StandIn::start(|method, path, _| {
        if method != "GET" || !path.ends_with("/projects/hello/previews") {
            return failure(404, "not_found", path);
        }
        success(vec![ProjectView {
            slug: "hello-pr-7".parse().expect("a slug"),
            url: "http://demo-hello-pr-7.localhost".to_owned(),
            preview: Some(PreviewView {
                number: 7,
                branch: "feature".parse().expect("a branch"),
            }),
            ..project()
        }])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["previews"]));
}

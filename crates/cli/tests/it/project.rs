//! Commands that act on the linked project.

use insta::assert_snapshot;
use tose_api::deployment::{DeploymentStatus, DeploymentView};
use tose_api::project::{
    PodStatus, PodView, PodsView, ProjectStatus, ProjectView, ResourcesView, StatusProject,
    StatusView, UsageView,
};
use tose_api::workspace::VersionView;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, page, success};
use crate::views::{DEPLOYMENT_ID, analysis, connected_project, deployment, time};

fn status() -> StatusView {
    let usage = |used: &str, limit: &str| UsageView {
        used: used.to_owned(),
        limit: limit.to_owned(),
    };
    let pod = PodView {
        process: None,
        name: "hello-1".to_owned(),
        status: PodStatus::Running,
        ready: true,
        restarts: 2,
        started_at: Some(time(12_000)),
        deployment_id: DEPLOYMENT_ID.parse().expect("an id"),
        cpu: "12m".to_owned(),
        memory: "64Mi".to_owned(),
        reason: None,
    };
    StatusView {
        project: StatusProject {
            slug: "hello".parse().expect("a slug"),
            status: ProjectStatus::Running,
        },
        pods: PodsView {
            ready: 1,
            total: 1,
            items: vec![pod],
        },
        resources: ResourcesView {
            cpu: usage("12m", "500m"),
            memory: usage("64Mi", "512Mi"),
        },
    }
}

fn server() -> StandIn {
    StandIn::start(|method, path, _| {
        let status_now = match method {
            "GET" => ProjectStatus::Running,
            _ if path.ends_with("/stop") => ProjectStatus::Stopped,
            _ => ProjectStatus::Deploying,
        };
        match path {
            "/api/version" => success(VersionView {
                version: "9.9.9".to_owned(),
            }),
            path if path.ends_with("/status") => success(status()),
            _ => success(ProjectView {
                status: status_now,
                live_deployment: Some(deployment(DeploymentStatus::Running)),
                ..connected_project()
            }),
        }
    })
}

#[test]
fn the_status_tells_what_runs() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["status"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  running  http://demo-hello.localhost
    source      https://git.example.com/ada/hello.git (main)
    deployment  0198c0de-0000-7000-8000-000000000001 since 2026-01-01T00:00:12Z
    replicas    1 of 1 ready
    cpu         12m of 500m
    memory      64Mi of 512Mi

    REPLICA  STATUS   RESTARTS  STARTED               CPU  MEMORY  REASON
    hello-1  running  2         2026-01-01T00:00:12Z  12m  64Mi

    ----- stderr -----
    ");
    let json = sandbox.run(&["status", "--json"]).ok().stdout;
    assert_eq!(
        serde_json::from_str::<StatusView>(&json).expect("a status"),
        status()
    );
}

#[test]
fn the_status_of_one_that_failed_says_why() {
    let server = StandIn::start(|_, path, _| match path {
        path if path.ends_with("/status") => success(StatusView {
            pods: PodsView {
                ready: 0,
                total: 1,
                items: vec![],
            },
            ..status()
        }),
        path if path.contains("/deployments") => page(vec![DeploymentView {
            error: Some("the app exited with code 1".to_owned()),
            analysis: Some(analysis()),
            ..deployment(DeploymentStatus::Failed)
        }]),
        _ => success(ProjectView {
            status: ProjectStatus::Failed,
            ..connected_project()
        }),
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["status"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  failed  http://demo-hello.localhost
    source      https://git.example.com/ada/hello.git (main)
    deployment  none is live
    replicas    0 of 1 ready
    cpu         12m of 500m
    memory      64Mi of 512Mi
    failed      the app exited with code 1
    cause       The package `express` is not installed
    to do       Add it to package.json.

    ----- stderr -----
    ");
}

#[test]
fn a_project_is_stopped_started_and_restarted() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["down"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  stopped  http://demo-hello.localhost

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["start"]), @"
    exit: 0
    ----- stdout -----
    demo/hello  deploying  http://demo-hello.localhost

    ----- stderr -----
    ");
    sandbox
        .run(&["restart", "--workspace", "other", "--project", "web"])
        .ok();
    assert_snapshot!(server.transcript(), @"
    POST /api/workspaces/demo/projects/hello/stop
    POST /api/workspaces/demo/projects/hello/start
    POST /api/workspaces/other/projects/web/restart
    ");
}

#[test]
fn both_versions_are_told() {
    let server = server();
    let version = env!("CARGO_PKG_VERSION");
    let outcome = Sandbox::with_key(&server).run(&["version"]).ok();
    assert_eq!(
        outcome.stdout,
        format!("tose {version}\nserver 9.9.9 at [server]\n")
    );
    assert_eq!(
        Sandbox::new().run(&["version"]).ok().stdout,
        format!("tose {version}\n")
    );
    assert_eq!(
        Sandbox::new().run(&["--version"]).ok().stdout,
        format!("tose {version}\n")
    );
}

//! `tose template`.

use std::io::Write;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tose_api::database::{DatabaseStatus, DatabaseType, DatabaseView};
use tose_api::deployment::{DeploymentStatus, DeploymentView};
use tose_api::env_var::EnvVarsChanged;
use tose_api::project::{ProjectView, Source};
use tose_api::template::{DeployMode, RequiredEnv, TemplateView};

use crate::harness::Sandbox;
use crate::prompt::start;
use crate::stand_in::{StandIn, failure, frames, page, success};
use crate::terminal::{read_until, terminal};
use crate::views::{DEPLOYMENT_ID, database, deployment, project};

fn templates() -> Vec<TemplateView> {
    let ghost = TemplateView {
        name: "Ghost".to_owned(),
        key: "ghost".to_owned(),
        description: "Publishing for blogs and newsletters.".to_owned(),
        category: "cms".to_owned(),
        documentation: "https://docs.ghost.org/".to_owned(),
        icon: None,
        default_port: "2368".to_owned(),
        default_cpu: "0.5".parse().expect("cores"),
        default_ram: "1".parse().expect("GB"),
        modes: vec![DeployMode::Image],
        databases: vec![DatabaseType::Mysql],
        required_envs: Vec::new(),
    };
    let needed = |key: &str, placeholder: &str, description: Option<&str>| RequiredEnv {
        key: key.parse().expect("a key"),
        placeholder: placeholder.to_owned(),
        description: description.map(str::to_owned),
    };
    let healthchecks = TemplateView {
        name: "Healthchecks".to_owned(),
        key: "healthchecks".to_owned(),
        description: "Says when a scheduled job did not run.".to_owned(),
        category: "monitoring".to_owned(),
        databases: vec![DatabaseType::Postgresql],
        required_envs: vec![
            needed("EMAIL_HOST", "smtp.example.com", Some("Mail server")),
            needed("EMAIL_HOST_PASSWORD", "its password", None),
        ],
        ..ghost.clone()
    };
    vec![ghost, healthchecks]
}

/// The instance `demo/ghost`.
fn instance() -> ProjectView {
    ProjectView {
        name: "Ghost".to_owned(),
        slug: "ghost".parse().expect("a slug"),
        url: "http://demo-ghost.localhost".to_owned(),
        source: Source::Image,
        template: Some("ghost".to_owned()),
        ..project()
    }
}

/// Answers the calls of every command; `ends` is what the deployment comes to.
fn server(ends: DeploymentStatus) -> StandIn {
    StandIn::start(move |method, path, _| {
        let path = path.trim_start_matches("/api/workspaces/demo");
        match (method, path.split('?').next().unwrap_or_default()) {
            ("GET", "/api/templates") => success(templates()),
            ("GET", "/templates") => page(vec![instance()]),
            ("GET", "/databases") => page(["ghost-db", "orders"].map(named).to_vec()),
            ("POST", "/templates") | ("GET", "/projects/ghost") => success(instance()),
            ("DELETE", "/templates/ghost") => success(json!({ "deleted": "ghost" })),
            ("PUT", "/templates/ghost/env") => success(EnvVarsChanged {
                created: 1,
                updated: 0,
                deleted: 0,
            }),
            ("POST", "/templates/ghost/deployments") => {
                success(deployment(DeploymentStatus::Queued))
            }
            ("GET", path) if path.ends_with("/build-logs") => frames(&["[END]"]),
            ("GET", path) if path.ends_with(DEPLOYMENT_ID) => success(DeploymentView {
                error: (ends == DeploymentStatus::Failed).then(|| "it did not answer".to_owned()),
                ..deployment(ends)
            }),
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

fn named(slug: &str) -> DatabaseView {
    DatabaseView {
        slug: slug.parse().expect("a slug"),
        ..database(DatabaseStatus::Running)
    }
}

#[test]
fn the_catalogue_says_what_each_template_needs() {
    let server = server(DeploymentStatus::Running);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["template"]));
    let outcome = sandbox.run(&["template", "list", "--category", "CMS", "--json"]);
    let listed: Value = serde_json::from_str(&outcome.ok().stdout).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_snapshot!(sandbox.run(&["template", "list", "--category", "games"]));
}

#[test]
fn a_template_is_deployed_and_followed_until_it_is_live() {
    let server = server(DeploymentStatus::Running);
    assert_snapshot!(Sandbox::linked(&server).run(&["template", "deploy", "ghost"]));
    assert_snapshot!(server.transcript());
}

#[test]
fn variables_are_set_before_the_first_deployment() {
    let server = server(DeploymentStatus::Running);
    let arguments = ["template", "deploy", "Healthchecks", "--name", "Checks"];
    let variables = [
        "--env",
        "EMAIL_HOST=mail=1",
        "--secret",
        "EMAIL_HOST_PASSWORD=pw",
    ];
    let ways = ["--mode", "image", "--no-wait"];
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&[&arguments[..], &variables, &ways].concat()));
    let requests = server.requests();
    let sent: Vec<Value> = requests[1..4]
        .iter()
        .map(|request| serde_json::from_str(&request.body).expect("JSON"))
        .collect();
    let expected = [
        json!({"name": "Checks", "template_name": "healthchecks"}),
        json!([
            {"key": "EMAIL_HOST", "value": "mail=1", "is_secret": false},
            {"key": "EMAIL_HOST_PASSWORD", "value": "pw", "is_secret": true},
        ]),
        json!({"mode": "image"}),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn nothing_is_made_of_what_cannot_be_deployed() {
    let server = server(DeploymentStatus::Running);
    let sandbox = Sandbox::linked(&server);
    let given = [
        "template",
        "deploy",
        "healthchecks",
        "--env",
        "EMAIL_HOST=m",
    ];
    assert_snapshot!(sandbox.run(&["template", "deploy", "healthchecks"]));
    assert_snapshot!(sandbox.run(&[&given[..], &["--json"]].concat()));
    assert_snapshot!(sandbox.run(&["template", "deploy", "ghost", "--mode", "build"]));
    assert_snapshot!(sandbox.run(&["template", "deploy", "gost"]));
    assert_snapshot!(sandbox.run(&[&given[..], &["--secret", "EMAIL_HOST=m"]].concat()));
    assert_snapshot!(sandbox.run(&[&given[..], &["--secret", "s3cret"]].concat()));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[test]
fn a_template_that_does_not_come_to_life_is_a_failure() {
    let server = server(DeploymentStatus::Failed);
    assert_snapshot!(Sandbox::linked(&server).run(&["template", "deploy", "ghost"]));
}

#[test]
fn an_instance_that_is_not_deployed_is_told() {
    let server = StandIn::start(|method, path, _| match (method, path) {
        ("GET", _) => success(templates()),
        (_, path) if path.ends_with("/deployments") => {
            failure(409, "quota_exceeded", "the workspace may have 2 GB")
        }
        _ => success(instance()),
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["template", "deploy", "ghost"]));
}

#[test]
fn instances_are_listed() {
    let server = server(DeploymentStatus::Running);
    assert_snapshot!(Sandbox::linked(&server).run(&["template", "instances"]));
}

#[test]
fn a_deleted_instance_leaves_its_databases() {
    let server = server(DeploymentStatus::Running);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["template", "delete", "ghost"]));
    let (mut person, program) = terminal();
    let child = start(&sandbox, &["template", "delete", "ghost"], program);
    let question = read_until(&mut person, "Type `ghost` to delete it: ");
    assert!(question.contains("ghost-db"), "{question}");
    person.write_all(b"no\n").expect("the binary reads");
    assert_eq!(sandbox.wait(child).code, Some(2));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
    assert_snapshot!(sandbox.run(&["template", "delete", "ghost", "--yes"]));
    assert_snapshot!(sandbox.run(&["template", "delete", "other", "--yes"]));
}

//! Things that a server might answer.

use tose_api::account::MeView;
use tose_api::analysis::{AnalysisView, CauseView};
use tose_api::deployment::{DeploymentStatus, DeploymentView, Trigger};
use tose_api::env_var::EnvVarView;
use tose_api::git::GitConnectionView;
use tose_api::project::{ProjectStatus, ProjectView, Source};
use tose_api::workspace::Role;
use tose_api::{RepoUrl, Timestamp};

/// The id of every deployment here.
pub(crate) const DEPLOYMENT_ID: &str = "0198c0de-0000-7000-8000-000000000001";

/// A time, in milliseconds after the first one.
pub(crate) fn time(millis: i64) -> Timestamp {
    Timestamp::from_nanos(1_767_225_600_000_000_000 + millis * 1_000_000)
}

pub(crate) fn me() -> MeView {
    MeView {
        user_id: "0198c0de-0000-7000-8000-00000000000a"
            .parse()
            .expect("an id"),
        email: "ada@example.com".to_owned(),
        name: None,
        two_factor: false,
        workspace: Some("demo".parse().expect("a slug")),
        role: Some(Role::Owner),
        csrf_token: None,
    }
}

/// The project `demo/hello`.
pub(crate) fn project() -> ProjectView {
    ProjectView {
        id: "0198c0de-0000-7000-8000-00000000000b"
            .parse()
            .expect("an id"),
        name: "hello".to_owned(),
        slug: "hello".parse().expect("a slug"),
        workspace: "demo".parse().expect("a slug"),
        status: ProjectStatus::Running,
        url: "http://demo-hello.localhost".to_owned(),
        source: Source::Git,
        image: None,
        port: 3000_u64.try_into().expect("a port"),
        replicas: 1,
        cpu: "0.5".parse().expect("cores"),
        ram: "0.5".parse().expect("GB"),
        health_check_path: None,
        start_command: None,
        volumes: Vec::new(),
        build: None,
        region: "local".parse().expect("a slug"),
        git_connection: None,
        live_deployment: None,
        needs_redeploy: false,
        template: None,
        preview: None,
        created_at: time(0),
        updated_at: time(0),
    }
}

/// The project `demo/hello`, built from a repository.
pub(crate) fn connected_project() -> ProjectView {
    ProjectView {
        git_connection: Some(git("https://git.example.com/ada/hello.git")),
        ..project()
    }
}

pub(crate) fn git(url: &str) -> GitConnectionView {
    GitConnectionView {
        repo_full_name: None,
        repo_url: url.parse::<RepoUrl>().expect("an address"),
        branch: "main".parse().expect("a branch"),
        auto_deploy: true,
        root_directory: None,
        dockerfile_path: None,
        has_deploy_key: false,
        deploy_key_public: None,
        has_access_token: false,
        installation_id: None,
        watch_paths: Vec::new(),
        provider: None,
        previews: false,
        preview_limit: 5,
        last_commit_status: None,
        created_at: time(0),
    }
}

pub(crate) fn deployment(status: DeploymentStatus) -> DeploymentView {
    let from = |first: DeploymentStatus, millis| (status >= first).then(|| time(millis));
    DeploymentView {
        id: DEPLOYMENT_ID.parse().expect("an id"),
        status,
        trigger: Trigger::Manual,
        commit: None,
        image: None,
        error: None,
        analysis: None,
        created_at: time(0),
        build_started_at: from(DeploymentStatus::Building, 250),
        build_finished_at: from(DeploymentStatus::Deploying, 9_250),
        live_at: (status == DeploymentStatus::Running).then(|| time(12_000)),
        finished_at: from(DeploymentStatus::Failed, 12_000),
        created_by: "ada@example.com".to_owned(),
    }
}

pub(crate) fn analysis() -> AnalysisView {
    AnalysisView {
        summary: "The package `express` is not installed; add it to package.json.".to_owned(),
        causes: vec![CauseView {
            title: "The package `express` is not installed".to_owned(),
            confidence: 95,
            evidence: vec!["Error: Cannot find module 'express'".to_owned()],
            fix: "Add it to package.json.".to_owned(),
        }],
    }
}

pub(crate) fn variable(key: &str, value: &str) -> EnvVarView {
    EnvVarView {
        key: key.parse().expect("a key"),
        value: value.to_owned(),
        is_secret: false,
        updated_at: time(0),
    }
}

pub(crate) fn secret(key: &str, value: &str) -> EnvVarView {
    EnvVarView {
        is_secret: true,
        ..variable(key, value)
    }
}

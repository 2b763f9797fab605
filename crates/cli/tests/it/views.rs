//! Things that a server might answer.

use tose_api::account::MeView;
use tose_api::analysis::{AnalysisView, CauseView};
use tose_api::database::{
    BackupPolicy, BackupStatus, BackupView, Connection, DatabaseStatus, DatabaseStorage,
    DatabaseType, DatabaseView,
};
use tose_api::deployment::{DeploymentStatus, DeploymentView, Trigger};
use tose_api::env_var::EnvVarView;
use tose_api::git::GitConnectionView;
use tose_api::project::{ProjectStatus, ProjectView, Source};
use tose_api::workspace::Role;
use tose_api::{RepoUrl, Timestamp};

/// The id of every deployment here.
pub(crate) const DEPLOYMENT_ID: &str = "0198c0de-0000-7000-8000-000000000001";

/// The id of every backup here.
pub(crate) const BACKUP_ID: &str = "0198c0de-0000-7000-8000-0000000000ba";
/// The password of every database here.
pub(crate) const PASSWORD: &str = "0123456789abcdef";

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

/// The database `demo/orders`, as an admin sees it.
pub(crate) fn database(status: DatabaseStatus) -> DatabaseView {
    let connection = Connection {
        host: "orders".to_owned(),
        port: 5432_u64.try_into().expect("a port"),
        username: "orders".to_owned(),
        password: Some(PASSWORD.to_owned()),
        database: "orders".to_owned(),
        url: Some(format!("postgresql://orders:{PASSWORD}@orders:5432/orders")),
        is_pending: false,
    };
    DatabaseView {
        id: "0198c0de-0000-7000-8000-00000000000d"
            .parse()
            .expect("an id"),
        name: "Orders".to_owned(),
        slug: "orders".parse().expect("a slug"),
        kind: DatabaseType::Postgresql,
        version: "17".to_owned(),
        status,
        error: (status == DatabaseStatus::Failed)
            .then(|| "it does not answer; its log says more".to_owned()),
        cpu: "0.5".parse().expect("cores"),
        ram: "0.5".parse().expect("GB"),
        connection,
        expose: None,
        storage: DatabaseStorage {
            limit_gb: 10,
            used_bytes: Some(47_300_000),
            warning: None,
        },
        backups: BackupPolicy {
            schedule: None,
            keep: 7,
            next_at: None,
            last_succeeded_at: None,
            last_error: None,
            last_proven_restore_at: None,
        },
        restore: None,
        created_at: time(0),
        updated_at: time(0),
    }
}

pub(crate) fn backup(status: BackupStatus) -> BackupView {
    let is_good = status == BackupStatus::Succeeded;
    BackupView {
        id: BACKUP_ID.parse().expect("an id"),
        status,
        created_by: "ada@example.com".to_owned(),
        size_bytes: if is_good { 1_234_567 } else { 0 },
        dump_bytes: if is_good { 7_654_321 } else { 0 },
        sha256: None,
        error: (status == BackupStatus::Failed).then(|| "the disk is full".to_owned()),
        created_at: time(0),
        finished_at: (status != BackupStatus::Running).then(|| time(2_000)),
        is_being_proven: false,
        proof_error: None,
        proven_at: None,
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

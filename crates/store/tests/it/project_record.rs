//! The suite's cases for what a project's view shows: its repository and its live version.

use std::time::Duration;

use tose_api::deployment::{CommitView, DeploymentStatus, DeploymentView, Trigger};
use tose_api::envelope::Paging;
use tose_api::git::GitConnectionView;
use tose_api::{DeploymentId, ProjectId};
use tose_model::access::WorkspaceScope;
use tose_model::deployment::state::Event;
use tose_model::project::DesiredState;
use tose_model::secret::Sealed;
use tose_store::{Error, GitConnection, ProjectRecord, Transition};

use crate::harness::Lab;

async fn record(lab: &Lab, slug: &str) -> ProjectRecord {
    lab.store
        .get_project_record(&lab.scope, slug)
        .await
        .expect("a record")
}

async fn list(lab: &Lab, scope: &WorkspaceScope, page: u32) -> (Vec<ProjectRecord>, u64) {
    let paging = Paging::new(Some(page), Some(2)).expect("a page");
    lab.store
        .list_project_records(scope, tose_store::Listed::Apps, paging)
        .await
        .expect("a list")
}

fn repository(lab: &Lab) -> GitConnection {
    GitConnection {
        repo_full_name: None,
        repo_url: "git@example.com:ada/shop.git".parse().expect("an address"),
        branch: "main".parse().expect("a branch"),
        auto_deploy: true,
        root_directory: Some("apps/web".parse().expect("a path")),
        dockerfile_path: None,
        deploy_key: Some(Sealed::from_bytes(vec![1, 2, 3])),
        deploy_key_public: Some("ssh-ed25519 AAAA".to_owned()),
        access_token: None,
        installation_id: None,
        webhook_secret: Some(Sealed::from_bytes(vec![4, 5])),
        watch_paths: vec!["web/".to_owned()],
        provider: None,
        previews: false,
        preview_limit: 5,
        last_report: None,
        created_at: lab.now(),
    }
}

async fn connect(lab: &Lab, project_id: ProjectId, connection: &GitConnection) {
    lab.store
        .put_git_connection(&lab.scope, project_id, connection, &lab.event())
        .await
        .expect("connected");
}

async fn stop(lab: &Lab, project_id: ProjectId) {
    lab.store
        .stop_project(&lab.scope, project_id, lab.now(), &lab.event())
        .await
        .expect("stopped");
}

fn live_id(record: &ProjectRecord) -> Option<DeploymentId> {
    record.live.as_ref().map(|live| live.id)
}

#[tokio::test]
async fn a_fresh_project_has_neither_repository_nor_live_version() {
    let lab = Lab::new().await;
    lab.project("shop").await;
    let (project, facts) = lab
        .store
        .get_project(&lab.scope, "shop")
        .await
        .expect("a project");
    let expected = ProjectRecord {
        project,
        facts,
        git: None,
        live: None,
        is_outdated: false,
    };
    assert_eq!(record(&lab, "shop").await, expected);
}

#[tokio::test]
async fn a_record_shows_the_repository_and_whether_it_has_a_key() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let first = repository(&lab);
    connect(&lab, id, &first).await;
    let mut expected = GitConnectionView {
        repo_full_name: None,
        repo_url: first.repo_url.clone(),
        branch: first.branch.clone(),
        auto_deploy: true,
        root_directory: first.root_directory.clone(),
        dockerfile_path: None,
        has_deploy_key: true,
        deploy_key_public: first.deploy_key_public.clone(),
        has_access_token: false,
        installation_id: None,
        watch_paths: first.watch_paths.clone(),
        provider: None,
        previews: false,
        preview_limit: 5,
        last_commit_status: None,
        created_at: lab.now(),
    };
    assert_eq!(record(&lab, "shop").await.git, Some(expected.clone()));
    let second = GitConnection {
        repo_full_name: Some("ada/shop".to_owned()),
        auto_deploy: false,
        root_directory: None,
        dockerfile_path: Some("Dockerfile.web".parse().expect("a path")),
        deploy_key: None,
        deploy_key_public: None,
        access_token: Some(Sealed::from_bytes(vec![6])),
        installation_id: None,
        watch_paths: Vec::new(),
        provider: None,
        previews: false,
        preview_limit: 5,
        last_report: None,
        ..first
    };
    connect(&lab, id, &second).await;
    expected.repo_full_name = Some("ada/shop".to_owned());
    expected.auto_deploy = false;
    expected.root_directory = None;
    expected.deploy_key_public = None;
    expected.has_access_token = true;
    expected.watch_paths = Vec::new();
    expected.dockerfile_path = second.dockerfile_path.clone();
    expected.has_deploy_key = false;
    assert_eq!(record(&lab, "shop").await.git, Some(expected));
    let kept = lab.store.find_git_connection(&lab.scope, id).await;
    assert_eq!(kept.expect("read"), Some(second));
    let disconnect = async || {
        let event = lab.event();
        lab.store
            .delete_git_connection(&lab.scope, id, &event)
            .await
    };
    disconnect().await.expect("disconnected");
    assert_eq!(record(&lab, "shop").await.git, None);
    let again = disconnect().await;
    assert!(matches!(again, Err(Error::NotFound("git connection"))));
}

#[tokio::test]
async fn a_record_shows_the_live_version_from_its_promotion_on() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let id = lab.deployment(project_id).await;
    let commit = CommitView {
        sha: "0123456789012345678901234567890123456789".to_owned(),
        message: "Open the shop".to_owned(),
        author: "Ada".to_owned(),
    };
    let built = Transition {
        commit: Some(commit.clone()),
        image: Some("shop:2".to_owned()),
        ..Transition::default()
    };
    let created_at = lab.now();
    let mut times = Vec::new();
    for (from, event, with) in [
        (
            DeploymentStatus::Queued,
            Event::BuildStarted,
            Transition::default(),
        ),
        (DeploymentStatus::Building, Event::ImageReady, built),
        (
            DeploymentStatus::Deploying,
            Event::Promoted,
            Transition::default(),
        ),
    ] {
        let before = record(&lab, "shop").await;
        assert_eq!(before.live, None, "{from:?}");
        assert!(before.facts.in_progress && !before.facts.live, "{from:?}");
        lab.clock.advance(Duration::from_secs(1));
        lab.store
            .transition_deployment(&lab.scope, id, from, event, &with, lab.now())
            .await
            .expect("a step");
        times.push(lab.now());
    }
    lab.store
        .set_ready_replicas(&lab.scope, project_id, 1)
        .await
        .expect("noted");
    let expected = DeploymentView {
        id,
        status: DeploymentStatus::Running,
        trigger: Trigger::Manual,
        commit: Some(commit),
        image: Some("shop:2".to_owned()),
        error: None,
        analysis: None,
        created_at,
        build_started_at: Some(times[0]),
        build_finished_at: Some(times[1]),
        live_at: Some(times[2]),
        finished_at: None,
        created_by: "a@example.com".to_owned(),
    };
    let after = record(&lab, "shop").await;
    assert_eq!(after.live, Some(expected));
    assert!(after.facts.live && !after.facts.in_progress);
    assert_eq!(
        (after.facts.ready, after.project.desired),
        (1, DesiredState::Running)
    );
}

#[tokio::test]
async fn a_version_stays_live_until_the_next_one_is() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let first = lab.deployment(project_id).await;
    lab.promote(first).await;
    let broken = lab.deployment(project_id).await;
    let waiting = record(&lab, "shop").await;
    assert_eq!(live_id(&waiting), Some(first));
    assert!(waiting.facts.in_progress && waiting.facts.live);
    lab.step(broken, DeploymentStatus::Queued, Event::Failure)
        .await
        .expect("it fails");
    let failed = record(&lab, "shop").await;
    assert_eq!(live_id(&failed), Some(first));
    assert!(failed.facts.newest_failed && !failed.facts.in_progress);
    let next = lab.deployment(project_id).await;
    lab.promote(next).await;
    let promoted = record(&lab, "shop").await;
    assert_eq!(live_id(&promoted), Some(next));
    assert!(!promoted.facts.newest_failed && promoted.facts.live);
}

#[tokio::test]
async fn a_stopped_project_has_no_live_version_and_keeps_its_repository() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    connect(&lab, project_id, &repository(&lab)).await;
    let first = lab.deployment(project_id).await;
    lab.promote(first).await;
    stop(&lab, project_id).await;
    let stopped = record(&lab, "shop").await;
    assert_eq!(stopped.project.desired, DesiredState::Stopped);
    assert_eq!(stopped.live, None);
    assert!(!stopped.facts.live && !stopped.facts.in_progress && !stopped.facts.newest_failed);
    assert!(stopped.git.is_some());
    let again = lab.deployment(project_id).await;
    let started = record(&lab, "shop").await;
    assert_eq!(started.project.desired, DesiredState::Running);
    assert!(started.facts.in_progress);
    lab.promote(again).await;
    assert_eq!(live_id(&record(&lab, "shop").await), Some(again));
}

#[tokio::test]
async fn the_list_shows_each_project_once_with_its_own_record() {
    let lab = Lab::new().await;
    let shop = lab.project("shop").await;
    lab.clock.advance(Duration::from_secs(1));
    let gone = lab.project("gone").await;
    let blog = lab.project("blog").await;
    lab.clock.advance(Duration::from_secs(1));
    lab.project("idle").await;
    connect(&lab, shop, &repository(&lab)).await;
    for _ in 0..2 {
        let version = lab.deployment(shop).await;
        lab.promote(version).await;
    }
    let brought = lab.domain(
        &lab.scope,
        shop,
        "app.example.org",
        tose_api::domain::DomainStatus::Active,
    );
    lab.store
        .create_domain(&lab.scope, &brought, &lab.event())
        .await
        .expect("claimed");
    let version = lab.deployment(blog).await;
    lab.promote(version).await;
    lab.store
        .delete_project(&lab.scope, gone, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let idle = record(&lab, "idle").await;
    let blog = record(&lab, "blog").await;
    let shop = record(&lab, "shop").await;
    assert_eq!(
        (idle.git.is_some(), live_id(&idle).is_some()),
        (false, false)
    );
    assert_eq!((blog.git.is_some(), live_id(&blog)), (false, Some(version)));
    assert_eq!((shop.git.is_some(), live_id(&shop).is_some()), (true, true));
    assert_eq!(shop.project.hostname.as_str(), "shop.example.com");
    assert_eq!(list(&lab, &lab.scope, 1).await, (vec![idle, blog], 3));
    assert_eq!(list(&lab, &lab.scope, 2).await, (vec![shop], 3));
}

#[tokio::test]
async fn another_workspace_sees_no_record_and_leaves_the_repository_alone() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let connection = repository(&lab);
    connect(&lab, id, &connection).await;
    let other = lab.workspace("other").await;
    let foreign = lab.store.get_project_record(&other, "shop").await;
    assert!(matches!(foreign, Err(Error::NotFound("project"))));
    assert_eq!(list(&lab, &other, 1).await, (Vec::new(), 0));
    let found = lab.store.find_git_connection(&other, id).await;
    assert_eq!(found.expect("read"), None);
    let evil = GitConnection {
        repo_url: "https://example.com/evil/shop.git"
            .parse()
            .expect("an address"),
        ..connection.clone()
    };
    // Whether it is refused or does nothing: the connection stays.
    let _ = lab
        .store
        .put_git_connection(&other, id, &evil, &lab.event())
        .await;
    let removed = lab
        .store
        .delete_git_connection(&other, id, &lab.event())
        .await;
    assert!(matches!(removed, Err(Error::NotFound("git connection"))));
    let kept = lab.store.find_git_connection(&lab.scope, id).await;
    assert_eq!(kept.expect("read"), Some(connection));
}

//! The suite's cases for `commit_status`.

use std::time::Duration;

use tose_api::deployment::{CommitView, DeploymentStatus};
use tose_api::git::GitProvider;
use tose_api::{DeploymentId, ProjectId};
use tose_model::commit_status::CommitState;
use tose_model::deployment::state::Event;
use tose_model::push::RepoKey;
use tose_model::secret::Sealed;
use tose_store::{DueReport, GitConnection, Reported, Transition};

use crate::harness::Lab;

fn connection(lab: &Lab) -> GitConnection {
    GitConnection {
        repo_full_name: None,
        repo_url: "https://git.example/you/app.git"
            .parse()
            .expect("an address"),
        branch: "main".parse().expect("a branch"),
        auto_deploy: true,
        root_directory: None,
        dockerfile_path: None,
        deploy_key: None,
        deploy_key_public: None,
        access_token: Some(Sealed::from_bytes(vec![1])),
        installation_id: None,
        webhook_secret: None,
        watch_paths: Vec::new(),
        provider: Some(GitProvider::Gitea),
        previews: false,
        preview_limit: 5,
        last_report: None,
        created_at: lab.now(),
    }
}

/// A deployment that builds a commit of the connected repository.
async fn building(lab: &Lab) -> (ProjectId, DeploymentId) {
    let project = lab.project("shop").await;
    let connection = connection(lab);
    lab.store
        .put_git_connection(&lab.scope, project, &connection, &lab.event())
        .await
        .expect("connected");
    let id = lab.deployment(project).await;
    step(lab, id, DeploymentStatus::Queued, Event::BuildStarted).await;
    let commit = CommitView {
        sha: "0".repeat(40),
        message: "a change".to_owned(),
        author: "Ann".to_owned(),
    };
    lab.store
        .set_deployment_commit(&lab.scope, id, &commit, &RepoKey::new(&connection.repo_url))
        .await
        .expect("noted");
    (project, id)
}

async fn step(lab: &Lab, id: DeploymentId, from: DeploymentStatus, event: Event) {
    let with = Transition::default();
    lab.store
        .transition_deployment(&lab.scope, id, from, event, &with, lab.now())
        .await
        .expect("it can do that");
}

async fn due(lab: &Lab) -> Vec<DueReport> {
    let due = lab.store.list_due_reports_for_task(lab.now(), 10).await;
    due.expect("a list")
}

async fn note(lab: &Lab, report: &DueReport, outcome: Reported<'_>) {
    let noted = lab
        .store
        .note_report(&lab.scope, report, outcome, lab.now());
    noted.await.expect("noted");
}

#[tokio::test]
async fn each_change_is_due_until_it_is_told() {
    let lab = Lab::new().await;
    let (project, id) = building(&lab).await;
    let [first] = &due(&lab).await[..] else {
        panic!("one is due")
    };
    assert_eq!((first.id, first.state), (id, CommitState::Pending));
    let way = first.way.as_ref().expect("a way");
    assert_eq!(way.provider, Some(GitProvider::Gitea));
    note(&lab, first, Reported::Told).await;
    assert!(due(&lab).await.is_empty());
    step(&lab, id, DeploymentStatus::Building, Event::ImageReady).await;
    let same = due(&lab).await.remove(0);
    assert!(same.is_told, "it is pending still");
    step(&lab, id, DeploymentStatus::Deploying, Event::Failure).await;
    // What was noted for the status before leaves the new one due.
    note(&lab, &same, Reported::Nothing).await;
    let failed = due(&lab).await.remove(0);
    assert_eq!(
        (failed.state, failed.is_told),
        (CommitState::Failure, false)
    );
    note(&lab, &failed, Reported::GivenUp("refused")).await;
    assert!(due(&lab).await.is_empty());
    let shown = lab.store.find_git_connection(&lab.scope, project).await;
    let shown = shown.expect("asked").expect("connected").last_report;
    assert_eq!(
        shown.and_then(|report| report.error).as_deref(),
        Some("refused")
    );
}

#[tokio::test]
async fn a_later_attempt_waits_for_its_time_and_is_counted() {
    let lab = Lab::new().await;
    building(&lab).await;
    let first = due(&lab).await.remove(0);
    let pause = Duration::from_secs(15);
    let again = lab.now().saturating_add(pause);
    note(&lab, &first, Reported::Later("silent", again)).await;
    assert!(due(&lab).await.is_empty());
    lab.clock.advance(pause);
    let second = due(&lab).await.remove(0);
    assert_eq!((second.attempts, second.is_told), (1, false));
}

#[tokio::test]
async fn a_commit_of_another_repository_is_nobodys() {
    let lab = Lab::new().await;
    let (project, _) = building(&lab).await;
    let other = GitConnection {
        repo_url: "https://evil.example/you/app.git"
            .parse()
            .expect("an address"),
        ..connection(&lab)
    };
    lab.store
        .put_git_connection(&lab.scope, project, &other, &lab.event())
        .await
        .expect("connected");
    assert!(due(&lab).await.remove(0).way.is_none());
}

//! The suite's cases for `count`.

use tose_api::deployment::DeploymentStatus::{Failed, Queued, Running, Superseded};
use tose_model::deployment::state::Event;
use tose_model::project::{DesiredState, ProjectKind};
use tose_store::{ProjectFacts, ProjectGroup};

use crate::harness::Lab;

#[tokio::test]
async fn projects_are_counted_by_what_their_status_is_read_from() {
    let lab = Lab::new().await;
    assert_eq!(lab.store.count_all_projects().await.expect("counts"), []);
    let group = |live, newest_failed, count| ProjectGroup {
        // A deployment wants its project to run.
        desired: DesiredState::Running,
        replicas: 1,
        facts: ProjectFacts {
            suspended: None,
            has_https: false,
            in_progress: false,
            live,
            newest_failed,
            ready: 0,
        },
        count,
    };
    for slug in ["a", "b", "c", "gone"] {
        let id = lab.project(slug).await;
        if slug == "a" {
            let deployment = lab.deployment(id).await;
            lab.promote(deployment).await;
        }
        if slug == "gone" {
            lab.store
                .delete_project(&lab.scope, id, lab.now(), &lab.event())
                .await
                .expect("deleted");
        }
    }
    // Another workspace's count as well.
    let other = lab.workspace("other").await;
    lab.try_project(&other, "d", &["d.example.com"])
        .await
        .expect("a project");
    let mut found = lab.store.count_all_projects().await.expect("counts");
    found.sort_by_key(|group| group.count);
    assert_eq!(found, [group(true, false, 1), group(false, false, 3)]);
}

#[tokio::test]
async fn deployments_are_counted_by_status() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    for _ in 0..2 {
        let deployment = lab.deployment(id).await;
        lab.promote(deployment).await;
    }
    let failed = lab.deployment(id).await;
    lab.step(failed, Queued, Event::Failure)
        .await
        .expect("it fails");
    lab.deployment(id).await;
    let mut found = lab.store.count_all_deployments().await.expect("counts");
    found.sort_by_key(|(status, _)| status.as_str());
    assert_eq!(
        found,
        [(Failed, 1), (Queued, 1), (Running, 1), (Superseded, 1)]
    );
}

#[tokio::test]
async fn projects_are_named_with_their_workspaces_until_they_are_deleted() {
    let lab = Lab::new().await;
    let names = async || {
        lab.store
            .list_project_names_for_task()
            .await
            .expect("names")
    };
    assert_eq!(names().await, []);
    let shop = lab.project("shop").await;
    let gone = lab.project("gone").await;
    let other = lab.workspace("other").await;
    let blog = lab.try_project(&other, "blog", &["d.example.com"]).await;
    let blog = blog.expect("a project");
    lab.store
        .delete_project(&lab.scope, gone, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let found = names().await;
    let found: Vec<_> = found
        .iter()
        .map(|name| (name.id, name.workspace.as_str(), name.project.as_str()))
        .collect();
    let mut expected = [(shop, "demo", "shop"), (blog, "other", "blog")];
    expected.sort_by_key(|(_, workspace, _)| *workspace);
    assert_eq!(found, expected);
    assert_eq!(names().await[0].kind, ProjectKind::App);
    lab.store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert_eq!(names().await.len(), 1);
}

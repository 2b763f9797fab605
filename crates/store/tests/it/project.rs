//! The suite's cases for `project`.

use std::time::Duration;

use tose_api::envelope::Paging;
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::project::DesiredState;
use tose_store::{Error, ProjectChanges};

use crate::harness::Lab;

#[tokio::test]
async fn what_is_written_is_read_back() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let (project, facts) = lab
        .store
        .get_project(&lab.scope, "shop")
        .await
        .expect("a project");
    assert_eq!(
        (project.id, project.replicas, project.desired),
        (id, 1, DesiredState::Running)
    );
    assert_eq!(project.run, lab.run());
    assert_eq!(project.hostname.as_str(), "shop.example.com");
    assert!(!facts.live && !facts.in_progress && !facts.newest_failed);
}

#[tokio::test]
async fn another_workspace_sees_nothing() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let other = lab.workspace("other").await;
    assert!(matches!(
        lab.store.get_project(&other, "shop").await,
        Err(Error::NotFound("project"))
    ));
    assert_eq!(
        lab.store.find_project(&other, id).await.expect("read"),
        None
    );
    let paging = Paging::new(None, None).expect("a page");
    assert_eq!(
        lab.store
            .list_project_records(&other, tose_store::Listed::Apps, paging)
            .await
            .expect("a list")
            .1,
        0
    );
    assert!(
        lab.store
            .list_domains(&other, id)
            .await
            .expect("a list")
            .is_empty()
    );
    lab.store
        .stop_project(&other, id, lab.now(), &lab.event())
        .await
        .expect("does nothing");
    lab.store
        .delete_project(&other, id, lab.now(), &lab.event())
        .await
        .expect("does nothing");
    let (project, _) = lab
        .store
        .get_project(&lab.scope, "shop")
        .await
        .expect("still there");
    assert_eq!(project.desired, DesiredState::Running);
}

#[tokio::test]
async fn a_slug_is_taken_until_its_project_is_deleted() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let again = lab
        .try_project(&lab.scope, "shop", &["x.example.com"])
        .await;
    assert!(matches!(again, Err(Error::Taken(_))), "{again:?}");
    lab.store
        .delete_project(&lab.scope, id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let next = lab.project("shop").await;
    assert_ne!(next, id);
    let old = lab
        .store
        .find_project_ref_for_task(id)
        .await
        .expect("read")
        .expect("a tombstone");
    assert!(old.is_deleted);
    lab.store
        .purge_project(&lab.scope, id)
        .await
        .expect("purged");
    lab.store
        .purge_project(&lab.scope, next)
        .await
        .expect("a live one stays");
    assert_eq!(
        lab.store.find_project_ref_for_task(id).await.expect("read"),
        None
    );
    assert!(
        lab.store
            .find_project_ref_for_task(next)
            .await
            .expect("read")
            .is_some()
    );
}

#[tokio::test]
async fn the_first_free_host_name_is_taken() {
    let lab = Lab::new().await;
    lab.project("shop").await;
    let other = lab.workspace("other").await;
    let hosts = ["shop.example.com", "shop-2.example.com"];
    let id = lab
        .try_project(&other, "shop", &hosts)
        .await
        .expect("a project");
    let (project, _) = lab
        .store
        .find_project(&other, id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(project.hostname.as_str(), "shop-2.example.com");
    let third = lab.try_project(&other, "third", &hosts).await;
    assert!(matches!(third, Err(Error::Taken(_))));
    assert!(matches!(
        lab.store.get_project(&other, "third").await,
        Err(Error::NotFound(_))
    ));
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_told_to_try_again() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let (project, _) = lab
        .store
        .get_project(&lab.scope, "shop")
        .await
        .expect("a project");
    let change = async |name: &str| {
        let changes = ProjectChanges {
            name: name.to_owned(),
            source: project.source,
            image: project.image.clone(),
            build: None,
            run: project.run.clone(),
            replicas: 2,
            scale: [("worker".parse().expect("a slug"), 3)].into(),
        };
        let event = lab.event();
        lab.store
            .update_project(
                &lab.scope,
                id,
                project.generation,
                &changes,
                lab.now(),
                &event,
            )
            .await
    };
    let (first, second) = tokio::join!(change("one"), change("two"));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(first.and(second), Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_host_name_that_was_given_up_stays_with_its_workspace_for_a_while() {
    let lab = Lab::new().await;
    let other = lab.workspace("other").await;
    let hosts = ["shop.example.com", "shop-2.example.com"];
    let host_of = async |scope: &WorkspaceScope, id: ProjectId| {
        let listed = lab.store.list_domains(scope, id).await.expect("a list");
        listed[0].hostname.to_string()
    };
    let give_up = async |scope: &WorkspaceScope, id: ProjectId, at: Timestamp| {
        let event = lab.event();
        let given_up = lab.store.delete_project(scope, id, at, &event).await;
        given_up.expect("deleted");
    };
    let first = lab
        .try_project(&lab.scope, "shop", &hosts)
        .await
        .expect("a project");
    give_up(&lab.scope, first, lab.now()).await;
    let stranger = lab
        .try_project(&other, "shop", &hosts)
        .await
        .expect("a project");
    assert_eq!(host_of(&other, stranger).await, hosts[1]);
    give_up(&other, stranger, lab.now()).await;
    let own = lab
        .try_project(&lab.scope, "shop", &hosts)
        .await
        .expect("a project");
    assert_eq!(host_of(&lab.scope, own).await, hosts[0]);

    // Given up long ago, it is everybody's.
    let month = Duration::from_secs(30 * 24 * 3600);
    give_up(&lab.scope, own, lab.now().saturating_sub(month)).await;
    let stranger = lab
        .try_project(&other, "shop", &hosts)
        .await
        .expect("a project");
    assert_eq!(host_of(&other, stranger).await, hosts[0]);
}

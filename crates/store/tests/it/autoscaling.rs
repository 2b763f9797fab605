//! The suite's cases for `autoscaling`.

use tose_api::ProjectId;
use tose_model::IdGen;
use tose_model::access::WorkspaceScope;
use tose_model::autoscale::Rules;
use tose_model::project::Project;
use tose_store::{Autoscaling, AutoscalingSettings, Error, ProjectChanges, Refusal, Scaled};

use crate::harness::Lab;

fn autoscaling(lab: &Lab, project_id: ProjectId) -> Autoscaling {
    Autoscaling {
        project_id,
        workspace_id: lab.scope.id(),
        settings: AutoscalingSettings {
            is_enabled: true,
            rules: Rules {
                min_replicas: 2,
                max_replicas: 5,
                cpu_percent: Some(70),
                requests_per_second: None,
            },
        },
        revision: 0,
        scaled: None,
        refusal: None,
    }
}

async fn set(lab: &Lab, autoscaling: &Autoscaling) -> Result<(), Error> {
    lab.store
        .set_autoscaling(&lab.scope, autoscaling, lab.now(), &lab.event())
        .await
}

async fn read(lab: &Lab, id: ProjectId) -> Autoscaling {
    let found = lab.store.find_autoscaling(&lab.scope, id).await;
    found.expect("asked").expect("it was set")
}

async fn project(lab: &Lab, id: ProjectId) -> Project {
    let found = lab.store.find_project(&lab.scope, id).await;
    found.expect("asked").expect("a project").0
}

fn scaled(lab: &Lab) -> Scaled {
    Scaled {
        at: lab.now(),
        from: 1,
        to: 3,
        reason: "many come".to_owned(),
    }
}

fn refusal(lab: &Lab) -> Refusal {
    Refusal {
        since: lab.now(),
        wanted: 4,
        reason: "there is no room".to_owned(),
    }
}

async fn refuse(lab: &Lab, scope: &WorkspaceScope, autoscaling: &Autoscaling) {
    let noted = lab
        .store
        .note_refusal(scope, autoscaling, Some(&refusal(lab)))
        .await;
    noted.expect("a store that writes");
}

async fn scale(lab: &Lab, autoscaling: &Autoscaling, before: &Project) -> Result<(), Error> {
    let changes = ProjectChanges {
        name: before.name.clone(),
        source: before.source,
        image: before.image.clone(),
        run: before.run.clone(),
        build: before.build.clone(),
        replicas: 3,
        scale: before.scale.clone(),
    };
    lab.store
        .autoscale_project(
            &lab.scope,
            autoscaling,
            before.generation,
            &changes,
            &scaled(lab),
            &lab.event(),
        )
        .await
}

#[tokio::test]
async fn what_was_set_is_kept_and_changed_unless_somebody_else_was_first() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let mut first = autoscaling(&lab, id);
    let unset = lab.store.find_autoscaling(&lab.scope, id).await;
    assert_eq!(unset.expect("asked"), None);
    set(&lab, &first).await.expect("set");
    let again = set(&lab, &first).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    first.revision = 1;
    assert_eq!(read(&lab, id).await, first);
    first.settings.rules.cpu_percent = None;
    first.settings.rules.requests_per_second = Some(50);
    set(&lab, &first).await.expect("set");
    first.revision = 2;
    assert_eq!(read(&lab, id).await, first);
    let listed = lab.store.list_autoscaling_for_task().await;
    assert_eq!(listed.expect("a list"), [first.clone()]);
    let listed = lab.store.list_autoscaled_projects_for_task().await;
    assert_eq!(listed.expect("a list")[0].0, project(&lab, id).await);
    first.settings.is_enabled = false;
    set(&lab, &first).await.expect("set");
    let listed = lab.store.list_autoscaling_for_task().await;
    assert_eq!(listed.expect("a list"), []);
    let listed = lab.store.list_autoscaled_projects_for_task().await;
    assert_eq!(listed.expect("a list"), []);
}

#[tokio::test]
async fn another_workspace_neither_sees_nor_changes_it() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let other = lab.workspace("other").await;
    set(&lab, &autoscaling(&lab, id)).await.expect("set");
    let kept = read(&lab, id).await;
    let found = lab.store.find_autoscaling(&other, id).await;
    assert_eq!(found.expect("asked"), None);
    let event = lab.event();
    let set_there = lab
        .store
        .set_autoscaling(&other, &kept, lab.now(), &event)
        .await;
    assert!(
        matches!(set_there, Err(Error::NotFound(_))),
        "{set_there:?}"
    );
    let deleted = lab.store.delete_autoscaling(&other, id, &event).await;
    assert!(matches!(deleted, Err(Error::NotFound(_))), "{deleted:?}");
    refuse(&lab, &other, &kept).await;
    assert_eq!(read(&lab, id).await, kept);
    let mut gone = autoscaling(&lab, id);
    gone.project_id = ProjectId::from_uuid(lab.ids.uuid());
    let nowhere = set(&lab, &gone).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))), "{nowhere:?}");
}

#[tokio::test]
async fn replicas_change_only_while_all_is_as_it_was_decided_by() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    set(&lab, &autoscaling(&lab, id)).await.expect("set");
    let decided_by = read(&lab, id).await;
    let before = project(&lab, id).await;
    refuse(&lab, &lab.scope, &decided_by).await;
    assert_eq!(read(&lab, id).await.refusal, Some(refusal(&lab)));
    scale(&lab, &decided_by, &before).await.expect("scaled");
    let after = read(&lab, id).await;
    assert_eq!((after.scaled, after.refusal), (Some(scaled(&lab)), None));
    let after = project(&lab, id).await;
    assert_eq!((before.replicas, after.replicas), (1, 3));
    // By a project that was changed since, and by settings that were.
    let stale = scale(&lab, &decided_by, &before).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    set(&lab, &decided_by).await.expect("set");
    let events = lab.count_events(&lab.scope).await;
    let stale = scale(&lab, &decided_by, &after).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    assert_eq!(project(&lab, id).await, after, "nothing is half done");
    assert_eq!(lab.count_events(&lab.scope).await, events);
    refuse(&lab, &lab.scope, &decided_by).await;
    assert_eq!(read(&lab, id).await.refusal, None);
    // What could not be had by other settings counts no more.
    let mut newest = read(&lab, id).await;
    refuse(&lab, &lab.scope, &newest).await;
    newest.settings.rules.max_replicas = 6;
    set(&lab, &newest).await.expect("set");
    let newest = read(&lab, id).await;
    assert_eq!((newest.refusal, newest.scaled), (None, Some(scaled(&lab))));
}

#[tokio::test]
async fn it_goes_with_its_project_and_when_it_is_told_to() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let event = lab.event();
    let nothing = lab.store.delete_autoscaling(&lab.scope, id, &event).await;
    assert!(matches!(nothing, Err(Error::NotFound(_))), "{nothing:?}");
    set(&lab, &autoscaling(&lab, id)).await.expect("set");
    let deleted = lab.store.delete_autoscaling(&lab.scope, id, &event).await;
    deleted.expect("deleted");
    let found = lab.store.find_autoscaling(&lab.scope, id).await;
    assert_eq!(found.expect("asked"), None);
    set(&lab, &autoscaling(&lab, id)).await.expect("set");
    let event = lab.event();
    let deleted = lab
        .store
        .delete_project(&lab.scope, id, lab.now(), &event)
        .await;
    deleted.expect("deleted");
    let listed = lab.store.list_autoscaling_for_task().await;
    assert_eq!(listed.expect("a list"), []);
    let findings = lab.store.check().await.expect("checked");
    assert!(findings.is_empty(), "{findings:?}");
}

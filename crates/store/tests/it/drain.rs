//! The suite's cases for `drain`.

use tose_api::drain::{DrainKind, DrainState};
use tose_api::{DrainId, ProjectId};
use tose_model::IdGen;
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;
use tose_store::{Delivered, Drain, DrainSettings, DueDrain, Error};

use crate::harness::Lab;

const MOST: u32 = 2;

fn drain(lab: &Lab, project_id: ProjectId, name: &str) -> Drain {
    Drain {
        id: DrainId::from_uuid(lab.ids.uuid()),
        workspace_id: lab.scope.id(),
        project_id,
        settings: DrainSettings {
            name: name.parse().expect("a slug"),
            kind: DrainKind::Loki,
            url: "https://logs.example.com".to_owned(),
            secrets: Some(Sealed::from_bytes(vec![1, 2, 3])),
            has_token: true,
            headers: vec!["x-key".to_owned()],
            is_enabled: true,
        },
        revision: 1,
        position: 41,
        state: DrainState::Ok,
        last_error: None,
        refused_since: None,
        last_delivered_at: None,
        delivered_lines: 0,
        dropped_lines: 0,
        created_at: lab.now(),
        updated_at: lab.now(),
    }
}

fn due(drain: &Drain) -> DueDrain {
    DueDrain {
        id: drain.id,
        workspace_id: drain.workspace_id,
        revision: drain.revision,
    }
}

async fn create(lab: &Lab, drain: &Drain) -> Result<(), Error> {
    lab.store
        .create_drain(&lab.scope, drain, MOST, &lab.event())
        .await
}

async fn read(lab: &Lab, drain: &Drain) -> Drain {
    let found = lab.store.find_drain(&lab.scope, drain.id).await;
    found.expect("asked").expect("a drain")
}

#[tokio::test]
async fn drains_are_kept_changed_and_forgotten() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let first = drain(&lab, id, "b");
    create(&lab, &first).await.expect("made");
    assert_eq!(read(&lab, &first).await, first);
    let same_name = drain(&lab, id, "b");
    assert!(matches!(
        create(&lab, &same_name).await,
        Err(Error::Taken(_))
    ));
    let second = drain(&lab, id, "a");
    create(&lab, &second).await.expect("made");
    let third = drain(&lab, id, "c");
    assert!(matches!(
        create(&lab, &third).await,
        Err(Error::Conflict(_))
    ));
    let listed = lab.store.list_drains(&lab.scope, id).await;
    assert_eq!(listed.expect("a list"), [second.clone(), first.clone()]);
    let mut changed = first.clone();
    changed.settings.secrets = None;
    changed.settings.is_enabled = false;
    let update = async |drain: &Drain| {
        lab.store
            .update_drain(&lab.scope, drain, &lab.event())
            .await
    };
    update(&changed).await.expect("changed");
    let stale = update(&changed).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    changed.revision = 2;
    assert_eq!(read(&lab, &first).await, changed);
    changed.settings.name = "a".parse().expect("a slug");
    assert!(matches!(update(&changed).await, Err(Error::Taken(_))));
    let due_now = lab.store.list_due_drains_for_task().await;
    assert_eq!(due_now.expect("a list"), [due(&second)]);
    let delete = async || {
        lab.store
            .delete_drain(&lab.scope, id, first.id, &lab.event())
            .await
    };
    delete().await.expect("forgotten");
    assert!(matches!(delete().await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn how_far_it_came_is_noted_unless_it_was_changed_meanwhile() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let drain = drain(&lab, id, "logs");
    create(&lab, &drain).await.expect("made");
    let due = due(&drain);
    let failed = lab
        .store
        .note_undelivered(&lab.scope, &due, "it answered 500", Some(lab.now()))
        .await;
    assert!(failed.expect("noted"));
    let seen = read(&lab, &drain).await;
    assert_eq!(seen.state, DrainState::Retrying);
    assert_eq!(seen.last_error.as_deref(), Some("it answered 500"));
    assert_eq!(seen.refused_since, Some(lab.now()));
    let delivered = Delivered {
        position: 50,
        lines: 7,
        dropped: 2,
        at: lab.now(),
    };
    let noted = lab.store.note_delivered(&lab.scope, &due, &delivered).await;
    assert!(noted.expect("noted"));
    let seen = read(&lab, &drain).await;
    assert_eq!((seen.state, seen.last_error), (DrainState::Ok, None));
    assert_eq!((seen.position, seen.refused_since), (50, None));
    assert_eq!((seen.delivered_lines, seen.dropped_lines), (7, 2));
    let paused = lab
        .store
        .pause_drain(&lab.scope, &due, "no", &lab.event())
        .await;
    assert!(paused.expect("noted"));
    assert_eq!(read(&lab, &drain).await.state, DrainState::Paused);
    let list = lab.store.list_due_drains_for_task().await;
    assert_eq!(list.expect("a list"), []);
    lab.store
        .resume_drain(&lab.scope, drain.id)
        .await
        .expect("done");
    let seen = read(&lab, &drain).await;
    assert_eq!(
        (seen.state, seen.revision, seen.position),
        (DrainState::Ok, 2, 50)
    );
    // Who works by the settings before notes nothing.
    let noted = lab.store.note_delivered(&lab.scope, &due, &delivered).await;
    assert!(!noted.expect("asked"));
    let failed = lab
        .store
        .note_undelivered(&lab.scope, &due, "no", None)
        .await;
    assert!(!failed.expect("asked"));
    let paused = lab
        .store
        .pause_drain(&lab.scope, &due, "no", &lab.event())
        .await;
    assert!(!paused.expect("asked"));
    assert_eq!(read(&lab, &drain).await, seen);
}

#[tokio::test]
async fn another_workspace_sees_and_changes_nothing() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let drain = drain(&lab, id, "logs");
    create(&lab, &drain).await.expect("made");
    let stranger: WorkspaceScope = lab.workspace("other").await;
    let found = lab.store.find_drain(&stranger, drain.id).await;
    assert_eq!(found.expect("asked"), None);
    let got = lab.store.get_drain(&stranger, id, drain.id).await;
    assert!(matches!(got, Err(Error::NotFound(_))));
    let changed = lab
        .store
        .update_drain(&stranger, &drain, &lab.event())
        .await;
    assert!(changed.is_err());
    let gone = lab
        .store
        .delete_drain(&stranger, id, drain.id, &lab.event())
        .await;
    assert!(matches!(gone, Err(Error::NotFound(_))));
    assert_eq!(read(&lab, &drain).await, drain);
}

#[tokio::test]
async fn they_go_with_their_project_and_their_workspace() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let first = drain(&lab, id, "logs");
    create(&lab, &first).await.expect("made");
    lab.store
        .delete_project(&lab.scope, id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert!(matches!(
        create(&lab, &first).await,
        Err(Error::NotFound(_))
    ));
    let other = lab.project("other").await;
    create(&lab, &drain(&lab, other, "logs"))
        .await
        .expect("made");
    lab.store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let due = lab.store.list_due_drains_for_task().await;
    assert_eq!(due.expect("a list"), []);
    assert_eq!(lab.store.check().await.expect("a check"), []);
}

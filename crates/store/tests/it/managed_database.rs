//! Managed databases and their backups.

use tose_api::database::BackupStatus;
use tose_api::domain_settings::IpRange;
use tose_api::envelope::Paging;
use tose_api::project::Source;
use tose_api::{BackupId, Port};
use tose_model::IdGen;
use tose_model::process::Scale;
use tose_model::secret::Sealed;
use tose_store::{BackupPlace, DatabaseChanges, Error, MadeBackup, NewBackup, ProjectChanges};

use crate::harness::Lab;

fn backup(lab: &Lab, project_id: tose_api::ProjectId) -> NewBackup {
    NewBackup {
        id: BackupId::from_uuid(lab.ids.uuid()),
        project_id,
        created_by: "somebody".to_owned(),
        file_key: Sealed::from_bytes(vec![3]),
        place: BackupPlace::Disk,
        now: lab.now(),
    }
}

fn made() -> MadeBackup {
    MadeBackup {
        size_bytes: 10,
        dump_bytes: 20,
        sha256: "ab".to_owned(),
    }
}

#[tokio::test]
async fn a_database_is_read_in_its_own_workspace_only_and_goes_with_its_project() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let id = lab.database("cache").await;
    let found = store.find_database(scope, id).await.expect("read");
    let database = found.expect("a database");
    assert_eq!(
        (database.credentials_revision, database.applied_revision),
        (1, 0)
    );
    let other = lab.workspace("other").await;
    assert!(
        store
            .find_database(&other, id)
            .await
            .expect("read")
            .is_none()
    );
    assert!(store.list_databases(&other).await.expect("read").is_empty());
    let app = lab.project("app").await;
    assert!(
        store
            .find_database(scope, app)
            .await
            .expect("read")
            .is_none()
    );
    let paging = Paging::new(None, None).expect("paging");
    let (page, total) = store.page_databases(scope, paging).await.expect("read");
    assert_eq!((page.len(), total), (1, 1));

    store
        .create_backup(scope, &backup(&lab, id), None)
        .await
        .expect("a backup");
    store
        .delete_project(scope, id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert!(
        store
            .find_database(scope, id)
            .await
            .expect("read")
            .is_none()
    );
    let running = store.list_running_backups_for_task().await.expect("read");
    assert!(running.is_empty(), "{running:?}");
    assert_eq!(store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn a_password_is_known_once_the_server_has_the_newest() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let id = lab.database("cache").await;
    let revisions = async || {
        let found = store.find_database(scope, id).await.expect("read");
        let database = found.expect("a database");
        (database.credentials_revision, database.applied_revision)
    };
    store
        .note_applied_revision(scope, id, 1)
        .await
        .expect("noted");
    let password = Sealed::from_bytes(vec![9]);
    store
        .set_database_password(scope, id, &password, &lab.event())
        .await
        .expect("set");
    assert_eq!(revisions().await, (2, 1));
    store
        .note_applied_revision(scope, id, 2)
        .await
        .expect("noted");
    // Somebody who is late with an older one.
    store
        .note_applied_revision(scope, id, 1)
        .await
        .expect("noted");
    assert_eq!(revisions().await, (2, 2));
}

#[tokio::test]
async fn one_backup_at_a_time_is_made_and_ends_once() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let id = lab.database("cache").await;
    let first = backup(&lab, id);
    store
        .create_backup(scope, &first, None)
        .await
        .expect("a backup");
    let second = store.create_backup(scope, &backup(&lab, id), None).await;
    assert!(matches!(second, Err(Error::Taken(_))), "{second:?}");
    let facts = async || store.backup_facts(scope, id).await.expect("read");
    assert!(facts().await.last_succeeded_at.is_none());
    let now = lab.now();
    store
        .finish_backup(scope, first.id, Err("no room"), now)
        .await
        .expect("noted");
    assert_eq!(facts().await.last_error.as_deref(), Some("no room"));
    // It has ended.
    store
        .finish_backup(scope, first.id, Ok(&made()), now)
        .await
        .expect("noted");
    let found = store.get_backup(scope, id, first.id).await.expect("read");
    assert_eq!(found.status, BackupStatus::Failed);
    let other = lab.workspace("other").await;
    let foreign = store.get_backup(&other, id, first.id).await;
    assert!(
        matches!(foreign, Err(Error::NotFound("backup"))),
        "{foreign:?}"
    );
}

#[tokio::test]
async fn the_newest_backups_are_kept_and_failures_hide_no_good_one() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let id = lab.database("cache").await;
    let mut ids = Vec::new();
    for nth in 0..4 {
        let new = NewBackup {
            now: lab.in_seconds(nth),
            ..backup(&lab, id)
        };
        store
            .create_backup(scope, &new, None)
            .await
            .expect("a backup");
        let made = made();
        let outcome = if nth == 3 { Err("broken") } else { Ok(&made) };
        store
            .finish_backup(scope, new.id, outcome, lab.in_seconds(nth))
            .await
            .expect("noted");
        ids.push(new.id);
    }
    let surplus = store
        .list_surplus_backups(scope, id, 2)
        .await
        .expect("read");
    let surplus: Vec<_> = surplus.iter().map(|backup| backup.id).collect();
    assert_eq!(surplus, [ids[0]]);
}

#[tokio::test]
async fn a_due_backup_is_taken_by_one_and_a_restore_waits_for_the_one_before() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let id = lab.database("cache").await;
    let due = lab.in_seconds(60);
    let changes = DatabaseChanges {
        project: ProjectChanges {
            name: "cache".to_owned(),
            source: Source::Image,
            image: Some("redis:8".parse().expect("an image")),
            run: lab.run(),
            build: None,
            replicas: 1,
            scale: Scale::new(),
        },
        version: "8".to_owned(),
        storage_gb: 1,
        backup_schedule: Some("0 3 * * *".to_owned()),
        backup_keep: 2,
        next_backup_at: Some(due),
    };
    let change = async |generation| {
        store
            .update_database(scope, id, generation, &changes, lab.now(), &lab.event())
            .await
    };
    assert!(matches!(change(7).await, Err(Error::Conflict(_))));
    let before = store.list_due_backups_for_task(due).await.expect("read");
    assert!(before.is_empty(), "nothing of it is changed: {before:?}");
    change(0).await.expect("changed");
    let list = async |now| store.list_due_backups_for_task(now).await.expect("read");
    assert!(list(lab.in_seconds(59)).await.is_empty());
    assert_eq!(list(due).await.len(), 1);
    let next = Some(lab.in_seconds(120));
    let moved = async || store.move_next_backup(scope, id, due, next).await;
    assert!(moved().await.expect("moved"));
    assert!(!moved().await.expect("it was moved already"));

    let backup_id = BackupId::from_uuid(lab.ids.uuid());
    let request = async || {
        store
            .request_restore(scope, id, backup_id, &lab.event())
            .await
    };
    request().await.expect("wanted");
    assert!(matches!(request().await, Err(Error::Conflict(_))));
    assert_eq!(store.list_restores_for_task().await.expect("read").len(), 1);
    store
        .finish_restore(scope, id, Some("no"), lab.now())
        .await
        .expect("noted");
    assert!(
        store
            .list_restores_for_task()
            .await
            .expect("read")
            .is_empty()
    );
    request().await.expect("wanted again");
}

#[tokio::test]
async fn a_database_keeps_its_port_and_no_two_have_the_same() {
    let lab = Lab::new().await;
    let (store, scope) = (&lab.store, &lab.scope);
    let (one, two, three) = (
        lab.database("one").await,
        lab.database("two").await,
        lab.database("three").await,
    );
    let event = lab.event();
    let here: IpRange = "203.0.113.0/24".parse().expect("a range");
    let expose = async |id, allow: &[IpRange]| {
        let event = lab.event();
        let exposed = store.expose_database(scope, id, 32_000..=32_001, allow, &event);
        exposed.await.expect("written").map(Port::get)
    };
    let exposure = async |id| {
        let database = store.find_database(scope, id).await.expect("read");
        database.expect("a database").exposure
    };
    assert_eq!(exposure(one).await, None);
    assert_eq!(expose(one, &[]).await, Some(32_000));
    assert_eq!(expose(two, &[]).await, Some(32_001));
    assert_eq!(expose(three, &[]).await, None);
    assert_eq!(exposure(three).await, None);
    // It is the same with other ranges, also when the operator gives others.
    let (ports, allow) = (33_000..=33_000, [here]);
    let again = store.expose_database(scope, one, ports, &allow, &event);
    assert_eq!(again.await.expect("written").map(Port::get), Some(32_000));
    assert_eq!(exposure(one).await.expect("exposed").allow, [here]);
    // Other workspaces change nothing.
    let other = lab.workspace("other").await;
    let hidden = store.hide_database(&other, one, &lab.event()).await;
    hidden.expect("written");
    assert!(exposure(one).await.is_some());

    let hidden = store.hide_database(scope, one, &lab.event()).await;
    hidden.expect("written");
    assert_eq!(exposure(one).await, None);
    assert_eq!(expose(three, &[]).await, Some(32_000));
    // One that is deleted has none any more.
    let deletion = lab.event();
    let deleted = store.delete_project(scope, two, lab.now(), &deletion);
    deleted.await.expect("deleted");
    assert_eq!(expose(one, &[]).await, Some(32_001));
    assert_eq!(store.check().await.expect("checked"), []);
}

//! The suite's cases for `maintenance`.

use std::time::Duration;

use tose_api::maintenance::{MaintenanceRepeat, MaintenanceTime};
use tose_api::{MaintenanceId, ProjectId, Slug, Timestamp};
use tose_model::IdGen;
use tose_model::maintenance::MaintenanceTimes;
use tose_store::{Error, Maintenance};

use crate::harness::Lab;

const DAY: u64 = 24 * 3600;
/// The most that a workspace may have here.
const MOST: u32 = 3;

/// One of an hour that begins in so many seconds.
fn planned(
    lab: &Lab,
    begin: u64,
    repeat: Option<MaintenanceRepeat>,
    project: Option<(ProjectId, Slug)>,
) -> Maintenance {
    let first = MaintenanceTime {
        starts_at: lab.in_seconds(begin),
        ends_at: lab.in_seconds(begin + 3600),
    };
    Maintenance {
        id: MaintenanceId::from_uuid(lab.ids.uuid()),
        title: "A larger disk".to_owned(),
        times: MaintenanceTimes { first, repeat },
        projects: project.map(|project| vec![project]),
        created_at: lab.now(),
    }
}

async fn create(lab: &Lab, new: &Maintenance) -> Result<(), Error> {
    lab.store
        .create_maintenance(&lab.scope, new, MOST, &lab.event())
        .await
}

async fn list(lab: &Lab, since: Timestamp, most: u32) -> Vec<Maintenance> {
    let listed = lab.store.list_maintenances(&lab.scope, since, most).await;
    listed.expect("a list")
}

const WEEKLY: Option<MaintenanceRepeat> = Some(MaintenanceRepeat::Weekly);

#[tokio::test]
async fn one_that_repeats_is_kept_for_ever_and_listed_first() {
    let lab = Lab::new().await;
    let shop = lab.project("shop").await;
    let named = (shop, "shop".parse().expect("a slug"));
    let weekly = planned(&lab, 0, WEEKLY, Some(named));
    let once = planned(&lab, DAY, None, None);
    for new in [&weekly, &once] {
        create(&lab, new).await.expect("made");
    }
    let begin = lab.now();
    assert_eq!(list(&lab, begin, 9).await, [weekly.clone(), once]);
    lab.clock.advance(Duration::from_secs(400 * DAY));
    let now = lab.now();
    lab.store
        .forget_old_maintenances_for_task(now)
        .await
        .expect("forgotten");
    let kept = list(&lab, begin, 9).await;
    assert_eq!(kept, std::slice::from_ref(&weekly));
    // However many come once and begin later, it is among the first.
    let later = planned(&lab, DAY, None, None);
    create(&lab, &later).await.expect("made");
    assert_eq!(list(&lab, now, 1).await, [weekly]);
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn a_window_that_repeats_covers_each_of_its_times_and_only_its_projects() {
    let lab = Lab::new().await;
    let (shop, other) = (lab.project("shop").await, lab.project("other").await);
    let named = (shop, "shop".parse().expect("a slug"));
    create(&lab, &planned(&lab, 60, WEEKLY, Some(named)))
        .await
        .expect("made");
    create(&lab, &planned(&lab, 60, None, None))
        .await
        .expect("made");
    let at = |weeks: u64, seconds: u64| lab.in_seconds(weeks * 7 * DAY + seconds);
    let windows = lab.store.list_windows_for_task(lab.now()).await;
    assert_eq!(windows.expect("a list").len(), 2);
    // Long after the first of its times, and after the one that came once.
    let windows = lab.store.list_windows_for_task(at(9, 0)).await;
    let windows = windows.expect("a list");
    let [window] = &windows[..] else {
        panic!("{windows:?}");
    };
    assert_eq!(window.workspace_id, lab.scope.id());
    for (time, is_covered) in [
        (at(0, 59), false),
        (at(0, 60), true),
        (at(9, 59), false),
        (at(9, 60), true),
        (at(9, 3659), true),
        (at(9, 3660), false),
        (at(9, 4 * DAY), false),
    ] {
        assert_eq!(window.covers(shop, time), is_covered, "{time}");
        assert!(!window.covers(other, time), "{time}");
    }
}

#[tokio::test]
async fn those_that_repeat_never_make_room_for_others() {
    let lab = Lab::new().await;
    for repeat in [WEEKLY, WEEKLY, None] {
        create(&lab, &planned(&lab, 0, repeat, None))
            .await
            .expect("made");
    }
    let refused = create(&lab, &planned(&lab, DAY, None, None)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    lab.clock.advance(Duration::from_secs(DAY));
    let new = planned(&lab, DAY, None, None);
    create(&lab, &new)
        .await
        .expect("the one that came once is over");
    let refused = create(&lab, &planned(&lab, DAY, None, None)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let first = list(&lab, lab.now(), 1).await.remove(0);
    lab.store
        .delete_maintenance(&lab.scope, first.id, &lab.event())
        .await
        .expect("deleted");
    let new = planned(&lab, DAY, None, None);
    create(&lab, &new).await.expect("there is room");
}

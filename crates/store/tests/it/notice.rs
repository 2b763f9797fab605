//! The suite's cases for channels of notifications and the outbox.

use std::time::Duration;

use tose_api::notification::{ChannelKind, DeliveryState, NoticeEvent};
use tose_api::{NoticeId, NotificationChannelId, ProjectId, Slug, Timestamp};
use tose_model::IdGen;
use tose_model::notice::Outlet;
use tose_model::secret::Sealed;
use tose_store::{Attempt, DueOutlet, Error, Fate, LastMessage, Notice, NotificationChannel};

use crate::harness::Lab;

const PACE: Duration = Duration::from_secs(10);
const MOST: u32 = 3;

fn channel(lab: &Lab, name: &str) -> NotificationChannel {
    NotificationChannel {
        id: NotificationChannelId::from_uuid(lab.ids.uuid()),
        workspace_id: lab.scope.id(),
        name: name.to_owned(),
        kind: ChannelKind::Slack,
        is_enabled: true,
        events: Vec::new(),
        projects: Vec::new(),
        target: "https://hooks.example.com".to_owned(),
        secrets: Some(Sealed::from_bytes(vec![1, 2, 3])),
        last: None,
        created_at: lab.now(),
        updated_at: lab.now(),
    }
}

async fn create(lab: &Lab, channel: &NotificationChannel) -> Result<(), Error> {
    let event = lab.event();
    lab.store
        .create_notification_channel(&lab.scope, channel, MOST, &event)
        .await
}

fn notice(lab: &Lab, project_id: Option<ProjectId>, key: &str) -> Notice {
    Notice {
        id: NoticeId::from_uuid(lab.ids.uuid()),
        workspace_id: Some(lab.scope.id()),
        project_id,
        event: NoticeEvent::DeployFailed,
        key: key.to_owned(),
        title: key.to_owned(),
        text: "why".to_owned(),
        at: lab.now(),
    }
}

async fn put(lab: &Lab, notice: &Notice) -> bool {
    let noted = lab.store.note_notice(notice, &[], PACE).await;
    noted.expect("noted")
}

fn due_of(channel: &NotificationChannel) -> DueOutlet {
    DueOutlet {
        workspace_id: Some(channel.workspace_id),
        outlet: Outlet::Channel(channel.id),
    }
}

async fn due(lab: &Lab, now: Timestamp) -> Vec<DueOutlet> {
    let due = lab.store.list_due_outlets_for_task(now, 10).await;
    due.expect("a list")
}

async fn states(lab: &Lab, channel: &NotificationChannel) -> Vec<(String, DeliveryState, u32)> {
    let list = lab
        .store
        .list_notice_deliveries(&lab.scope, channel.id, 50)
        .await;
    let list = list.expect("a list").into_iter();
    list.map(|one| (one.title, one.state, one.attempts))
        .collect()
}

#[tokio::test]
async fn channels_are_written_read_changed_and_removed() {
    let lab = Lab::new().await;
    let mut one = channel(&lab, "b");
    one.events = vec![NoticeEvent::UptimeDown];
    one.projects = vec!["shop".parse().expect("a slug")];
    create(&lab, &one).await.expect("made");
    let find = async |id| {
        lab.store
            .find_notification_channel(&lab.scope, id)
            .await
            .expect("read")
    };
    assert_eq!(find(one.id).await.as_ref(), Some(&one));
    let taken = create(&lab, &channel(&lab, "b")).await;
    assert!(matches!(taken, Err(Error::Taken(_))), "{taken:?}");
    create(&lab, &channel(&lab, "a")).await.expect("made");
    create(&lab, &channel(&lab, "c")).await.expect("made");
    let full = create(&lab, &channel(&lab, "d")).await;
    assert!(matches!(full, Err(Error::Conflict(_))), "{full:?}");
    let list = lab.store.list_notification_channels(&lab.scope).await;
    let names: Vec<_> = list
        .expect("a list")
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    one.name = "a".to_owned();
    let change = async |one: &NotificationChannel| {
        let event = lab.event();
        lab.store
            .update_notification_channel(&lab.scope, one, &event)
            .await
    };
    assert!(matches!(change(&one).await, Err(Error::Taken(_))));
    one.name = "z".to_owned();
    one.secrets = None;
    change(&one).await.expect("changed");
    let last = LastMessage {
        at: lab.now(),
        problem: Some("no".to_owned()),
    };
    lab.store
        .note_channel_message(&lab.scope, one.id, &last)
        .await
        .expect("noted");
    one.last = Some(last);
    assert_eq!(find(one.id).await, Some(one.clone()));
    let other = lab.workspace("other").await;
    let found = lab
        .store
        .find_notification_channel(&other, one.id)
        .await
        .expect("read");
    assert_eq!(found, None, "of another workspace");
    let gone = lab
        .store
        .delete_notification_channel(&other, one.id, &lab.event())
        .await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
    let gone = lab
        .store
        .delete_notification_channel(&lab.scope, one.id, &lab.event())
        .await;
    gone.expect("removed");
    assert_eq!(find(one.id).await, None);
}

#[tokio::test]
async fn a_notice_is_noted_once_for_the_channels_that_want_it() {
    let lab = Lab::new().await;
    let (shop, slug): (_, Slug) = (lab.project("shop").await, "shop".parse().expect("a slug"));
    let all = channel(&lab, "all");
    let mut other = channel(&lab, "other");
    other.projects = vec!["blog".parse().expect("a slug")];
    let mut off = channel(&lab, "off");
    off.is_enabled = false;
    for one in [&all, &other, &off] {
        create(&lab, one).await.expect("made");
    }
    let one = notice(&lab, Some(shop), "x");
    assert!(
        !lab.store
            .is_noted(one.workspace_id, "x")
            .await
            .expect("asked")
    );
    assert!(put(&lab, &one).await);
    assert!(
        !put(&lab, &notice(&lab, Some(shop), "x")).await,
        "the same key"
    );
    assert!(
        lab.store
            .is_noted(one.workspace_id, "x")
            .await
            .expect("asked")
    );
    assert!(!lab.store.is_noted(None, "x").await.expect("asked"));
    assert_eq!(due(&lab, lab.now()).await, [due_of(&all)]);
    let waiting = lab
        .store
        .list_waiting_for_task(&due_of(&all), 10)
        .await
        .expect("a list");
    assert_eq!(waiting[0].item.id, one.id);
    assert_eq!(waiting[0].item.project, Some(slug));
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 0));
    // What is of no project is of each.
    assert!(put(&lab, &notice(&lab, None, "y")).await);
    assert_eq!(due(&lab, lab.now()).await.len(), 2);
    let gone = notice(&lab, Some(ProjectId::from_uuid(lab.ids.uuid())), "z");
    assert!(!put(&lab, &gone).await, "its project is gone");
    let deleted = lab
        .store
        .delete_project(&lab.scope, shop, lab.now(), &lab.event())
        .await;
    deleted.expect("deleted");
    assert_eq!(
        states(&lab, &all).await,
        [("y".to_owned(), DeliveryState::Waiting, 0)]
    );
    assert_eq!(lab.store.check().await.expect("a check"), Vec::new());
}

#[tokio::test]
async fn an_attempt_moves_what_was_in_it_and_lets_the_outlet_wait() {
    let lab = Lab::new().await;
    let all = channel(&lab, "all");
    create(&lab, &all).await.expect("made");
    let (one, two) = (notice(&lab, None, "1"), notice(&lab, None, "2"));
    put(&lab, &one).await;
    put(&lab, &two).await;
    let outlet = due_of(&all);
    let failed = Attempt {
        fates: vec![(one.id, Fate::Again), (two.id, Fate::GivenUp)],
        problem: Some("no".to_owned()),
        at: lab.now(),
        next_at: lab.in_seconds(60),
    };
    lab.store
        .note_attempt_for_task(&outlet, &failed)
        .await
        .expect("noted");
    let expected = [
        ("2", DeliveryState::Failed, 1),
        ("1", DeliveryState::Waiting, 1),
    ];
    assert_eq!(
        states(&lab, &all).await,
        expected.map(|(a, b, c)| (a.to_owned(), b, c))
    );
    assert_eq!(due(&lab, lab.in_seconds(59)).await, []);
    // What comes meanwhile waits with it.
    let three = notice(&lab, None, "3");
    put(&lab, &three).await;
    assert_eq!(due(&lab, lab.in_seconds(59)).await, []);
    assert_eq!(
        due(&lab, lab.in_seconds(60)).await,
        std::slice::from_ref(&outlet)
    );
    let taken = Attempt {
        fates: vec![(one.id, Fate::LeftOut), (three.id, Fate::Delivered)],
        problem: None,
        at: lab.in_seconds(60),
        next_at: lab.in_seconds(70),
    };
    lab.store
        .note_attempt_for_task(&outlet, &taken)
        .await
        .expect("noted");
    lab.store
        .note_attempt_for_task(&outlet, &failed)
        .await
        .expect("noted");
    let states = states(&lab, &all).await;
    let states: Vec<_> = states.into_iter().map(|(_, state, _)| state).collect();
    let ended = [
        DeliveryState::Delivered,
        DeliveryState::Failed,
        DeliveryState::LeftOut,
    ];
    assert_eq!(states, ended, "what has ended stays");
    let count = async |since| {
        lab.store
            .count_messages_for_task(&outlet, since)
            .await
            .expect("a count")
    };
    assert_eq!(count(lab.now()).await, (1, Some(lab.in_seconds(60))));
    assert_eq!(count(lab.in_seconds(60)).await, (0, None));
    // The next message comes a while after the last one.
    let four = Notice {
        at: lab.in_seconds(65),
        ..notice(&lab, None, "4")
    };
    put(&lab, &four).await;
    assert_eq!(due(&lab, lab.in_seconds(69)).await, []);
    assert_eq!(
        due(&lab, lab.in_seconds(70)).await,
        std::slice::from_ref(&outlet)
    );
    let until = lab.in_seconds(500);
    lab.store
        .postpone_outlet_for_task(&outlet, until)
        .await
        .expect("postponed");
    assert_eq!(due(&lab, lab.in_seconds(499)).await, []);
    let (later, all_messages) = (lab.in_seconds(1), lab.in_seconds(1000));
    lab.store
        .forget_notices_for_task(later, all_messages)
        .await
        .expect("forgotten");
    assert_eq!(count(lab.now()).await, (0, None));
    let waiting = lab
        .store
        .list_waiting_for_task(&outlet, 10)
        .await
        .expect("a list");
    assert_eq!(waiting.len(), 1, "the newest is kept");
}

#[tokio::test]
async fn operators_are_told_of_what_is_of_no_workspace() {
    let lab = Lab::new().await;
    let disk = Notice {
        workspace_id: None,
        ..notice(&lab, None, "disk")
    };
    let mail = Outlet::Mail("ops@example.com".parse().expect("an address"));
    let put = async || {
        lab.store
            .note_notice(&disk, std::slice::from_ref(&mail), PACE)
            .await
    };
    assert!(put().await.expect("noted"));
    assert!(!put().await.expect("noted"));
    let outlet = DueOutlet {
        workspace_id: None,
        outlet: mail.clone(),
    };
    assert_eq!(due(&lab, lab.now()).await, std::slice::from_ref(&outlet));
    let waiting = lab
        .store
        .list_waiting_for_task(&outlet, 10)
        .await
        .expect("a list");
    assert_eq!(waiting.len(), 1);
    assert_eq!(lab.store.check().await.expect("a check"), Vec::new());
}

#[tokio::test]
async fn a_workspace_that_is_deleted_leaves_nothing() {
    let lab = Lab::new().await;
    let all = channel(&lab, "all");
    create(&lab, &all).await.expect("made");
    put(&lab, &notice(&lab, None, "1")).await;
    let deleted = lab
        .store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await;
    deleted.expect("deleted");
    assert_eq!(due(&lab, lab.in_seconds(100)).await, []);
    let list = lab
        .store
        .list_notification_channels(&lab.scope)
        .await
        .expect("a list");
    assert_eq!(list, []);
    assert!(!put(&lab, &notice(&lab, None, "2")).await);
}

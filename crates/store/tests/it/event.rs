//! The suite's cases for `event`.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tose_api::UserId;
use tose_api::envelope::Paging;
use tose_api::event::{EventView, Via};
use tose_model::IdGen;
use tose_model::access::{Actor, WorkspaceScope};
use tose_store::{Error, NewEvent};

use crate::harness::Lab;

async fn page(lab: &Lab, scope: &WorkspaceScope, page: u32) -> (Vec<EventView>, u64) {
    let paging = Paging::new(Some(page), Some(2)).expect("a page");
    lab.store.list_events(scope, paging).await.expect("a list")
}

async fn add(lab: &Lab, scope: &WorkspaceScope, target: &str) {
    let event = NewEvent {
        target: target.to_owned(),
        ..lab.event()
    };
    lab.store.add_event(scope, &event).await.expect("written");
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let lab = Lab::new().await;
    let user_id = UserId::from_uuid(lab.ids.uuid());
    let event = NewEvent {
        actor: Actor {
            user_id: Some(user_id),
            name: "ada@example.com".to_owned(),
            via: Via::Session,
            ip: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            idempotency: Some("n".to_owned()),
        },
        action: "project.create",
        target: "shop".to_owned(),
        ..lab.event()
    };
    lab.store
        .add_event(&lab.scope, &event)
        .await
        .expect("written");
    let expected = EventView {
        id: event.id,
        action: "project.create".to_owned(),
        target: "shop".to_owned(),
        actor: "ada@example.com".to_owned(),
        user_id: Some(user_id),
        via: Some(Via::Session),
        ip: Some("::1".to_owned()),
        created_at: lab.now(),
    };
    assert_eq!(page(&lab, &lab.scope, 1).await, (vec![expected], 1));
}

#[tokio::test]
async fn each_way_in_which_somebody_shows_who_they_are_is_read_back() {
    let lab = Lab::new().await;
    let all = [Via::ApiKey, Via::Session, Via::Hook, Via::System];
    for via in all {
        let mut event = lab.event();
        event.actor.via = via;
        let written = lab.store.add_event(&lab.scope, &event).await;
        written.expect("written");
        assert_eq!(page(&lab, &lab.scope, 1).await.0[0].via, Some(via));
    }
}

#[tokio::test]
async fn events_come_newest_first_in_pages() {
    let lab = Lab::new().await;
    for target in ["a", "b", "c"] {
        add(&lab, &lab.scope, target).await;
        lab.clock.advance(Duration::from_secs(1));
    }
    // These two are of the same moment: the later id comes first.
    for target in ["d", "e"] {
        add(&lab, &lab.scope, target).await;
    }
    for (number, expected) in [(1, "e d"), (2, "c b"), (3, "a"), (4, "")] {
        let (events, total) = page(&lab, &lab.scope, number).await;
        let targets: Vec<_> = events.iter().map(|event| event.target.as_str()).collect();
        assert_eq!((targets.join(" ").as_str(), total), (expected, 5));
    }
}

#[tokio::test]
async fn another_workspaces_events_are_not_shown() {
    let lab = Lab::new().await;
    let other = lab.workspace("other").await;
    add(&lab, &lab.scope, "ours").await;
    assert_eq!(page(&lab, &other, 1).await, (Vec::new(), 0));
    add(&lab, &other, "theirs").await;
    for (scope, target) in [(&lab.scope, "ours"), (&other, "theirs")] {
        let (events, total) = page(&lab, scope, 1).await;
        let targets: Vec<_> = events.iter().map(|event| event.target.as_str()).collect();
        assert_eq!((targets.as_slice(), total), ([target].as_slice(), 1));
    }
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_event() {
    let lab = Lab::new().await;
    lab.project("shop").await;
    let before = lab.count_events(&lab.scope).await;
    let refused = lab
        .try_project(&lab.scope, "shop", &["x.example.com"])
        .await;
    assert!(matches!(refused, Err(Error::Taken(_))), "{refused:?}");
    assert_eq!(lab.count_events(&lab.scope).await, before);
}

#[tokio::test]
async fn a_change_whose_event_cannot_be_written_does_not_happen() {
    let lab = Lab::new().await;
    let event = lab.event();
    lab.store
        .add_event(&lab.scope, &event)
        .await
        .expect("written");
    let failed = lab.store.rename_workspace(&lab.scope, "New", &event).await;
    assert!(matches!(failed, Err(Error::Query { .. })), "{failed:?}");
    let workspace = lab
        .store
        .get_workspace(&lab.scope)
        .await
        .expect("a workspace");
    assert_eq!(workspace.name, "demo");
}

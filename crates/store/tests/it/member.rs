//! The suite's cases for `member`.

use tose_api::UserId;
use tose_api::workspace::Role;
use tose_model::IdGen;
use tose_model::access::WorkspaceScope;
use tose_store::{Error, Result};

use crate::harness::Lab;

/// The workspace's members in the order in which they came.
async fn roles(lab: &Lab, scope: &WorkspaceScope) -> Vec<(UserId, Role)> {
    let members = lab.store.list_members(scope).await.expect("a list");
    members
        .iter()
        .map(|member| (member.user_id, member.role))
        .collect()
}

async fn change(lab: &Lab, user_id: UserId, role: Role) -> Result<()> {
    let event = lab.event();
    lab.store
        .change_role(&lab.scope, user_id, role, &event)
        .await
}

async fn remove(lab: &Lab, user_id: UserId, highest: Role) -> Result<()> {
    let event = lab.event();
    lab.store
        .remove_member(&lab.scope, user_id, highest, &event)
        .await
}

#[tokio::test]
async fn members_come_change_and_go_and_each_time_rights_change() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    let mut epoch = lab.store.credentials_epoch();
    let mut has_grown = || {
        let before = std::mem::replace(&mut epoch, lab.store.credentials_epoch());
        before < epoch
    };
    let id = lab.member("a@example.com", Role::Member).await;
    assert!(has_grown());
    let members = lab.store.list_members(&lab.scope).await.expect("a list");
    let fresh = members.last().expect("a member");
    assert_eq!(
        (fresh.email.as_str(), fresh.role, fresh.created_at),
        ("a@example.com", Role::Member, lab.now())
    );
    change(&lab, id, Role::Admin).await.expect("changed");
    assert!(has_grown());
    assert_eq!(
        roles(&lab, &lab.scope).await,
        [(owner, Role::Owner), (id, Role::Admin)]
    );
    remove(&lab, id, Role::Owner).await.expect("removed");
    assert!(has_grown());
    assert_eq!(roles(&lab, &lab.scope).await, [(owner, Role::Owner)]);
    assert_eq!(lab.count_events(&lab.scope).await, 3);
}

#[tokio::test]
async fn the_last_owner_is_neither_lowered_nor_removed() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    let admin = lab.member("admin@example.com", Role::Admin).await;
    let events = lab.count_events(&lab.scope).await;
    let epoch = lab.store.credentials_epoch();
    for refused in [
        change(&lab, owner, Role::Admin).await,
        change(&lab, owner, Role::Member).await,
        remove(&lab, owner, Role::Owner).await,
    ] {
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    }
    assert_eq!(lab.count_events(&lab.scope).await, events);
    assert_eq!(lab.store.credentials_epoch(), epoch);
    change(&lab, owner, Role::Owner).await.expect("stays owner");
    change(&lab, admin, Role::Owner).await.expect("raised");
    change(&lab, owner, Role::Member).await.expect("lowered");
    let last = remove(&lab, admin, Role::Owner).await;
    assert!(matches!(last, Err(Error::Conflict(_))), "{last:?}");
    assert_eq!(
        roles(&lab, &lab.scope).await,
        [(owner, Role::Member), (admin, Role::Owner)]
    );
}

#[tokio::test]
async fn of_two_owners_that_go_at_once_one_stays() {
    let lab = Lab::new().await;
    let first = lab.owner(&lab.scope).await;
    let second = lab.member("second@example.com", Role::Owner).await;
    let check = async |one: Result<()>, other: Result<()>| {
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert!(matches!(one.and(other), Err(Error::Conflict(_))));
        let roles = roles(&lab, &lab.scope).await;
        let owners = roles.iter().filter(|(_, role)| *role == Role::Owner);
        assert_eq!(owners.count(), 1);
    };
    let (one, other) = tokio::join!(
        change(&lab, first, Role::Member),
        change(&lab, second, Role::Admin)
    );
    check(one, other).await;
    for id in [first, second] {
        change(&lab, id, Role::Owner).await.expect("raised");
    }
    let (one, other) = tokio::join!(
        remove(&lab, first, Role::Owner),
        change(&lab, second, Role::Admin)
    );
    check(one, other).await;
}

#[tokio::test]
async fn a_removed_members_keys_are_void() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    let id = lab.member("a@example.com", Role::Admin).await;
    let other = lab.workspace("other").await;
    lab.store
        .add_member(&other, id, Role::Member, &lab.event())
        .await
        .expect("a member");
    for (scope, user_id, hash) in [(&lab.scope, id, 1), (&other, id, 2), (&lab.scope, owner, 3)] {
        lab.store
            .create_api_key(scope, user_id, &lab.key(hash), &lab.event())
            .await
            .expect("a key");
        assert!(lab.has_key(hash).await);
    }
    remove(&lab, id, Role::Admin).await.expect("removed");
    assert!(!lab.has_key(1).await);
    assert!(lab.has_key(2).await, "the key to another workspace");
    assert!(lab.has_key(3).await, "another member's key");
    let found = lab.store.find_membership(id, "demo").await.expect("read");
    assert_eq!(found, None);
    lab.store
        .add_member(&lab.scope, id, Role::Member, &lab.event())
        .await
        .expect("a member again");
    assert!(
        !lab.has_key(1).await,
        "it does not come back with its holder"
    );
}

#[tokio::test]
async fn an_unknown_account_is_not_added_and_a_member_not_twice() {
    let lab = Lab::new().await;
    let id = lab.member("a@example.com", Role::Member).await;
    let before = roles(&lab, &lab.scope).await;
    let events = lab.count_events(&lab.scope).await;
    let add = async |id: UserId| {
        let event = lab.event();
        lab.store
            .add_member(&lab.scope, id, Role::Admin, &event)
            .await
    };
    let unknown = add(UserId::from_uuid(lab.ids.uuid())).await;
    assert!(
        matches!(unknown, Err(Error::NotFound("user"))),
        "{unknown:?}"
    );
    let twice = add(id).await;
    assert!(matches!(twice, Err(Error::Taken(_))), "{twice:?}");
    assert_eq!(roles(&lab, &lab.scope).await, before);
    assert_eq!(lab.count_events(&lab.scope).await, events);
}

#[tokio::test]
async fn another_workspace_changes_nobody() {
    let lab = Lab::new().await;
    let id = lab.member("a@example.com", Role::Member).await;
    let other = lab.workspace("other").await;
    let before = roles(&lab, &lab.scope).await;
    let changed = lab
        .store
        .change_role(&other, id, Role::Admin, &lab.event())
        .await;
    assert!(matches!(changed, Err(Error::NotFound("member"))));
    let removed = lab
        .store
        .remove_member(&other, id, Role::Owner, &lab.event())
        .await;
    assert!(matches!(removed, Err(Error::NotFound("member"))));
    assert_eq!(roles(&lab, &lab.scope).await, before);
    let theirs = roles(&lab, &other).await;
    assert!(theirs.iter().all(|(user_id, _)| *user_id != id));
    assert_eq!(lab.count_events(&other).await, 0);
}

#[tokio::test]
async fn a_member_whose_role_is_above_what_the_caller_saw_is_not_removed() {
    let lab = Lab::new().await;
    let id = lab.member("a@example.com", Role::Member).await;
    lab.store
        .create_api_key(&lab.scope, id, &lab.key(1), &lab.event())
        .await
        .expect("a key");
    change(&lab, id, Role::Admin).await.expect("raised");
    let refused = remove(&lab, id, Role::Member).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert!(roles(&lab, &lab.scope).await.contains(&(id, Role::Admin)));
    assert!(lab.has_key(1).await);
    remove(&lab, id, Role::Admin).await.expect("removed");
    let again = remove(&lab, id, Role::Owner).await;
    assert!(matches!(again, Err(Error::NotFound("member"))), "{again:?}");
}

//! The suite's cases for `session`.

use std::time::Duration;

use tose_api::workspace::Role;
use tose_api::{SessionId, UserId, WorkspaceId};
use tose_model::IdGen;
use tose_store::{Error, NewSession, NewWorkspace, Session};

use crate::harness::Lab;

#[tokio::test]
async fn a_login_is_found_by_its_token_until_it_ends() {
    let lab = Lab::new().await;
    let user_id = lab.user("a@example.com").await;
    let id = lab.login(user_id, 1).await;
    let expected = Session {
        id,
        user_id,
        email: "a@example.com".to_owned(),
        is_operator: false,
        token_hash: vec![1; 32],
        last_seen_at: lab.now(),
        expires_at: lab.in_seconds(60),
    };
    let find = async |token: u8| {
        let found = lab.store.find_session(&[token; 32], lab.now()).await;
        found.expect("read")
    };
    assert_eq!(find(1).await, Some(expected.clone()));
    assert_eq!(find(2).await, None);
    lab.clock.advance(Duration::from_secs(59));
    lab.store.touch_session(id, lab.now()).await.expect("noted");
    let seen = Session {
        last_seen_at: lab.now(),
        ..expected
    };
    assert_eq!(find(1).await, Some(seen));
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(find(1).await, None);
}

#[tokio::test]
async fn ended_logins_are_dropped_at_the_next_login_of_their_account() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    let other = lab.user("b@example.com").await;
    let start = lab.now();
    lab.login(id, 1).await;
    lab.login(other, 2).await;
    lab.clock.advance(Duration::from_secs(30));
    lab.login(id, 3).await;
    lab.clock.advance(Duration::from_secs(30));
    // Whoever asks as of the start sees every row that is still there.
    let is_kept = async |token: u8| {
        let found = lab.store.find_session(&[token; 32], start).await;
        found.expect("read").is_some()
    };
    assert!(is_kept(1).await);
    lab.login(id, 4).await;
    assert!(!is_kept(1).await);
    assert!(is_kept(2).await, "another account's");
    assert!(is_kept(3).await, "it has not ended");
    assert!(is_kept(4).await);
}

#[tokio::test]
async fn whoever_remembers_a_login_notices_its_end() {
    let lab = Lab::new().await;
    let user_id = lab.user("a@example.com").await;
    let id = lab.login(user_id, 1).await;
    lab.login(user_id, 2).await;
    let epoch = lab.store.credentials_epoch();
    lab.store.touch_session(id, lab.now()).await.expect("noted");
    assert_eq!(
        lab.store.credentials_epoch(),
        epoch,
        "its use changes no right"
    );
    lab.store.delete_session(id).await.expect("ended");
    assert!(lab.store.credentials_epoch() > epoch);
    assert!(!lab.is_logged_in(1).await);
    assert!(lab.is_logged_in(2).await);
    lab.store.delete_session(id).await.expect("ended already");
}

#[tokio::test]
async fn a_login_of_nobody_is_not_written() {
    let lab = Lab::new().await;
    let new = NewSession {
        id: SessionId::from_uuid(lab.ids.uuid()),
        user_id: UserId::from_uuid(lab.ids.uuid()),
        token_hash: [1; 32],
        expires_at: lab.in_seconds(60),
        now: lab.now(),
    };
    let failed = lab.store.create_session(&new).await;
    assert!(matches!(failed, Err(Error::Query { .. })), "{failed:?}");
    assert!(!lab.is_logged_in(1).await);
}

#[tokio::test]
async fn memberships_are_listed_newest_workspace_first_and_without_deleted_ones() {
    let lab = Lab::new().await;
    let id = lab.member("a@example.com", Role::Member).await;
    lab.clock.advance(Duration::from_secs(1));
    let other = lab.workspace("other").await;
    lab.store
        .add_member(&other, id, Role::Admin, &lab.event())
        .await
        .expect("a member");
    lab.clock.advance(Duration::from_secs(1));
    let own = NewWorkspace {
        id: WorkspaceId::from_uuid(lab.ids.uuid()),
        slug: "own".parse().expect("a slug"),
        name: "Own".to_owned(),
        now: lab.now(),
        credit: None,
    };
    lab.store
        .create_workspace(&own, id, &lab.event())
        .await
        .expect("a workspace");
    lab.workspace("strange").await;
    let list = async || -> Vec<(String, Role)> {
        let memberships = lab.store.list_memberships(id).await.expect("a list");
        memberships
            .into_iter()
            .map(|membership| (membership.workspace.to_string(), membership.role))
            .collect()
    };
    let entry = |slug: &str, role| (slug.to_owned(), role);
    assert_eq!(
        list().await,
        [
            entry("own", Role::Owner),
            entry("other", Role::Admin),
            entry("demo", Role::Member)
        ]
    );
    lab.store
        .delete_workspace(&other, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert_eq!(
        list().await,
        [entry("own", Role::Owner), entry("demo", Role::Member)]
    );
}

#[tokio::test]
async fn a_membership_is_found_in_the_accounts_own_workspaces_only() {
    let lab = Lab::new().await;
    let id = lab.member("a@example.com", Role::Admin).await;
    let other = lab.workspace("other").await;
    let find = async |slug: &str| {
        let found = lab.store.find_membership(id, slug).await.expect("read");
        found.map(|membership| (membership.workspace_id, membership.role))
    };
    assert_eq!(find("demo").await, Some((lab.scope.id(), Role::Admin)));
    assert_eq!(find("other").await, None);
    assert_eq!(find("unknown").await, None);
    lab.store
        .add_member(&other, id, Role::Member, &lab.event())
        .await
        .expect("a member");
    assert_eq!(find("other").await, Some((other.id(), Role::Member)));
    lab.store
        .delete_workspace(&other, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert_eq!(find("other").await, None);
}

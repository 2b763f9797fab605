//! The suite's cases for `invitation`.

use std::time::Duration;

use tose_api::UserId;
use tose_api::workspace::Role;
use tose_model::access::{Membership, WorkspaceScope};
use tose_store::{Error, Invitation, Result};

use crate::harness::Lab;

const ADDRESS: &str = "a@example.com";

/// Invites an address with a token that has the hash `[token; 32]`.
async fn invite(
    lab: &Lab,
    scope: &WorkspaceScope,
    email: &str,
    role: Role,
    token: u8,
) -> Invitation {
    let new = lab.invitation(email, role);
    lab.store
        .create_invitation(scope, &new, &[token; 32], &lab.event())
        .await
        .expect("an invitation");
    new
}

async fn accept(lab: &Lab, token: u8, user_id: UserId, email: &str) -> Result<Membership> {
    let event = lab.event();
    lab.store
        .accept_invitation(&[token; 32], user_id, email, &event)
        .await
}

async fn is_invited(lab: &Lab, token: u8, email: &str) -> bool {
    let email = email.parse().expect("an address");
    lab.store
        .is_invited(&[token; 32], &email, lab.now())
        .await
        .expect("read")
}

async fn list(lab: &Lab, scope: &WorkspaceScope) -> Vec<Invitation> {
    lab.store
        .list_invitations(scope, lab.now())
        .await
        .expect("a list")
}

async fn role(lab: &Lab, user_id: UserId) -> Option<Role> {
    let found = lab.store.find_membership(user_id, "demo").await;
    found.expect("read").map(|membership| membership.role)
}

#[tokio::test]
async fn an_invitation_is_accepted_once() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    let new = invite(&lab, &lab.scope, ADDRESS, Role::Admin, 1).await;
    assert_eq!(list(&lab, &lab.scope).await, [new]);
    assert!(is_invited(&lab, 1, ADDRESS).await);
    let epoch = lab.store.credentials_epoch();
    let membership = accept(&lab, 1, id, ADDRESS).await.expect("accepted");
    assert_eq!(
        (
            membership.workspace_id,
            membership.workspace.as_str(),
            membership.role
        ),
        (lab.scope.id(), "demo", Role::Admin)
    );
    assert!(lab.store.credentials_epoch() > epoch);
    assert_eq!(role(&lab, id).await, Some(Role::Admin));
    assert_eq!(list(&lab, &lab.scope).await, []);
    assert!(!is_invited(&lab, 1, ADDRESS).await);
    let again = accept(&lab, 1, id, ADDRESS).await;
    assert!(matches!(again, Err(Error::NotFound("invitation"))));
    assert_eq!(lab.count_events(&lab.scope).await, 2);
}

#[tokio::test]
async fn of_two_that_accept_at_once_one_is_let_in() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    let (first, second) = tokio::join!(accept(&lab, 1, id, ADDRESS), accept(&lab, 1, id, ADDRESS));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(
        first.and(second),
        Err(Error::NotFound("invitation"))
    ));
    assert_eq!(role(&lab, id).await, Some(Role::Member));
}

#[tokio::test]
async fn an_invitation_is_for_its_address_only() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    let stranger = lab.user("stranger@example.com").await;
    invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    assert!(!is_invited(&lab, 1, "stranger@example.com").await);
    assert!(!is_invited(&lab, 2, ADDRESS).await, "an unknown token");
    for refused in [
        accept(&lab, 1, stranger, "stranger@example.com").await,
        accept(&lab, 2, id, ADDRESS).await,
    ] {
        assert!(
            matches!(refused, Err(Error::NotFound("invitation"))),
            "{refused:?}"
        );
    }
    assert_eq!(role(&lab, stranger).await, None);
    assert_eq!(role(&lab, id).await, None);
    accept(&lab, 1, id, ADDRESS)
        .await
        .expect("whom it is for is let in");
}

#[tokio::test]
async fn an_invitation_ends() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    lab.clock.advance(Duration::from_secs(3599));
    assert!(is_invited(&lab, 1, ADDRESS).await);
    assert_eq!(list(&lab, &lab.scope).await.len(), 1);
    lab.clock.advance(Duration::from_secs(1));
    assert!(!is_invited(&lab, 1, ADDRESS).await);
    assert_eq!(list(&lab, &lab.scope).await, []);
    let late = accept(&lab, 1, id, ADDRESS).await;
    assert!(matches!(late, Err(Error::NotFound("invitation"))));
    assert_eq!(role(&lab, id).await, None);
}

#[tokio::test]
async fn a_second_invitation_takes_the_place_of_the_first() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    let other = lab.workspace("other").await;
    invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    let theirs = invite(&lab, &other, ADDRESS, Role::Member, 2).await;
    let somebody = invite(&lab, &lab.scope, "b@example.com", Role::Member, 3).await;
    lab.clock.advance(Duration::from_secs(1));
    let second = invite(&lab, &lab.scope, ADDRESS, Role::Admin, 4).await;
    assert_eq!(list(&lab, &lab.scope).await, [second, somebody]);
    assert_eq!(list(&lab, &other).await, [theirs]);
    assert!(!is_invited(&lab, 1, ADDRESS).await);
    let first = accept(&lab, 1, id, ADDRESS).await;
    assert!(matches!(first, Err(Error::NotFound("invitation"))));
    accept(&lab, 4, id, ADDRESS).await.expect("accepted");
    assert_eq!(role(&lab, id).await, Some(Role::Admin));
}

#[tokio::test]
async fn a_member_keeps_a_higher_role() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    let admin = lab.member(ADDRESS, Role::Admin).await;
    for (id, email, has, token) in [
        (owner, "demo@example.com", Role::Owner, 1),
        (admin, ADDRESS, Role::Admin, 2),
    ] {
        invite(&lab, &lab.scope, email, Role::Member, token).await;
        let membership = accept(&lab, token, id, email).await.expect("accepted");
        assert_eq!(membership.role, has);
        assert_eq!(role(&lab, id).await, Some(has));
    }
    assert_eq!(list(&lab, &lab.scope).await, [], "both are used");
}

#[tokio::test]
async fn another_workspace_neither_lists_nor_deletes_an_invitation() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    let other = lab.workspace("other").await;
    let new = invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    assert_eq!(list(&lab, &other).await, []);
    let foreign = lab
        .store
        .delete_invitation(&other, new.id, &lab.event())
        .await;
    assert!(matches!(foreign, Err(Error::NotFound("invitation"))));
    assert_eq!(lab.count_events(&other).await, 0);
    assert!(is_invited(&lab, 1, ADDRESS).await);
    lab.store
        .delete_invitation(&lab.scope, new.id, &lab.event())
        .await
        .expect("deleted");
    assert!(!is_invited(&lab, 1, ADDRESS).await);
    let late = accept(&lab, 1, id, ADDRESS).await;
    assert!(matches!(late, Err(Error::NotFound("invitation"))));
    let again = lab
        .store
        .delete_invitation(&lab.scope, new.id, &lab.event())
        .await;
    assert!(matches!(again, Err(Error::NotFound("invitation"))));
}

#[tokio::test]
async fn an_invitation_into_a_deleted_workspace_is_void() {
    let lab = Lab::new().await;
    let id = lab.user(ADDRESS).await;
    invite(&lab, &lab.scope, ADDRESS, Role::Member, 1).await;
    lab.store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert!(!is_invited(&lab, 1, ADDRESS).await);
    let late = accept(&lab, 1, id, ADDRESS).await;
    assert!(matches!(late, Err(Error::NotFound("invitation"))));
    let memberships = lab.store.list_memberships(id).await.expect("a list");
    assert_eq!(memberships, []);
}

//! The suite's cases for `account`.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::workspace::Role;
use tose_model::access::{Credential, Membership};
use tose_store::{Error, KeyHolder};

use crate::harness::Lab;

fn membership(holder: &KeyHolder) -> &Membership {
    match &holder.caller.credential {
        Credential::ApiKey { membership, .. } => membership,
        Credential::Session { .. } => panic!("a key's holder came with a login"),
    }
}

#[tokio::test]
async fn bootstrapping_again_makes_one_more_key_for_the_same_account() {
    let lab = Lab::new().await;
    let first = lab
        .store
        .bootstrap(&lab.bootstrap("a@example.com", "shop", 1))
        .await
        .expect("made");
    let second = lab
        .store
        .bootstrap(&lab.bootstrap("a@example.com", "shop", 2))
        .await
        .expect("made");
    assert_eq!(first, second);
    for hash in [1, 2] {
        let holder = lab
            .store
            .find_key_holder(&[hash; 32], lab.now())
            .await
            .expect("read")
            .expect("a caller");
        let membership = membership(&holder);
        assert_eq!(
            (holder.caller.user_id, membership.role),
            (first, Role::Owner)
        );
        assert_eq!(membership.workspace.as_str(), "shop");
        assert_eq!(holder.key_hash, [hash; 32]);
    }
}

#[tokio::test]
async fn a_workspace_of_somebody_else_cannot_be_bootstrapped_into() {
    let lab = Lab::new().await;
    let stranger = lab.bootstrap("stranger@example.com", "demo", 9);
    assert!(matches!(
        lab.store.bootstrap(&stranger).await,
        Err(Error::Taken(_))
    ));
    let found = lab
        .store
        .find_key_holder(&[9; 32], lab.now())
        .await
        .expect("read");
    assert!(found.is_none(), "nothing is half done");
}

#[tokio::test]
async fn a_keys_use_is_noted_and_a_deleted_workspaces_keys_are_void() {
    let lab = Lab::new().await;
    lab.store
        .bootstrap(&lab.bootstrap("a@example.com", "shop", 1))
        .await
        .expect("made");
    let find = async |now: Timestamp| {
        lab.store
            .find_key_holder(&[1; 32], now)
            .await
            .expect("read")
    };
    let holder = find(lab.now()).await.expect("a holder");
    assert_eq!(holder.last_used_at, None);
    let later = lab.now().saturating_add(Duration::from_secs(5));
    lab.store
        .touch_api_key(holder.api_key_id, later)
        .await
        .expect("noted");
    assert_eq!(
        find(later).await.expect("a holder").last_used_at,
        Some(later)
    );
    let scope = tose_model::access::WorkspaceScope::for_task(membership(&holder).workspace_id);
    lab.store
        .delete_workspace(&scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert!(find(later).await.is_none());
}

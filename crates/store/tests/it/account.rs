//! The suite's cases for `account`.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::workspace::Role;
use tose_store::Error;

use crate::harness::Lab;

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
        let (caller, stored, _) = lab
            .store
            .find_caller(&[hash; 32], lab.now())
            .await
            .expect("read")
            .expect("a caller");
        assert_eq!((caller.user_id, caller.role), (first, Role::Owner));
        assert_eq!(caller.workspace.as_str(), "shop");
        assert_eq!(stored, [hash; 32]);
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
        .find_caller(&[9; 32], lab.now())
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
    let find = async |now: Timestamp| lab.store.find_caller(&[1; 32], now).await.expect("read");
    let (caller, _, last_used_at) = find(lab.now()).await.expect("a caller");
    assert_eq!(last_used_at, None);
    let later = lab.now().saturating_add(Duration::from_secs(5));
    lab.store
        .touch_api_key(caller.api_key_id, later)
        .await
        .expect("noted");
    assert_eq!(find(later).await.expect("a caller").2, Some(later));
    let scope = tose_model::access::WorkspaceScope::for_task(caller.workspace_id);
    lab.store
        .delete_workspace(&scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert!(find(later).await.is_none());
}

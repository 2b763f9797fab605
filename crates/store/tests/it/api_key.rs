//! The suite's cases for `api_key`.

use std::time::Duration;

use tose_model::access::WorkspaceScope;
use tose_store::{ApiKey, Error, NewApiKey, Result};

use crate::harness::Lab;

/// Keeps a key of the workspace's owner.
async fn create(lab: &Lab, scope: &WorkspaceScope, key: &NewApiKey) -> Result<()> {
    let owner = lab.owner(scope).await;
    let event = lab.event();
    lab.store.create_api_key(scope, owner, key, &event).await
}

async fn list(lab: &Lab, scope: &WorkspaceScope) -> Vec<ApiKey> {
    lab.store.list_api_keys(scope).await.expect("a list")
}

#[tokio::test]
async fn a_key_is_found_until_it_ends() {
    let lab = Lab::new().await;
    let ending = NewApiKey {
        expires_at: Some(lab.in_seconds(60)),
        ..lab.key(1)
    };
    for key in [&ending, &lab.key(2)] {
        create(&lab, &lab.scope, key).await.expect("a key");
    }
    lab.clock.advance(Duration::from_secs(59));
    let holder = lab
        .store
        .find_key_holder(&[1; 32], lab.now())
        .await
        .expect("read")
        .expect("a holder");
    assert_eq!(
        (holder.api_key_id, holder.expires_at, holder.is_operator),
        (ending.id, ending.expires_at, false)
    );
    lab.clock.advance(Duration::from_secs(1));
    assert!(!lab.has_key(1).await);
    assert!(lab.has_key(2).await, "it has no end");
    assert!(!lab.has_key(3).await, "there is none");
}

#[tokio::test]
async fn the_list_shows_keys_newest_first_and_never_a_hash() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    lab.clock.advance(Duration::from_secs(1));
    let new = NewApiKey {
        name: "laptop".to_owned(),
        expires_at: Some(lab.in_seconds(60)),
        ..lab.key(1)
    };
    create(&lab, &lab.scope, &new).await.expect("a key");
    let made = lab.now();
    lab.clock.advance(Duration::from_secs(1));
    lab.store
        .touch_api_key(new.id, lab.now())
        .await
        .expect("noted");
    let mut keys = list(&lab, &lab.scope).await.into_iter();
    // Every field is named: one more, such as the hash, does not compile.
    let ApiKey {
        id,
        name,
        prefix,
        user_id,
        email,
        created_at,
        expires_at,
        last_used_at,
    } = keys.next().expect("a key");
    assert_eq!((id, name.as_str(), prefix), (new.id, "laptop", new.prefix));
    assert_eq!((user_id, email.as_str()), (owner, "demo@example.com"));
    assert_eq!(
        (created_at, expires_at, last_used_at),
        (made, new.expires_at, Some(lab.now()))
    );
    let oldest = keys.next().expect("the workspace's first key");
    assert_eq!((oldest.expires_at, oldest.last_used_at), (None, None));
    assert_eq!(keys.next(), None);
}

#[tokio::test]
async fn a_key_is_deleted_by_its_own_workspace_only() {
    let lab = Lab::new().await;
    let other = lab.workspace("other").await;
    let key = lab.key(1);
    create(&lab, &lab.scope, &key).await.expect("a key");
    let theirs = list(&lab, &other).await;
    assert!(theirs.iter().all(|other_key| other_key.id != key.id));
    let epoch = lab.store.credentials_epoch();
    let foreign = lab.store.delete_api_key(&other, key.id, &lab.event()).await;
    assert!(matches!(foreign, Err(Error::NotFound("API key"))));
    assert_eq!(lab.count_events(&other).await, 0);
    assert!(lab.has_key(1).await);
    assert_eq!(lab.store.credentials_epoch(), epoch);
    lab.store
        .delete_api_key(&lab.scope, key.id, &lab.event())
        .await
        .expect("deleted");
    assert!(!lab.has_key(1).await);
    assert!(lab.store.credentials_epoch() > epoch);
    let again = lab
        .store
        .delete_api_key(&lab.scope, key.id, &lab.event())
        .await;
    assert!(matches!(again, Err(Error::NotFound("API key"))));
}

#[tokio::test]
async fn a_taken_key_is_refused_and_leaves_no_event() {
    let lab = Lab::new().await;
    create(&lab, &lab.scope, &lab.key(1)).await.expect("a key");
    let events = lab.count_events(&lab.scope).await;
    let other = lab.workspace("other").await;
    for scope in [&lab.scope, &other] {
        let refused = create(&lab, scope, &lab.key(1)).await;
        assert!(matches!(refused, Err(Error::Taken(_))), "{refused:?}");
    }
    assert_eq!(lab.count_events(&lab.scope).await, events);
    assert_eq!(lab.count_events(&other).await, 0);
}

//! The suite's cases for `lease`.

use std::time::Duration;

use tose_store::Lease;

use crate::harness::Lab;

#[tokio::test]
async fn a_lease_has_one_owner_until_it_ends_or_is_given_back() {
    let lab = Lab::new().await;
    let take = async |owner: &str| {
        let expires_at = lab.now().saturating_add(Duration::from_secs(60));
        let lease = Lease {
            name: "build/1".to_owned(),
            owner: owner.to_owned(),
            expires_at,
        };
        lab.store
            .take_lease(&lease, lab.now())
            .await
            .expect("asked")
    };
    assert!(take("a").await);
    assert!(take("a").await, "its owner renews it");
    assert!(!take("b").await);
    lab.clock.advance(Duration::from_secs(60));
    assert!(take("b").await, "it has ended");
    lab.store
        .release_lease("build/1", "a")
        .await
        .expect("not its owner");
    assert!(!take("a").await);
    lab.store
        .release_lease("build/1", "b")
        .await
        .expect("given back");
    assert!(take("a").await);
    lab.store.drop_foreign_leases("b").await.expect("dropped");
    assert!(take("b").await);
}

#[tokio::test]
async fn a_setting_keeps_its_first_value() {
    let lab = Lab::new().await;
    for fresh in ["1", "2"] {
        assert_eq!(
            lab.store
                .get_or_set_setting("x", fresh)
                .await
                .expect("read"),
            "1"
        );
    }
}

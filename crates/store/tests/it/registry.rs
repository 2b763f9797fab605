//! The suite's cases for `registry`.

use tose_model::secret::Sealed;
use tose_store::{Error, RegistryLogin};

use crate::harness::Lab;

fn login(lab: &Lab, registry: &str) -> RegistryLogin {
    RegistryLogin {
        registry: registry.parse().expect("a registry"),
        username: "ada".to_owned(),
        password: Sealed::from_bytes(vec![1, 2, 3]),
        updated_at: lab.now(),
    }
}

#[tokio::test]
async fn credentials_are_kept_replaced_and_forgotten() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    for registry in ["ghcr.io", "registry.example:5000"] {
        let login = login(&lab, registry);
        let put = lab
            .store
            .put_registry_login(&lab.scope, id, &login, &lab.event())
            .await;
        put.expect("written");
        let found = lab.store.find_registry_login(&lab.scope, id).await;
        assert_eq!(found.expect("asked"), Some(login));
    }
    let forget = async || {
        lab.store
            .delete_registry_login(&lab.scope, id, &lab.event())
            .await
    };
    forget().await.expect("forgotten");
    assert!(matches!(forget().await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn they_go_with_their_project() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let login = login(&lab, "ghcr.io");
    let put = async || {
        lab.store
            .put_registry_login(&lab.scope, id, &login, &lab.event())
            .await
    };
    put().await.expect("written");
    lab.store
        .delete_project(&lab.scope, id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let found = lab.store.find_registry_login(&lab.scope, id).await;
    assert_eq!(found.expect("asked"), None);
    assert!(matches!(put().await, Err(Error::NotFound(_))));
}

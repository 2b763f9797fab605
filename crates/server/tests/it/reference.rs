//! References in variables: looked up when a deployment is made.

use serde_json::json;
use tose_model::secret::ExposeSecret;
use tose_testkit::Program;

use crate::harness::{Client, Lab};

async fn lab() -> (Lab, Client) {
    let lab = Lab::start().await;
    lab.driver.publish_image("postgres:17", Program::default());
    let owner = lab.owner("demo").await;
    let body = json!({"name": "store", "type": "postgresql"});
    assert_eq!(owner.post("databases", body).await.status, 202);
    (lab, owner)
}

async fn set(owner: &Client, key: &str, value: &str) {
    let body = json!({"key": key, "value": value});
    assert_eq!(owner.post("projects/shop/env", body).await.status, 201);
}

/// The value that the only replica of the project has.
fn value(lab: &Lab, key: &str) -> String {
    let replicas = lab.driver.peek();
    let name = replicas
        .iter()
        .map(|one| &one.name)
        .find(|name| name.as_str().starts_with("shop-"))
        .expect("it runs");
    let spec = lab.driver.spec_of(name).expect("a spec");
    let found = spec.env.iter().find(|(name, _)| name.as_str() == key);
    let (_, value) = found.unwrap_or_else(|| panic!("no {key}"));
    value.expose_secret().to_owned()
}

#[tokio::test]
async fn variables_get_what_their_references_stand_for() {
    let (lab, owner) = lab().await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    owner.project("other", "app:1").await;
    for (key, reference) in [
        ("DATABASE_URL", "${{ store.URL }}?sslmode=disable"),
        (
            "PLACE",
            "${{ store.HOST }}:${{store.PORT}}/${{ store.DATABASE }}",
        ),
        ("OTHER", "${{ other.PRIVATE_URL }}"),
        ("HERE", "${{ self.HOST }}"),
        ("LITERAL", "${{ not a reference }} ${HOME}"),
    ] {
        set(&owner, key, reference).await;
    }
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let database = owner.get("databases/store").await;
    assert_eq!(database.data()["status"], "running", "it was waited for");
    let url = database.data()["connection"]["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert_eq!(
        value(&lab, "DATABASE_URL"),
        format!("{url}?sslmode=disable")
    );
    assert_eq!(value(&lab, "PLACE"), "store:5432/store");
    assert_eq!(value(&lab, "OTHER"), "http://other:3000");
    assert_eq!(value(&lab, "HERE"), "demo-shop.localhost");
    assert_eq!(value(&lab, "LITERAL"), "${{ not a reference }} ${HOME}");
    // What is shown is the reference, not the password.
    let shown = owner.get("projects/shop/env/DATABASE_URL").await;
    assert_eq!(shown.data()["value"], "${{ store.URL }}?sslmode=disable");

    assert_eq!(
        owner.get("projects/shop").await.data()["needs_redeploy"],
        false
    );
    let reset = owner
        .post("databases/store/reset-password", json!({}))
        .await;
    let new_url = reset.data()["connection"]["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert_ne!(new_url, url);
    assert_eq!(
        owner.get("projects/shop").await.data()["needs_redeploy"],
        true
    );
    let again = owner.post("projects/shop/redeploy", json!({})).await;
    let id = again.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is("shop", &id, "running").await;
    assert_eq!(
        owner.get("projects/shop").await.data()["needs_redeploy"],
        false
    );
}

#[tokio::test]
async fn a_reference_to_nothing_is_refused_when_it_is_deployed() {
    let (lab, owner) = lab().await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    for (reference, words) in [
        ("${{ nothing.URL }}", "no database"),
        ("${{ store.COLOUR }}", "USERNAME"),
        ("${{ self.PASSWORD }}", "PRIVATE_URL"),
    ] {
        set(&owner, "A", reference).await;
        let refused = owner.post("projects/shop/deployments", json!({})).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.error().contains(words), "{refused:?}");
        assert!(refused.body["fields"]["A"].is_string(), "{refused:?}");
    }
    // What another workspace has is not there.
    let stranger = lab.owner("other").await;
    stranger.project("shop", "app:1").await;
    let body = json!({"key": "A", "value": "${{ store.URL }}"});
    assert_eq!(stranger.post("projects/shop/env", body).await.status, 201);
    let refused = stranger.post("projects/shop/deployments", json!({})).await;
    assert!(refused.error().contains("no database"), "{refused:?}");
}

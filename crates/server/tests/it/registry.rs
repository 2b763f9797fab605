//! What a project pulls its image with.

use serde_json::json;
use tose_testkit::Program;

use crate::harness::{Client, Lab};

const IMAGE: &str = "registry.example:5000/team/app:1";

async fn lab() -> (Lab, Client) {
    let lab = Lab::start().await;
    let login = ("ada", "s3cret-token");
    lab.driver
        .publish_private_image(IMAGE, login, Program::default());
    let owner = lab.owner("demo").await;
    let body = json!({"name": "shop", "image": IMAGE});
    assert_eq!(owner.post("projects", body).await.status, 201);
    (lab, owner)
}

async fn set(owner: &Client, password: &str) {
    let body = json!({"username": "ada", "password": password});
    let answer = owner.put("projects/shop/registry", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.data()["registry"], json!("registry.example:5000"));
    assert_eq!(answer.data()["has_password"], json!(true));
    assert!(!answer.body.to_string().contains(password), "{answer:?}");
}

#[tokio::test]
async fn a_private_image_is_pulled_with_the_projects_credentials_each_time() {
    let (lab, owner) = lab().await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(error.contains("could not be pulled"), "{error}");
    set(&owner, "wrong").await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(error.contains("refused"), "{error}");
    set(&owner, "s3cret-token").await;
    let id = owner.deploy("shop").await;
    let running = owner.deployment_is("shop", &id, "running").await;
    let image = running["image"].as_str().expect("an image");
    assert!(image.starts_with("tose-"), "its own name: {image}");
    // A restart needs no registry; a deployment asks it again.
    set(&owner, "revoked").await;
    let again = owner
        .post("projects/shop/deployments/redeploy", json!({}))
        .await;
    let id = again.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is("shop", &id, "running").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "failed").await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn another_project_cannot_run_what_was_pulled_with_credentials() {
    let (lab, owner) = lab().await;
    set(&owner, "s3cret-token").await;
    let id = owner.deploy("shop").await;
    let running = owner.deployment_is("shop", &id, "running").await;
    let stranger = lab.owner("other").await;
    stranger.project("spy", IMAGE).await;
    let id = stranger.deploy("spy").await;
    stranger.deployment_is("spy", &id, "failed").await;
    let body = json!({"image": running["image"]});
    let answer = stranger.put("projects/spy", body).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let answer = stranger
        .put("projects/spy", json!({"image": "sha256:0a1b"}))
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn credentials_are_for_one_registry_only() {
    let (lab, owner) = lab().await;
    set(&owner, "s3cret-token").await;
    let elsewhere = "evil.example/team/app:1";
    lab.driver
        .publish_private_image(elsewhere, ("ada", "s3cret-token"), Program::default());
    let answer = owner
        .put("projects/shop", json!({"image": elsewhere}))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "failed").await;
    let shown = owner.get("projects/shop/registry").await;
    assert_eq!(shown.data()["registry"], json!("registry.example:5000"));
}

#[tokio::test]
async fn what_cannot_be_credentials_is_refused_by_name() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let path = "projects/shop/registry";
    for (body, field) in [
        (json!({"username": "ada", "password": "x"}), "registry"),
        (
            json!({"registry": "ghcr.io", "username": "a:b", "password": "x"}),
            "username",
        ),
        (
            json!({"registry": "ghcr.io", "username": "", "password": "x"}),
            "username",
        ),
        (
            json!({"registry": "ghcr.io", "username": "ada", "password": ""}),
            "password",
        ),
    ] {
        let answer = owner.put(path, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body["fields"][field].is_string(), "{answer:?}");
    }
    assert_eq!(owner.get(path).await.status, 404);
    assert_eq!(owner.delete(path).await.status, 404);
    let body = json!({"registry": "ghcr.io", "username": "ada", "password": "x"});
    assert_eq!(owner.put(path, body).await.status, 200);
    assert_eq!(owner.delete(path).await.status, 200);
    assert_eq!(owner.get(path).await.status, 404);
}

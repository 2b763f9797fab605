//! Variables: sealed at rest, masked in answers, given to the app.

use serde_json::json;
use tose_model::driver::ReplicaName;
use tose_model::secret::ExposeSecret;

use crate::harness::Lab;

#[tokio::test]
async fn secrets_are_masked_and_revealed_on_request() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let set = owner
        .post(
            "projects/shop/env",
            json!({"key": "TOKEN", "value": "s3cret-canary", "is_secret": true}),
        )
        .await;
    assert_eq!(
        (set.status, &set.data()["value"]),
        (201, &json!("********"))
    );
    owner
        .post(
            "projects/shop/env",
            json!({"key": "COLOR", "value": "blue"}),
        )
        .await;
    let list = owner.get("projects/shop/env").await;
    assert!(!list.body.to_string().contains("s3cret-canary"));
    assert_eq!(list.data()[0]["value"], json!("blue"));
    let revealed = owner.get("projects/shop/env/TOKEN?reveal=true").await;
    assert_eq!(revealed.data()["value"], json!("s3cret-canary"));
    assert_eq!(
        owner.get("projects/shop/env/TOKEN").await.data()["value"],
        json!("********")
    );
    assert_eq!(owner.delete("projects/shop/env/TOKEN").await.status, 200);
    assert_eq!(owner.get("projects/shop/env/TOKEN").await.status, 404);
}

#[tokio::test]
async fn a_set_of_variables_is_merged_or_replaced() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    owner
        .post(
            "projects/shop/env",
            json!({"key": "A", "value": "1", "is_secret": true}),
        )
        .await;
    let merged = owner
        .put(
            "projects/shop/env/bulk",
            json!({"variables": {"A": "2", "B": "3"}, "merge": true}),
        )
        .await;
    assert_eq!(
        merged.data(),
        &json!({"created": 1, "updated": 1, "deleted": 0})
    );
    let list = owner.get("projects/shop/env").await;
    assert_eq!(
        list.data()[0]["is_secret"],
        json!(true),
        "a secret stays one"
    );
    let replaced = owner
        .put(
            "projects/shop/env-vars/bulk",
            json!({"variables": {"C": "4"}, "merge": false}),
        )
        .await;
    assert_eq!(
        replaced.data(),
        &json!({"created": 1, "updated": 0, "deleted": 2})
    );
    let bad = owner
        .put("projects/shop/env/bulk", json!({"variables": {"1X": "4"}}))
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn values_reach_the_app_and_lie_nowhere_in_plain_text() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Default::default());
    owner.project("shop", "app:1").await;
    owner
        .post(
            "projects/shop/env",
            json!({"key": "TOKEN", "value": "s3cret-canary", "is_secret": true}),
        )
        .await;
    owner
        .post("projects/shop/env", json!({"key": "PORT", "value": "1"}))
        .await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let pod = owner.get("projects/shop/status").await.data()["pods"]["items"][0]["name"].clone();
    let name = ReplicaName::from_label(pod.as_str().expect("a name"));
    let spec = lab.driver.spec_of(&name).expect("a replica");
    let value = |key: &str| {
        let found: Vec<_> = spec
            .env
            .iter()
            .filter(|(name, _)| name.as_str() == key)
            .collect();
        assert_eq!(found.len(), 1, "{key}");
        found[0].1.expose_secret().to_owned()
    };
    assert_eq!(value("TOKEN"), "s3cret-canary");
    assert_eq!(value("PORT"), "3000", "the project's port is not overruled");
    for needle in ["s3cret-canary", owner.key.as_deref().expect("a key")] {
        assert_eq!(
            files_with(lab.data_dir(), needle.as_bytes()),
            Vec::<String>::new()
        );
    }
}

/// The files below `dir` that hold `needle`.
fn files_with(dir: &std::path::Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

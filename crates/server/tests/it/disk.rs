//! A disk that gets full.

use serde_json::json;
use tose_api::ProjectId;
use tose_model::driver::{Disk, Driver, Spare};

use crate::git::commit;
use crate::harness::{Client, Lab};

async fn builds(lab: &Lab, owner: &Client, versions: &[&str]) -> ProjectId {
    let repo = lab.data_dir().join("repo");
    owner.post("projects", json!({"name": "shop"})).await;
    let connection = json!({"repo_url": format!("file://{}", repo.display())});
    for (index, version) in versions.iter().enumerate() {
        commit(
            &repo,
            &[("Dockerfile", "FROM base\n"), ("version", version)],
            version,
        );
        if index == 0 {
            let connected = owner.post("projects/shop/git", connection.clone()).await;
            assert_eq!(connected.status, 201);
        }
        let id = owner.deploy("shop").await;
        owner.deployment_is("shop", &id, "running").await;
    }
    let project = owner.get("projects/shop").await;
    let id = project.data()["id"].as_str().expect("an id");
    id.parse().expect("an id")
}

fn filled(percent: u64) -> Spare {
    let disk = Disk {
        used_bytes: percent << 30,
        free_bytes: (100 - percent) << 30,
    };
    Spare {
        memory_bytes: None,
        disk: Some(disk),
    }
}

async fn count_images(lab: &Lab, id: ProjectId) -> usize {
    lab.driver.list_images(id).await.expect("a list").len()
}

#[tokio::test]
async fn older_images_go_when_the_disk_gets_full() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let id = builds(&lab, &owner, &["one", "two", "three", "four"]).await;
    lab.driver.set_spare(filled(79));
    lab.restart().await;
    let owner = owner.at(&lab);
    owner.project_is("shop", "running").await;
    assert_eq!(count_images(&lab, id).await, 4);

    lab.driver.set_spare(filled(80));
    lab.restart().await;
    crate::harness::eventually("two images are left", async || {
        match count_images(&lab, id).await {
            2 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let owner = owner.at(&lab);
    let before = owner.get("projects/shop/deployments").await.data()[1]["id"].clone();
    let path = format!(
        "projects/shop/deployments/{}/rollback",
        before.as_str().expect("an id")
    );
    let back = owner.post(&path, json!({})).await;
    assert_eq!(
        back.status, 201,
        "there is a version to go back to: {back:?}"
    );
    let id = back.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is("shop", &id, "running").await;
}

#[tokio::test]
async fn nothing_is_built_on_a_full_disk_and_what_is_built_still_starts() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    builds(&lab, &owner, &["one"]).await;
    lab.driver.set_spare(filled(97));
    let refused = owner.deploy("shop").await;
    let record = owner.deployment_is("shop", &refused, "failed").await;
    let error = record["error"].as_str().expect("a reason");
    assert!(
        error.starts_with("the machine's disk is 97 % full"),
        "{error}"
    );
    let again = owner.post("projects/shop/redeploy", json!({})).await;
    let id = again.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is("shop", &id, "running").await;

    lab.driver.set_spare(filled(94));
    let built = owner.deploy("shop").await;
    owner.deployment_is("shop", &built, "running").await;
}

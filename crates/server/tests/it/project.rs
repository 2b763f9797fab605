//! Projects: configuration, stop and start, deletion.

use serde_json::json;

use crate::harness::{Lab, eventually};

#[tokio::test]
async fn a_project_keeps_what_it_was_made_with() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let body = json!({"name": "Ứng dụng của tôi", "port": 8080, "replicas": 2, "cpu": 0.5, "ram": "0.25", "image": "app:1"});
    let made = owner.post("projects", body).await;
    assert_eq!(made.status, 201);
    let data = made.data();
    assert_eq!(data["slug"], json!("ung-dung-cua-toi"));
    assert_eq!(
        (&data["cpu"], &data["ram"]),
        (&json!("0.5"), &json!("0.25"))
    );
    assert_eq!(data["status"], json!("created"));
    assert_eq!(data["url"], json!("http://demo-ung-dung-cua-toi.localhost"));
    assert_eq!(owner.get("projects/ung-dung-cua-toi").await.data(), data);
    let domains = owner.get("projects/ung-dung-cua-toi/domains").await;
    assert_eq!(
        domains.data()[0]["domain"],
        json!("demo-ung-dung-cua-toi.localhost")
    );
}

#[tokio::test]
async fn a_change_keeps_what_was_not_sent() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let before = owner.project("shop", "app:1").await;
    let changed = owner
        .put(
            "projects/shop",
            json!({"health_check_path": "/healthz", "cpu": "1"}),
        )
        .await;
    let data = changed.data();
    assert_eq!(
        (&data["health_check_path"], &data["cpu"]),
        (&json!("/healthz"), &json!("1"))
    );
    for field in ["name", "port", "ram", "replicas", "image", "source"] {
        assert_eq!(data[field], before[field], "{field}");
    }
    let cleared = owner
        .put("projects/shop", json!({"health_check_path": null}))
        .await;
    assert_eq!(cleared.data()["health_check_path"], json!(null));
}

#[tokio::test]
async fn stop_ends_at_zero_and_start_brings_the_version_back() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let id = lab.live(&owner, "app:1").await;
    owner.project_is("shop", "running").await;

    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.data()["status"],
        json!("stopped")
    );
    eventually("no replica", async || {
        let status = owner.get("projects/shop/status").await;
        let items = status.data()["pods"]["items"].as_array();
        if items.is_some_and(Vec::is_empty) {
            Ok(())
        } else {
            Err(status.body.to_string())
        }
    })
    .await;
    assert_eq!(
        owner.deployment("shop", &id).await["status"],
        json!("stopped")
    );
    let route = lab
        .data_plane
        .route("demo-shop.localhost")
        .expect("the host stays known");
    assert!(route.backends.is_empty());
    assert_eq!(route.reason.as_deref(), Some("it was stopped"));

    assert_eq!(
        owner.post("projects/shop/start", json!({})).await.status,
        200
    );
    owner.project_is("shop", "running").await;
    let newest = owner.get("projects/shop/deployments").await.data()[0].clone();
    assert_eq!(newest["trigger"], json!("start"));
    assert_eq!(newest["image"], json!("app:1"));
}

#[tokio::test]
async fn stop_ends_a_deployment_that_is_on_its_way() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver
        .add_image("deaf:1", tose_testkit::Program::new([]));
    owner.project("shop", "deaf:1").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "deploying").await;
    owner.post("projects/shop/stop", json!({})).await;
    owner.deployment_is("shop", &id, "cancelled").await;
    lab.has_replicas(0).await;
}

#[tokio::test]
async fn a_project_that_was_deleted_leaves_nothing_and_frees_its_names() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    assert_eq!(
        owner.delete("projects/shop").await.data()["deleted"],
        json!("shop")
    );
    assert_eq!(owner.get("projects/shop").await.status, 404);
    owner.project("shop", "app:1").await;
    lab.has_replicas(0).await;
}

#[tokio::test]
async fn a_deleted_workspace_takes_everything_along() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    assert_eq!(owner.delete("/api/workspaces/demo").await.status, 200);
    assert_eq!(owner.get("/api/me").await.status, 401, "its keys are void");
    eventually("no replica and no route", async || {
        let replicas = lab.driver.peek();
        let route = lab.data_plane.route("demo-shop.localhost");
        if replicas.is_empty() && route.is_none() {
            Ok(())
        } else {
            Err(format!("{replicas:?} {route:?}"))
        }
    })
    .await;
    let again = lab.owner("demo").await;
    assert_eq!(again.get("projects").await.body["meta"]["total"], json!(0));
}

#[tokio::test]
async fn replicas_follow_the_number_that_is_wanted() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    for wanted in [3, 1] {
        owner
            .put("projects/shop", json!({"replicas": wanted}))
            .await;
        eventually("the route has as many replicas as are wanted", async || {
            let backends = lab
                .data_plane
                .route("demo-shop.localhost")
                .map_or(0, |route| route.backends.len());
            let replicas = lab.driver.peek().len();
            if (backends, replicas) == (wanted, wanted) {
                Ok(())
            } else {
                Err(format!("{backends} {replicas}"))
            }
        })
        .await;
    }
    owner.project_is("shop", "running").await;
}

//! Private images, from a registry that wants a password.

use serde_json::json;
use tose_e2e::{Installation, PrivateRegistry, Source, eventually};

const SERVE: &str = "python3 -m http.server 8000";

#[tokio::test]
async fn a_private_image_runs_for_who_has_its_password_and_for_nobody_else() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let registry = PrivateRegistry::start("tose-fixture/probe:1").await;
    let image = registry.image();
    let settings = json!({"image": image, "start_command": SERVE});
    let project = site
        .project_of(site.api(), "web", &Source::app("one"), settings)
        .await;
    let refused = project.deploy_and_wait().await;
    let reason = refused["error"].as_str().expect("a reason");
    assert!(reason.contains("or it is private"), "{reason}");

    for (password, is_right) in [("wrong", false), ("s3cret", true)] {
        let login = json!({"username": "ada", "password": password});
        project.api.put(&project.path("/registry"), &login).await;
        let record = project.deploy_and_wait().await;
        if is_right {
            assert_eq!(record["status"], "running", "{record}");
        } else {
            let reason = record["error"].as_str().expect("a reason");
            let expected = format!("the registry {} refused", registry.addr);
            assert!(reason.contains(&expected), "{reason}");
            assert!(reason.contains("tose registry set"), "{reason}");
        }
    }
    site.shows(&project.host, 200).await;

    // It lies on the same engine, and its name alone opens nothing.
    let stranger = site.bootstrap("other").await;
    let body = json!({"name": "spy", "image": image, "port": 8000, "start_command": SERVE});
    stranger.post("/projects", &body).await;
    let made = stranger.post("/projects/spy/deployments", &json!({})).await;
    let path = format!(
        "/projects/spy/deployments/{}",
        made["id"].as_str().expect("an id")
    );
    let failed = eventually("the spy's deployment has failed", async || {
        let record = stranger.get(&path).await;
        match record["status"].as_str() {
            Some("failed") => Ok(record),
            _ => Err(record.to_string()),
        }
    })
    .await;
    let reason = failed["error"].as_str().expect("a reason");
    assert!(reason.contains("or it is private"), "{reason}");
}

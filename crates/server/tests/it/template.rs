//! Templates: the catalogue, instances, and what they need beside them.

use serde_json::{Value, json};
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};

async fn lab() -> (Lab, Client) {
    let lab = Lab::start().await;
    for image in ["postgres:17", "mysql:8.4", "redis:8", "mongo:8"] {
        lab.driver.publish_image(image, Program::default());
    }
    let owner = lab.owner("demo").await;
    (lab, owner)
}

fn template(list: &Value, key: &str) -> Value {
    let list = list.as_array().expect("a list");
    let found = list.iter().find(|template| template["key"] == key);
    found.unwrap_or_else(|| panic!("no {key}")).clone()
}

async fn instance(owner: &Client, name: &str, template: &str) -> Value {
    let body = json!({"name": name, "template_name": template});
    let made = owner.post("templates", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data().clone()
}

async fn deployed(owner: &Client, slug: &str, body: Value) -> Value {
    let made = owner
        .post(&format!("templates/{slug}/deployments"), body)
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is(slug, &id, "running").await
}

#[tokio::test]
async fn the_catalogue_lists_applications_with_what_they_need() {
    let (_lab, owner) = lab().await;
    let list = owner.get("/api/templates").await;
    assert!(list.data().as_array().expect("a list").len() >= 40);
    let ghost = template(list.data(), "ghost");
    assert_eq!(ghost["default_port"], "2368");
    assert_eq!(ghost["databases"], json!(["mysql"]));
    assert_eq!(ghost["modes"], json!(["image"]));
    let node_red = template(list.data(), "node-red");
    assert!(
        node_red["modes"].to_string().contains("build"),
        "{node_red}"
    );
    for one in list.data().as_array().expect("a list") {
        for field in ["name", "description", "category", "documentation"] {
            assert!(
                one[field].as_str().is_some_and(|text| !text.is_empty()),
                "{one}"
            );
        }
        assert!(one["default_cpu"].is_string() && one["default_ram"].is_string());
    }
}

#[tokio::test]
async fn an_instance_comes_with_its_database_and_is_a_project() {
    let (lab, owner) = lab().await;
    let ghost = template(owner.get("/api/templates").await.data(), "ghost");
    assert_eq!(ghost["required_envs"], json!([]));
    let made = instance(&owner, "My Blog", "ghost").await;
    assert_eq!(
        (&made["slug"], &made["template"]),
        (&json!("my-blog"), &json!("ghost"))
    );
    let image = made["image"].as_str().expect("an image").to_owned();
    lab.driver.publish_image(&image, Program::default());
    let database = owner.get("databases/my-blog-db").await;
    assert_eq!(database.data()["type"], "mysql");

    let live = deployed(&owner, "my-blog", json!({"mode": "image"})).await;
    assert_eq!(live["image"], image.as_str());
    let database = owner.get("databases/my-blog-db").await;
    assert_eq!(database.data()["status"], "running", "it was waited for");
    let replicas = lab.driver.peek();
    let app = replicas
        .iter()
        .find(|one| {
            one.name.as_str().starts_with("my-blog-") && !one.name.as_str().contains("-db-")
        })
        .expect("the app runs");
    let spec = lab.driver.spec_of(&app.name).expect("a spec");
    let value = |key: &str| {
        use tose_model::secret::ExposeSecret;
        let found = spec.env.iter().find(|(name, _)| name.as_str() == key);
        found.map(|(_, value)| value.expose_secret().to_owned())
    };
    assert_eq!(
        value("database__connection__host").as_deref(),
        Some("my-blog-db")
    );
    let connection = &database.data()["connection"];
    assert_eq!(
        value("database__connection__password").as_deref(),
        connection["password"].as_str()
    );

    // It is listed among instances, and every route of projects takes it too.
    let listed = owner.get("templates").await;
    assert_eq!(listed.data()[0]["slug"], "my-blog");
    assert_eq!(owner.get("projects").await.data(), &json!([]));
    assert_eq!(
        owner.get("projects/my-blog").await.data()["template"],
        "ghost"
    );
    assert_eq!(
        owner.get("templates/my-blog/status").await.data()["pods"]["ready"],
        1
    );
    owner.project("app", "app:1").await;
    assert_eq!(owner.get("templates/app").await.status, 404);
    assert_eq!(owner.get("templates/my-blog-db").await.status, 404);

    assert_eq!(owner.delete("templates/my-blog").await.status, 200);
    let database = owner.get("databases/my-blog-db").await;
    assert_eq!(
        database.status, 200,
        "its data stays until somebody deletes it"
    );
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_template_asks_for_has_to_be_set_before_it_is_deployed() {
    let (lab, owner) = lab().await;
    let list = owner.get("/api/templates").await;
    let asking = list.data().as_array().expect("a list").iter().find(|one| {
        let asks = !one["required_envs"].as_array().expect("a list").is_empty();
        asks && one["modes"].to_string().contains("image")
    });
    let asking = asking.expect("one that asks").clone();
    let key = asking["key"].as_str().expect("a key");
    let made = instance(&owner, "asks", key).await;
    let image = made["image"].as_str().expect("an image");
    lab.driver.publish_image(image, Program::default());
    let refused = owner.post("templates/asks/deployments", json!({})).await;
    assert_eq!(refused.status, 400);
    let needed = asking["required_envs"].as_array().expect("a list");
    let mut env = Vec::new();
    for one in needed {
        let name = one["key"].as_str().expect("a key");
        assert!(refused.error().contains(name), "{refused:?}");
        env.push(json!({"key": name, "value": "given", "is_secret": true}));
    }
    let set = owner.put("templates/asks/env", Value::Array(env)).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.data()["created"], needed.len());
    deployed(&owner, "asks", json!({})).await;
}

#[tokio::test]
async fn a_template_is_built_from_its_own_files() {
    let (lab, owner) = lab().await;
    lab.driver.set_default_program(Program::default());
    instance(&owner, "flows", "node-red").await;
    let live = deployed(&owner, "flows", json!({"mode": "build"})).await;
    assert_eq!(live["trigger"], "upload");
    let id = live["id"].as_str().expect("an id");
    let log = owner
        .complete_log(&format!("projects/flows/deployments/{id}/logs"))
        .await;
    assert!(log.to_string().contains("Dockerfile"), "{log}");
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let (lab, owner) = lab().await;
    for (body, status) in [
        (json!({"name": "a", "template_name": "no-such-thing"}), 400),
        (json!({"name": "a"}), 400),
        (
            json!({"name": "a", "template_name": "ghost", "slug": "a".repeat(40)}),
            400,
        ),
    ] {
        let answer = owner.post("templates", body.clone()).await;
        assert_eq!(answer.status, status, "{body} {answer:?}");
    }
    // The slug of its database is taken.
    owner.project("blog-db", "app:1").await;
    let taken = owner
        .post(
            "templates",
            json!({"name": "blog", "template_name": "ghost"}),
        )
        .await;
    assert_eq!(taken.status, 409, "{taken:?}");
    assert_eq!(owner.get("templates/blog").await.status, 404);
    eventually("nothing is left", async || {
        match lab.driver.peek().is_empty() {
            true => Ok(()),
            false => Err("replicas".to_owned()),
        }
    })
    .await;
    let mode = instance(&owner, "blog2", "ghost").await;
    let slug = mode["slug"].as_str().expect("a slug");
    let refused = owner
        .post(
            &format!("templates/{slug}/deployments"),
            json!({"mode": "build"}),
        )
        .await;
    assert_eq!(refused.status, 400, "{refused:?}");
}

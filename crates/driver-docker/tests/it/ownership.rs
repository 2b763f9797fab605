//! Containers that look like ours and are not.

use std::collections::HashMap;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
};
use tose_model::driver::{Driver, EngineStep, Scope};

use crate::engine::{BASE_IMAGE, Site, on_site};

async fn make(site: &Site, name: &str, labels: HashMap<String, String>) {
    let body = ContainerCreateBody {
        image: Some(BASE_IMAGE.to_owned()),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    site.docker
        .create_container(Some(options), body)
        .await
        .expect("a container");
}

/// Whether it is still there; it is removed with that.
async fn take_away(site: &Site, name: &str) -> bool {
    let was_there = site
        .docker
        .inspect_container(name, None::<InspectContainerOptions>)
        .await
        .is_ok();
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    let _ = site.docker.remove_container(name, Some(options)).await;
    was_there
}

#[tokio::test]
async fn labels_that_an_image_brings_along_make_no_container_ours() {
    on_site(async |site| {
        // What a Dockerfile of a tenant could say, to block another one's project.
        let spec = site.spec();
        let forged = HashMap::from(
            [
                ("tose.installation", site.installation.clone()),
                ("tose.workspace", site.workspace_id.to_string()),
                ("tose.project", site.project_id.to_string()),
                ("tose.deployment", site.deployment_id.to_string()),
                ("tose.generation", "999".to_owned()),
                ("tose.replica", "0".to_owned()),
                ("tose.name", spec.name.to_string()),
            ]
            .map(|(label, value)| (label.to_owned(), value)),
        );
        let name = format!("forged-{}", site.installation);
        make(site, &name, forged).await;
        let seen = site.driver.observe(Scope::Installation).await;
        let started = site.start("CMD [\"sleep\", \"infinity\"]").await;
        let was_there = take_away(site, &name).await;
        assert_eq!(seen.expect("observe"), []);
        started.expect("it is not fenced off");
        assert!(was_there);
    })
    .await;
}

#[tokio::test]
async fn a_container_that_only_has_the_name_is_left_alone() {
    on_site(async |site| {
        let name = site.container_name();
        make(site, &name, HashMap::new()).await;
        let started = site.start("CMD [\"sleep\", \"infinity\"]").await;
        let removed = site
            .driver
            .apply(&EngineStep::RemoveReplica {
                name: site.spec().name,
            })
            .await;
        let seen = site.driver.observe(Scope::Installation).await;
        let was_there = take_away(site, &name).await;
        started.expect_err("the name is taken");
        removed.expect_err("it is not ours");
        assert_eq!(seen.expect("observe"), []);
        assert!(was_there);
    })
    .await;
}

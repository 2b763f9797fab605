//! Containers and volumes that look like ours and are not.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};
use tose_model::driver::{Driver, EngineStep, Scope, VolumeMount};

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

/// Makes a volume that the driver did not.
async fn make_volume(site: &Site, name: &str, labels: HashMap<String, String>) {
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels),
        ..VolumeCreateRequest::default()
    };
    let made = site.docker.create_volume(request).await;
    made.expect("a volume");
}

/// Whether it is still there; it is removed with that.
async fn take_volume_away(site: &Site, name: &str) -> bool {
    let removed = site
        .docker
        .remove_volume(name, None::<RemoveVolumeOptions>)
        .await;
    removed.is_ok()
}

#[tokio::test]
async fn a_volume_is_ours_only_by_its_name_and_its_labels() {
    on_site(async |site| {
        let named = format!(
            "tose-{}-{}-data",
            site.installation,
            site.project_id.as_uuid().simple()
        );
        let forged = format!("forged-{}", site.installation);
        let labels = [
            ("tose.installation", site.installation.clone()),
            ("tose.project", site.project_id.to_string()),
            ("tose.volume", "data".to_owned()),
        ];
        let labels = labels.map(|(label, value)| (label.to_owned(), value));
        make_volume(site, &named, HashMap::new()).await;
        make_volume(site, &forged, HashMap::from(labels)).await;
        let listed = site.driver.list_volumes().await;
        site.build(site.request(&format!(
            "FROM {BASE_IMAGE}\nCMD [\"sleep\", \"infinity\"]\n"
        )))
        .await
        .1
        .expect("it builds");
        let mut spec = site.spec();
        spec.volumes.push(VolumeMount {
            name: "data".parse().expect("a slug"),
            path: "/data".to_owned(),
        });
        let started = site
            .driver
            .apply(&EngineStep::StartReplica(Box::new(spec)))
            .await;
        let removed = site
            .driver
            .apply(&EngineStep::RemoveVolumes {
                project_id: site.project_id,
            })
            .await;
        let seen = site.driver.observe(Scope::Installation).await;
        let were_there = (
            take_volume_away(site, &named).await,
            take_volume_away(site, &forged).await,
        );
        assert_eq!(listed.expect("list"), []);
        started.expect_err("the name is taken");
        removed.expect("there is none");
        assert_eq!(seen.expect("observe"), []);
        assert_eq!(were_there, (true, true));
    })
    .await;
}

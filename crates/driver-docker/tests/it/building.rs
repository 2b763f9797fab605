//! Builds, as far as only a real engine shows them.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use futures_util::StreamExt;
use tose_api::WorkspaceId;
use tose_model::IdGen;
use tose_model::driver::{Driver, DriverError, EngineStep, LayerCache};
use tose_testkit::SeededIds;

use crate::engine::{BASE_IMAGE, Site, nonce, on_site};

fn label_filter(site: &Site) -> HashMap<String, Vec<String>> {
    let label = format!("test.installation={}", site.installation);
    HashMap::from([("label".to_owned(), vec![label])])
}

/// The containers that have the test's label, also those of its builds.
async fn containers(site: &Site) -> usize {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&label_filter(site))
        .build();
    let listed = site.docker.list_containers(Some(options)).await;
    listed.expect("list").len()
}

async fn wait_for_containers(site: &Site, expected: usize) {
    let began = tokio::time::Instant::now();
    while containers(site).await != expected {
        assert!(
            began.elapsed().as_secs() < 60,
            "there are not {expected} containers"
        );
        tokio::task::yield_now().await;
    }
}

/// Removes what the steps before the one that never ended have left in the engine's cache.
async fn remove_layers(site: &Site) {
    let options = ListImagesOptionsBuilder::default()
        .filters(&label_filter(site))
        .build();
    for image in site.docker.list_images(Some(options)).await.expect("list") {
        let removed = site
            .docker
            .remove_image(&image.id, None::<RemoveImageOptions>, None);
        removed.await.expect("remove");
    }
}

#[tokio::test]
async fn a_dropped_build_leaves_no_container() {
    on_site(async |site| {
        let label = format!("LABEL test.installation={}", site.installation);
        let dockerfile = format!("FROM {BASE_IMAGE}\n{label}\nRUN echo begun && sleep 1000\n");
        let mut lines = site
            .driver
            .build(site.request(&dockerfile))
            .await
            .expect("build");
        while lines.next().await.expect("it goes on").expect("no error") != "begun" {}
        wait_for_containers(site, 1).await;
        drop(lines);
        wait_for_containers(site, 0).await;
        remove_layers(site).await;
    })
    .await;
}

#[tokio::test]
async fn a_build_has_its_arguments_and_limits() {
    on_site(async |site| {
        let limit =
            "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max";
        let dockerfile =
            format!("FROM {BASE_IMAGE}\nARG COLOUR=none\nRUN echo $COLOUR\nRUN {limit}\n");
        let mut request = site.request(&dockerfile);
        request
            .args
            .insert("COLOUR".to_owned(), "a & b = c".to_owned());
        // More than the client's own parameter can hold.
        request.memory_bytes = 3 << 30;
        let (lines, outcome) = site.build(request).await;
        outcome.expect("it builds");
        assert!(lines.iter().any(|line| line == "a & b = c"), "{lines:?}");
        assert!(
            lines.iter().any(|line| line == &(3_u64 << 30).to_string()),
            "{lines:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_build_that_needs_too_much_memory_says_so() {
    on_site(async |site| {
        let hungry = "python3 -c \"x = b'x' * (400 << 20)\"";
        let mut request = site.request(&format!("FROM {BASE_IMAGE}\nRUN {hungry}\n"));
        request.memory_bytes = 64 << 20;
        let (_, outcome) = site.build(request).await;
        let error = outcome.expect_err("it is killed");
        assert!(matches!(error, DriverError::BuildFailed(_)), "{error:?}");
        assert!(
            error.to_string().contains("more than the 64 MiB of memory"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_dockerfile_that_cannot_be_read_fails_the_build() {
    for (dockerfile, expected) in [
        (
            format!("FROM {BASE_IMAGE}\nFLY away\n"),
            "Dockerfile cannot be read: line 2: unknown instruction: FLY",
        ),
        (
            "FROM registry.invalid/nothing:1\n".to_owned(),
            "step `FROM registry.invalid/nothing:1` failed: its registry cannot be reached",
        ),
        (
            format!("FROM {BASE_IMAGE}\nCOPY absent /\n"),
            "step `COPY absent /` failed: COPY failed: file not found in build context or excluded by .dockerignore: stat absent: file does not exist",
        ),
    ] {
        on_site(async |site| {
            let error = site
                .build(site.request(&dockerfile))
                .await
                .1
                .expect_err("it fails");
            assert!(matches!(error, DriverError::BuildFailed(_)), "{error:?}");
            assert_eq!(error.to_string(), expected);
        })
        .await;
    }
}

#[tokio::test]
async fn there_is_room_for_more_networks_than_the_engines_own_pool_has() {
    on_site(async |site| {
        let ids = SeededIds::new(nonce());
        // The engine's own pool has 31.
        for _ in 0..31 {
            let workspace_id = WorkspaceId::from_uuid(ids.uuid());
            let step = EngineStep::EnsureNetwork {
                workspace_id,
                workspace: "acme".parse().expect("a slug"),
            };
            site.driver.apply(&step).await.expect("a network");
        }
        assert_eq!(site.driver.list_networks().await.expect("list").len(), 32);
    })
    .await;
}

/// The names that a project's images have.
async fn names(site: &Site) -> Vec<String> {
    let image = site.driver.built_image(site.project_id, site.deployment_id);
    let (repository, _) = image.split_once(':').expect("a tag");
    let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
    let options = ListImagesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let listed = site.docker.list_images(Some(options)).await.expect("list");
    listed
        .into_iter()
        .flat_map(|image| image.repo_tags)
        .collect()
}

#[tokio::test]
async fn a_build_finds_the_layers_of_its_own_project_and_of_no_other() {
    on_site(async |site| {
        let other = Site::new().await;
        // Nobody else builds this, so that no layer is removed under its hands.
        let nonce = nonce();
        let dockerfile = format!(
            "FROM {BASE_IMAGE} AS one\nRUN echo {nonce} > /made && echo made one\nFROM {BASE_IMAGE}\nCOPY --from=one /made /made\nRUN echo made two {nonce} && echo made two\n"
        );
        let made = async |site: &Site, cache| {
            let mut request = site.request(&dockerfile);
            request.no_cache = false;
            request.cache = cache;
            let (lines, outcome) = site.build(request).await;
            outcome.expect("it builds");
            let made = |words: &str| lines.iter().any(|line| line == words);
            (made("made one"), made("made two"))
        };
        assert_eq!(made(site, LayerCache::Project).await, (true, true));
        assert_eq!(made(site, LayerCache::Project).await, (false, false));
        assert_eq!(made(&other, LayerCache::Project).await, (true, true));
        assert_eq!(made(&other, LayerCache::Project).await, (false, false));
        assert_eq!(made(site, LayerCache::Machine).await, (false, false));
        for site in [site, &other] {
            assert_eq!(names(site).await.len(), 2, "the image and its first stage");
            let step = EngineStep::RemoveImage {
                project_id: site.project_id,
                deployment_id: site.deployment_id,
            };
            site.driver.apply(&step).await.expect("removed");
            assert!(names(site).await.is_empty());
        }
        other.clean_up().await;
    })
    .await;
}

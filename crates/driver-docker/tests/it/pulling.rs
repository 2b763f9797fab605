//! Pulls, from a registry of our own that has one small image.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bollard::query_parameters::RemoveImageOptions;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tose_api::{DeploymentId, ProjectId};
use tose_model::IdGen;
use tose_model::driver::{
    Driver, DriverError, DriverResult, EngineStep, PrivatePull, RegistryCredentials,
};
use tose_testkit::SeededIds;

use crate::engine::{nonce, on_site};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry answers: content type and body, by path.
type Blobs = HashMap<String, (&'static str, Vec<u8>)>;

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image with one empty layer and this note in its history, under `/v2/tose/pulled` with the tag `1`.
fn blobs(note: &str) -> Blobs {
    // Two blocks of zeros end a tar archive; this one has nothing before them. What follows makes the
    // layer one of its own.
    let mut layer = vec![0; 1024];
    layer.extend(format!("{note:0<512}").into_bytes());
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["true"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"{note}"}}]}}"#,
        digest(&layer),
    );
    let config = config.into_bytes();
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":{},"digest":"{}"}}]}}"#,
        config.len(),
        digest(&config),
        layer.len(),
        digest(&layer)
    );
    let manifest = manifest.into_bytes();
    let blob = |bytes: Vec<u8>| {
        (
            format!("/v2/tose/pulled/blobs/{}", digest(&bytes)),
            ("application/octet-stream", bytes),
        )
    };
    HashMap::from([
        ("/v2/".to_owned(), ("application/json", b"{}".to_vec())),
        (
            format!("/v2/tose/pulled/manifests/{}", digest(&manifest)),
            (MANIFEST, manifest.clone()),
        ),
        (
            "/v2/tose/pulled/manifests/1".to_owned(),
            (MANIFEST, manifest),
        ),
        blob(config),
        blob(layer),
    ])
}

/// A registry that ends when its tasks are dropped.
async fn serve() -> (SocketAddr, JoinSet<()>) {
    serve_with("test", None).await
}

/// With the value of `Authorization` that it wants to see, if any.
async fn serve_with(note: &str, login: Option<&'static str>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    let blobs = Arc::new(blobs(note));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.spawn(answer(connection, Arc::clone(&blobs), login));
        }
    });
    (address, tasks)
}

/// A registry that gives everything to one user only.
async fn serve_to(note: &str, login: &'static str) -> (SocketAddr, JoinSet<()>) {
    serve_with(note, Some(login)).await
}

/// Answers one request. The engine tries TLS first, and takes a closed connection for "no".
async fn answer(mut connection: TcpStream, blobs: Arc<Blobs>, login: Option<&str>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) if byte != 0x16 || !head.is_empty() => head.push(byte),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let unknown = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let is_let_in = login.is_none_or(|login| head.contains(login));
    let denied = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let (status, kind, body) = match blobs.get(path) {
        _ if !is_let_in => (401, "application/json", &denied[..]),
        Some((kind, body)) => (200, *kind, &body[..]),
        None => (404, "application/json", &unknown[..]),
    };
    let head = format!(
        "HTTP/1.1 {status} OK\r\nWww-Authenticate: Basic realm=\"tests\"\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\nConnection: close\r\n\r\n",
        body.len(),
        digest(body)
    );
    let body = if method == "HEAD" { &[] } else { body };
    let _ = connection
        .write_all(&[head.as_bytes(), body].concat())
        .await;
}

#[tokio::test]
async fn an_image_is_pulled_once_with_its_progress() {
    on_site(async |site| {
        let (registry, _tasks) = serve().await;
        let image = format!("{registry}/tose/pulled:1");
        let lines: Vec<_> = site
            .driver
            .ensure_image(&image)
            .await
            .expect("pull")
            .collect()
            .await;
        let lines: Result<Vec<_>, _> = lines.into_iter().collect();
        let again = site
            .driver
            .ensure_image(&image)
            .await
            .expect("it is here")
            .count()
            .await;
        let removed = site
            .docker
            .remove_image(&image, None::<RemoveImageOptions>, None)
            .await;
        let lines = lines.expect("it can be pulled");
        assert!(
            lines.iter().any(|line| line.ends_with(": Pull complete")),
            "{lines:?}"
        );
        assert!(
            lines
                .last()
                .is_some_and(|line| line.contains("Downloaded newer image")),
            "{lines:?}"
        );
        assert_eq!(again, 0);
        removed.expect("it was pulled");
    })
    .await;
}

#[tokio::test]
async fn a_tag_that_a_registry_lacks_is_told_from_a_registry_that_is_away() {
    on_site(async |site| {
        let (registry, _tasks) = serve().await;
        for (image, expected) in [
            (
                format!("{registry}/tose/pulled:2"),
                "its registry has no such tag",
            ),
            (
                "127.0.0.1:1/tose/pulled:1".to_owned(),
                "its registry cannot be reached",
            ),
        ] {
            let mut lines = site.driver.ensure_image(&image).await.expect("it begins");
            let error = loop {
                match lines.next().await.expect("an error comes") {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            let DriverError::ImageUnavailable { reason, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(reason, expected);
        }
    })
    .await;
}

/// `ada:s3cret`, in Base64.
const ADA: &str = "Authorization: Basic YWRhOnMzY3JldA==";

fn private_pull(image: &str, password: &str) -> PrivatePull {
    let ids = SeededIds::new(nonce());
    PrivatePull {
        project_id: ProjectId::from_uuid(ids.uuid()),
        deployment_id: DeploymentId::from_uuid(ids.uuid()),
        image: image.parse().expect("an image"),
        credentials: RegistryCredentials {
            username: "ada".to_owned(),
            password: password.into(),
        },
    }
}

async fn pull(driver: &dyn Driver, pull: &PrivatePull) -> DriverResult<Vec<String>> {
    let lines = driver.pull_private_image(pull.clone()).await?;
    lines.collect::<Vec<_>>().await.into_iter().collect()
}

/// Why an image cannot be had without credentials.
async fn reason_in_the_open(driver: &dyn Driver, image: &str) -> Option<String> {
    let lines: Vec<_> = match driver.ensure_image(image).await {
        Ok(lines) => lines.collect().await,
        Err(error) => vec![Err(error)],
    };
    lines.into_iter().find_map(|line| match line {
        Err(DriverError::ImageUnavailable { reason, .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
        Ok(_) => None,
    })
}

#[tokio::test]
async fn an_image_that_was_pulled_with_credentials_has_its_projects_name_only() {
    on_site(async |site| {
        let note = nonce().to_string();
        let (registry, _tasks) = serve_to(&note, ADA).await;
        let image = format!("{registry}/tose/pulled:1");
        let wanted = private_pull(&image, "s3cret");
        let driver = &site.driver;
        let own = driver.built_image(wanted.project_id, wanted.deployment_id);
        // Twice: a pull that was cut off is done again.
        for _ in 0..2 {
            pull(driver, &wanted).await.expect("it can be pulled");
            let here = driver.ensure_image(&own).await.expect("it is here");
            assert_eq!(here.count().await, 0);
        }
        let details = site.docker.inspect_image(&own).await.expect("an image");
        let kept = driver.list_images(wanted.project_id).await.expect("a list");
        let by_name = reason_in_the_open(driver, &image).await;
        let digest = digest(&blobs(&note)["/v2/tose/pulled/manifests/1"].1);
        let by_digest = format!("{registry}/tose/pulled@{digest}");
        let by_digest = reason_in_the_open(driver, &by_digest).await;
        let step = EngineStep::RemoveImage {
            project_id: wanted.project_id,
            deployment_id: wanted.deployment_id,
        };
        driver.apply(&step).await.expect("removed");
        let after = driver.list_images(wanted.project_id).await.expect("a list");
        assert_eq!(details.repo_tags, Some(vec![own.clone()]));
        assert_eq!(
            details.repo_digests.unwrap_or_default(),
            Vec::<String>::new()
        );
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(after, []);
        let private = "it does not exist, or it is private";
        assert_eq!(by_name.as_deref(), Some(private));
        assert_eq!(by_digest.as_deref(), Some(private));
    })
    .await;
}

#[tokio::test]
async fn credentials_that_are_refused_are_named_with_their_registry() {
    on_site(async |site| {
        let note = nonce().to_string();
        let (registry, _tasks) = serve_to(&note, ADA).await;
        let wanted = private_pull(&format!("{registry}/tose/pulled:1"), "wrong");
        let refused = pull(&site.driver, &wanted).await.expect_err("refused");
        let DriverError::ImageUnavailable { reason, .. } = refused else {
            panic!("{refused:?}")
        };
        assert!(
            reason.contains(&format!("the registry {registry} refused")),
            "{reason}"
        );
        assert!(!reason.contains("wrong"), "{reason}");
        let list = site.driver.list_images(wanted.project_id).await;
        assert_eq!(list.expect("a list"), []);
    })
    .await;
}

#[tokio::test]
async fn the_beginning_of_an_images_id_is_no_image() {
    on_site(async |site| {
        let note = nonce().to_string();
        let (registry, _tasks) = serve_to(&note, ADA).await;
        let wanted = private_pull(&format!("{registry}/tose/pulled:1"), "s3cret");
        let driver = &site.driver;
        pull(driver, &wanted).await.expect("it can be pulled");
        let own = driver.built_image(wanted.project_id, wanted.deployment_id);
        let details = site.docker.inspect_image(&own).await.expect("an image");
        let id = details.id.expect("an id");
        let short = id.trim_start_matches("sha256:")[..12].to_owned();
        let found = reason_in_the_open(driver, &format!("{short}:latest")).await;
        let found_bare = reason_in_the_open(driver, &short).await;
        let step = EngineStep::RemoveImage {
            project_id: wanted.project_id,
            deployment_id: wanted.deployment_id,
        };
        driver.apply(&step).await.expect("removed");
        assert!(found.is_some() && found_bare.is_some());
    })
    .await;
}

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
use tose_model::driver::{Driver, DriverError};

use crate::engine::on_site;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry answers: content type and body, by path.
type Blobs = HashMap<String, (&'static str, Vec<u8>)>;

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image with one empty layer, under `/v2/tose/pulled` with the tag `1`.
fn blobs() -> Blobs {
    // Two blocks of zeros end a tar archive; this one has nothing before them.
    let layer = vec![0; 1024];
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["true"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"test"}}]}}"#,
        digest(&layer)
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    let blobs = Arc::new(blobs());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.spawn(answer(connection, Arc::clone(&blobs)));
        }
    });
    (address, tasks)
}

/// Answers one request. The engine tries TLS first, and takes a closed connection for "no".
async fn answer(mut connection: TcpStream, blobs: Arc<Blobs>) {
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
    let (status, kind, body) = match blobs.get(path) {
        Some((kind, body)) => (200, *kind, &body[..]),
        None => (404, "application/json", &unknown[..]),
    };
    let head = format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\nConnection: close\r\n\r\n",
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

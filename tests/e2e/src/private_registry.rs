//! An image registry that gives one image to one user.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::engine::docker;
use crate::program::{program, run_with_input};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// `ada:s3cret`, in Base64.
const ADA: &str = "Basic YWRhOnMzY3JldA==";

/// Answers `ada` with the password `s3cret` while it lives. Its image is one that the engine has
/// already, so that the engine asks for its manifest and fetches no layer.
pub struct PrivateRegistry {
    /// Where it listens; engines take registries on the loopback address without TLS.
    pub addr: SocketAddr,
    // Held for its task.
    _task: JoinSet<()>,
}

struct Manifest {
    text: String,
    digest: String,
}

impl PrivateRegistry {
    /// Starts it, with the engine's image `image` under the name `team/app:1`.
    pub async fn start(image: &str) -> Self {
        let manifest = Arc::new(Manifest::of(image).await);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An engine that went away needs no answer.
                let _ = answer(stream, &manifest).await;
            }
        });
        Self { addr, _task: task }
    }

    /// The image's reference.
    pub fn image(&self) -> String {
        format!("{}/team/app:1", self.addr)
    }
}

impl Manifest {
    async fn of(image: &str) -> Self {
        let format = "[{{json .Id}},{{json .RootFS.Layers}}]";
        let details = docker(&["image", "inspect", "--format", format, image]).await;
        let details: Value = serde_json::from_str(&details).expect("JSON");
        let layers = details[1].as_array().expect("layers").iter();
        let layers: Vec<_> = layers
            .map(|digest| json!({"mediaType": LAYER, "size": 1, "digest": digest}))
            .collect();
        let config = json!({"mediaType": CONFIG, "size": 1, "digest": details[0]});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let text = manifest.to_string();
        let sum = run_with_input(program("sha256sum"), &text).await.ok();
        let sum = sum.split_whitespace().next().expect("a sum").to_owned();
        Self {
            text,
            digest: format!("sha256:{sum}"),
        }
    }
}

async fn answer(mut stream: TcpStream, manifest: &Manifest) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await? > 0 {}
    let head = String::from_utf8_lossy(&head).into_owned();
    let is_ada = head.contains(ADA);
    let (status, kind, body) = if !is_ada {
        let denied = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        ("401 Unauthorized", "application/json", denied)
    } else if head.contains(" /v2/team/app/manifests/") {
        ("200 OK", MANIFEST, manifest.text.as_str())
    } else {
        ("200 OK", "application/json", "{}")
    };
    let (length, digest) = (body.len(), &manifest.digest);
    let body = if head.starts_with("HEAD") { "" } else { body };
    let answer = format!(
        "HTTP/1.1 {status}\r\nWww-Authenticate: Basic realm=\"tests\"\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\
         Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await
}

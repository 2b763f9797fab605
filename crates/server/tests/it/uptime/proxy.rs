//! Checks of own names through the real proxy, where it wants a header of the PROXY protocol.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::json;
use tose_model::route::RouteTable;
use tose_model::secret::SecretString;
use tose_proxy::certificates::{Folder, KeyOpener};
use tose_proxy::control::Client;
use tose_server::config::Listen;

use super::{checks, set, shop};
use crate::harness::eventually;

#[derive(Debug)]
struct NoKeys;

impl KeyOpener for NoKeys {
    fn open(&self, _: &str, _: &[u8]) -> Option<SecretString> {
        None
    }
}

/// The proxy in a thread, without routes, behind others on this machine.
async fn start(
    dir: &std::path::Path,
) -> (SocketAddr, std::thread::JoinHandle<tose_proxy::Result<()>>) {
    let config = tose_proxy::Config {
        http_addr: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        https_addr: None,
        certificates: Folder::of(dir),
        keys: Arc::new(NoKeys),
        routes_file: tose_proxy::routes_file(dir),
        control_socket: tose_proxy::control_socket(dir),
        workers: NonZeroUsize::MIN,
        take_over: false,
        version: "test".to_owned(),
        request_id_seed: 1,
        trusted_proxies: vec!["127.0.0.1".parse().expect("an address")],
        proxy_protocol: true,
        limits: tose_proxy::Limits::default(),
    };
    tose_proxy::snapshot::write(&config.routes_file, &RouteTable::default()).expect("written");
    let socket = config.control_socket.clone();
    let thread = std::thread::spawn(move || tose_proxy::run(config));
    let addr = eventually("the proxy", async || {
        let mut client = Client::connect(&socket)
            .await
            .map_err(|error| error.to_string())?;
        let status = client.status().await.map_err(|error| error.to_string())?;
        status.http_addr.ok_or_else(|| "no address".to_owned())
    })
    .await;
    (addr, thread)
}

#[tokio::test]
async fn a_check_begins_with_the_header_that_the_proxy_wants_from_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let (addr, thread) = start(dir.path()).await;
    // Without its header the connection just ends.
    for (trusted, reason) in [
        ("127.0.0.0/8", "it answered 404"),
        ("192.0.2.0/24", "the connection broke"),
    ] {
        let (_lab, owner) = shop(move |config| {
            config.http_addr = Listen::On(addr);
            config.proxy_protocol = true;
            config.visitor_proxies = vec![trusted.parse().expect("a range")];
        })
        .await;
        set(&owner, json!({"enabled": true})).await;
        let check = checks(&owner, 1).await.remove(0);
        assert_eq!(check["reason"], reason, "{check}");
    }
    let client = Client::connect(&tose_proxy::control_socket(dir.path())).await;
    let mut client = client.expect("connected");
    client.finish().await.expect("told");
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    joined
        .expect("joined")
        .expect("no panic")
        .expect("ended well");
}

//! Connections that become something else.

use std::time::Duration;

use tose_proxy::Limits;

use crate::harness::{
    App, HOST, Proxy, Wire, eventually, get, header, quick, reply, route_to, routes,
};

fn upgrade() -> String {
    format!(
        "GET /socket HTTP/1.1\r\nhost: {HOST}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Both ends of an open tunnel.
async fn open(proxy: &Proxy, app: &App) -> (Wire, Wire) {
    let mut visitor = proxy.visit().await;
    visitor.send(&upgrade()).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream.send(SWITCHED).await;
    assert!(visitor.read_head().await.starts_with("HTTP/1.1 101 "));
    (visitor, upstream)
}

#[tokio::test]
async fn bytes_flow_both_ways_and_each_way_ends_on_its_own() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&format!("{}early", upgrade())).await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(
        header(&head, "sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    upstream.send(&format!("{SWITCHED}first")).await;
    let head = visitor.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert_eq!(
        header(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    visitor.expect("first").await;
    upstream.expect("early").await;
    for _ in 0..3 {
        visitor.send("ping").await;
        upstream.expect("ping").await;
        upstream.send("pong").await;
        visitor.expect("pong").await;
    }
    visitor.close_sending().await;
    assert_eq!(upstream.read_to_end().await, "");
    upstream.send("last").await;
    drop(upstream);
    assert_eq!(visitor.read_to_end().await, "last");
    proxy.stop().await;
}

#[tokio::test]
async fn without_a_101_the_bytes_after_an_upgrade_are_the_next_request() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!("{}{}", upgrade(), get("/next")))
        .await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    assert!(head.starts_with("GET /socket "), "{head}");
    upstream.send(&reply("no")).await;
    assert_eq!(visitor.read_response().await.1, "no");
    // The second request got headers of ours, so it did not pass as bare bytes.
    let head = upstream.read_head().await;
    assert!(head.starts_with("GET /next "), "{head}");
    assert_eq!(header(&head, "x-real-ip"), Some("127.0.0.1"));
    upstream.send(&reply("yes")).await;
    assert_eq!(visitor.read_response().await.1, "yes");
    proxy.stop().await;
}

#[tokio::test]
async fn a_tunnel_counts_as_in_flight_even_when_its_replica_is_routed_no_more() {
    let app = App::start().await;
    let name = app.addr.to_string();
    let proxy = Proxy::start(&route_to(&app)).await;
    let (visitor, mut upstream) = open(&proxy, &app).await;
    let mut control = proxy.control().await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 1);
    proxy.publish(&routes(2, &[(HOST, &[])])).await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 1);
    drop(visitor);
    assert_eq!(upstream.read_to_end().await, "");
    drop(upstream);
    eventually("the tunnel to end", async || {
        (control.in_flight(&name).await.unwrap() == 0).then_some(())
    })
    .await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_tunnel_that_stands_still_is_cut() {
    let app = App::start().await;
    let limits = Limits {
        tunnel_idle: Duration::from_millis(50),
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    let (mut visitor, mut upstream) = open(&proxy, &app).await;
    assert_eq!(visitor.read_to_end().await, "");
    assert_eq!(upstream.read_to_end().await, "");
    proxy.stop().await;
}

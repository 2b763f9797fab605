//! What an app is told of its visitor where other proxies stand in front of this one.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::harness::{App, HOST, Proxy, get, header, quick, reply, route_to, routes, soon};

#[tokio::test]
async fn a_trusted_proxy_says_who_the_visitor_is_and_how_he_came() {
    let app = App::start().await;
    let mut table = routes(1, &[(HOST, &[app.addr])]);
    for route in table.routes.values_mut() {
        route.https_port = Some(443);
    }
    let proxy = Proxy::start_behind(&table, false).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "GET / HTTP/1.1\r\nhost: {HOST}\r\nx-forwarded-for: 6.6.6.6, 203.0.113.9\r\nx-forwarded-proto: https\r\nforwarded: for=6.6.6.6\r\n\r\n"
        ))
        .await;
    let mut replica = app.accept().await;
    let head = replica.read_head().await;
    assert_eq!(header(&head, "x-forwarded-for"), Some("203.0.113.9"));
    assert_eq!(header(&head, "x-real-ip"), Some("203.0.113.9"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
    let forwarded = format!("for=203.0.113.9;host={HOST};proto=https");
    assert_eq!(header(&head, "forwarded"), Some(&*forwarded));
    replica.send(&reply("in")).await;
    assert_eq!(visitor.read_response().await.1, "in");
    // Without its word the visitor came without HTTPS.
    visitor.send(&get("/")).await;
    let head = visitor.read_head().await;
    assert_eq!(
        header(&head, "location"),
        Some(&*format!("https://{HOST}/"))
    );
    proxy.stop().await;
}

#[tokio::test]
async fn the_proxy_protocol_names_the_visitor_of_a_connection() {
    let app = App::start().await;
    let proxy = Proxy::start_behind(&route_to(&app), true).await;
    let mut visitor = proxy.visit().await;
    // In pieces, as a slow network brings them.
    visitor.send("PROXY TCP4 203.0.113.9 10.").await;
    visitor.send("0.0.1 4711 80\r\nGET / HTTP/1.1\r\n").await;
    visitor.send(&format!("host: {HOST}\r\n\r\n")).await;
    let mut replica = app.accept().await;
    let head = replica.read_head().await;
    assert_eq!(header(&head, "x-forwarded-for"), Some("203.0.113.9"));
    replica.send(&reply("in")).await;
    assert_eq!(visitor.read_response().await.1, "in");

    // A trusted proxy that sends none is set up wrong, and its visitors are unknown.
    let mut bare = proxy.visit().await;
    bare.try_send(&get("/")).await;
    assert_eq!(bare.read_to_end().await, "");
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_can_name_another_visitor() {
    let app = App::start().await;
    let proxy = Proxy::start_with(&route_to(&app), quick()).await;
    let mut tcp = TcpStream::connect(proxy.addr()).await.unwrap();
    let lie = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut tcp, lie)
        .await
        .unwrap();
    let mut answer = String::new();
    soon("a refusal", tcp.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(app.is_alone().await);
    proxy.stop().await;
}

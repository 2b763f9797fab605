//! What one visitor can take.

use std::time::Duration;

use tose_proxy::Limits;

use crate::harness::{App, HOST, Proxy, eventually, get, header, quick, reply, route_to};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_visitor_who_does_not_finish_a_head_is_cut() {
    let app = App::start().await;
    let limits = Limits {
        request_head: SHORT,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    for start in ["", "GET / HTTP/1.1\r\nhost:"] {
        let mut visitor = proxy.visit().await;
        visitor.send(start).await;
        assert_eq!(visitor.read_to_end().await, "");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_resting_connection_is_closed_and_so_is_one_that_begins_a_request() {
    let app = App::start().await;
    let limits = Limits {
        keep_alive: SHORT,
        request_head: SHORT,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    app.play("hi");
    for rest in ["", "GET / HT"] {
        let mut visitor = proxy.visit().await;
        visitor.send(&get("/")).await;
        assert_eq!(visitor.read_response().await.1, "hi");
        visitor.try_send(rest).await;
        assert_eq!(visitor.read_to_end().await, "");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_stands_still_is_cut() {
    let app = App::start().await;
    let limits = Limits {
        body_idle: SHORT,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert!(visitor.read_to_end().await.ends_with("\r\n\r\nabc"));
    assert_eq!(upstream.read_to_end().await, "");
    proxy.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let padding = "x".repeat(33 * 1024);
    let answer = proxy
        .get(&format!(
            "GET / HTTP/1.1\r\nhost: {HOST}\r\nx-pad: {padding}\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn one_address_gets_only_its_share_of_connections() {
    let app = App::start().await;
    // Two workers with two places each.
    let limits = Limits {
        connections_per_ip: 2,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    app.play("hi");
    let mut seated = Vec::new();
    let mut refused = 0;
    while seated.len() < 4 {
        let mut visitor = proxy.visit().await;
        visitor.try_send(&get("/")).await;
        match visitor.try_read_head().await {
            Some(_) => seated.push(visitor),
            None => refused += 1,
        }
    }
    let mut visitor = proxy.visit().await;
    visitor.try_send(&get("/")).await;
    assert_eq!(
        visitor.try_read_head().await,
        None,
        "{refused} were refused before"
    );

    drop(seated);
    eventually("a free place", async || {
        let mut visitor = proxy.visit().await;
        visitor.try_send(&get("/")).await;
        visitor.try_read_head().await
    })
    .await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_full_worker_lets_visitors_wait() {
    let app = App::start().await;
    let limits = Limits {
        connections_per_worker: 1,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    app.play("hi");
    for _ in 0..8 {
        let mut visitor = proxy.visit().await;
        visitor.send(&get("/")).await;
        assert_eq!(visitor.read_response().await.1, "hi");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_resting_connection_to_an_app_is_closed() {
    let app = App::start().await;
    let limits = Limits {
        upstream_idle: SHORT,
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    assert_eq!(header(&upstream.read_head().await, "host"), Some(HOST));
    upstream.send(&reply("")).await;
    visitor.read_response().await;
    assert_eq!(upstream.read_to_end().await, "");
    proxy.stop().await;
}

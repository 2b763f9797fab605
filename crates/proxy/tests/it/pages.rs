//! What visitors see when no app answers.

use std::time::Duration;

use tose_proxy::Limits;

use crate::harness::{App, HOST, Proxy, get, header, quick, route_to, routes};

#[tokio::test]
async fn an_unknown_host_gets_no_app() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    for host in [
        "other.example.com",
        "shop.example.com.evil.example",
        "example.com",
        "[::1]:80",
        "",
    ] {
        let answer = proxy
            .get(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n"))
            .await;
        assert!(
            answer.starts_with("HTTP/1.1 404 Not Found\r\n"),
            "{host}: {answer}"
        );
        assert_eq!(header(&answer, "x-tose-error"), Some("unknown_host"));
        assert!(
            answer.contains("There is no app at this address"),
            "{answer}"
        );
    }
    let answer = proxy.get("GET / HTTP/1.0\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 404 Not Found\r\n"), "{answer}");
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn a_known_host_without_replicas_says_why() {
    let mut table = routes(1, &[(HOST, &[])]);
    for route in table.routes.values_mut() {
        route.reason = Some("it was <stopped>".to_owned());
    }
    let proxy = Proxy::start(&table).await;
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n");
    let answer = proxy.get(&request).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    assert_eq!(header(&answer, "x-tose-error"), Some("no_replica"));
    assert_eq!(header(&answer, "retry-after"), Some("5"));
    assert_eq!(
        header(&answer, "content-type"),
        Some("text/html; charset=utf-8")
    );
    for expected in [
        "acme/shop",
        "it was &lt;stopped&gt;",
        "tose status",
        "tose logs",
    ] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }

    let answer = proxy
        .get(&format!("{request}accept: application/json\r\n"))
        .await;
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    assert!(answer.contains("\"code\":\"no_replica\""), "{answer}");
    let answer = proxy.get(&format!("{request}accept: text/plain\r\n")).await;
    assert_eq!(
        header(&answer, "content-type"),
        Some("text/plain; charset=utf-8")
    );
    proxy.stop().await;
}

#[tokio::test]
async fn a_failed_app_is_named_and_its_address_is_not() {
    let app = App::start().await;
    let addr = app.addr;
    let proxy = Proxy::start(&route_to(&app)).await;
    drop(app);
    let answer = proxy
        .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
        "{answer}"
    );
    assert_eq!(header(&answer, "x-tose-error"), Some("upstream_failed"));
    assert!(answer.contains("acme/shop"), "{answer}");
    assert!(!answer.contains(&addr.port().to_string()), "{answer}");
    proxy.stop().await;
}

#[tokio::test]
async fn an_app_that_answers_nonsense_is_a_failed_one() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    for nonsense in [
        "220 mail.example.com ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let mut visitor = proxy.visit().await;
        visitor.send(&get("/")).await;
        let mut upstream = app.accept().await;
        upstream.read_head().await;
        upstream.send(nonsense).await;
        let (head, _) = visitor.read_response().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{nonsense}: {head}");
        assert_eq!(header(&head, "x-tose-error"), Some("upstream_failed"));
        assert_eq!(upstream.read_to_end().await, "");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_app_that_takes_too_long_is_a_timeout() {
    let app = App::start().await;
    let limits = Limits {
        response_head: Duration::from_millis(50),
        ..quick()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    let (head, body) = visitor.read_response().await;
    assert!(
        head.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
        "{head}"
    );
    assert_eq!(header(&head, "x-tose-error"), Some("upstream_timeout"));
    assert!(body.contains("acme/shop"), "{body}");
    assert_eq!(upstream.read_to_end().await, "");
    proxy.stop().await;
}

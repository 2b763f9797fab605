//! Requests and responses on their way through.

use crate::harness::{App, HOST, Proxy, get, header, reply, route_to, routes};

#[tokio::test]
async fn a_request_reaches_the_app_and_its_answer_the_visitor() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "POST /a/b?c=%20d HTTP/1.1\r\nHost: {HOST}:8080\r\nContent-Length: 5\r\nX-Forwarded-For: 1.1.1.1\r\nX_Real_IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-App: 1\r\n\r\nhello"
        ))
        .await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    upstream.expect("hello").await;
    assert!(head.starts_with("POST /a/b?c=%20d HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some("shop.example.com:8080"));
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert_eq!(header(&head, "x-app"), Some("1"));
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(
        header(&head, "x-forwarded-host"),
        Some("shop.example.com:8080")
    );
    assert_eq!(header(&head, "x-real-ip"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-request-id").unwrap().len(), 32);
    assert!(!head.contains("1.1.1.1"), "{head}");

    upstream
        .send("HTTP/1.1 201 Fine By Me\r\ncontent-length: 2\r\nkeep-alive: timeout=5\r\nx-tose-error: fake\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\nok")
        .await;
    let (head, body) = visitor.read_response().await;
    assert!(head.starts_with("HTTP/1.1 201 Fine By Me\r\n"), "{head}");
    assert_eq!(body, "ok");
    assert!(
        head.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"),
        "{head}"
    );
    assert_eq!(header(&head, "x-tose-error"), None);
    assert_eq!(header(&head, "keep-alive"), None);
    proxy.stop().await;
}

#[tokio::test]
async fn both_sides_keep_their_connection() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/0")).await;
    let mut upstream = app.accept().await;
    for number in 0..5 {
        let head = upstream.read_head().await;
        assert!(head.starts_with(&format!("GET /{number} ")), "{head}");
        upstream.send(&reply("again")).await;
        assert_eq!(visitor.read_response().await.1, "again");
        visitor.send(&get(&format!("/{}", number + 1))).await;
    }
    upstream.read_head().await;
    assert!(app.is_alone().await);
    upstream.send(&reply("")).await;
    visitor.read_response().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_response_streams_chunk_by_chunk_with_its_trailers() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "GET / HTTP/1.1\r\nhost: {HOST}\r\nte: trailers\r\nconnection: te\r\n\r\n"
        ))
        .await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    assert_eq!(header(&head, "te"), Some("trailers"));
    upstream
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n")
        .await;
    let head = visitor.read_head().await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(header(&head, "content-length"), None);
    for _ in 0..3 {
        upstream.send("5\r\nhello\r\n").await;
        visitor.expect("5\r\nhello\r\n").await;
    }
    upstream.send("0\r\nx-sum: 42\r\n\r\n").await;
    visitor.expect("0\r\nx-sum: 42\r\n\r\n").await;

    visitor.send(&get("/next")).await;
    assert!(upstream.read_head().await.starts_with("GET /next "));
    upstream.send(&reply("")).await;
    visitor.read_response().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_streams_chunk_by_chunk_whatever_its_method() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    for method in ["POST", "GET"] {
        visitor
            .send(&format!(
                "{method} / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            ))
            .await;
        let mut upstream = app.accept().await;
        let head = upstream.read_head().await;
        assert!(head.starts_with(method), "{head}");
        assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
        for _ in 0..3 {
            visitor.send("5\r\nhello\r\n").await;
            upstream.expect("5\r\nhello\r\n").await;
        }
        visitor.send("0\r\n\r\n").await;
        upstream.expect("0\r\n\r\n").await;
        // The next visitor may come to the other worker, so this connection must not rest.
        upstream
            .send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndone")
            .await;
        assert_eq!(visitor.read_response().await.1, "done");
        visitor = proxy.visit().await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_comes_through_before_the_request_has_ended() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
        ))
        .await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream.expect("1\r\na\r\n").await;
    upstream
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nA\r\n")
        .await;
    visitor.read_head().await;
    visitor.expect("1\r\nA\r\n").await;
    visitor.send("1\r\nb\r\n0\r\n\r\n").await;
    upstream.expect("1\r\nb\r\n0\r\n\r\n").await;
    upstream.send("1\r\nB\r\n0\r\n\r\n").await;
    visitor.expect("1\r\nB\r\n0\r\n\r\n").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_refusal_reaches_a_visitor_who_is_still_sending() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 500000\r\n\r\nabc"
        ))
        .await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream
        .send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .await;
    drop(upstream);
    visitor.try_send(&"x".repeat(400_000)).await;
    assert!(visitor.read_head().await.starts_with("HTTP/1.1 413 "));
    proxy.stop().await;
}

#[tokio::test]
async fn a_visitor_is_told_to_continue_only_when_an_app_takes_the_body() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let expecting = |host: &str| {
        format!(
            "PUT / HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
    };
    let mut visitor = proxy.visit().await;
    visitor.send(&expecting("other.example.com")).await;
    assert!(visitor.read_head().await.starts_with("HTTP/1.1 404 "));

    let mut visitor = proxy.visit().await;
    visitor.send(&expecting(HOST)).await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    assert_eq!(header(&head, "expect"), None);
    assert_eq!(visitor.read_head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    visitor.send("hi").await;
    upstream.expect("hi").await;
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    upstream.send(&reply("done")).await;
    assert_eq!(visitor.read_response().await.1, "done");
    proxy.stop().await;
}

#[tokio::test]
async fn an_old_visitor_gets_an_answer_without_chunks() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"))
        .await;
    let mut upstream = app.accept().await;
    assert!(upstream.read_head().await.starts_with("GET / HTTP/1.1\r\n"));
    upstream
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    let answer = visitor.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
    assert_eq!(header(&answer, "transfer-encoding"), None);
    proxy.stop().await;
}

#[tokio::test]
async fn an_old_app_s_answer_ends_with_its_connection() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.0 200 OK\r\n\r\nabc").await;
    drop(upstream);
    let head = visitor.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    visitor.expect("3\r\nabc\r\n0\r\n\r\n").await;
    proxy.stop().await;
}

#[tokio::test]
async fn answers_without_a_body_keep_their_length_and_their_connection() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!("HEAD / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
        .await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
        .await;
    assert_eq!(
        header(&visitor.read_head().await, "content-length"),
        Some("99")
    );
    for status in ["204 No Content", "304 Not Modified"] {
        visitor.send(&get("/")).await;
        upstream.read_head().await;
        upstream.send(&format!("HTTP/1.1 {status}\r\n\r\n")).await;
        let head = visitor.read_head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{head}"
        );
    }
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn a_cut_answer_stays_cut() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    for partial in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut visitor = proxy.visit().await;
        visitor.send(&get("/")).await;
        let mut upstream = app.accept().await;
        upstream.read_head().await;
        upstream.send(partial).await;
        drop(upstream);
        let answer = visitor.read_to_end().await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") || answer.is_empty(),
            "{answer}"
        );
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_absolute_target_decides_the_host_that_the_app_sees() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!(
            "GET http://{}/x?y HTTP/1.1\r\nhost: other.example.com\r\n\r\n",
            HOST.to_uppercase()
        ))
        .await;
    let mut upstream = app.accept().await;
    let head = upstream.read_head().await;
    assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "{head}");
    assert!(header(&head, "host").unwrap().eq_ignore_ascii_case(HOST));
    assert!(!head.contains("other.example.com"), "{head}");
    upstream.send(&reply("")).await;
    visitor.read_response().await;
    proxy.stop().await;
}

#[tokio::test]
async fn requests_go_to_the_replica_with_the_fewest() {
    let (left, right) = (App::start().await, App::start().await);
    let proxy = Proxy::start(&routes(1, &[(HOST, &[left.addr, right.addr])])).await;
    let mut first = proxy.visit().await;
    first.send(&get("/first")).await;
    let (mut busy, idle) = tokio::select! {
        upstream = left.accept() => (upstream, &right),
        upstream = right.accept() => (upstream, &left),
    };
    busy.read_head().await;
    for _ in 0..3 {
        let mut visitor = proxy.visit().await;
        visitor
            .send("GET / HTTP/1.1\r\nconnection: close\r\nhost: ")
            .await;
        visitor.send(&format!("{HOST}\r\n\r\n")).await;
        let mut upstream = idle.accept().await;
        upstream.read_head().await;
        upstream
            .send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
        visitor.read_response().await;
    }
    busy.send(&reply("")).await;
    first.read_response().await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_unreachable_replica_costs_no_request() {
    let (dead, alive) = (App::start().await, App::start().await);
    let proxy = Proxy::start(&routes(1, &[(HOST, &[dead.addr, alive.addr])])).await;
    drop(dead);
    alive.play("alive");
    for _ in 0..6 {
        let mut visitor = proxy.visit().await;
        visitor
            .send(&format!(
                "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
        assert_eq!(visitor.read_response().await.1, "alive");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_resting_connection_that_the_app_closed_is_not_used() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut first = app.accept().await;
    first.read_head().await;
    first.send(&reply("one")).await;
    visitor.read_response().await;
    drop(first);
    visitor
        .send(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 2\r\n\r\nhi"
        ))
        .await;
    let mut second = app.accept().await;
    second.read_head().await;
    second.expect("hi").await;
    second.send(&reply("two")).await;
    assert_eq!(visitor.read_response().await.1, "two");
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_is_repeated_only_if_that_is_safe() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    for (request, is_repeated) in [
        (format!("GET /again HTTP/1.1\r\nhost: {HOST}\r\n\r\n"), true),
        (
            format!("DELETE /again HTTP/1.1\r\nhost: {HOST}\r\n\r\n"),
            true,
        ),
        (
            format!("POST /again HTTP/1.1\r\nhost: {HOST}\r\n\r\n"),
            false,
        ),
        (
            format!("PUT /again HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 1\r\n\r\nx"),
            false,
        ),
    ] {
        let mut visitor = proxy.visit().await;
        visitor.send(&get("/")).await;
        let mut resting = app.accept().await;
        resting.read_head().await;
        resting.send(&reply("")).await;
        visitor.read_response().await;

        // The app takes the request on the resting connection, and goes away without a word.
        visitor.send(&request).await;
        resting.read_head().await;
        drop(resting);
        if is_repeated {
            let mut fresh = app.accept().await;
            assert!(fresh.read_head().await.contains(" /again "));
            // On a fresh connection silence is a failure.
            drop(fresh);
        }
        let (head, _) = visitor.read_response().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{request}: {head}");
        assert!(app.is_alone().await);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_visitor_who_leaves_ends_the_request_at_the_app() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    drop(visitor);
    assert_eq!(upstream.read_to_end().await, "");
    proxy.stop().await;
}

//! What is counted of each project's traffic, and how it is told.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tose_api::ProjectId;
use tose_model::route::RouteTable;
use tose_model::traffic::Traffic;
use tose_proxy::Error;
use tose_proxy::control::Client;

use crate::harness::{App, HOST, Proxy, eventually, get, reply, route_to, routes, spawn};

const PAGE: &str = "GET / HTTP/1.1\r\nhost: shop.example.com\r\n";

fn project(number: u128) -> ProjectId {
    format!("01890000-0000-7000-8000-{number:012x}")
        .parse()
        .unwrap()
}

/// The traffic of the project that [`routes`] is about, once it is as wanted.
async fn traffic_when(proxy: &Proxy, what: &str, is_so: impl Fn(&Traffic) -> bool) -> Traffic {
    eventually(what, async || {
        let totals = proxy.control().await.traffic().await.unwrap();
        let traffic = totals.projects.get(&project(1)).cloned();
        traffic.filter(|traffic| is_so(traffic))
    })
    .await
}

#[tokio::test]
async fn requests_are_counted_with_their_class_their_time_and_every_byte() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let before = proxy.control().await.traffic().await.unwrap();
    assert!(before.projects.is_empty());

    let mut visitor = proxy.visit().await;
    let (mut received, mut sent) = (0, 0);
    let post = format!("POST /new HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 5\r\n\r\nhello");
    for (request, status) in [
        (get("/"), "200 OK"),
        (post, "201 Created"),
        (get("/absent"), "404 Not Found"),
        (get("/broken"), "500 Internal Server Error"),
    ] {
        visitor.send(&request).await;
        received += request.len() as u64;
        // The app keeps no connection, so that each of its answers has one of its own.
        let mut upstream = app.accept().await;
        upstream.read_head().await;
        let answer =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 7\r\n\r\nanswer\n");
        upstream.send(&answer).await;
        let (head, body) = visitor.read_response().await;
        sent += (head.len() + body.len()) as u64;
    }
    let traffic = traffic_when(&proxy, "four answers", |traffic| {
        traffic.latency.count() == 4
    })
    .await;
    assert_eq!((traffic.requests, traffic.by_class), (4, [0, 2, 0, 1, 1]));
    assert_eq!(
        (traffic.received_bytes, traffic.sent_bytes),
        (received, sent)
    );
    proxy.stop().await;
}

#[tokio::test]
async fn pages_of_ours_count_for_the_project_whose_host_it_is() {
    let proxy = Proxy::start(&routes(1, &[(HOST, &[])])).await;
    let answer = proxy.get(PAGE).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for head in [
        "GET / HTTP/1.1\r\nhost: other.example.com\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example.com\r\ntransfer-encoding: gzip, chunked\r\n",
    ] {
        proxy.get(head).await;
    }
    let traffic = traffic_when(&proxy, "the page", |traffic| traffic.latency.count() > 0).await;
    assert_eq!((traffic.requests, traffic.by_class), (1, [0, 0, 0, 0, 1]));
    assert_eq!(traffic.sent_bytes, answer.len() as u64);
    let request = format!("{PAGE}connection: close\r\n\r\n");
    assert_eq!(traffic.received_bytes, request.len() as u64);
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_counts_while_it_streams_and_has_its_time_at_its_end() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    traffic_when(&proxy, "the request", |traffic| {
        traffic.requests == 1 && traffic.by_class == [0; 5]
    })
    .await;
    let half = "x".repeat(10_000);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n";
    upstream.send(&format!("{head}{half}")).await;
    visitor.read_head().await;
    visitor.expect(&half).await;
    let traffic = traffic_when(&proxy, "the first half", |traffic| {
        traffic.sent_bytes > 10_000
    })
    .await;
    assert_eq!(traffic.by_class, [0, 1, 0, 0, 0]);
    assert_eq!(traffic.latency.count(), 0);
    upstream.send(&half).await;
    visitor.expect(&half).await;
    let traffic = traffic_when(&proxy, "the end", |traffic| traffic.latency.count() == 1).await;
    assert!(traffic.sent_bytes > 20_000, "{traffic:?}");
    proxy.stop().await;
}

#[tokio::test]
async fn an_upgrade_is_one_request_and_its_bytes_count_as_they_move() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    let request = format!(
        "GET /socket HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    visitor.send(&request).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    upstream
        .send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )
        .await;
    let head = visitor.read_head().await;
    visitor.send("ping").await;
    upstream.expect("ping").await;
    upstream.send("pong!").await;
    visitor.expect("pong!").await;
    let expected = (request.len() as u64 + 4, head.len() as u64 + 5);
    let traffic = traffic_when(&proxy, "the tunnel's bytes", |traffic| {
        (traffic.received_bytes, traffic.sent_bytes) == expected
    })
    .await;
    assert_eq!((traffic.requests, traffic.by_class), (1, [1, 0, 0, 0, 0]));
    assert_eq!(traffic.latency.count(), 1);
    drop(visitor);
    assert_eq!(upstream.read_to_end().await, "");
    drop(upstream);
    let after = traffic_when(&proxy, "the same", |_| true).await;
    assert_eq!(after, traffic);
    proxy.stop().await;
}

#[tokio::test]
async fn a_visitor_who_leaves_was_a_request_without_an_answer() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    drop(visitor);
    assert_eq!(upstream.read_to_end().await, "");
    let traffic = traffic_when(&proxy, "its bytes", |traffic| traffic.received_bytes > 0).await;
    assert_eq!((traffic.requests, traffic.by_class), (1, [0; 5]));
    assert_eq!(traffic.latency.count(), 0);
    proxy.stop().await;
}

/// A table in which each of so many projects has a host of its own and no replica.
fn many(generation: u64, count: u128) -> RouteTable {
    let none: &[SocketAddr] = &[];
    let mut table = routes(generation, &[]);
    for number in 0..count {
        let host = format!("p{number}.example.com");
        let mut one = routes(generation, &[(&host, none)]);
        for route in one.routes.values_mut() {
            route.project_id = project(number);
        }
        table.routes.append(&mut one.routes);
    }
    table
}

#[tokio::test]
async fn all_projects_are_told_however_many_they_are() {
    let proxy = Proxy::start(&many(1, 130)).await;
    let mut visitor = proxy.visit().await;
    for number in 0..130 {
        let request = format!("GET / HTTP/1.1\r\nhost: p{number}.example.com\r\n\r\n");
        visitor.send(&request).await;
        visitor.read_response().await;
    }
    let mut control = proxy.control().await;
    let totals = control.traffic().await.unwrap();
    assert!(totals.projects.keys().copied().eq((0..130).map(project)));
    assert!(
        totals
            .projects
            .values()
            .all(|traffic| traffic.requests == 1)
    );

    // One that has no route any more is told for a while, and a reload loses nothing.
    proxy.publish(&many(2, 129)).await;
    let after = control.traffic().await.unwrap();
    assert_eq!(after.projects.len(), 130);
    assert_eq!(after.start_id, totals.start_id);
    proxy.stop().await;
}

#[tokio::test]
async fn a_successor_counts_anew_and_says_so() {
    let app = App::start().await;
    let first = Proxy::start(&route_to(&app)).await;
    app.play("hi");
    first.get(PAGE).await;
    let before = first.control().await.traffic().await.unwrap();
    assert_eq!(before.projects[&project(1)].requests, 1);
    let second = first.take_over().await;
    let after = second.control().await.traffic().await.unwrap();
    assert_ne!(after.start_id, before.start_id);
    assert!(after.projects.is_empty());
    first.ended().await;
    second.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_know_the_question_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let path = tose_proxy::control_socket(dir.path());
    let listener = UnixListener::bind(&path).unwrap();
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > 0 {
            let answer = "{\"response\":\"error\",\"message\":\"this is no request: unknown variant `traffic`, expected one of `status`, `reload`\"}\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let mut control = Client::connect(&path).await.unwrap();
    for _ in 0..2 {
        let error = control.traffic().await.unwrap_err();
        assert!(matches!(error, Error::TooOld { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "the running proxy is too old to answer a traffic request"
        );
    }
}

#[tokio::test]
async fn two_workers_counts_are_one_number() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    app.play("hi");
    // A worker accepts about every second connection.
    for _ in 0..40 {
        let answer = proxy.get(PAGE).await;
        assert!(answer.ends_with("hi"), "{answer}");
    }
    let traffic = traffic_when(&proxy, "all of them", |traffic| {
        traffic.latency.count() == 40
    })
    .await;
    assert_eq!((traffic.requests, traffic.by_class), (40, [0, 40, 0, 0, 0]));
    assert!(traffic.sent_bytes >= 40 * reply("hi").len() as u64);
    proxy.stop().await;
}

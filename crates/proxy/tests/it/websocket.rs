//! WebSockets and other answers that go on, over HTTPS in both versions of HTTP.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tose_api::domain_settings::Hsts;
use tose_model::route::Rules;
use tose_proxy::Limits;

use crate::harness::{App, HOST, eventually, header, quick, reply, route_to, ruled, soon};
use crate::http2::{Sent, ask, get, site};
use crate::tls::shake_hands;

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\nsec-websocket-protocol: chat\r\n\r\n";

fn socket() -> Request<Sent> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{HOST}/chat?room=1"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("origin", format!("https://{HOST}"))
        .body(Full::default().boxed())
        .unwrap();
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    request
}

#[tokio::test]
async fn one_opens_on_a_stream_of_http_2_beside_other_requests() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let visitor = site.visit().await;
    let (response, mut replica) = tokio::join!(ask(&visitor, socket()), async {
        let mut replica = app.accept().await;
        let head = replica.read_head().await;
        assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "host"), Some(HOST));
        assert_eq!(header(&head, "upgrade"), Some("websocket"));
        assert_eq!(header(&head, "sec-websocket-version"), Some("13"));
        assert_eq!(header(&head, "sec-websocket-key").map(str::len), Some(24));
        assert_eq!(header(&head, "transfer-encoding"), None);
        replica.send(&format!("{ACCEPTED}early")).await;
        replica
    });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let upgraded = soon("the tunnel", hyper::upgrade::on(response))
        .await
        .unwrap();
    let mut tunnel = TokioIo::new(upgraded);
    let mut bytes = [0; 5];
    soon("what came early", tunnel.read_exact(&mut bytes))
        .await
        .unwrap();
    assert_eq!(&bytes, b"early");
    tunnel.write_all(b"to the app").await.unwrap();
    replica.expect("to the app").await;
    replica.send("to you").await;
    let mut bytes = [0; 6];
    soon("an answer", tunnel.read_exact(&mut bytes))
        .await
        .unwrap();
    assert_eq!(&bytes, b"to you");

    let (response, ()) = tokio::join!(ask(&visitor, get("/")), async {
        let mut other = app.accept().await;
        other.read_head().await;
        other.send(&reply("beside")).await;
    });
    assert_eq!(response.status(), StatusCode::OK);

    // The end of either side is the end of the other.
    tunnel.shutdown().await.unwrap();
    assert_eq!(replica.read_to_end().await, "");
    drop(replica);
    let mut rest = Vec::new();
    let _ = soon("the end", tunnel.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    site.proxy.stop().await;
}

#[tokio::test]
async fn an_app_that_wants_none_says_so_and_one_that_is_silent_is_given_up() {
    let app = App::start().await;
    let limits = Limits {
        tunnel_idle: Duration::from_millis(60),
        ..quick()
    };
    let site = site(&route_to(&app), limits).await;
    let visitor = site.visit().await;
    for (answer, expected) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            StatusCode::NOT_FOUND,
        ),
        // A success that is no 101 would be a tunnel to the visitor.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            StatusCode::BAD_GATEWAY,
        ),
    ] {
        let (response, _replica) = tokio::join!(ask(&visitor, socket()), async {
            let mut replica = app.accept_anytime().await;
            replica.read_head().await;
            replica.send(answer).await;
            replica
        });
        assert_eq!(response.status(), expected);
    }
    let (response, mut replica) = tokio::join!(ask(&visitor, socket()), async {
        let mut replica = app.accept_anytime().await;
        replica.read_head().await;
        replica.send(ACCEPTED).await;
        replica
    });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(replica.read_to_end().await, "");
    site.proxy.stop().await;
}

#[tokio::test]
async fn one_opens_over_https_with_http_1() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let mut visitor = shake_hands(&site.proxy, HOST, &site.own, &["http/1.1"])
        .await
        .unwrap();
    let ask = format!(
        "GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    visitor.write_all(ask.as_bytes()).await.unwrap();
    let mut replica = app.accept().await;
    let head = replica.read_head().await;
    assert_eq!(
        header(&head, "sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
    replica.send(&format!("{ACCEPTED}hello")).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let count = soon("an answer", visitor.read_buf(&mut answer))
            .await
            .unwrap();
        assert!(count > 0, "{answer:?}");
    }
    visitor.write_all(b"to the app").await.unwrap();
    replica.expect("to the app").await;
    drop(visitor);
    assert_eq!(replica.read_to_end().await, "");
    site.proxy.stop().await;
}

#[tokio::test]
async fn events_are_there_at_once_and_hsts_with_them() {
    let app = App::start().await;
    let hsts = Hsts {
        max_age_days: 365,
        include_subdomains: true,
        preload: true,
    };
    let rules = Rules {
        hsts: Some(hsts),
        compression: true,
        ..Rules::default()
    };
    let site = site(&ruled(&app, rules), quick()).await;
    let visitor = site.visit().await;
    let mut request = get("/events");
    let gzip = "gzip".parse().unwrap();
    request.headers_mut().insert("accept-encoding", gzip);
    let (response, mut replica) = tokio::join!(ask(&visitor, request), async {
        let mut replica = app.accept().await;
        replica.read_head().await;
        replica
            .send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        replica
    });
    let headers = response.headers();
    assert_eq!(
        headers["strict-transport-security"],
        "max-age=31536000; includeSubDomains; preload"
    );
    assert!(!headers.contains_key("content-encoding"));
    let mut body = response.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        replica.send(&format!("9\r\n{event}\r\n")).await;
        let frame = soon("an event", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    // Who goes away is noticed by the app.
    drop(body);
    eventually("the app's connection to end", async || {
        replica.try_send("9\r\ndata: 3\n\n\r\n").await;
        replica.has_ended().await.then_some(())
    })
    .await;
    site.proxy.stop().await;
}

#[tokio::test]
async fn a_body_waits_for_the_apps_word_and_trailers_pass() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let mut visitor = shake_hands(&site.proxy, HOST, &site.own, &["http/1.1"])
        .await
        .unwrap();
    let ask = format!(
        "POST / HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\nte: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
    );
    visitor.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        soon("the word", visitor.read_buf(&mut answer))
            .await
            .unwrap();
    }
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    visitor
        .write_all(b"4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n")
        .await
        .unwrap();
    let mut replica = app.accept().await;
    let head = replica.read_head().await;
    assert_eq!(header(&head, "te"), Some("trailers"));
    replica.expect("4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n").await;
    replica
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-after\r\n\r\n2\r\nok\r\n0\r\nx-after: yes\r\n\r\n")
        .await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"x-after: yes\r\n\r\n") {
        let count = soon("the answer", visitor.read_buf(&mut answer))
            .await
            .unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
    }
    site.proxy.stop().await;
}

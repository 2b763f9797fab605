//! HTTP/2: many requests on one connection, each an app's own request of HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tose_model::route::RouteTable;
use tose_proxy::Limits;

use crate::harness::{App, HOST, Proxy, eventually, header, quick, reply, route_to, soon, spawn};
use crate::smuggling::{Log, Seen, record_all};
use crate::tls::{give, made, shake_hands};

/// A body that a visitor sends, of one piece or in parts.
pub(crate) type Sent = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

pub(crate) struct Site {
    pub(crate) proxy: Proxy,
    pub(crate) own: crate::tls::Made,
}

pub(crate) async fn site(table: &RouteTable, limits: Limits) -> Site {
    let proxy = Proxy::start_with(table, limits).await;
    let own = made(HOST);
    give(&proxy, &own.certificate);
    Site { proxy, own }
}

impl Site {
    pub(crate) async fn visit(&self) -> SendRequest<Sent> {
        let tls = shake_hands(&self.proxy, HOST, &self.own, &["h2"])
            .await
            .unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(tls));
        let (sender, connection) = soon("a handshake", shaken).await.unwrap();
        spawn(connection);
        sender
    }
}

pub(crate) fn get(path: &str) -> Request<Sent> {
    let url = format!("https://{HOST}{path}");
    Request::get(url).body(Full::default().boxed()).unwrap()
}

pub(crate) async fn ask(visitor: &SendRequest<Sent>, request: Request<Sent>) -> Response<Incoming> {
    let mut visitor = visitor.clone();
    soon("an answer", visitor.send_request(request))
        .await
        .unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = soon("a body", response.into_body().collect())
        .await
        .unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn an_app_gets_plain_http_1_and_the_visitor_its_answer() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let visitor = site.visit().await;
    let mut request = get("/a?b=c");
    let headers = request.headers_mut();
    headers.append("cookie", "one=1".parse().unwrap());
    headers.append("cookie", "two=2".parse().unwrap());
    headers.insert("x-forwarded-for", "6.6.6.6".parse().unwrap());
    let (response, ()) = tokio::join!(ask(&visitor, request), async {
        let mut replica = app.accept().await;
        let head = replica.read_head().await;
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "host"), Some(HOST));
        assert_eq!(header(&head, "cookie"), Some("one=1; two=2"));
        assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
        assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
        let answer = "HTTP/1.1 201 Created\r\nconnection: keep-alive\r\nkeep-alive: timeout=5\r\nx-own: yes\r\ncontent-length: 2\r\n\r\nhi";
        replica.send(answer).await;
    });
    assert_eq!(response.status(), StatusCode::CREATED);
    let headers: &HeaderMap = response.headers();
    assert_eq!(headers["x-own"], "yes");
    assert!(!headers.contains_key("connection") && !headers.contains_key("keep-alive"));
    assert_eq!(text(response).await, "hi");
    site.proxy.stop().await;
}

#[tokio::test]
async fn requests_run_at_once_and_one_that_waits_holds_up_no_other() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let visitor = site.visit().await;
    let slow = spawn({
        let visitor = visitor.clone();
        async move { text(ask(&visitor, get("/slow")).await).await }
    });
    let mut waiting = app.accept().await;
    waiting.read_head().await;
    for number in 0..50 {
        let request = get(&format!("/{number}"));
        let name = format!("answer {number}");
        let (response, ()) = tokio::join!(ask(&visitor, request), async {
            if number == 0 {
                let mut replica = app.accept().await;
                replica.read_head().await;
                replica.send(&reply("answer 0")).await;
                spawn(async move {
                    for number in 1..50 {
                        replica.read_head().await;
                        replica.send(&reply(&format!("answer {number}"))).await;
                    }
                });
            }
        });
        assert_eq!(text(response).await, name);
    }
    waiting.send(&reply("at last")).await;
    assert_eq!(soon("the slow one", slow).await.unwrap(), "at last");
    site.proxy.stop().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_passed_on_as_it_comes() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let visitor = site.visit().await;
    let (parts, received) = tokio::sync::mpsc::unbounded_channel();
    let stream = futures_util::stream::unfold(received, |mut received| async {
        let part: &'static str = received.recv().await?;
        let frame = Ok(Frame::data(Bytes::from(part)));
        Some((frame, received))
    });
    let body = BodyExt::boxed(StreamBody::new(stream));
    let request = Request::post(format!("https://{HOST}/upload"))
        .body(body)
        .unwrap();
    parts.send("first").unwrap();
    let (response, ()) = tokio::join!(ask(&visitor, request), async {
        let mut replica = app.accept().await;
        let head = replica.read_head().await;
        assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
        replica.expect("5\r\nfirst\r\n").await;
        parts.send("second").unwrap();
        replica.expect("6\r\nsecond\r\n").await;
        drop(parts);
        replica.expect("0\r\n\r\n").await;
        // The answer comes in parts as well.
        replica
            .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        replica.send("3\r\ntwo\r\n0\r\n\r\n").await;
    });
    assert_eq!(text(response).await, "onetwo");
    site.proxy.stop().await;
}

#[tokio::test]
async fn a_request_has_a_deadline_of_its_own() {
    let app = App::start().await;
    let limits = Limits {
        response_head: Duration::from_millis(60),
        body_idle: Duration::from_millis(60),
        ..quick()
    };
    let site = site(&route_to(&app), limits).await;
    let visitor = site.visit().await;
    let silent = ask(&visitor, get("/silent")).await;
    assert_eq!(silent.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(app.accept().await);
    let (response, mut replica) = tokio::join!(ask(&visitor, get("/stalls")), async {
        let mut replica = app.accept().await;
        replica.read_head().await;
        replica
            .send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        replica
    });
    let body = soon("the end of the body", response.into_body().collect()).await;
    body.expect_err("it is broken off");
    assert_eq!(replica.read_to_end().await, "");
    // The connection goes on.
    let (response, ()) = tokio::join!(ask(&visitor, get("/")), async {
        let mut replica = app.accept().await;
        replica.read_head().await;
        replica.send(&reply("well")).await;
    });
    assert_eq!(text(response).await, "well");
    site.proxy.stop().await;
}

#[tokio::test]
async fn a_proxy_that_ends_finishes_what_runs_and_says_that_it_ends() {
    let app = App::start().await;
    let site = site(&route_to(&app), quick()).await;
    let visitor = site.visit().await;
    let running = spawn({
        let visitor = visitor.clone();
        async move { text(ask(&visitor, get("/")).await).await }
    });
    let mut replica = app.accept().await;
    replica.read_head().await;
    site.proxy.control().await.finish().await.unwrap();
    replica.send(&reply("done")).await;
    assert_eq!(soon("the answer", running).await.unwrap(), "done");
    eventually("the connection ends", async || {
        visitor.is_closed().then_some(())
    })
    .await;
    site.proxy.ended().await;
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The head of `GET /` for our host, without a table of headers.
fn head() -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x84, 0x41, u8::try_from(HOST.len()).unwrap()];
    block.extend_from_slice(HOST.as_bytes());
    block
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Sends raw frames; the kinds of all frames that come back until the proxy closes.
async fn abuse(site: &Site, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut tls = shake_hands(&site.proxy, HOST, &site.own, &["h2"])
        .await
        .unwrap();
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    frames.into_iter().for_each(|frame| bytes.extend(frame));
    let (mut reader, mut writer) = tokio::io::split(&mut tls);
    let mut answer = Vec::new();
    // The proxy may close before it has read everything.
    let write = async {
        let _ = writer.write_all(&bytes).await;
    };
    let read = async {
        let _ = reader.read_to_end(&mut answer).await;
    };
    soon("the end of the connection", async {
        tokio::join!(write, read)
    })
    .await;
    let mut kinds = Vec::new();
    let mut rest = &answer[..];
    while let [a, b, c, kind, ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        kinds.push(*kind);
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn who_misuses_http_2_is_shown_the_door_and_others_go_on() {
    let app = App::start().await;
    let limits = Limits {
        keep_alive: Duration::from_millis(200),
        request_head: Duration::from_millis(200),
        ..quick()
    };
    let site = site(&route_to(&app), limits).await;
    // Requests that are taken back at once.
    let resets = (0..2_000).flat_map(|number| {
        let stream = 2 * number + 1;
        [
            frame(HEADERS, END_STREAM | END_HEADERS, stream, &head()),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
    });
    assert!(abuse(&site, resets).await.contains(&GOAWAY), "rapid resets");
    // A head that never ends.
    let endless = [frame(HEADERS, END_STREAM, 1, &head())]
        .into_iter()
        .chain(std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &[0; 16_000])).take(40));
    assert!(
        abuse(&site, endless).await.contains(&GOAWAY),
        "endless headers"
    );
    // Nothing but pings, and nothing at all.
    let pings = (0..100).map(|_| frame(PING, 0, 0, &[0; 8]));
    abuse(&site, pings).await;
    abuse(&site, []).await;
    // What is no HTTP/2.
    abuse(&site, [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()]).await;

    app.play("well");
    let visitor = site.visit().await;
    assert_eq!(text(ask(&visitor, get("/")).await).await, "well");
    site.proxy.stop().await;
}

/// A header without a place in a table, its name as it is written.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The head of `POST /` with these headers beside.
fn post(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = head();
    block[0] = 0x83;
    for (name, value) in headers {
        block.extend(literal(name, value));
    }
    block
}

const DATA: u8 = 0;

#[tokio::test]
async fn what_http_1_would_read_otherwise_does_not_get_through() {
    let app = App::start().await;
    let limits = Limits {
        keep_alive: Duration::from_millis(200),
        request_head: Duration::from_millis(200),
        ..quick()
    };
    let site = site(&route_to(&app), limits).await;
    let log = Log::default();
    spawn(record_all(app, Arc::clone(&log)));
    let bare = "GET /smuggled HTTP/1.1\r\nhost: shop.example.com\r\n\r\n";
    let chunked = format!("0\r\n\r\n{bare}");
    let attacks = [
        &[][..],
        &[("transfer-encoding", "chunked")],
        &[("connection", "transfer-encoding")],
        &[("content-length", "3")],
        &[("content-length", "3"), ("content-length", "60")],
        &[("x-evil", "a\r\ntransfer-encoding: chunked")],
        &[("x-evil\r\ntransfer-encoding: chunked\r\nx", "a")],
        &[("x evil", "a")],
        &[("X-Upper", "a")],
        &[("upgrade", "websocket"), ("connection", "upgrade")],
        &[(":path", "/smuggled")],
        &[("host", "evil.example.com"), ("host", HOST)],
    ];
    let bodies = [bare, &chunked];
    let all = attacks
        .iter()
        .flat_map(|headers| bodies.map(|body| (headers, body)));
    let abuses = all.map(|(headers, body)| {
        let frames = [
            frame(HEADERS, END_HEADERS, 1, &post(headers)),
            frame(DATA, END_STREAM, 1, body.as_bytes()),
        ];
        abuse(&site, frames)
    });
    futures_util::future::join_all(abuses).await;
    let seen = std::mem::take(&mut *log.lock().unwrap());
    // At least the two that are as they should be.
    assert!(
        (2..=2 * attacks.len()).contains(&seen.len()),
        "{}",
        seen.len()
    );
    for Seen { head, body } in seen {
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "host"), Some(HOST), "{head}");
        assert_eq!(
            header(&head, "transfer-encoding"),
            Some("chunked"),
            "{head}"
        );
        assert_eq!(header(&head, "content-length"), None, "{head}");
        assert!(!head.contains("evil"), "{head}");
        assert!(bodies.contains(&body.as_str()), "{head}{body}");
    }
    let visitor = site.visit().await;
    assert_eq!(ask(&visitor, get("/")).await.status(), StatusCode::OK);
    site.proxy.stop().await;
}

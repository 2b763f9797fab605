//! Requests that two servers could read in two ways. Whatever a visitor sends, the app sees nothing,
//! or whole requests whose framing is unambiguous and which carry headers of ours.

use std::sync::{Arc, Mutex};

use crate::harness::{App, HOST, Proxy, Wire, header, reply, route_to, spawn};

/// What follows each attack on its connection.
const LAST: &str = "GET /last HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n";

/// A request as the app read it, by the strict rules.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

/// A proxy before an app that records.
struct Lab {
    proxy: Proxy,
    log: Log,
}

impl Lab {
    async fn open() -> Self {
        let app = App::start().await;
        let proxy = Proxy::start(&route_to(&app)).await;
        let log = Log::default();
        spawn(record_all(app, Arc::clone(&log)));
        Self { proxy, log }
    }

    /// Sends an attack and [`LAST`] on one connection; what the app saw, what the visitor got.
    async fn attack(&self, raw: &str) -> (Vec<Seen>, String) {
        let mut visitor = self.proxy.visit().await;
        visitor
            .try_send(&format!("{raw}{LAST}").replace("HOST", HOST))
            .await;
        let answer = visitor.read_to_end().await;
        let seen = std::mem::take(&mut *self.log.lock().unwrap());
        for request in &seen {
            let head = &request.head;
            assert_eq!(
                header(head, "x-real-ip"),
                Some("127.0.0.1"),
                "{raw}: {head}"
            );
            let framings = head
                .lines()
                .filter(|line| {
                    line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
                })
                .count();
            assert!(framings <= 1, "{raw}: {head}");
        }
        (seen, answer)
    }

    /// The app must see nothing, and the visitor this status and then the end.
    async fn refuses(&self, status: u16, raw: &str) {
        let (seen, answer) = self.attack(raw).await;
        assert!(seen.is_empty(), "{raw}: {}", seen[0].head);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{raw}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{raw}: {answer}");
    }

    /// The app must see exactly these requests: the start of the head, and the body.
    async fn passes(&self, raw: &str, expected: &[(&str, &str)]) {
        let (seen, answer) = self.attack(raw).await;
        let seen: Vec<_> = seen
            .iter()
            .map(|request| (request.head.lines().next().unwrap(), request.body.as_str()))
            .collect();
        assert_eq!(seen, expected, "{raw}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 200 ").count(),
            expected.len(),
            "{raw}: {answer}"
        );
    }
}

pub(crate) async fn record_all(app: App, log: Log) {
    loop {
        let proxy = app.accept_anytime().await;
        spawn(record(proxy, Arc::clone(&log)));
    }
}

async fn record(mut proxy: Wire, log: Log) {
    while let Some(head) = proxy.try_read_head().await {
        let body = if header(&head, "transfer-encoding").is_some() {
            proxy.try_read_chunks().await
        } else {
            let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            proxy.try_read(length).await
        };
        let Some(body) = body else {
            return;
        };
        log.lock().unwrap().push(Seen { head, body });
        proxy.send(&reply("")).await;
    }
}

const LAST_SEEN: (&str, &str) = ("GET /last HTTP/1.1", "");

#[tokio::test]
async fn of_length_and_chunks_the_chunks_count_and_the_connection_ends() {
    let lab = Lab::open().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n";
    for framing in [
        "content-length: 6\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 6",
        "content-length: 6\r\ntransfer-encoding:\tChunked",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\ncontent-length: 7",
        "content-length: 6\r\nTransfer-Encoding: chunked\r\nconnection: keep-alive",
    ] {
        lab.passes(
            &format!("POST / HTTP/1.1\r\nhost: HOST\r\n{framing}\r\n\r\n0\r\n\r\n{smuggled}"),
            &[("POST / HTTP/1.1", "")],
        )
        .await;
    }
    lab.proxy.stop().await;
}

#[tokio::test]
async fn lengths_that_disagree_or_are_no_numbers_are_refused() {
    let lab = Lab::open().await;
    for framing in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length: 5\u{b}",
        "content-length:",
        "content-length: 18446744073709551616",
        "content-length : 5",
        "content-length\t: 5",
    ] {
        lab.refuses(
            400,
            &format!("POST / HTTP/1.1\r\nhost: HOST\r\n{framing}\r\n\r\nhello"),
        )
        .await;
    }
    lab.passes(
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        &[("POST / HTTP/1.1", "hello"), LAST_SEEN],
    )
    .await;
    lab.proxy.stop().await;
}

#[tokio::test]
async fn codings_other_than_chunked_are_refused() {
    let lab = Lab::open().await;
    let post =
        |framing: &str| format!("POST / HTTP/1.1\r\nhost: HOST\r\n{framing}\r\n\r\n0\r\n\r\n");
    for framing in [
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding : chunked",
        "transfer-encoding\u{0}: chunked",
        " transfer-encoding: chunked",
        "x: y\r\n transfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
    ] {
        lab.refuses(400, &post(framing)).await;
    }
    for framing in [
        "transfer-encoding: gzip, chunked\r\nconnection: close",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\nconnection: close",
        "transfer-encoding: chunked, chunked\r\nconnection: close",
    ] {
        lab.refuses(501, &post(framing)).await;
    }
    let (seen, answer) = lab.attack(&post("").replace("HTTP/1.1", "HTTP/1.0")).await;
    assert_eq!(seen.len(), 1, "{answer}");
    let (seen, _) = lab
        .attack(&post("transfer-encoding: chunked").replace("HTTP/1.1", "HTTP/1.0"))
        .await;
    assert!(seen.is_empty());
    lab.proxy.stop().await;
}

#[tokio::test]
async fn broken_chunks_never_make_a_whole_request() {
    let lab = Lab::open().await;
    for chunks in [
        "g\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let raw =
            format!("POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        lab.refuses(400, &raw).await;
    }
    lab.passes(
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n5;name=\"value\"\r\nhello\r\n0\r\nx-real-ip: 1.1.1.1\r\nhost: other\r\n\r\n",
        &[("POST / HTTP/1.1", "hello"), LAST_SEEN],
    )
    .await;
    lab.proxy.stop().await;
}

#[tokio::test]
async fn malformed_heads_are_refused() {
    let lab = Lab::open().await;
    for head in [
        "GET  / HTTP/1.1\r\nhost: HOST\r\n\r\n",
        "GET / HTTP/1.1 HTTP/1.1\r\nhost: HOST\r\n\r\n",
        "GET / HTTP/2.0\r\nhost: HOST\r\n\r\n",
        "GET / HTTP/9\r\nhost: HOST\r\n\r\n",
        "GET /\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nhost: HOST\r\n\r\n",
        "GET / HTTP/1.1\r\n host: HOST\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\nx: a\u{0}b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\nx: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\n: empty\r\n\r\n",
    ] {
        lab.refuses(400, head).await;
    }
    for head in [
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\nhost: HOST\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: HOST\r\nhost: other\r\nconnection: close\r\n\r\n",
        "GET http://a@HOST/ HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n",
    ] {
        lab.refuses(400, head).await;
    }
    lab.refuses(
        405,
        "CONNECT HOST:80 HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n",
    )
    .await;
    lab.proxy.stop().await;
}

#[tokio::test]
async fn what_is_allowed_but_odd_arrives_in_plain_form() {
    let lab = Lab::open().await;
    lab.passes("\r\n\r\n", &[LAST_SEEN]).await;
    lab.passes(
        "GET /lf HTTP/1.1\nhost: HOST\n\n",
        &[("GET /lf HTTP/1.1", ""), LAST_SEEN],
    )
    .await;
    let inner = "GET /smuggled HTTP/1.1\r\n\r\n";
    lab.passes(
        &format!(
            "GET /body HTTP/1.1\r\nhost: HOST\r\ncontent-length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        &[("GET /body HTTP/1.1", inner), LAST_SEEN],
    )
    .await;
    for listed in ["content-length", "transfer-encoding", "host", "x-real-ip"] {
        lab.passes(
            &format!("POST / HTTP/1.1\r\nhost: HOST\r\nconnection: {listed}\r\ncontent-length: 5\r\n\r\nhello"),
            &[("POST / HTTP/1.1", "hello"), LAST_SEEN],
        )
        .await;
    }
    let (seen, _) = lab
        .attack("POST / HTTP/1.1\r\nhost: HOST\r\ncontent_length: 9\r\ntransfer_encoding: chunked\r\ncontent-length: 5\r\n\r\nhello")
        .await;
    assert!(!seen[0].head.contains('_'), "{}", seen[0].head);
    lab.passes(
        "POST /up HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 5\r\n\r\nhello",
        &[("POST /up HTTP/1.1", "hello"), LAST_SEEN],
    )
    .await;
    lab.proxy.stop().await;
}

//! Apps that speak HTTP/2 without TLS, as gRPC does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tose_api::domain_settings::UpstreamProtocol;
use tose_model::route::{RouteTable, Rules};

use crate::harness::{
    HOST, Proxy, eventually, get as get_in_http1, header, quick, routes, soon, spawn,
};
use crate::http2::{Sent, ask, get, site};

/// An app that sends each body back with trailers, and says how it was asked.
async fn echo(request: Request<Incoming>) -> Result<Response<Sent>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    let mut response = Response::builder();
    let headers = response.headers_mut().unwrap();
    let authority = request.uri().authority().unwrap().as_str();
    headers.insert("x-authority", authority.parse().unwrap());
    headers.insert("x-path", request.uri().path().parse().unwrap());
    for name in ["te", "x-forwarded-proto"] {
        if let Some(value) = request.headers().get(name) {
            headers.insert(
                format!("x-seen-{name}")
                    .parse::<http::HeaderName>()
                    .unwrap(),
                value.clone(),
            );
        }
    }
    let body = request.into_body();
    let trailers = async {
        let trailers = [(
            "grpc-status".parse().unwrap(),
            HeaderValue::from_static("0"),
        )];
        Ok::<_, Infallible>(Frame::trailers(HeaderMap::from_iter(trailers)))
    };
    let frames = futures_util::StreamExt::chain(
        futures_util::StreamExt::filter_map(http_body_util::BodyStream::new(body), async |frame| {
            frame.ok().filter(Frame::is_data).map(Ok)
        }),
        futures_util::stream::once(trailers),
    );
    Ok(response.body(body_of(frames)).unwrap())
}

/// A stream as a body that can be shared.
fn body_of(
    frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Sent {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    spawn(async move {
        let mut frames = Box::pin(frames);
        while let Some(frame) = futures_util::StreamExt::next(&mut frames).await {
            if sender.send(frame).is_err() {
                return;
            }
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        let frame = receiver.recv().await?;
        Some((frame, receiver))
    });
    BodyExt::boxed(StreamBody::new(stream))
}

/// Serves [`echo`]; counts the connections.
async fn start_app() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let served = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tcp), service_fn(echo));
            spawn(served);
        }
    });
    (addr, count)
}

fn table(addr: std::net::SocketAddr) -> RouteTable {
    let mut table = routes(1, &[(HOST, &[addr])]);
    let rules = Rules {
        upstream: UpstreamProtocol::H2c,
        ..Rules::default()
    };
    table.routes.values_mut().next().unwrap().rules = Some(Box::new(rules));
    table
}

#[tokio::test]
async fn a_call_goes_through_both_ways_with_its_trailers() {
    let (addr, connections) = start_app().await;
    let site = site(&table(addr), quick()).await;
    let visitor = site.visit().await;
    let (parts, received) = tokio::sync::mpsc::unbounded_channel();
    let call = Request::post(format!("https://{HOST}/shop.Shop/Watch"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(body_of(futures_util::stream::unfold(
            received,
            |mut received| async {
                let part: &'static str = received.recv().await?;
                Some((Ok(Frame::data(Bytes::from(part))), received))
            },
        )))
        .unwrap();
    let response = ask(&visitor, call).await;
    let headers = response.headers();
    assert_eq!(headers["x-authority"], HOST);
    assert_eq!(headers["x-path"], "/shop.Shop/Watch");
    assert_eq!(headers["x-seen-te"], "trailers");
    assert_eq!(headers["x-seen-x-forwarded-proto"], "https");
    // Each message is answered before the next one is sent.
    let mut body = response.into_body();
    for part in ["first", "second"] {
        parts.send(part).unwrap();
        let frame = soon("a message", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), part);
    }
    drop(parts);
    let end = soon("the end", body.frame()).await.unwrap().unwrap();
    assert_eq!(end.into_trailers().unwrap()["grpc-status"], "0");

    // Calls at once share a connection.
    let calls = (0..50).map(|_| ask(&visitor, get("/")));
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert!(
        connections.load(Ordering::SeqCst) <= 2,
        "one for each worker"
    );
    site.proxy.stop().await;
}

async fn answer_once(tcp: tokio::net::TcpStream) {
    let asked = tokio::sync::Notify::new();
    let answer = service_fn(|_: Request<Incoming>| {
        asked.notify_one();
        let body: Sent = Full::from(Bytes::from_static(b"one")).boxed();
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let builder = http2::Builder::new(TokioExecutor::new());
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(tcp), answer));
    tokio::select! {
        _ = &mut served => return,
        () = asked.notified() => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

#[tokio::test]
async fn a_visitor_with_http_1_is_served_as_well_and_a_new_connection_is_made_when_one_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    spawn(async move {
        // A connection takes one request, then says that it ends.
        while let Ok((tcp, _)) = listener.accept().await {
            spawn(answer_once(tcp));
        }
    });
    let proxy = Proxy::start(&table(addr)).await;
    for _ in 0..30 {
        let mut visitor = proxy.visit().await;
        visitor.send(&get_in_http1("/")).await;
        let head = visitor.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        match header(&head, "content-length") {
            Some(_) => visitor.expect("one").await,
            None => assert_eq!(visitor.try_read_chunks().await.unwrap(), "one"),
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_app_that_speaks_http_1_only_is_no_answer() {
    let app = crate::harness::App::start().await;
    let proxy = Proxy::start(&table(app.addr)).await;
    spawn(async move {
        loop {
            let mut replica = app.accept_anytime().await;
            replica
                .try_send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let answer = proxy
        .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert_eq!(
        header(&answer, "x-tose-error"),
        Some("upstream_failed"),
        "{answer}"
    );
    eventually("nothing that runs", async || {
        let status = proxy.control().await.status().await.unwrap();
        (status.connections == 0).then_some(())
    })
    .await;
    proxy.stop().await;
}

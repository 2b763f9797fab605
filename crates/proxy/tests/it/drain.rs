//! The end of a proxy, with and without a successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tose_proxy::Limits;

use crate::harness::{App, HOST, Proxy, Wire, get, header, reply, route_to, routes, spawn};

#[tokio::test]
async fn a_running_request_finishes_and_its_connection_ends() {
    let app = App::start().await;
    let proxy = Proxy::start_with(&route_to(&app), Limits::default()).await;
    let unknown = "GET / HTTP/1.1\r\nhost: other.example.com\r\n\r\n";
    let mut resting = proxy.visit().await;
    resting.send(unknown).await;
    resting.read_response().await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;

    proxy.control().await.finish().await.unwrap();
    // A connection that rests may still ask once; the answer says that this was the last.
    resting.send(unknown).await;
    let (head, _) = resting.read_response().await;
    assert_eq!(header(&head, "connection"), Some("close"));
    assert_eq!(resting.read_to_end().await, "");

    upstream.send(&reply("done")).await;
    let (head, body) = visitor.read_response().await;
    assert_eq!(header(&head, "connection"), Some("close"));
    assert_eq!(body, "done");
    assert_eq!(visitor.read_to_end().await, "");
    let socket = proxy.control_socket();
    proxy.ended().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let app = App::start().await;
    let limits = Limits {
        drain: Duration::from_millis(100),
        drain_idle: Duration::from_millis(50),
        ..Limits::default()
    };
    let proxy = Proxy::start_with(&route_to(&app), limits).await;
    let mut idle = proxy.visit().await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    proxy.stop().await;
    assert_eq!(idle.read_to_end().await, "");
    assert_eq!(visitor.read_to_end().await, "");
    assert_eq!(upstream.read_to_end().await, "");
}

/// Visitors who ask without a pause, on new and on kept connections.
struct Crowd {
    is_over: Arc<AtomicBool>,
    visitors: Vec<tokio::task::JoinHandle<u64>>,
}

impl Crowd {
    fn gather(addr: std::net::SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let visitors = (0..6)
            .map(|number| spawn(ask(addr, number % 2 == 0, Arc::clone(&is_over))))
            .collect();
        Self { is_over, visitors }
    }

    async fn dissolve(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let mut total = 0;
        for visitor in self.visitors {
            total += visitor.await.unwrap();
        }
        total
    }
}

async fn ask(addr: std::net::SocketAddr, is_fresh: bool, is_over: Arc<AtomicBool>) -> u64 {
    let mut kept: Option<Wire> = None;
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut visitor = match kept.take() {
            Some(visitor) => visitor,
            None => Wire::new(tokio::net::TcpStream::connect(addr).await.unwrap()),
        };
        visitor.send(&get("/")).await;
        let (head, body) = visitor.read_response().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
        if !is_fresh && header(&head, "connection") != Some("close") {
            kept = Some(visitor);
        }
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_successor_takes_over_and_no_request_fails() {
    let app = App::start().await;
    let proxy = Proxy::start_with(&route_to(&app), Limits::default()).await;
    app.play("hi");
    let addr = proxy
        .control()
        .await
        .status()
        .await
        .unwrap()
        .http_addr
        .unwrap();
    let crowd = Crowd::gather(addr);
    let mut current = proxy;
    for _ in 0..3 {
        let successor = current.take_over().await;
        current.ended().await;
        let status = successor.control().await.status().await.unwrap();
        assert_eq!(status.version, "second");
        assert_eq!(status.http_addr, Some(addr));
        current = successor;
    }
    let requests = crowd.dissolve().await;
    assert!(requests > 0);
    current.stop().await;
}

#[tokio::test]
async fn a_successor_speaks_for_its_predecessor_while_that_drains() {
    let (old, new) = (App::start().await, App::start().await);
    let name = old.addr.to_string();
    let proxy = Proxy::start_with(&route_to(&old), Limits::default()).await;
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = old.accept().await;
    upstream.read_head().await;
    let mut resting = proxy.visit().await;
    // A head that has begun keeps the connection with the predecessor.
    resting.send("GET / HTTP/1.1\r\n").await;
    let mut control = proxy.control().await;
    crate::harness::eventually("both connections to be accepted", async || {
        (control.status().await.unwrap().connections == 2).then_some(())
    })
    .await;

    let successor = proxy.take_over().await;
    assert_eq!(successor.control().await.in_flight(&name).await.unwrap(), 1);
    successor.publish(&routes(2, &[(HOST, &[new.addr])])).await;
    resting.send(&format!("host: {HOST}\r\n\r\n")).await;
    let mut replacement = new.accept().await;
    replacement.read_head().await;
    replacement.send(&reply("new")).await;
    assert_eq!(resting.read_response().await.1, "new");

    upstream.send(&reply("old")).await;
    assert_eq!(visitor.read_response().await.1, "old");
    proxy.ended().await;
    assert_eq!(successor.control().await.in_flight(&name).await.unwrap(), 0);
    successor.stop().await;
}

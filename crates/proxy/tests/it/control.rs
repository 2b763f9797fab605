//! The conversation with the control plane.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tose_model::route::{IndexedTable, RouteChange, RouteTable};
use tose_proxy::{Config, Error, snapshot};

use crate::harness::{App, HOST, Proxy, get, reply, route_to, routes, spawn};

#[tokio::test]
async fn a_reload_swaps_routes_while_requests_run_and_none_fails() {
    let (old, new) = (App::start().await, App::start().await);
    let (old_addr, new_addr) = (old.addr, new.addr);
    let proxy = Arc::new(Proxy::start(&route_to(&old)).await);
    old.play("old");
    new.play("new");
    let is_over = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = (0..4)
        .map(|number| {
            let (proxy, is_over) = (Arc::clone(&proxy), Arc::clone(&is_over));
            spawn(async move {
                let mut visitor = proxy.visit().await;
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    if number % 2 == 0 {
                        visitor = proxy.visit().await;
                    }
                    visitor.send(&get("/")).await;
                    let (head, body) = visitor.read_response().await;
                    assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
                    assert!(body == "old" || body == "new", "{body}");
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut resting = proxy.visit().await;
    for generation in 2..40 {
        let (addr, name) = if generation % 2 == 0 {
            (new_addr, "new")
        } else {
            (old_addr, "old")
        };
        proxy.publish(&routes(generation, &[(HOST, &[addr])])).await;
        // Confirmed means that both workers use it, also for connections that were open before.
        resting.send(&get("/")).await;
        assert_eq!(resting.read_response().await.1, name);
        assert_eq!(
            proxy
                .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
                .await
                .lines()
                .last(),
            Some(name)
        );
    }
    is_over.store(true, Ordering::Relaxed);
    let mut total = 0;
    for visitor in visitors {
        total += visitor.await.unwrap();
    }
    let status = proxy.control().await.status().await.unwrap();
    assert_eq!(status.generation, 39);
    assert_eq!(status.requests_total, total + 2 * 38);
    assert_eq!(status.pid, std::process::id());
    Arc::into_inner(proxy).unwrap().stop().await;
}

#[tokio::test]
async fn a_broken_snapshot_keeps_the_last_good_table() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    app.play("hi");
    let mut control = proxy.control().await;
    std::fs::write(
        proxy.routes_file(),
        "{\"generation\": 7, \"routes\": {\"no host!\": 1}}",
    )
    .unwrap();
    let error = control.reload().await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused(why) if why.contains("is broken")),
        "{error}"
    );
    let status = control.status().await.unwrap();
    assert_eq!(status.generation, 1);
    assert!(status.snapshot_error.unwrap().contains("is broken"));
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    assert_eq!(visitor.read_response().await.1, "hi");

    snapshot::write(proxy.routes_file(), &routes(8, &[])).unwrap();
    assert_eq!(control.reload().await.unwrap(), 8);
    assert_eq!(control.status().await.unwrap().snapshot_error, None);
    proxy.stop().await;
}

#[tokio::test]
async fn requests_are_counted_on_their_replica_until_their_last_byte() {
    let app = App::start().await;
    let name = app.addr.to_string();
    let proxy = Proxy::start(&route_to(&app)).await;
    let mut control = proxy.control().await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 0);
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/")).await;
    let mut upstream = app.accept().await;
    upstream.read_head().await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 1);
    upstream
        .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        .await;
    visitor.read_head().await;
    visitor.expect("a").await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 1);
    assert_eq!(control.in_flight("another").await.unwrap(), 0);
    upstream.send("b").await;
    visitor.expect("b").await;
    assert_eq!(control.in_flight(&name).await.unwrap(), 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_replica_that_is_routed_no_more_loses_its_resting_connections() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let (mut early, mut late) = (proxy.visit().await, proxy.visit().await);
    early.send(&get("/")).await;
    let mut resting = app.accept().await;
    resting.read_head().await;
    late.send(&get("/")).await;
    let mut running = app.accept().await;
    running.read_head().await;
    resting.send(&reply("")).await;
    early.read_response().await;
    proxy.publish(&routes(2, &[(HOST, &[])])).await;
    assert_eq!(resting.read_to_end().await, "");
    running.send(&reply("done")).await;
    assert_eq!(late.read_response().await.1, "done");
    assert_eq!(running.read_to_end().await, "");
    proxy.stop().await;
}

#[tokio::test]
async fn nonsense_gets_an_error_and_the_conversation_goes_on() {
    let proxy = Proxy::start(&routes(3, &[])).await;
    let mode = std::fs::metadata(proxy.control_socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = BufReader::new(UnixStream::connect(proxy.control_socket()).await.unwrap());
    for line in ["", "{", "{\"request\":\"explode\"}", "[1,2]", "\u{0}"] {
        stream
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        assert!(answer.starts_with("{\"response\":\"error\""), "{answer}");
    }
    stream
        .write_all(b"{\"request\":\"reload\"}\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    assert_eq!(answer, "{\"response\":\"reloaded\",\"generation\":3}\n");
    proxy.stop().await;
}

#[tokio::test]
async fn a_second_proxy_does_not_start_beside_the_first() {
    let proxy = Proxy::start(&routes(1, &[])).await;
    let start = |config: Config| async {
        tokio::task::spawn_blocking(|| tose_proxy::run(config))
            .await
            .unwrap()
    };
    let error = start(proxy.config().clone()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");

    let status = proxy.control().await.status().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = Config {
        http_addr: status.http_addr,
        routes_file: tose_proxy::routes_file(elsewhere.path()),
        control_socket: tose_proxy::control_socket(elsewhere.path()),
        ..proxy.config().clone()
    };
    let error = start(config).await.unwrap_err();
    assert!(matches!(error, Error::PortTaken { .. }), "{error}");
    proxy.stop().await;
}

/// What puts these hosts of the table in place of all of their project's.
fn change_to(table: &RouteTable) -> RouteChange {
    let indexed = IndexedTable::from(table.clone());
    let projects = indexed.projects();
    RouteChange::new(
        table.generation,
        projects.map(|id| (id, indexed.routes_of(id))),
    )
}

#[tokio::test]
async fn what_changes_is_used_at_once_and_by_a_successor_as_well() {
    let (old, new) = (App::start().await, App::start().await);
    let (old_addr, new_addr) = (old.addr, new.addr);
    let proxy = Proxy::start(&route_to(&old)).await;
    old.play("old");
    new.play("new");
    let other = "other.example.com";
    let page_at = async |proxy: &Proxy, host: &str| {
        let page = proxy
            .get(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n"))
            .await;
        page.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(page_at(&proxy, HOST).await, "old");
    let both = routes(2, &[(HOST, &[new_addr]), (other, &[old_addr])]);
    proxy.change(&change_to(&both)).await;
    assert_eq!(page_at(&proxy, HOST).await, "new");
    assert_eq!(page_at(&proxy, other).await, "old");
    // Asked for what it has, it changes nothing.
    assert_eq!(proxy.control().await.use_routes(2).await.unwrap(), 2);
    let successor = proxy.take_over().await;
    proxy.ended().await;
    assert_eq!(page_at(&successor, other).await, "old");
    let one = routes(3, &[(HOST, &[new_addr])]);
    successor.change(&change_to(&one)).await;
    let gone = successor
        .get(&format!("GET / HTTP/1.1\r\nhost: {other}\r\n"))
        .await;
    assert!(gone.contains("x-tose-error: unknown_host"), "{gone}");

    // A gap in the log is filled by the whole table.
    let table = routes(7, &[(HOST, &[old_addr])]);
    snapshot::write(successor.routes_file(), &table).unwrap();
    successor
        .change(&change_to(&routes(8, &[(HOST, &[new_addr])])))
        .await;
    assert_eq!(page_at(&successor, HOST).await, "new");
    // And what never comes is not claimed.
    let used = successor.control().await.use_routes(12).await;
    assert_eq!(used.unwrap(), 8);
    successor.stop().await;
}

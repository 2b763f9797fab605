//! What the owner of a host has visitors meet before the app, on raw connections.

use std::io::Read;
use std::net::SocketAddr;

use tose_api::domain_settings::{Hsts, IpRange};
use tose_model::route::{Backend, Credential, PathRule, Route, RouteTable, Rules};
use tose_model::secret::SecretString;

use crate::harness::{
    App, HOST, Proxy, Wire, eventually, get, header, reply, routes, ruled, spawn,
};

/// The second project of the tests.
const OTHER: &str = "api.example.com";
const OTHER_ID: &str = "01890000-0000-7000-8000-000000000002";

fn range(text: &str) -> IpRange {
    text.parse().unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn only_addresses_that_are_let_in_come_in() {
    let app = App::start().await;
    let rules = |ranges: &[&str]| Rules {
        allowed_ips: ranges.iter().map(|text| range(text)).collect(),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules(&["203.0.113.0/24"]))).await;
    let mut let_in = ruled(&app, rules(&["203.0.113.0/24", "127.0.0.1"]));
    let_in.generation = 2;
    app.play("in");
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-forwarded-for: 203.0.113.1\r\n");
    let refused = proxy.get(&request).await;
    assert_eq!(status(&refused), "403");
    assert_eq!(
        header(&refused, "x-tose-error"),
        Some("address_not_allowed")
    );
    proxy.publish(&let_in).await;
    assert!(proxy.get(&request).await.ends_with("in"));
    proxy.stop().await;
}

#[tokio::test]
async fn visitors_are_sent_to_the_same_path_at_another_host() {
    let app = App::start().await;
    let rules = Rules {
        redirect_to: Some("www.example.com".parse().unwrap()),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let check = async |host: &str, expected: &str| {
        let head = format!("POST /a?b=c HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n");
        let answer = proxy.get(&head).await;
        assert_eq!(status(&answer), "308");
        assert_eq!(header(&answer, "location"), Some(expected));
    };
    check(HOST, "http://www.example.com/a?b=c").await;
    check(&format!("{HOST}:8080"), "http://www.example.com:8080/a?b=c").await;
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn a_name_and_a_password_are_asked_for_and_kept_from_the_app() {
    let app = App::start().await;
    let password = SecretString::from("open sesame".to_owned());
    let rules = Rules {
        users: vec![Credential::new("ann".to_owned(), &password, [3; 16])],
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let asked = proxy
        .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert_eq!(status(&asked), "401");
    let challenge = header(&asked, "www-authenticate").unwrap();
    assert!(challenge.starts_with("Basic realm="), "{challenge}");
    let mut visitor = proxy.visit().await;
    let head = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n");
    visitor
        .send(&format!(
            "{head}authorization: Basic YW5uOm9wZW4gc2VzYW1l\r\n\r\n"
        ))
        .await;
    let mut replica = app.accept().await;
    let seen = replica.read_head().await;
    assert_eq!(header(&seen, "authorization"), None);
    replica.send(&reply("in")).await;
    assert_eq!(visitor.read_response().await.1, "in");
    proxy.stop().await;
}

#[tokio::test]
async fn one_address_makes_so_many_requests_a_second() {
    let app = App::start().await;
    let rules = Rules {
        requests_per_second: Some(2),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    app.play("in");
    let mut visitor = proxy.visit().await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        visitor.send(&get("/")).await;
        let (head, _) = visitor.read_response().await;
        if status(&head) == "429" {
            assert_eq!(header(&head, "retry-after"), Some("1"));
        }
        statuses.push(status(&head).to_owned());
    }
    assert_eq!(statuses[..4], ["200"; 4]);
    // However slow this machine is, hardly all of them came at the allowed rate.
    assert!(
        statuses.iter().any(|status| status == "429"),
        "{statuses:?}"
    );
    proxy.stop().await;
}

#[tokio::test]
async fn so_many_requests_run_at_the_same_time_a_tunnel_among_them() {
    let app = App::start().await;
    let rules = Rules {
        max_requests: Some(1),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let mut visitor = proxy.visit().await;
    let upgrade = format!(
        "GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    visitor.send(&upgrade).await;
    let mut replica = app.accept().await;
    replica.read_head().await;
    let accepted =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    replica.send(accepted).await;
    assert_eq!(status(&visitor.read_head().await), "101");
    let refused = proxy
        .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert_eq!(header(&refused, "x-tose-error"), Some("too_many_at_once"));
    drop((visitor, replica));
    app.play("in");
    eventually("room for another", async || {
        let answer = proxy
            .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
            .await;
        (status(&answer) == "200").then_some(())
    })
    .await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_has_a_limit_whether_its_length_is_said_or_not() {
    let app = App::start().await;
    let rules = Rules {
        max_body_bytes: Some(10),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 11\r\n");
    let refused = proxy.get(&head).await;
    assert_eq!(header(&refused, "x-tose-error"), Some("body_too_large"));
    assert!(app.is_alone().await);

    let chunked = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut visitor = proxy.visit().await;
    visitor.send(&format!("{chunked}6\r\n123456\r\n")).await;
    let mut replica = app.accept().await;
    replica.read_head().await;
    visitor.try_send("5\r\n12345\r\n").await;
    assert_eq!(status(&visitor.read_head().await), "413");
    assert!(!replica.read_to_end().await.ends_with("0\r\n\r\n"));

    let mut visitor = proxy.visit().await;
    visitor
        .send(&format!("{chunked}a\r\n1234567890\r\n0\r\n\r\n"))
        .await;
    let mut replica = app.accept().await;
    replica.read_head().await;
    assert_eq!(replica.try_read_chunks().await.unwrap(), "1234567890");
    replica.send(&reply("taken")).await;
    assert_eq!(visitor.read_response().await.1, "taken");
    proxy.stop().await;
}

#[tokio::test]
async fn pages_of_the_owner_stand_in_for_the_app() {
    let app = App::start().await;
    let rules = |maintenance| Rules {
        maintenance,
        maintenance_page: Some("<h1>closed</h1>".to_owned()),
        error_page: Some("<h1>broken</h1>".to_owned()),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules(true))).await;
    let page = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: text/html\r\n");
    let data = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\n");
    let closed = proxy.get(&page).await;
    assert_eq!(status(&closed), "503");
    assert_eq!(header(&closed, "retry-after"), Some("60"));
    assert!(closed.ends_with("<h1>closed</h1>"), "{closed}");
    assert!(proxy.get(&data).await.contains("\"code\":\"maintenance\""));

    let mut broken = ruled(&app, rules(false));
    broken.generation = 2;
    drop(app);
    proxy.publish(&broken).await;
    let broken = proxy.get(&page).await;
    assert_eq!(
        (status(&broken), header(&broken, "x-tose-error")),
        ("502", Some("upstream_failed"))
    );
    assert!(broken.ends_with("<h1>broken</h1>"), "{broken}");
    assert!(
        proxy
            .get(&data)
            .await
            .contains("\"code\":\"upstream_failed\"")
    );
    proxy.stop().await;
}

fn with_path(shop: &App, api: &App, strip_prefix: bool, project_id: &str) -> RouteTable {
    let rules = Rules {
        paths: vec![PathRule {
            prefix: "/api".to_owned(),
            host: OTHER.parse().unwrap(),
            project_id: project_id.parse().unwrap(),
            strip_prefix,
        }],
        ..Rules::default()
    };
    let mut table = ruled(shop, rules);
    let route = Route {
        project_id: OTHER_ID.parse().unwrap(),
        project: "api".parse().unwrap(),
        rules: None,
        backends: vec![Backend {
            replica: "api".to_owned(),
            addr: api.addr,
        }],
        ..table.routes.values().next().unwrap().clone()
    };
    table.routes.insert(OTHER.parse().unwrap(), route);
    table
}

#[tokio::test]
async fn a_path_leads_to_another_project_and_only_to_that_one() {
    let (shop, api) = (App::start().await, App::start().await);
    let proxy = Proxy::start(&with_path(&shop, &api, true, OTHER_ID)).await;
    let mut stolen = with_path(&shop, &api, true, "01890000-0000-7000-8000-000000000003");
    stolen.generation = 2;
    shop.play("shop");
    let mut visitor = proxy.visit().await;
    visitor.send(&get("/api/items?page=2")).await;
    let mut replica = api.accept().await;
    let head = replica.read_head().await;
    assert!(head.starts_with("GET /items?page=2 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some(HOST));
    replica.send(&reply("api")).await;
    assert_eq!(visitor.read_response().await.1, "api");
    visitor.send(&get("/apis")).await;
    assert_eq!(visitor.read_response().await.1, "shop");
    let totals = proxy.control().await.traffic().await.unwrap();
    let traffic = &totals.projects[&OTHER_ID.parse().unwrap()];
    assert_eq!((traffic.requests, traffic.by_class[1]), (1, 1));
    let own = totals.projects.values().map(|traffic| traffic.requests);
    assert_eq!(own.sum::<u64>(), 2, "each counts once");

    // The host belongs to somebody else by now.
    proxy.publish(&stolen).await;
    let lost = proxy
        .get(&format!("GET /api HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert_eq!(header(&lost, "x-tose-error"), Some("no_replica"));
    proxy.stop().await;
}

fn sticky(addrs: &[SocketAddr]) -> RouteTable {
    let mut table = routes(1, &[(HOST, addrs)]);
    let rules = Rules {
        sticky: true,
        ..Rules::default()
    };
    table.routes.values_mut().next().unwrap().rules = Some(Box::new(rules));
    table
}

#[tokio::test]
async fn a_visitor_stays_with_a_replica_for_as_long_as_that_is_there() {
    let (first, second) = (App::start().await, App::start().await);
    let proxy = Proxy::start(&sticky(&[first.addr, second.addr])).await;
    let mut rest = sticky(&[second.addr]);
    rest.generation = 2;
    first.play("first");
    second.play("second");
    let mut visitor = proxy.visit().await;
    // Both get visitors who have no cookie.
    let cookie = loop {
        visitor.send(&get("/")).await;
        let (head, body) = visitor.read_response().await;
        let cookie = header(&head, "set-cookie").expect("a cookie");
        if body == "first" {
            assert!(
                cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
                "{cookie}"
            );
            break cookie.split(';').next().unwrap().to_owned();
        }
    };
    let again = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\ncookie: a=b; {cookie}\r\n\r\n");
    for _ in 0..20 {
        visitor.send(&again).await;
        let (head, body) = visitor.read_response().await;
        assert_eq!(
            (body.as_str(), header(&head, "set-cookie")),
            ("first", None)
        );
    }
    proxy.publish(&rest).await;
    visitor.send(&again).await;
    let (head, body) = visitor.read_response().await;
    assert_eq!(body, "second");
    assert!(header(&head, "set-cookie").is_some_and(|other| !other.starts_with(&cookie)));
    proxy.stop().await;
}

async fn read_gzip(visitor: &mut Wire, bytes: &mut Vec<u8>, expected: &str) {
    loop {
        let mut text = String::new();
        let mut decoder = flate2::read::GzDecoder::new(bytes.as_slice());
        // What is there so far ends in the middle.
        let _ = decoder.read_to_string(&mut text);
        if text == expected {
            return;
        }
        assert!(expected.starts_with(&text), "{text}");
        bytes.extend(visitor.read_chunk().await);
    }
}

#[tokio::test]
async fn texts_are_compressed_and_never_held_back() {
    let app = App::start().await;
    let rules = Rules {
        compression: true,
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let mut visitor = proxy.visit().await;
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept-encoding: br, gzip\r\n\r\n");
    visitor.send(&request).await;
    let mut replica = app.accept().await;
    let head = replica.read_head().await;
    assert_eq!(header(&head, "accept-encoding"), Some("br, gzip"));
    replica
        .send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    let head = visitor.read_head().await;
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    assert_eq!(header(&head, "vary"), Some("accept-encoding"));
    let mut bytes = Vec::new();
    read_gzip(&mut visitor, &mut bytes, "first").await;
    replica.send("7\r\n second\r\n0\r\n\r\n").await;
    read_gzip(&mut visitor, &mut bytes, "first second").await;
    while !visitor.read_chunk().await.is_empty() {}

    visitor.send(&get("/")).await;
    replica.read_head().await;
    replica
        .send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nplain")
        .await;
    let (head, body) = visitor.read_response().await;
    assert_eq!(
        (header(&head, "content-encoding"), body.as_str()),
        (None, "plain")
    );
    proxy.stop().await;
}

#[tokio::test]
async fn requests_of_a_host_that_wants_it_are_kept_for_its_log() {
    let app = App::start().await;
    let rules = Rules {
        access_log: true,
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    app.play("hello");
    let mut visitor = proxy.visit().await;
    let long = "a".repeat(1000);
    for path in ["/one?x=y", &format!("/{long}")] {
        visitor
            .send(&format!(
                "GET {path} HTTP/1.1\r\nhost: {HOST}\r\nuser-agent: test\r\n\r\n"
            ))
            .await;
        visitor.read_response().await;
    }
    let mut control = proxy.control().await;
    let mut records = Vec::new();
    eventually("two records", async || {
        let (more, lost) = control.take_access_records().await.unwrap();
        assert_eq!(lost, 0);
        records.extend(more);
        (records.len() == 2).then_some(())
    })
    .await;
    let first = &records[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("GET", "/one?x=y")
    );
    assert_eq!((first.status, first.sent_bytes), (200, 5));
    assert_eq!(
        (first.host.as_str(), first.user_agent.as_deref()),
        (HOST, Some("test"))
    );
    assert_eq!(first.address, SocketAddr::from(([127, 0, 0, 1], 0)).ip());
    assert_eq!(records[1].path.len(), 512);
    proxy.stop().await;
}

#[tokio::test]
async fn records_that_nobody_fetches_are_bounded_and_counted() {
    let app = App::start().await;
    let rules = Rules {
        access_log: true,
        maintenance: true,
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    let request = get("/").repeat(500);
    let visitors: Vec<_> = (0..5)
        .map(|_| {
            let (addr, request) = (proxy.addr(), request.clone());
            spawn(async move {
                let mut visitor = Wire::new(tokio::net::TcpStream::connect(addr).await.unwrap());
                for _ in 0..4 {
                    visitor.send(&request).await;
                    for _ in 0..500 {
                        visitor.read_response().await;
                    }
                }
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    let (mut kept, mut lost) = (0, 0);
    let mut control = proxy.control().await;
    eventually("every request to be accounted for", async || {
        let (records, more) = control.take_access_records().await.unwrap();
        kept += records.len() as u64;
        lost += more;
        (kept + lost == 10_000).then_some(())
    })
    .await;
    assert_eq!((kept, lost), (8_192, 1_808));
    proxy.stop().await;
}

#[tokio::test]
async fn hsts_is_not_said_without_https() {
    let app = App::start().await;
    let hsts = Hsts {
        max_age_days: 365,
        include_subdomains: true,
        preload: false,
    };
    let rules = Rules {
        hsts: Some(hsts),
        ..Rules::default()
    };
    let proxy = Proxy::start(&ruled(&app, rules)).await;
    app.play("in");
    let answer = proxy
        .get(&format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n"))
        .await;
    assert_eq!(header(&answer, "strict-transport-security"), None);
    proxy.stop().await;
}

#[tokio::test]
async fn a_replica_that_leaves_requests_without_an_answer_is_passed_over() {
    let (bad, good) = (App::start().await, App::start().await);
    let proxy = Proxy::start(&routes(1, &[(HOST, &[bad.addr, good.addr])])).await;
    good.play("good");
    spawn(async move {
        loop {
            // It takes the request and hangs up.
            bad.accept_anytime().await.read_head().await;
        }
    });
    let mut visitor = proxy.visit().await;
    let mut statuses = Vec::new();
    for _ in 0..16 {
        let post = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\n\r\n");
        visitor.send(&post).await;
        let (head, _) = visitor.read_response().await;
        statuses.push(status(&head).to_owned());
    }
    let lost = statuses.iter().filter(|status| *status == "502").count();
    assert_eq!(lost, 3, "{statuses:?}");
    proxy.stop().await;
}

//! Ports of databases: any protocol, with TLS and without, for those who may come.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tose_api::ProjectId;
use tose_model::route::{PortRoute, RouteChange, RouteTable};
use tose_proxy::Limits;
use tose_proxy::certificates::Name;

use crate::harness::{App, Proxy, Wire, eventually, quick, soon};
use crate::tls::{Made, made};

const DATABASE: &str = "demo-db.example.com";
const BASE: &str = "example.com";
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];

fn project() -> ProjectId {
    "01890000-0000-7000-8000-00000000000a".parse().unwrap()
}

/// A port that nobody listens on.
async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn port_to(backend: Option<SocketAddr>, allow: &[&str]) -> PortRoute {
    PortRoute {
        project_id: project(),
        backend,
        allow: allow.iter().map(|range| range.parse().unwrap()).collect(),
        host: DATABASE.parse().unwrap(),
        self_signed: BASE.parse().unwrap(),
    }
}

fn table(generation: u64, ports: &[(SocketAddr, PortRoute)]) -> RouteTable {
    RouteTable {
        generation,
        ports: ports.iter().cloned().collect(),
        ..RouteTable::default()
    }
}

/// A proxy with a port that leads to a database whose part the test plays.
async fn open() -> (Proxy, App, SocketAddr) {
    let (app, port) = (App::start().await, free_port().await);
    let proxy = Proxy::start(&table(1, &[(port, port_to(Some(app.addr), &[]))])).await;
    (proxy, app, port)
}

async fn connect(port: SocketAddr) -> Wire {
    Wire::new(TcpStream::connect(port).await.unwrap())
}

/// Both ends of a connection.
async fn through(port: SocketAddr, app: &App) -> (Wire, Wire) {
    let mut client = connect(port).await;
    client.send("hello").await;
    let mut server = app.accept().await;
    server.expect("hello").await;
    (client, server)
}

/// Whether a client is hung up on without a word.
async fn is_refused(port: SocketAddr) -> bool {
    match TcpStream::connect(port).await {
        Ok(tcp) => Wire::new(tcp).read_to_end().await.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}

fn give(proxy: &Proxy, name: Name, certificate: &Made) {
    let folder = &proxy.config().certificates;
    folder.write(&name, &certificate.certificate).unwrap();
}

/// Shakes hands as clients do that check no certificate but this one.
async fn shake_hands(
    tcp: TcpStream,
    name: &str,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    soon("a handshake", shaken).await
}

/// Says a word through TLS each way.
async fn talk(mut tls: TlsStream<TcpStream>, app: &App) {
    tls.write_all(b"ping").await.unwrap();
    let mut server = app.accept().await;
    server.expect("ping").await;
    server.send("pong").await;
    let mut answer = [0; 4];
    soon("an answer", tls.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"pong");
    tls.shutdown().await.unwrap();
    assert_eq!(server.read_to_end().await, "");
}

#[tokio::test]
async fn bytes_pass_both_ways_whoever_speaks_first_and_each_way_ends_on_its_own() {
    let (proxy, app, port) = open().await;
    let (mut client, mut server) = through(port, &app).await;
    server.send("welcome").await;
    client.expect("welcome").await;
    client.close_sending().await;
    assert_eq!(server.read_to_end().await, "");
    server.send("last").await;
    drop(server);
    assert_eq!(client.read_to_end().await, "last");

    // As MySQL does it.
    let mut client = connect(port).await;
    let mut server = app.accept().await;
    server.send("greeting").await;
    client.expect("greeting").await;
    client.send("answer").await;
    server.expect("answer").await;
    drop(client);
    assert_eq!(server.read_to_end().await, "");
    drop(server);
    let traffic = eventually("its bytes to be counted", async || {
        let totals = proxy.control().await.traffic().await.unwrap();
        let traffic = totals.projects.get(&project()).cloned()?;
        (traffic.received_bytes == 11 && traffic.sent_bytes == 19).then_some(traffic)
    })
    .await;
    assert_eq!(traffic.requests, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn tls_begins_at_once_or_when_postgres_asks_and_without_it_all_goes_as_well() {
    let (proxy, app, port) = open().await;
    // Without any certificate there is no TLS.
    let mut client = TcpStream::connect(port).await.unwrap();
    client.write_all(SSL_REQUEST).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'N');
    client.write_all(b"plain").await.unwrap();
    app.accept().await.expect("plain").await;
    drop(client);

    let own = made(BASE);
    give(&proxy, Name::SelfSigned(BASE.parse().unwrap()), &own);
    for request in [None, Some(GSS_REQUEST)] {
        let mut client = TcpStream::connect(port).await.unwrap();
        if let Some(request) = request {
            client.write_all(request).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'N');
        }
        client.write_all(SSL_REQUEST).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'S');
        talk(shake_hands(client, BASE, own.der()).await.unwrap(), &app).await;
    }
    let client = TcpStream::connect(port).await.unwrap();
    talk(shake_hands(client, BASE, own.der()).await.unwrap(), &app).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_named_host_gets_its_certificate_and_all_others_that_of_the_database() {
    let (proxy, _app, port) = open().await;
    let (database, other) = (made(DATABASE), made("other.example.com"));
    give(&proxy, Name::SelfSigned(BASE.parse().unwrap()), &made(BASE));
    give(&proxy, Name::Host(DATABASE.parse().unwrap()), &database);
    let other_name = "other.example.com".parse().unwrap();
    give(&proxy, Name::Host(other_name), &other);
    for (name, certificate) in [(DATABASE, &database), ("other.example.com", &other)] {
        let client = TcpStream::connect(port).await.unwrap();
        let shaken = shake_hands(client, name, certificate.der()).await;
        shaken.unwrap();
    }
    // Of a name that has none the client gets the database's, and finds that it is not its own.
    let client = TcpStream::connect(port).await.unwrap();
    let shaken = shake_hands(client, "third.example.com", database.der()).await;
    assert!(shaken.unwrap_err().to_string().contains(DATABASE));
    proxy.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_cut() {
    let limits = Limits {
        handshake: std::time::Duration::from_millis(50),
        tunnel_idle: std::time::Duration::from_millis(200),
        ..quick()
    };
    let (app, port) = (App::start().await, free_port().await);
    let routes = table(1, &[(port, port_to(Some(app.addr), &[]))]);
    let proxy = Proxy::start_with(&routes, limits).await;
    give(&proxy, Name::SelfSigned(BASE.parse().unwrap()), &made(BASE));
    for bytes in [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01", &SSL_REQUEST[..5]] {
        let mut client = TcpStream::connect(port).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("the end", client.read_to_end(&mut answer)).await;
        assert_eq!(app.accept().await.read_to_end().await, "");
    }
    // One that has begun may rest for longer, and not for ever.
    let (mut client, _server) = through(port, &app).await;
    assert_eq!(client.read_to_end().await, "");
    proxy.stop().await;
}

#[tokio::test]
async fn who_is_not_on_the_list_is_hung_up_on_also_when_connected_already() {
    let (proxy, app, port) = open().await;
    let (mut client, mut server) = through(port, &app).await;
    let elsewhere = port_to(Some(app.addr), &["203.0.113.0/24"]);
    proxy.publish(&table(2, &[(port, elsewhere)])).await;
    assert_eq!(client.read_to_end().await, "");
    assert_eq!(server.read_to_end().await, "");
    assert!(is_refused(port).await);
    let here = port_to(Some(app.addr), &["203.0.113.0/24", "127.0.0.0/8"]);
    proxy.publish(&table(3, &[(port, here)])).await;
    through(port, &app).await;
    assert!(app.is_alone().await);
    proxy.stop().await;
}

#[tokio::test]
async fn a_change_moves_one_port_and_ends_another_and_disturbs_no_third() {
    let (one, two, three) = (App::start().await, App::start().await, App::start().await);
    let (moved, ended, kept) = (free_port().await, free_port().await, free_port().await);
    let of = |number: u8, app: &App| PortRoute {
        project_id: format!("01890000-0000-7000-8000-00000000000{number}")
            .parse()
            .unwrap(),
        ..port_to(Some(app.addr), &[])
    };
    let routes = table(
        1,
        &[
            (moved, of(1, &one)),
            (ended, of(2, &two)),
            (kept, of(3, &three)),
        ],
    );
    let proxy = Proxy::start(&routes).await;
    let (mut ending, mut server) = through(ended, &two).await;
    let (mut client, mut its_server) = through(kept, &three).await;
    let new = App::start().await;
    let change = RouteChange {
        generation: 2,
        projects: [of(1, &one), of(2, &two)]
            .map(|port| (port.project_id, BTreeMap::new()))
            .into(),
        ports: BTreeMap::from([(moved, of(1, &new))]),
    };
    proxy.change(&change).await;
    through(moved, &new).await;
    assert_eq!(ending.read_to_end().await, "");
    assert_eq!(server.read_to_end().await, "");
    eventually("its listener to be closed", async || {
        TcpStream::connect(ended).await.is_err().then_some(())
    })
    .await;
    client.send("more").await;
    its_server.expect("more").await;
    // While its server does not run, its clients learn so at once.
    let stopped = PortRoute {
        backend: None,
        ..of(1, &new)
    };
    proxy.publish(&table(3, &[(moved, stopped)])).await;
    assert!(is_refused(moved).await);
    proxy.stop().await;
}

#[tokio::test]
async fn a_port_and_an_address_have_so_many_places_and_give_them_back() {
    for limits in [
        Limits {
            connections_per_port: 2,
            ..quick()
        },
        Limits {
            connections_per_port_and_ip: 2,
            ..quick()
        },
    ] {
        let (app, port) = (App::start().await, free_port().await);
        let routes = table(1, &[(port, port_to(Some(app.addr), &[]))]);
        let proxy = Proxy::start_with(&routes, limits).await;
        let first = through(port, &app).await;
        let second = through(port, &app).await;
        assert!(is_refused(port).await);
        drop(first);
        eventually("a place", async || {
            let mut client = connect(port).await;
            client.try_send("hello").await;
            tokio::select! {
                _ = client.read_to_end() => None,
                _server = app.accept_anytime() => Some(()),
            }
        })
        .await;
        drop(second);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_successor_listens_before_its_predecessor_ends_and_connections_live_on() {
    let (proxy, app, port) = open().await;
    let (mut client, mut server) = through(port, &app).await;
    let successor = proxy.take_over().await;
    for _ in 0..20 {
        through(port, &app).await;
    }
    client.send("still").await;
    server.expect("still").await;
    drop((client, server));
    proxy.ended().await;
    through(port, &app).await;
    successor.stop().await;
    assert!(is_refused(port).await);
}

#[tokio::test]
async fn a_port_that_another_program_has_is_opened_once_that_is_gone() {
    let stranger = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = stranger.local_addr().unwrap();
    let app = App::start().await;
    let routes = table(1, &[(port, port_to(Some(app.addr), &[]))]);
    let proxy = Proxy::start(&routes).await;
    drop(stranger);
    eventually("the port", async || {
        TcpStream::connect(port).await.ok().map(drop)
    })
    .await;
    app.accept().await;
    through(port, &app).await;
    proxy.stop().await;
}

//! HTTPS: which certificate a name gets, and what visitors without it are told.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tose_proxy::Limits;
use tose_proxy::certificates::{Certificate, Name};

use crate::harness::{App, HOST, Proxy, get, quick, route_to, routes, soon};

/// Gives our host this certificate.
pub(crate) fn give(proxy: &Proxy, certificate: &Certificate) {
    let name = Name::Host(HOST.parse().unwrap());
    proxy
        .config()
        .certificates
        .write(&name, certificate)
        .unwrap();
}

/// A certificate for one name that signs itself.
pub(crate) struct Made {
    pub(crate) certificate: Certificate,
    der: CertificateDer<'static>,
}

impl Made {
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

pub(crate) fn made(name: &str) -> Made {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Made {
        certificate: Certificate {
            chain: made.cert.pem(),
            sealed_key: made.signing_key.serialize_pem().into_bytes(),
        },
        der: made.cert.der().clone(),
    }
}

pub(crate) async fn shake_hands(
    proxy: &Proxy,
    name: &str,
    trusted: &Made,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    let tcp = TcpStream::connect(proxy.https_addr()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    soon("a handshake", shaken).await
}

/// The answer to one request.
async fn ask(mut tls: TlsStream<TcpStream>, request: &str) -> String {
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let mut length = 0;
    while !answer[..length].windows(4).any(|part| part == b"\r\n\r\n") {
        let count = soon("an answer", tls.read(&mut answer[length..]))
            .await
            .unwrap();
        assert!(count > 0, "the connection ended");
        length += count;
    }
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_host_is_served_with_its_own_certificate_and_the_app_is_told_so() {
    let app = App::start().await;
    let proxy = Proxy::start(&route_to(&app)).await;
    let (own, other) = (made(HOST), made("other.example.com"));
    give(&proxy, &own.certificate);
    let tls = shake_hands(&proxy, HOST, &own, &["http/1.1"])
        .await
        .unwrap();
    let request = get("/");
    let (answer, ()) = tokio::join!(ask(tls, &request), async {
        let mut replica = app.accept().await;
        let head = replica.read_head().await;
        assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
        replica.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    });
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let stranger = shake_hands(&proxy, "other.example.com", &other, &["http/1.1"]).await;
    stranger.expect_err("there is no certificate for it");
    proxy.stop().await;
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_used_once_the_proxy_is_told() {
    let proxy = Proxy::start(&routes(1, &[])).await;
    let host = HOST.parse().unwrap();
    let (before, after) = (made(HOST), made(HOST));
    give(&proxy, &before.certificate);
    let open = shake_hands(&proxy, HOST, &before, &[]).await.unwrap();
    give(&proxy, &after.certificate);
    shake_hands(&proxy, HOST, &before, &[]).await.unwrap();
    proxy
        .control()
        .await
        .forget_certificates(&[host])
        .await
        .unwrap();
    shake_hands(&proxy, HOST, &after, &[]).await.unwrap();
    shake_hands(&proxy, HOST, &before, &[])
        .await
        .expect_err("it is gone");
    // Who came before goes on.
    let answer = ask(open, &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    proxy.stop().await;
}

#[tokio::test]
async fn one_broken_certificate_harms_no_other_and_is_mended_by_the_next() {
    let proxy = Proxy::start(&routes(1, &[])).await;
    let folder = proxy.config().certificates.clone();
    let (good, other) = (made("good.example.com"), made(HOST));
    // The key of one with the chain of the other.
    let mixed = Certificate {
        chain: good.certificate.chain.clone(),
        sealed_key: other.certificate.sealed_key.clone(),
    };
    give(&proxy, &mixed);
    let good_name = Name::Host("good.example.com".parse().unwrap());
    folder.write(&good_name, &good.certificate).unwrap();
    shake_hands(&proxy, HOST, &other, &[])
        .await
        .expect_err("it is broken");
    shake_hands(&proxy, "good.example.com", &good, &[])
        .await
        .unwrap();
    give(&proxy, &other.certificate);
    shake_hands(&proxy, HOST, &other, &[]).await.unwrap();
    assert_eq!(folder.list().unwrap().len(), 2);
    proxy.stop().await;
}

#[tokio::test]
async fn visitors_without_https_are_sent_there_but_certificate_authorities_are_not() {
    let app = App::start().await;
    let mut table = route_to(&app);
    for route in table.routes.values_mut() {
        route.https_port = Some(8443);
    }
    let proxy = Proxy::start(&table).await;
    let answer = proxy
        .get(&format!("POST /a?b=c HTTP/1.1\r\nhost: {HOST}:80\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    let location = format!("location: https://{HOST}:8443/a?b=c\r\n");
    assert!(answer.contains(&location), "{answer}");

    let folder = &proxy.config().certificates;
    folder
        .write_token("to-ken_1", "to-ken_1.thumbprint")
        .unwrap();
    folder.write_token("../x", "y").expect_err("it is no token");
    let ask = async |token: &str| {
        let path = format!("/.well-known/acme-challenge/{token}");
        proxy
            .get(&format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n"))
            .await
    };
    let answer = ask("to-ken_1").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("to-ken_1.thumbprint"), "{answer}");
    for token in ["other", "..%2f..%2froutes.json", "../hosts/x"] {
        assert!(ask(token).await.starts_with("HTTP/1.1 308"), "{token}");
    }
    folder.remove_token("to-ken_1").unwrap();
    assert!(ask("to-ken_1").await.starts_with("HTTP/1.1 308"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_check_by_tls_gets_the_challenges_certificate_and_nothing_else() {
    let proxy = Proxy::start(&routes(1, &[])).await;
    let (own, challenge) = (made(HOST), made(HOST));
    let folder = &proxy.config().certificates;
    give(&proxy, &own.certificate);
    let acme = &["acme-tls/1"];
    shake_hands(&proxy, HOST, &own, acme)
        .await
        .expect_err("nothing is checked");
    let name = Name::Challenge(HOST.parse().unwrap());
    folder.write(&name, &challenge.certificate).unwrap();
    let mut tls = shake_hands(&proxy, HOST, &challenge, acme).await.unwrap();
    let mut rest = Vec::new();
    // The proxy closes without a word, and a close without TLS's own is an error to some.
    let _ = soon("the end", tls.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    shake_hands(&proxy, HOST, &own, &["http/1.1"])
        .await
        .unwrap();
    proxy.stop().await;
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let limits = Limits {
        handshake: Duration::from_millis(50),
        ..quick()
    };
    let proxy = Proxy::start_with(&routes(1, &[]), limits).await;
    for bytes in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(proxy.https_addr()).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("the end", tcp.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_successor_serves_https_on_the_same_port() {
    let proxy = Proxy::start(&routes(1, &[])).await;
    let own = made(HOST);
    give(&proxy, &own.certificate);
    let successor = proxy.take_over().await;
    assert_eq!(successor.https_addr(), proxy.https_addr());
    proxy.ended().await;
    let tls = shake_hands(&successor, HOST, &own, &["http/1.1"])
        .await
        .unwrap();
    let answer = ask(tls, &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    successor.stop().await;
}

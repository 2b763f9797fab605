//! Handshakes: what is offered, and with which certificate.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{ACME_TLS_ALPN, Certificates};
use crate::error::{Error, Result};

const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

/// What a connection speaks once its handshake is done.
pub(crate) enum Secured {
    /// HTTP/1.1.
    Http1(Box<TlsStream<TcpStream>>),
    /// HTTP/2.
    Http2(Box<TlsStream<TcpStream>>),
    /// Nothing: the handshake was all that was asked for.
    Challenge,
}

/// Shakes hands; one for all workers, so that tickets of one are good at the others.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    pub(crate) fn new(certificates: Arc<Certificates>) -> Result<Self> {
        let failed = |error| Error::Start {
            what: "TLS",
            source: io::Error::other(error),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec(), ACME_TLS_ALPN.to_vec()];
        config.ticketer = Ticketer::new().map_err(failed)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands with a visitor.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> io::Result<Secured> {
        let stream = self.0.accept(tcp).await?;
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(ACME_TLS_ALPN) => Secured::Challenge,
            Some(HTTP_2) => Secured::Http2(Box::new(stream)),
            _ => Secured::Http1(Box::new(stream)),
        })
    }
}

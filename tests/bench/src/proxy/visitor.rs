//! A visitor of HTTPS who remembers nothing: each connection costs a whole handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Trusts one authority only, so an answer proves that the host has a certificate of its own.
#[derive(Clone)]
pub(crate) struct Visitor(TlsConnector);

impl Visitor {
    /// `authority` is the certificate in PEM.
    pub(crate) fn new(authority: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Connects and shakes hands.
    pub(crate) async fn connect(
        &self,
        addr: SocketAddr,
        host: &str,
    ) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        Ok(self.0.connect(name, tcp).await?)
    }

    /// One request on a connection of its own, until the server closes it; its answer has to be a 200.
    pub(crate) async fn get(&self, addr: SocketAddr, host: &str, path: &str) -> Result<()> {
        let mut tls = self.connect(addr, host).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        tls.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        match tls.read_to_end(&mut answer).await {
            // It closed without a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => drop(read.with_context(|| format!("asking for {host}"))?),
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{host} answered {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }
}

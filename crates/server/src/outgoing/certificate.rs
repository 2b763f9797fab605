//! Meeting a certificate: a handshake of TLS that remembers when what it was shown ends, whether it is trusted or not.
//!
//! Guarantees: each handshake is a whole one, so that a certificate is looked at each time; whether it is good is
//! decided as for every other call, but by the time that the caller gives. Not here: what follows from it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tose_api::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Outgoing, Unreachable, Via, bare, tls_problem};

/// What a check learned of the certificate that it met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met(Arc<OnceLock<Timestamp>>);

impl Met {
    /// When the certificate ends; `None` if none was met, or none that can be read.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.0.get().copied()
    }
}

impl Outgoing {
    /// Does a handshake of TLS with a host, and hangs up.
    ///
    /// # Errors
    /// When no connection came about, or nobody vouches for the other side.
    pub(crate) async fn meet_certificate(
        &self,
        host: &str,
        port: u16,
        via: &Via,
        now: Timestamp,
        met: &Met,
    ) -> Result<(), Unreachable> {
        let stream = self.reach_by(via, host, port).await?;
        self.meet(host, stream, now, met).await.map(drop)
    }

    /// Speaks TLS on a connection, with somebody who has to be `host` at the time `now`.
    pub(super) async fn meet(
        &self,
        host: &str,
        stream: TcpStream,
        now: Timestamp,
        met: &Met,
    ) -> Result<TlsStream<TcpStream>, Unreachable> {
        let name = ServerName::try_from(bare(host).to_owned());
        let name = name.map_err(|_| Unreachable::Unknown)?;
        let nanos = u64::try_from(now.as_nanos()).unwrap_or_default();
        let mut config = self.tls.config().as_ref().clone();
        config.resumption = Resumption::disabled();
        let looking = Looking {
            inner: Arc::clone(&self.verifier),
            now: UnixTime::since_unix_epoch(Duration::from_nanos(nanos)),
            met: met.clone(),
        };
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(looking));
        let connector = TlsConnector::from(Arc::new(config));
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| tls_problem(&error).unwrap_or(Unreachable::NoConnection))
    }
}

/// Decides as the verifier within, after a look at the certificate's end.
#[derive(Debug)]
struct Looking {
    inner: Arc<dyn ServerCertVerifier>,
    now: UnixTime,
    met: Met,
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok((_, read)) = X509Certificate::from_der(certificate) {
            let seconds = read.validity().not_after.timestamp();
            let end = Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000));
            // There is one handshake of each.
            let _ = self.met.0.set(end);
        }
        let inner = &self.inner;
        inner.verify_server_cert(certificate, intermediates, name, ocsp_response, self.now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

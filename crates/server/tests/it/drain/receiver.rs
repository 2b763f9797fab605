//! Servers of syslog, on loopback.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A server of syslog: connections one after the other.
pub(super) struct SyslogReceiver {
    pub(super) port: u16,
    /// The certificate that it has, if it speaks TLS.
    pub(super) certificate: Option<String>,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

/// A connection of syslog.
pub(super) struct SyslogConnection(Box<dyn AsyncRead + Send + Unpin>);

impl SyslogReceiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self {
            port: listener.local_addr().expect("its address").port(),
            certificate: None,
            listener,
            acceptor: None,
        }
    }

    /// With TLS, for the name localhost.
    pub(super) async fn start_with_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a configuration");
        Self {
            certificate: Some(made.cert.pem()),
            acceptor: Some(TlsAcceptor::from(Arc::new(config))),
            ..Self::start().await
        }
    }

    /// The next connection; one whose handshake fails is passed over.
    pub(super) async fn accept(&self) -> SyslogConnection {
        loop {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            match &self.acceptor {
                None => return SyslogConnection(Box::new(stream)),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        return SyslogConnection(Box::new(stream));
                    }
                }
            }
        }
    }
}

impl SyslogConnection {
    /// The next message, by its length.
    pub(super) async fn message(&mut self) -> String {
        let mut length = 0;
        loop {
            match self.0.read_u8().await.expect("a byte") {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.0.read_exact(&mut message).await.expect("a message");
        String::from_utf8(message).expect("text")
    }
}

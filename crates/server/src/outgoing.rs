//! Calls to outside services whose addresses users give.
//!
//! Guarantees: no connection is made to an address that is not public, unless the operator lets drains reach
//! private networks; what a name leads to is looked at for each connection, and what was looked at is what is
//! connected to. Addresses of a link, where clouds keep their metadata, and those that stand for many machines are
//! never reached. No redirect is followed and no proxy asked. A connection takes 10 s at most, an answer 30 s.
//! Not here: what is sent.

mod certificate;
mod get;
mod reach;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tose_api::Timestamp;
use tose_model::error::{BoxError, Error};

use crate::config::DrainsConfig;
pub(crate) use certificate::Met;
pub(crate) use get::{Ask, Via};
use reach::{Reach, is_public};

/// How long a connection may take, a name's addresses and the handshake of TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a service may take to read what it is sent and to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// How long a connection that nobody uses is kept.
const KEPT: Duration = Duration::from_secs(60);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The most that is told of it, in characters.
const MAX_SAID: usize = 200;
/// Mail is sent there, and nothing else.
const MAIL_PORT: u16 = 25;

/// Why a service could not be asked. Fixed words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    /// It may not be.
    #[error("its address is not public, and this server calls no other ones")]
    NotPublic,
    /// It has no address.
    #[error("its name leads nowhere")]
    Unknown,
    /// Nobody is there.
    #[error("no connection to it came about")]
    NoConnection,
    /// It could be somebody else.
    #[error("its certificate is not trusted, or is for another name")]
    Untrusted,
    /// It is too old to be believed.
    #[error("its certificate has expired")]
    Expired,
    /// It took too long.
    #[error("it did not answer in time")]
    Silent,
    /// It hung up.
    #[error("the connection broke")]
    Broken,
}

/// What a service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// How long it asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of what it said; nothing from an address that is not public, so that nobody reads there.
    pub(crate) said: String,
}

/// Calls outside services.
pub(crate) struct Outgoing {
    client: reqwest::Client,
    tls: TlsConnector,
    verifier: Arc<dyn ServerCertVerifier>,
    reach: Reach,
}

impl Outgoing {
    /// # Errors
    /// When the roots of certificates cannot be used.
    pub(crate) fn new(config: &DrainsConfig) -> tose_model::error::Result<Self> {
        let reach = match config.allow_private {
            true => Reach::Private,
            false => Reach::Public,
        };
        let (tls, verifier) = tls_config(config)?;
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .pool_idle_timeout(KEPT)
            .dns_resolver(Resolver(reach))
            .tls_backend_preconfigured(tls.clone())
            .user_agent(concat!("tose/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::internal("the client for drains cannot be made", error))?;
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self {
            client,
            tls,
            verifier,
            reach,
        })
    }

    /// Whether private networks are reached.
    pub(crate) fn allows_private(&self) -> bool {
        self.reach == Reach::Private
    }

    /// Looks whether a host could be called at this moment.
    ///
    /// # Errors
    /// `NotPublic` or `Unknown`.
    pub(crate) async fn check(&self, host: &str, port: u16) -> Result<(), Unreachable> {
        self.reach.lookup(host, port).await.map(drop)
    }

    /// Sends a body by HTTP.
    ///
    /// # Errors
    /// When no answer came.
    pub(crate) async fn post(
        &self,
        url: &reqwest::Url,
        headers: &HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Answer, Unreachable> {
        // A host that is an address is not looked up, so the resolver does not see it.
        self.reach
            .check_literal(url.host_str().unwrap_or_default())?;
        if url.port() == Some(MAIL_PORT) {
            return Err(Unreachable::NotPublic);
        }
        let request = self.client.post(url.clone()).headers(headers.clone());
        let mut answer = request.body(body).send().await.map_err(explain)?;
        let mut bytes = Vec::new();
        // What is not read costs the connection, nothing else.
        while let Ok(Some(chunk)) = answer.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                break;
            }
        }
        let address = answer.remote_addr().map(|address| address.ip());
        Ok(Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after(answer.headers(), now),
            said: match address {
                Some(address) if is_public(address) => excerpt(&bytes),
                _ => String::new(),
            },
        })
    }

    /// Connects without TLS.
    ///
    /// # Errors
    /// When no connection came about.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        let connect = async {
            for address in self.reach.lookup(host, port).await? {
                if let Ok(stream) = TcpStream::connect(address).await {
                    return Ok(stream);
                }
            }
            Err(Unreachable::NoConnection)
        };
        in_time(connect).await
    }

    /// Connects with TLS.
    ///
    /// # Errors
    /// When no connection came about, or nobody vouches for the other side.
    pub(crate) async fn connect_tls(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TlsStream<TcpStream>, Unreachable> {
        let connect = async {
            let stream = self.connect(host, port).await?;
            self.secure(host, stream).await
        };
        in_time(connect).await
    }

    /// Speaks TLS on a connection, with somebody who has to be `host`.
    async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Unreachable> {
        let name = ServerName::try_from(bare(host).to_owned());
        let name = name.map_err(|_| Unreachable::Unknown)?;
        let connected = self.tls.connect(name, stream).await;
        connected.map_err(|error| tls_problem(&error).unwrap_or(Unreachable::NoConnection))
    }
}

async fn in_time<T>(
    connect: impl Future<Output = Result<T, Unreachable>>,
) -> Result<T, Unreachable> {
    let connected = timeout(CONNECT, connect).await;
    connected.unwrap_or(Err(Unreachable::NoConnection))
}

/// A host without the brackets that an address of IPv6 has in a URL.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

fn tls_config(
    config: &DrainsConfig,
) -> tose_model::error::Result<(ClientConfig, Arc<dyn ServerCertVerifier>)> {
    let broken = |error: BoxError| Error::internal("the roots for drains cannot be used", error);
    let roots: Vec<CertificateDer<'static>> = match &config.ca_file {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| broken(error.into()))?,
        None => Vec::new(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
            .map_err(|error| broken(error.into()))?;
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(error.into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier))
        .with_no_client_auth();
    Ok((config, verifier))
}

/// Looks names up for the client of HTTP, and gives it no address but those that may be called.
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = reach.lookup(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What a failed call comes down to.
fn explain(error: reqwest::Error) -> Unreachable {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<Unreachable>() {
            return *cause;
        }
        if let Some(problem) = cause.downcast_ref().and_then(tls_problem) {
            return problem;
        }
        source = cause.source();
    }
    match error {
        error if error.is_connect() => Unreachable::NoConnection,
        error if error.is_timeout() => Unreachable::Silent,
        _ => Unreachable::Broken,
    }
}

/// What TLS says, if it is what went wrong.
fn tls_problem(error: &std::io::Error) -> Option<Unreachable> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match inner {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => Unreachable::Expired,
        rustls::Error::InvalidCertificate(_) => Unreachable::Untrusted,
        _ => Unreachable::NoConnection,
    })
}

/// `Retry-After`: seconds, or a time.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let at = i64::try_from(at.as_nanosecond()).ok()?;
    Some(Timestamp::from_nanos(at).since(now))
}

/// The beginning of an answer as one line that can be shown.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let shown = line.chars().filter(|char| !char.is_control());
    shown.take(MAX_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_beginning_is_one_line_without_control_characters() {
        assert_eq!(excerpt(b" no\r\n\tsuch \x1b[31mkey\n"), "no such [31mkey");
        assert_eq!(excerpt(&[b'x'; 1000]).len(), MAX_SAID);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_time() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().expect("a time");
        for (text, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().expect("a value"));
            let after = retry_after(&headers, now).map(|after| after.as_secs());
            assert_eq!(after, seconds, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_not_public_is_not_called_whatever_way_it_is_written() {
        let outgoing = Outgoing::new(&DrainsConfig::default()).expect("a client");
        let headers = HeaderMap::new();
        let now = Timestamp::from_nanos(0);
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "169.254.169.254",
            "localhost",
        ] {
            let url = format!("http://{host}:9/").parse().expect("a URL");
            let posted = outgoing.post(&url, &headers, Bytes::new(), now).await;
            assert_eq!(posted, Err(Unreachable::NotPublic), "{host}");
            let connected = outgoing.connect(host, 9).await.map(drop);
            assert_eq!(connected, Err(Unreachable::NotPublic), "{host}");
            let checked = outgoing.check(host, 9).await;
            assert_eq!(checked, Err(Unreachable::NotPublic), "{host}");
        }
    }
}

//! The outside service of a log drain: its address, what opens it, and how a batch gets there.
//!
//! Guarantees: secrets are in no `Debug`; over one receiver one batch is on its way at a time.
//! Caveat: syslog has no answers. What was written to a connection counts as delivered; if that breaks before the
//! other side has read all of it, the rest is lost.
//! Not here: what a batch looks like (`tose_model::drain`), which addresses may be called (`outgoing.rs`), and when
//! (`tasks/drains.rs`).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tose_api::Timestamp;
use tose_api::drain::DrainKind;
use tose_model::drain::{DrainLine, Origin, encode};
use tose_model::error::{Error, Result};

use crate::outgoing::{ANSWER, Answer, Outgoing, Unreachable};

/// The schemes of syslog, in the clear and with TLS.
const SYSLOG: &str = "syslog";
const SYSLOG_TLS: &str = "syslog+tls";
/// The most characters of an address.
const MAX_URL: usize = 2000;
/// Headers that say how a message travels, or what its body is.
pub(crate) const OWN_HEADERS: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What opens a service. Kept sealed as JSON.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) token: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Secrets {
    pub(crate) fn is_empty(&self) -> bool {
        self.token.is_none() && self.headers.is_empty()
    }
}

/// Where a service is.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    kind: DrainKind,
    url: Url,
}

impl Address {
    /// Reads an address that a user gave.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(kind: DrainKind, text: &str) -> std::result::Result<Self, &'static str> {
        let usual = match kind {
            DrainKind::Syslog => {
                "must be an address such as syslog+tls://logs.example.com:6514, or syslog:// without TLS"
            }
            DrainKind::Http | DrainKind::Loki | DrainKind::Otlp => {
                "must be an address such as https://logs.example.com"
            }
        };
        let url: Url = text.parse().map_err(|_| usual)?;
        let has_scheme = match kind {
            DrainKind::Syslog => [SYSLOG, SYSLOG_TLS].contains(&url.scheme()),
            DrainKind::Http | DrainKind::Loki | DrainKind::Otlp => {
                ["http", "https"].contains(&url.scheme())
            }
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let host = url.host_str().unwrap_or_default();
        if !has_scheme
            || text.len() > MAX_URL
            || host.is_empty()
            || !host.bytes().all(is_plain)
            || url.port() == Some(0)
        {
            return Err(usual);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no user name and no password: send a token or headers");
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment (#)");
        }
        if kind == DrainKind::Syslog && (url.query().is_some() || url.path().len() > 1) {
            return Err("must end after the port: syslog has no paths");
        }
        Ok(Self { kind, url })
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port, the usual one where none is named.
    pub(crate) fn port(&self) -> u16 {
        let usual = match self.url.scheme() {
            SYSLOG => 514,
            SYSLOG_TLS => 6514,
            "http" => 80,
            _ => 443,
        };
        self.url.port().unwrap_or(usual)
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_secure(&self) -> bool {
        ["https", SYSLOG_TLS].contains(&self.url.scheme())
    }

    /// Whether what opens one of the two may be sent to the other one.
    pub(crate) fn is_same_service(&self, other: &Self) -> bool {
        let place = |address: &Self| {
            let scheme = address.url.scheme().to_owned();
            (scheme, address.host().to_owned(), address.port())
        };
        place(self) == place(other)
    }

    /// Where batches are posted.
    fn endpoint(&self) -> Url {
        let mut url = self.url.clone();
        let usual = match self.kind {
            DrainKind::Loki => "/loki/api/v1/push",
            DrainKind::Otlp => "/v1/logs",
            DrainKind::Http | DrainKind::Syslog => "/",
        };
        if url.path().len() <= 1 {
            url.set_path(usual);
        }
        url
    }
}

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In words for the user.
    pub(crate) problem: String,
    /// Whether the same batch will not fare better later.
    pub(crate) is_refusal: bool,
    /// How long the service asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Unreachable> for Failure {
    fn from(problem: Unreachable) -> Self {
        Self {
            problem: problem.to_string(),
            is_refusal: problem == Unreachable::NotPublic,
            retry_after: None,
        }
    }
}

/// Lines as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch(Bytes);

impl Batch {
    /// Puts lines together for a service of this kind.
    ///
    /// # Errors
    /// Never, as long as the process runs.
    pub(crate) async fn of(
        kind: DrainKind,
        origin: Origin,
        element: Option<String>,
        lines: Vec<DrainLine>,
    ) -> Result<Self> {
        let put_together = move || {
            let plain = encode(kind, &origin, element.as_deref(), &lines);
            match kind {
                DrainKind::Syslog => Ok(plain),
                DrainKind::Http | DrainKind::Loki | DrainKind::Otlp => {
                    let mut body = GzEncoder::new(Vec::new(), Compression::fast());
                    body.write_all(&plain)?;
                    body.finish()
                }
            }
        };
        // A full one takes its time.
        let done = tokio::task::spawn_blocking(put_together).await;
        let failed = "a batch of lines could not be put together";
        let bytes = done
            .map_err(|error| Error::internal(failed, error))?
            .map_err(|error| Error::internal(failed, error))?;
        Ok(Self(bytes.into()))
    }
}

/// A service that takes batches.
pub(crate) struct Receiver {
    address: Address,
    endpoint: Url,
    headers: HeaderMap,
    /// What syslog messages carry besides their number.
    element: Option<String>,
    connection: Option<Box<dyn Connection>>,
}

/// What carries syslog.
trait Connection: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Connection for T {}

impl Receiver {
    /// A service that is not connected to so far.
    ///
    /// # Errors
    /// Which field holds what cannot be sent, and why.
    pub(crate) fn new(
        address: Address,
        secrets: Secrets,
    ) -> std::result::Result<Self, (&'static str, &'static str)> {
        let is_syslog = address.kind == DrainKind::Syslog;
        if is_syslog && !secrets.headers.is_empty() {
            return Err(("headers", "syslog has none: send a token"));
        }
        let element = secrets.token.as_ref().filter(|_| is_syslog).cloned();
        if element
            .as_ref()
            .is_some_and(|element| !tose_model::drain::is_element(element))
        {
            return Err((
                "token",
                "must be an element of syslog's structured data without its brackets, such as TOKEN@41058 or x@41058 key=\"TOKEN\"",
            ));
        }
        Ok(Self {
            endpoint: address.endpoint(),
            headers: headers(secrets)?,
            address,
            element,
            connection: None,
        })
    }

    /// Lines as this service takes them.
    ///
    /// # Errors
    /// As [`Batch::of`].
    pub(crate) async fn batch(&self, origin: &Origin, lines: Vec<DrainLine>) -> Result<Batch> {
        let (kind, element) = (self.address.kind, self.element.clone());
        Batch::of(kind, origin.clone(), element, lines).await
    }

    /// Sends a batch; answers what the service said.
    ///
    /// # Errors
    /// When it did not take the batch. Over syslog a part of it may have been.
    pub(crate) async fn deliver(
        &mut self,
        outgoing: &Outgoing,
        batch: &Batch,
        now: Timestamp,
    ) -> std::result::Result<String, Failure> {
        if self.address.kind == DrainKind::Syslog {
            self.write(outgoing, batch).await?;
            return Ok("the connection took it; syslog has no answers".to_owned());
        }
        let answer = outgoing
            .post(&self.endpoint, &self.headers, batch.0.clone(), now)
            .await?;
        judge(&answer)
    }

    /// Lets go of a connection that is not needed for the moment.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn write(
        &mut self,
        outgoing: &Outgoing,
        batch: &Batch,
    ) -> std::result::Result<(), Unreachable> {
        // One that breaks, or of which nobody knows how far it came, is not used again.
        let kept = match self.connection.take() {
            Some(mut connection) => is_open(&mut connection).await.then_some(connection),
            None => None,
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect(outgoing).await?,
        };
        let written = timeout(ANSWER, async {
            connection.write_all(&batch.0).await?;
            connection.flush().await
        });
        match written.await {
            Err(_) => Err(Unreachable::Silent),
            Ok(Err(_)) => Err(Unreachable::Broken),
            Ok(Ok(())) => {
                self.connection = Some(connection);
                Ok(())
            }
        }
    }

    async fn connect(
        &self,
        outgoing: &Outgoing,
    ) -> std::result::Result<Box<dyn Connection>, Unreachable> {
        let (host, port) = (self.address.host(), self.address.port());
        Ok(match self.address.is_secure() {
            true => Box::new(outgoing.connect_tls(host, port).await?),
            false => Box::new(outgoing.connect(host, port).await?),
        })
    }
}

/// Whether the other side has not hung up. It has nothing to say; what it says is passed over.
async fn is_open(connection: &mut Box<dyn Connection>) -> bool {
    let mut passed_over = [0; 1024];
    match timeout(Duration::ZERO, connection.read(&mut passed_over)).await {
        Err(_) => true,
        Ok(read) => read.is_ok_and(|count| count > 0),
    }
}

fn headers(secrets: Secrets) -> std::result::Result<HeaderMap, (&'static str, &'static str)> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    if let Some(token) = secrets.token {
        let bearer = secret(&format!("Bearer {token}"));
        let bearer = bearer.ok_or(("token", "must be visible characters"))?;
        headers.insert(AUTHORIZATION, bearer);
    }
    for (name, value) in secrets.headers {
        let bad_name = ("headers", "must have names of letters, digits and hyphens");
        let name: HeaderName = name.parse().map_err(|_| bad_name)?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err((
                "headers",
                "must leave alone what says how the message travels",
            ));
        }
        let value = secret(&value).filter(|value| !value.is_empty());
        let value = value.ok_or(("headers", "must have values of visible characters"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What an answer means for the batch.
fn judge(answer: &Answer) -> std::result::Result<String, Failure> {
    let status = answer.status;
    let text = match answer.said.as_str() {
        "" => format!("it answered {status}"),
        said => format!("it answered {status}: {said}"),
    };
    match status {
        200..=299 => Ok(text),
        _ => Err(Failure {
            problem: text,
            is_refusal: !matches!(status, 408 | 425 | 429 | 500..),
            retry_after: answer.retry_after,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_by_their_kind() {
        for (kind, text, endpoint) in [
            (DrainKind::Http, "https://a.example", "https://a.example/"),
            (
                DrainKind::Http,
                "http://a.example:81/x?y=z",
                "http://a.example:81/x?y=z",
            ),
            (
                DrainKind::Loki,
                "https://a.example/",
                "https://a.example/loki/api/v1/push",
            ),
            (
                DrainKind::Loki,
                "https://a.example/push",
                "https://a.example/push",
            ),
            (
                DrainKind::Otlp,
                "https://[2001:db8::1]:4318",
                "https://[2001:db8::1]:4318/v1/logs",
            ),
        ] {
            let address = Address::parse(kind, text).expect(text);
            assert_eq!(address.endpoint().as_str(), endpoint);
        }
        let address = |text| Address::parse(DrainKind::Syslog, text).expect(text);
        let (plain, secure) = (
            address("syslog://a.example"),
            address("syslog+tls://a.example"),
        );
        assert_eq!((plain.port(), secure.port()), (514, 6514));
        assert!(!plain.is_secure() && secure.is_secure());
        assert!(!plain.is_same_service(&secure));
        assert!(secure.is_same_service(&address("syslog+tls://a.example:6514/")));
        assert!(!secure.is_same_service(&address("syslog+tls://a.example:6515")));
        for (kind, text) in [
            (DrainKind::Http, "syslog://a.example"),
            (DrainKind::Http, "ftp://a.example"),
            (DrainKind::Http, "a.example"),
            (DrainKind::Http, "https://u:p@a.example"),
            (DrainKind::Http, "https://a.example/#x"),
            (DrainKind::Http, "https://a.example:0/"),
            (DrainKind::Syslog, "https://a.example"),
            (DrainKind::Syslog, "syslog://"),
            (DrainKind::Syslog, "syslog://u@a.example:514"),
            (DrainKind::Syslog, "syslog://a.example:514/x"),
            (DrainKind::Syslog, "syslog://a.example:514?x"),
            (DrainKind::Syslog, "syslog://a%0a.example:514"),
        ] {
            assert!(Address::parse(kind, text).is_err(), "{kind:?} {text}");
        }
    }

    #[test]
    fn an_answer_is_a_success_a_refusal_or_worth_another_attempt() {
        let judged = |status| {
            let (retry_after, said) = (None, "why".to_owned());
            judge(&Answer {
                status,
                retry_after,
                said,
            })
        };
        assert_eq!(judged(204), Ok("it answered 204: why".to_owned()));
        for (status, is_refusal) in [
            (307, true),
            (400, true),
            (401, true),
            (413, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let failure = judged(status).expect_err("no success");
            assert_eq!(failure.is_refusal, is_refusal, "{status}");
            assert_eq!(failure.problem, format!("it answered {status}: why"));
        }
    }

    #[test]
    fn headers_that_are_the_messages_own_are_refused_and_a_header_wins_over_the_token() {
        let with = |name: &str, value: &str| Secrets {
            token: Some("t0ken".to_owned()),
            headers: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        };
        for (name, value) in [
            ("Host", "x"),
            ("content-TYPE", "x"),
            ("a b", "x"),
            ("a", ""),
            ("a", "x\ny"),
        ] {
            assert!(headers(with(name, value)).is_err(), "{name}: {value}");
        }
        let map = headers(with("Authorization", "Basic YTpi")).expect("headers");
        assert_eq!(map[AUTHORIZATION], "Basic YTpi");
        assert!(!format!("{map:?}").contains("YTpi"));
        let map = headers(with("x-key", "k")).expect("headers");
        assert_eq!(
            (&map[AUTHORIZATION], &map["x-key"]),
            (
                &HeaderValue::from_static("Bearer t0ken"),
                &HeaderValue::from_static("k")
            )
        );
    }
}

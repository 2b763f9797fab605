//! The service that the operator has metrics sent to.
//!
//! Guarantees: a request takes 10 s at most, no redirect is followed, and of the answer 64 KiB at most are read;
//! headers are in no log. Its address is the operator's, so it may be anywhere.
//! Not here: what is sent (`telemetry/otlp.rs`), and when (`tasks/metrics_export.rs`).

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Response};
use serde::Deserialize;
use tose_model::secret::ExposeSecret;

use crate::config::OtlpConfig;
use crate::service_client;

/// How long a request may take, its answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Why metrics cannot be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtlpError {
    /// The file with the roots.
    #[error("[telemetry.otlp] ca_file cannot be read")]
    File(#[from] std::io::Error),
    /// There is nothing in it.
    #[error("[telemetry.otlp] ca_file has no certificate in PEM")]
    NoRoots,
    /// The roots themselves, or the machine's.
    #[error("the client for [telemetry.otlp] cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Why metrics were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotTaken {
    /// In words for the operator.
    pub(crate) problem: String,
    /// Whether the same metrics will not fare better later.
    pub(crate) is_refusal: bool,
    /// How long the service asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl NotTaken {
    fn passing(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            is_refusal: false,
            retry_after: None,
        }
    }

    fn refusal(problem: impl Into<String>) -> Self {
        Self {
            is_refusal: true,
            ..Self::passing(problem)
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Taken {
    partial_success: Option<Partial>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    rejected_data_points: Count,
}

/// Whole numbers are texts, and some write them as numbers all the same.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Text(String),
    Number(u64),
}

impl Default for Count {
    fn default() -> Self {
        Self::Number(0)
    }
}

/// A service that takes metrics by OTLP.
pub(crate) struct Exporter {
    endpoint: String,
    headers: HeaderMap,
    client: reqwest::Client,
    /// How often it is to be called.
    pub(crate) interval_seconds: u32,
}

impl Exporter {
    /// Reads the roots.
    ///
    /// # Errors
    /// When their file cannot be read or holds none, or no client can be made.
    pub(crate) fn open(config: &OtlpConfig) -> Result<Self, OtlpError> {
        let mut client = service_client::builder(TIMEOUT);
        if let Some(path) = &config.ca_file {
            let roots = Certificate::from_pem_bundle(&std::fs::read(path)?)?;
            if roots.is_empty() {
                return Err(OtlpError::NoRoots);
            }
            client = client.tls_certs_merge(roots);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &config.headers {
            let name = HeaderName::try_from(name).expect("the configuration was checked");
            let value = HeaderValue::try_from(value.expose_secret());
            let mut value = value.expect("the configuration was checked");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self {
            endpoint: config.endpoint.clone(),
            headers,
            client: client.build()?,
            interval_seconds: config.interval_seconds,
        })
    }

    /// Sends the body of one request.
    ///
    /// # Errors
    /// When the service did not take it, or not all of it.
    pub(crate) async fn send(&self, body: Vec<u8>) -> Result<(), NotTaken> {
        let request = self.client.post(&self.endpoint);
        let sent = request.headers(self.headers.clone()).body(body).send();
        let answer = sent.await.map_err(|error| explain(&error))?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => check_all_taken(answer).await,
            // What the protocol lets be tried again.
            408 | 429 | 502 | 503 | 504 => {
                let after = answer.headers().get(RETRY_AFTER);
                let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Err(NotTaken {
                    retry_after: after.map(Duration::from_secs),
                    ..NotTaken::passing(format!("the service answered {status}"))
                })
            }
            300..=399 => Err(NotTaken::refusal(format!(
                "the service answered {status}, and no redirect is followed"
            ))),
            _ => Err(NotTaken::refusal(format!("the service answered {status}"))),
        }
    }
}

/// An answer that cannot be read counts as one that has nothing to say.
async fn check_all_taken(mut answer: Response) -> Result<(), NotTaken> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Ok(());
        }
    }
    match rejected_by(&bytes) {
        0 => Ok(()),
        rejected => Err(NotTaken::refusal(format!(
            "the service rejected {rejected} data points"
        ))),
    }
}

/// How many data points an answer says were not taken.
fn rejected_by(answer: &[u8]) -> u64 {
    let taken: Taken = serde_json::from_slice(answer).unwrap_or_default();
    match taken
        .partial_success
        .unwrap_or_default()
        .rejected_data_points
    {
        Count::Text(text) => text.parse().unwrap_or(0),
        Count::Number(number) => number,
    }
}

/// What a failed call comes down to; the address is not repeated.
fn explain(error: &reqwest::Error) -> NotTaken {
    NotTaken::passing(if error.is_timeout() {
        "the service did not answer in time"
    } else if error.is_connect() {
        "the service could not be connected to"
    } else {
        "the connection to the service broke"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_rejects_is_read_from_its_answer() {
        for (answer, rejected) in [
            ("", 0),
            ("{}", 0),
            ("<html>", 0),
            (r#"{"partialSuccess": null}"#, 0),
            (r#"{"partialSuccess": {}}"#, 0),
            (r#"{"partialSuccess": {"errorMessage": "a warning"}}"#, 0),
            (r#"{"partialSuccess": {"rejectedDataPoints": "7"}}"#, 7),
            (r#"{"partialSuccess": {"rejectedDataPoints": 7}}"#, 7),
        ] {
            assert_eq!(rejected_by(answer.as_bytes()), rejected, "{answer}");
        }
    }

    #[test]
    fn roots_that_cannot_be_used_are_an_error_at_the_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        let open = || {
            let opened = Exporter::open(&OtlpConfig {
                endpoint: "https://otlp.example.com/v1/metrics".to_owned(),
                headers: Vec::new(),
                interval_seconds: 60,
                ca_file: Some(path.clone()),
            });
            opened.map(|_| ())
        };
        assert!(matches!(open(), Err(OtlpError::File(_))));
        std::fs::write(&path, "no certificate").expect("written");
        assert!(matches!(open(), Err(OtlpError::NoRoots)));
        let key = rcgen::generate_simple_self_signed(["otlp.example.com".to_owned()]);
        let pem = key.expect("a certificate").cert.pem();
        std::fs::write(&path, pem).expect("written");
        assert!(open().is_ok());
    }
}

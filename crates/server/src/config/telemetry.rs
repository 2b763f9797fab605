//! `[telemetry]`: what operators are told of projects, and where all of it is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use tose_model::secret::{ExposeSecret, SecretString};

use super::ConfigError;
use crate::drain::OWN_HEADERS;
use crate::secrets::read_secret_file;

/// What operators are told.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Whether they are told of each project, and not of the server alone.
    pub projects: bool,
    /// Where it is sent; absent: nowhere.
    pub otlp: Option<OtlpConfig>,
}

/// A service that takes metrics by OTLP, over HTTP in JSON.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// Where they are posted.
    pub endpoint: String,
    /// What goes along: names that are headers, with values that may stand in one.
    pub headers: Vec<(String, SecretString)>,
    /// How often, in seconds: 10 to 3600.
    pub interval_seconds: u32,
    /// Roots that the service is trusted by besides those of the machine, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// How often may be exported, in seconds: not more often than is measured.
const INTERVALS: std::ops::RangeInclusive<u32> = 10..=3_600;
const DEFAULT_INTERVAL: u32 = 60;
/// Where metrics are posted at an address that has no path.
const USUAL_PATH: &str = "/v1/metrics";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TelemetryTable {
    projects: Option<bool>,
    otlp: Option<OtlpTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtlpTable {
    endpoint: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    interval_seconds: Option<u32>,
    ca_file: Option<PathBuf>,
}

impl TelemetryTable {
    pub(super) fn into_config(self) -> Result<TelemetryConfig, ConfigError> {
        Ok(TelemetryConfig {
            projects: self.projects.unwrap_or(true),
            otlp: self.otlp.map(OtlpTable::into_config).transpose()?,
        })
    }
}

impl OtlpTable {
    fn into_config(self) -> Result<OtlpConfig, ConfigError> {
        let interval_seconds = self.interval_seconds.unwrap_or(DEFAULT_INTERVAL);
        if !INTERVALS.contains(&interval_seconds) {
            return Err(refusal(
                "telemetry.otlp.interval_seconds",
                "must be between 10 and 3600",
            ));
        }
        Ok(OtlpConfig {
            endpoint: endpoint(&self.endpoint)?,
            headers: headers(self.headers, self.header_files)?,
            interval_seconds,
            ca_file: self.ca_file,
        })
    }
}

fn refusal(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key,
        problem: problem.into(),
    }
}

/// The address that is posted to. It is the operator's own, so it may be on a private network and without TLS.
fn endpoint(text: &str) -> Result<String, ConfigError> {
    const KEY: &str = "telemetry.otlp.endpoint";
    let url = text.parse::<Url>().ok();
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()));
    let Some(mut url) = url else {
        return Err(refusal(
            KEY,
            "must be an address such as https://otlp.example.com",
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let problem = "must hold no user name and no password: put them into header_files";
        return Err(refusal(KEY, problem));
    }
    if url.path().len() <= 1 {
        url.set_path(USUAL_PATH);
    }
    Ok(url.into())
}

/// No value is repeated in what is said of it: it may be a secret.
fn headers(
    plain: BTreeMap<String, String>,
    files: BTreeMap<String, PathBuf>,
) -> Result<Vec<(String, SecretString)>, ConfigError> {
    const KEY: &str = "telemetry.otlp.headers";
    const FILES: &str = "telemetry.otlp.header_files";
    let plain = plain
        .into_iter()
        .map(|(name, value)| Ok((KEY, name, SecretString::from(value))));
    let files = files.into_iter().map(|(name, path)| {
        let value = read_secret_file(&path).map_err(|error| refusal(FILES, error.to_string()))?;
        Ok((FILES, name, value))
    });
    let mut headers: Vec<(String, SecretString)> = Vec::new();
    for header in plain.chain(files) {
        let (key, name, value) = header?;
        let name = name.to_ascii_lowercase();
        if HeaderName::try_from(name.as_str()).is_err() {
            return Err(refusal(key, format!("{name:?} is no name of a header")));
        }
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(refusal(key, format!("{name} is set by the server itself")));
        }
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(refusal(key, format!("{name} is there twice")));
        }
        let checked: Result<HeaderValue, InvalidHeaderValue> = value.expose_secret().try_into();
        if checked.is_err() {
            let problem = format!("the value of {name} cannot stand in a header");
            return Err(refusal(key, problem));
        }
        headers.push((name, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn config(text: &str) -> Result<TelemetryConfig, String> {
        let table: TelemetryTable = toml::from_str(text).map_err(|error| error.to_string())?;
        table.into_config().map_err(|error| error.to_string())
    }

    fn otlp(more: &str) -> Result<OtlpConfig, String> {
        let text = format!("[otlp]\nendpoint = \"http://10.0.0.5:4318\"\n{more}");
        Ok(config(&text)?.otlp.expect("a section"))
    }

    #[test]
    fn nothing_is_sent_unless_it_is_said_where() {
        let telemetry = config("").expect("valid");
        assert!(telemetry.projects && telemetry.otlp.is_none());
        assert!(!config("projects = false").expect("valid").projects);
        let otlp = otlp("").expect("valid");
        assert_eq!(otlp.endpoint, "http://10.0.0.5:4318/v1/metrics");
        assert_eq!((otlp.interval_seconds, otlp.ca_file), (60, None));
        assert!(otlp.headers.is_empty());
    }

    #[test]
    fn an_address_with_a_path_is_taken_as_it_is() {
        let at = |endpoint: &str| -> Result<String, String> {
            let config = config(&format!("[otlp]\nendpoint = \"{endpoint}\""))?;
            Ok(config.otlp.expect("a section").endpoint)
        };
        let path = "https://otlp.example.com/api/otlp/v1/metrics";
        assert_eq!(at(path), Ok(path.to_owned()));
        for refused in [
            "ftp://a.example",
            "a.example:4318",
            "https://user:s3cret@a.example",
        ] {
            let problem = at(refused).expect_err("refused");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn values_of_headers_are_secrets_and_may_be_in_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.as_mut().expect("a file");
        std::io::Write::write_all(file, b"Bearer s3cret\n").expect("written");
        let text = format!(
            "headers = {{ X-Scope = \"one\" }}\nheader_files = {{ authorization = {path:?} }}"
        );
        let config = otlp(&text).expect("valid");
        let headers: Vec<(&str, &str)> = config
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(
            headers,
            [("x-scope", "one"), ("authorization", "Bearer s3cret")]
        );
        assert!(!format!("{config:?}").contains("s3cret"));
        for refused in [
            "headers = { \"a b\" = \"s3cret\" }".to_owned(),
            "headers = { a = \"s3cret\\nb: c\" }".to_owned(),
            "headers = { Content-Type = \"s3cret\" }".to_owned(),
            "header_files = { a = \"/nowhere\" }".to_owned(),
            format!("headers = {{ A = \"s3cret\" }}\nheader_files = {{ a = {path:?} }}"),
            "interval_seconds = 9".to_owned(),
            "interval_seconds = 3601".to_owned(),
        ] {
            let problem = otlp(&refused).expect_err("refused");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }
}

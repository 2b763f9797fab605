//! Log drains: outside services that a project's log lines are forwarded to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DrainId, Slug, Timestamp};

/// Body of `POST P/drains` and `PUT P/drains/:id`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDrain {
    /// Its name, unique in the project.
    pub name: Slug,
    /// How the service is spoken to.
    pub kind: DrainKind,
    /// Where it is: `syslog://HOST:PORT` or `syslog+tls://HOST:PORT` for syslog, otherwise an address of HTTP. For Loki
    /// and OTLP an address without a path gets the usual one. Members can read it: secrets belong into `token` or
    /// `headers`.
    #[schemars(length(min = 8, max = 2000), regex(pattern = URL_PATTERN), extend("examples" = ["https://logs.example.com"]))]
    pub url: String,
    /// What opens it. Sent as `Authorization: Bearer TOKEN`, and to syslog as an element of the structured data, such as
    /// `TOKEN@41058`. Kept sealed and never shown again. Left out, the one that there is stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = VALUE_PATTERN))]
    pub token: Option<String>,
    /// Headers that go along, ten at most, not for syslog. Their values are kept sealed and never shown again. Left out,
    /// those that there are stay; empty, they go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "maxProperties" = 10,
        "propertyNames" = {"pattern": "^[A-Za-z0-9-]{1,100}$"},
        "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": VALUE_PATTERN},
    ))]
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether lines are forwarded; `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

const URL_PATTERN: &str = "^(https?|syslog(\\+tls)?)://[!-~]+$";
/// What goes into a header: visible characters, and spaces between them.
const VALUE_PATTERN: &str = "^([!-~]([ -~]*[!-~])?)?$";

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrainKind {
    /// A JSON array of lines in the body of a POST, compressed with gzip.
    Http,
    /// RFC 5424 over TCP or TLS, each message after its length.
    Syslog,
    /// Grafana Loki's push API, in JSON.
    Loki,
    /// OpenTelemetry's logs over HTTP, in JSON.
    Otlp,
}

impl DrainKind {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Http => "http",
            Self::Loki => "loki",
            Self::Otlp => "otlp",
        }
    }
}

/// A log drain, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainView {
    /// Its id.
    pub id: DrainId,
    /// Its name, unique in the project.
    pub name: Slug,
    /// How the service is spoken to.
    pub kind: DrainKind,
    /// Where it is.
    pub url: String,
    /// Whether a token is kept.
    pub has_token: bool,
    /// The names of the headers that go along.
    pub headers: Vec<String>,
    /// Whether lines are forwarded.
    pub enabled: bool,
    /// How it goes.
    pub status: DrainStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How a drain goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainStatus {
    /// Whether lines are taken.
    pub state: DrainState,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// When lines were taken last.
    pub last_delivered_at: Option<Timestamp>,
    /// How many lines were taken.
    pub delivered_lines: u64,
    /// How many lines the log's retention removed before they could be delivered.
    pub dropped_lines: u64,
    /// How many lines wait.
    pub lag_lines: u64,
}

/// Whether lines are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrainState {
    /// They are, as far as is known.
    Ok,
    /// The last attempt failed; there will be another.
    Retrying,
    /// They were refused for an hour. A change of the drain, or a test that succeeds, sets it going again.
    Paused,
}

impl DrainState {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
        }
    }
}

/// What became of a test line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainTest {
    /// Whether the service took it. Over syslog, which has no answers: whether it could be sent.
    pub taken: bool,
    /// What the service said, or why it could not be reached.
    pub said: String,
}

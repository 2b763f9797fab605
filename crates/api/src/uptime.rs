//! Uptime: whether a project answers, checked again and again, and how it has been.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Body of `PUT P/uptime`: what is not sent keeps its value.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUptime {
    /// Whether it is checked; `false` until it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How it is checked. Left out along with a `check_url`, what the address says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MonitorKind>,
    /// Seconds from one check to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86400))]
    pub check_interval_sec: Option<u32>,
    /// What is asked: `http://` or `https://`, for TCP `tcp://HOST:PORT`, for certificates
    /// `tls://HOST:PORT`. Members can read it. Empty, it is the project's
    /// own host name with its health path, for TCP the port of a replica. A heartbeat has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000), regex(pattern = URL_PATTERN), extend("examples" = ["https://shop.example.com/health"]))]
    pub check_url: Option<String>,
    /// The status codes of a good answer: codes, and classes such as `2xx`, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = STATUS_PATTERN), extend("examples" = ["2xx,3xx", "200"]))]
    pub expected_status: Option<String>,
    /// Text that has to be in the first 64 KiB of the answer. Empty, none has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub keyword: Option<String>,
    /// How long an answer may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 30000))]
    pub timeout_ms: Option<u32>,
    /// After how many failures in a row it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub failures_before_down: Option<u32>,
    /// A webhook of Discord that is told when it goes down and comes back. Kept sealed; shown masked. Empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub discord_webhook_url: Option<String>,
    /// Who gets a mail when it goes down and comes back. Empty, nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub notify_email: Option<String>,
    /// How many days before the end of the certificate that checks meet people are told; 0 for never. A check of the
    /// kind `certificate` fails from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 365))]
    pub certificate_warn_days: Option<u32>,
    /// How many seconds later than its interval a heartbeat may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86400))]
    pub heartbeat_grace_sec: Option<u32>,
}

const URL_PATTERN: &str = "^((https?|tcp|tls)://[!-~]+)?$";
const STATUS_PATTERN: &str = "^[1-5]([0-9]{2}|xx)(,[1-5]([0-9]{2}|xx)){0,19}$";

/// How a project is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MonitorKind {
    /// By a GET, whose answer is looked at.
    Http,
    /// By a connection, which is closed again.
    Tcp,
    /// By a handshake of TLS, whose certificate is looked at.
    Certificate,
    /// Not at all: it calls this server again and again.
    Heartbeat,
}

impl MonitorKind {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Certificate => "certificate",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// How a project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UptimeStatus {
    /// The newest checks were good.
    Up,
    /// Several checks in a row failed.
    Down,
    /// It was not checked so far, or nothing of it is live yet.
    Unknown,
    /// It is not checked: that is switched off, or the project is stopped or suspended.
    Paused,
}

impl UptimeStatus {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Paused => "paused",
        }
    }
}

/// How a project is checked, how it is and how it has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UptimeView {
    /// Whether it is checked.
    pub enabled: bool,
    /// How it is checked.
    pub kind: MonitorKind,
    /// Seconds from one check to the next.
    pub check_interval_sec: u32,
    /// What is asked; nothing where heartbeats are waited for.
    pub check_url: String,
    /// The status codes of a good answer.
    pub expected_status: String,
    /// Text that has to be in the answer.
    pub keyword: Option<String>,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u32,
    /// After how many failures in a row it is down.
    pub failures_before_down: u32,
    /// The webhook of Discord that is told, of which only the host is shown.
    pub discord_webhook_url: Option<String>,
    /// Who gets a mail.
    pub notify_email: Option<String>,
    /// How many days before the end of its certificate people are told; 0 for never.
    pub certificate_warn_days: u32,
    /// When the certificate that the last check met ends.
    pub certificate_expires_at: Option<Timestamp>,
    /// How many seconds later than its interval a heartbeat may come.
    pub heartbeat_grace_sec: u32,
    /// When the last heartbeat came.
    pub last_heartbeat_at: Option<Timestamp>,
    /// How it is.
    pub status: UptimeStatus,
    /// Why it is down.
    pub reason: Option<String>,
    /// Since when it has the status.
    pub since: Option<Timestamp>,
    /// When it was checked last.
    pub last_checked_at: Option<Timestamp>,
    /// How long the last answer took, in milliseconds.
    pub last_response_ms: Option<u32>,
    /// How many checks were good.
    pub uptime: UptimeShares,
    /// When it was down: the newest 20.
    pub incidents: Vec<IncidentView>,
}

/// How many of the checks were good, in percent with three digits, such as `99.950`; `null` where there were none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UptimeShares {
    /// In the last 24 hours.
    pub h24: Option<String>,
    /// In the last 7 days.
    pub d7: Option<String>,
    /// In the last 30 days.
    pub d30: Option<String>,
    /// In the last 90 days.
    pub d90: Option<String>,
}

/// A time in which a project was down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentView {
    /// When it was found to be down.
    pub started_at: Timestamp,
    /// When it answered again, or was not checked any more; `null` while it lasts.
    pub ended_at: Option<Timestamp>,
    /// Why it was down, as the check found that opened it.
    pub reason: String,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    /// When it ended.
    pub time: Timestamp,
    /// Whether it was good.
    pub ok: bool,
    /// The status code of the answer, if there was one.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub response_ms: u32,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it was made during a maintenance, and so counts for nothing.
    pub maintenance: bool,
}

/// Where a job sends its heartbeats. The token in it is in this answer only.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatUrl {
    /// To be called, by GET, HEAD or POST, whenever the job has done its work; with `/fail` after it when it has not.
    pub url: String,
}

/// That a heartbeat was taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatReceived {
    /// When it came.
    pub received_at: Timestamp,
}

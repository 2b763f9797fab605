//! Log lines as WebSockets carry them.
//!
//! A frame is `TIMESTAMP TEXT`. Because every line begins with the server's timestamp, no line of
//! an app can look like one of the server's own frames below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The frame that closes a complete stream.
pub const END: &str = "[END]";
/// What a frame begins with when something went wrong.
pub const ERROR_PREFIX: &str = "[ERROR] ";

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The app's standard output.
    Stdout,
    /// The app's standard error.
    Stderr,
    /// A build.
    Build,
    /// The platform itself.
    System,
}

/// How severe a line is, from the least to the most. What apps call trace is `debug` here, and what
/// they call fatal, critical or panic is `error`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For those who look for a fault.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// A line, as `?format=json` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLineView {
    /// When it was written.
    pub timestamp: Timestamp,
    /// The replica that wrote it, or the deployment that built.
    pub pod: String,
    /// Where it came from.
    pub stream: LogSource,
    /// How severe it is, where its text says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// The text, without a line end.
    pub message: String,
}

/// Some of the lines that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// In the order that was asked for. There may be fewer than `limit`, even none, before all was looked
    /// through: a page takes a bounded time.
    pub lines: Vec<LogLineView>,
    /// Where the next page begins; null when there is none.
    pub cursor: Option<String>,
}

/// What a project's log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStats {
    /// The number of lines.
    pub lines: u64,
    /// How long their texts are, in bytes.
    pub bytes: u64,
    /// What they take on the disk, in bytes.
    pub stored_bytes: u64,
    /// The earliest time.
    pub oldest: Option<Timestamp>,
    /// The latest time.
    pub newest: Option<Timestamp>,
    /// Each day (UTC) that has lines, the first one first.
    pub days: Vec<LogDay>,
}

/// What a project's log holds of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogDay {
    /// The day's first moment.
    pub start: Timestamp,
    /// The number of lines.
    pub lines: u64,
    /// How long their texts are, in bytes.
    pub bytes: u64,
    /// How many lines name the level `error`.
    pub errors: u64,
}

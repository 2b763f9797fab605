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
    /// The text, without a line end.
    pub message: String,
}

//! Commands inside a running replica.
//!
//! Over a WebSocket, binary frames are bytes: from the client the command's input, from the server
//! what it writes. Text frames are the JSON objects [`ExecControl`] and [`ExecEvent`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `POST P/exec`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments, 1 to 100 of them; no shell reads them.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(max = 4096), regex(pattern = "^[^\\x00]*$")),
        extend("prefixItems" = [{"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[^\\x00]+$"}])
    )]
    pub command: Vec<String>,
    /// Written to the command's standard input, 1 MiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Which replica, by its name; the first that runs when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// How long to wait for its end, 1 to 50 s; 30 when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 50))]
    pub timeout_seconds: Option<u32>,
}

/// Answer of `POST P/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecResult {
    /// The replica that it ran in.
    pub pod: String,
    /// Its exit code; absent when it did not end in time. It may go on then.
    pub exit_code: Option<i64>,
    /// What it wrote to standard output, 1 MiB at most.
    pub stdout: String,
    /// What it wrote to standard error, 1 MiB at most.
    pub stderr: String,
    /// Whether there was more output than that.
    pub truncated: bool,
    /// Whether it was still running when the time was over.
    pub timed_out: bool,
}

/// What a client says in a text frame of `WS P/exec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecControl {
    /// The terminal has another size.
    Resize { cols: u16, rows: u16 },
    /// The input has ended.
    Eof,
}

/// What the server says in a text frame of `WS P/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecEvent {
    /// The command ended; the last frame.
    ExitCode(i64),
    /// It could not go on, with the reason; the last frame.
    Error(String),
}

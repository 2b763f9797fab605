//! Why something failed, told from its output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DeploymentId;

/// Something that makes an app fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseView {
    /// What is wrong.
    pub title: String,
    /// How sure that is, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub confidence: u8,
    /// The lines that say so, shortened, in their order.
    pub evidence: Vec<String>,
    /// What to do.
    pub fix: String,
}

/// What is known of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnalysisView {
    /// One sentence.
    pub summary: String,
    /// At most five, the likeliest first.
    pub causes: Vec<CauseView>,
}

/// Body of `POST P/logs/analyze`; an empty body is a body without fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeLogs {
    /// The output to look at, 1 MiB at most; the project's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_048_576))]
    pub logs: Option<String>,
    /// The deployment to look at; without it and `logs`, the newest one if that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
}

/// The most of `logs` in [`AnalyzeLogs`], in bytes.
pub const MAX_ANALYZED: usize = 1 << 20;

/// Answer of `POST P/logs/analyze`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogAnalysisView {
    /// One sentence.
    pub summary: String,
    /// At most five, the likeliest first.
    pub causes: Vec<CauseView>,
    /// The deployment that was looked at; null when it was the project's output, or what was sent along.
    pub deployment: Option<DeploymentId>,
    /// The language model that answered; null when none did.
    pub model: Option<String>,
    /// What it answered, as plain text that nobody has checked.
    pub answer: Option<String>,
}

//! What kinds of failure there are. HTTP status, exit code and retry all derive from the kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of a failure, the same on both sides of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself is wrong (400).
    Invalid,
    /// No valid key or session came with it (401).
    Unauthenticated,
    /// The wallet is too low (402).
    PaymentRequired,
    /// The caller's role does not allow it (403).
    Forbidden,
    /// There is no such thing, or none that the caller may know of (404).
    NotFound,
    /// It collides with what there is (409).
    Conflict,
    /// Too many requests; try again later (429).
    RateLimited,
    /// Something that is needed does not answer at the moment (503).
    Unavailable,
    /// A fault of the server (500).
    Internal,
}

impl Kind {
    /// The kind that a status code of the contract stands for.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            402 => Self::PaymentRequired,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            429 => Self::RateLimited,
            400..=499 => Self::Invalid,
            502..=504 => Self::Unavailable,
            _ => Self::Internal,
        }
    }
}

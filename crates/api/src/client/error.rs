//! What can go wrong between a client and a server.

use std::collections::BTreeMap;

use crate::Kind;

/// What a call of the client answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with a failure.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// No connection came about.
    #[error("cannot reach {server}: check the address, and that the server is running")]
    Unreachable {
        /// Who was called.
        server: String,
        /// What the attempt ran into.
        #[source]
        source: reqwest::Error,
    },
    /// An answer, or the next sign of life on a stream, did not come in time.
    #[error("{server} took too long to answer: check its load and the network on the way")]
    TimedOut {
        /// Who was called.
        server: String,
    },
    /// The connection ended in the middle.
    #[error(
        "the connection to {server} broke off: check the network, and that the server is running"
    )]
    BrokenOff {
        /// Who was called.
        server: String,
        /// What was seen of it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What answered does not speak this API.
    #[error(
        "what answers at {server} is no TOSE server (HTTP {status}): check the address, and any proxy on the way"
    )]
    Foreign {
        /// Who was called.
        server: String,
        /// The status of the answer.
        status: u16,
    },
    /// The server points elsewhere; the key is not sent there.
    #[error("{server} redirects to {location}: if that is your server, use its address")]
    Redirected {
        /// Who was called.
        server: String,
        /// Where it points.
        location: String,
    },
    /// An answer is longer than a client reads.
    #[error("the answer of {server} is longer than {limit_bytes} bytes")]
    TooLong {
        /// Who was called.
        server: String,
        /// How much a client reads.
        limit_bytes: usize,
    },
    /// A successful answer holds something that this client does not know.
    #[error("the answer of {server} is not understood: client and server may differ in version")]
    NotUnderstood {
        /// Who was called.
        server: String,
        /// What is unknown.
        #[source]
        source: serde_json::Error,
    },
    /// The client could not be made.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

/// A failure as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind that the HTTP status stands for.
    pub kind: Kind,
    /// The text for a person.
    pub message: String,
    /// The text for a program.
    pub code: String,
    /// Which inputs are wrong, and why.
    pub fields: BTreeMap<String, String>,
    /// The id under which the server's log has the request.
    pub request_id: Option<String>,
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::BrokenOff { .. }
            | Self::Foreign { .. }
            | Self::Redirected { .. }
            | Self::TooLong { .. } => Kind::Unavailable,
            Self::NotUnderstood { .. } | Self::Setup(_) => Kind::Internal,
        }
    }

    /// The failure for a program: the server's code, or one of the client's own.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.code,
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::BrokenOff { .. } => "connection_broken",
            Self::Foreign { .. } => "not_a_tose_server",
            Self::Redirected { .. } => "redirected",
            Self::TooLong { .. } => "answer_too_long",
            Self::NotUnderstood { .. } => "answer_not_understood",
            Self::Setup(_) => "client_setup_failed",
        }
    }

    /// What the server said, where it was the server that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

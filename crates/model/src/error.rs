//! Why something cannot be done, in words for the caller.
//!
//! Invariant: the text of every variant but [`Error::Internal`] may be shown to the caller, so it
//! holds nothing of another tenant and nothing secret. `Internal` is for the operator's log.

use std::collections::BTreeMap;
use std::time::Duration;

use tose_api::Kind;

/// What a rule or a use case answers.
pub type Result<T> = std::result::Result<T, Error>;

/// The source of an error, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The code of [`Error::Unavailable`] where no other says more.
pub const UNAVAILABLE: &str = "unavailable";

/// Why something cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong.
    #[error("{message}")]
    Invalid {
        message: String,
        fields: BTreeMap<String, String>,
    },
    /// The caller did not say who they are, or not credibly; `code` is for programs.
    #[error("{message}")]
    Unauthenticated {
        code: &'static str,
        message: &'static str,
    },
    /// The wallet has too little; `code` is for programs.
    #[error("{message}")]
    PaymentRequired { code: &'static str, message: String },
    /// The caller's role is too low.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing in the caller's workspace.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It collides with the state that there is.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// Too many requests; `retry_after` says how long to wait.
    #[error("{message}")]
    RateLimited {
        message: String,
        retry_after: Duration,
    },
    /// Something that is needed does not answer; `code` is for programs.
    #[error("{message}")]
    Unavailable {
        code: &'static str,
        message: String,
        #[source]
        source: Option<BoxError>,
    },
    /// A fault of ours.
    #[error("{context}")]
    Internal {
        context: String,
        #[source]
        source: BoxError,
    },
}

impl Error {
    /// Wrong input, with the field that is wrong.
    pub fn invalid_field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let (field, problem) = (field.into(), problem.into());
        Self::Invalid {
            message: format!("{field}: {problem}"),
            fields: BTreeMap::from([(field, problem)]),
        }
    }

    /// Wrong input that no single field stands for.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
            fields: BTreeMap::new(),
        }
    }

    /// A caller who did not say who they are, or not credibly.
    pub const fn unauthenticated(message: &'static str) -> Self {
        Self::Unauthenticated {
            code: "unauthenticated",
            message,
        }
    }

    /// A collision; `code` is for programs, `message` says what to do.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            message: message.into(),
        }
    }

    /// A fault of ours, with what was tried.
    pub fn internal(context: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Internal {
            context: context.into(),
            source: source.into(),
        }
    }

    /// The kind, from which status, exit code and retry derive.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } => Kind::Invalid,
            Self::Unauthenticated { .. } => Kind::Unauthenticated,
            Self::PaymentRequired { .. } => Kind::PaymentRequired,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::NotFound(_) => Kind::NotFound,
            Self::Conflict { .. } => Kind::Conflict,
            Self::RateLimited { .. } => Kind::RateLimited,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Internal { .. } => Kind::Internal,
        }
    }

    /// The machine-readable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_input",
            Self::Unauthenticated { code, .. } | Self::PaymentRequired { code, .. } => code,
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict { code, .. } => code,
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { code, .. } => code,
            Self::Internal { .. } => "internal",
        }
    }
}

impl From<crate::driver::DriverError> for Error {
    fn from(error: crate::driver::DriverError) -> Self {
        use crate::driver::DriverError;
        match error {
            DriverError::Unavailable(_) => Self::Unavailable {
                code: UNAVAILABLE,
                message: "the container engine does not answer; try again in a moment".to_owned(),
                source: Some(Box::new(error)),
            },
            other => Self::internal("engine call failed", other),
        }
    }
}

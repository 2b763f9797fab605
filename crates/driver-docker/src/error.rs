//! The engine's errors, as the driver's: the one place where bollard's become ours.

use bollard::errors::Error;
use tose_model::driver::DriverError;

/// What became of `operation`, a verb phrase such as `list the replicas`.
pub(crate) fn failed(operation: impl Into<String>, error: Error) -> DriverError {
    if is_unavailable(&error) {
        return DriverError::Unavailable(Box::new(error));
    }
    DriverError::Failed {
        operation: operation.into(),
        source: Box::new(error),
    }
}

/// A failure that is not an answer of the engine.
pub(crate) fn refused(operation: impl Into<String>, reason: impl Into<String>) -> DriverError {
    DriverError::Failed {
        operation: operation.into(),
        source: reason.into().into(),
    }
}

/// Whether the engine did not answer, so that nothing is known.
pub(crate) fn is_unavailable(error: &Error) -> bool {
    matches!(
        error,
        Error::SocketNotFoundError(_)
            | Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
            | Error::RequestTimeoutError
    )
}

/// The HTTP status and the message of a refusal.
pub(crate) fn answer(error: &Error) -> Option<(u16, &str)> {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => Some((*status_code, message)),
        _ => None,
    }
}

/// Whether the engine answered with `status`.
pub(crate) fn has_status(error: &Error, status: u16) -> bool {
    answer(error).is_some_and(|(actual, _)| actual == status)
}

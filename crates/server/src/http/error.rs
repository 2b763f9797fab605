//! The one place where errors become HTTP.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tose_api::{Failure, Kind};
use tose_model::Error;

use crate::limiter::seconds;

const OUR_FAULT: &str = "the server could not do this; the fault is ours. Try again, and tell the operator the X-Request-Id if it stays";

/// What a handler answers when it cannot do as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// A rule or use case refused.
    Refused(Error),
    /// The request never reached one.
    Transport(Transport),
}

/// What is wrong with a request as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// There is no such path.
    UnknownRoute,
    /// The path is there, for other methods.
    WrongMethod,
    /// The body is not JSON by its content type.
    NotJson,
    /// The body is larger than it may be.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is no gzipped tar archive by its content type.
    NotGzip,
    /// The body is no push of Git's by its content type, or is compressed.
    NotAPush,
    /// A WebSocket was expected.
    NotAnUpgrade,
    /// The handler broke.
    Broken,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Transport> for ApiError {
    fn from(transport: Transport) -> Self {
        Self::Transport(transport)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => refused(&error),
            Self::Transport(transport) => {
                let (status, code, text) = transport.parts();
                failure(status, code, text.to_owned(), BTreeMap::new())
            }
        }
    }
}

fn refused(error: &Error) -> Response {
    let status = status(error.kind());
    let fields = match error {
        Error::Invalid { fields, .. } => fields.clone(),
        _ => BTreeMap::new(),
    };
    // An internal error is the operator's to read; the caller learns only that it was not theirs.
    let text = match error.kind() {
        Kind::Internal => {
            tracing::error!(error = error as &dyn std::error::Error, "request failed");
            OUR_FAULT.to_owned()
        }
        Kind::Unavailable => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "request could not be served"
            );
            error.to_string()
        }
        _ => error.to_string(),
    };
    let mut response = failure(status, error.code(), text, fields);
    if let Error::RateLimited { retry_after, .. } = error
        && let Ok(seconds) = seconds(*retry_after).to_string().parse()
    {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Transport {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::UnknownRoute => (
                StatusCode::NOT_FOUND,
                "unknown_route",
                "there is no such path in this API; check it for typing errors",
            ),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path does not take that method; the Allow header lists the ones it takes",
            ),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body has to be JSON, with Content-Type: application/json",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than this route takes",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the request did not arrive in time; try again",
            ),
            Self::NotAPush => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_a_push",
                "this address is for `git push`",
            ),
            Self::NotGzip => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_gzip",
                "the body has to be a gzipped tar archive, with Content-Type: application/gzip",
            ),
            Self::NotAnUpgrade => (
                StatusCode::BAD_REQUEST,
                "websocket_expected",
                "this path is a WebSocket; connect with ws:// or wss://",
            ),
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "internal", OUR_FAULT),
        }
    }
}

fn failure(
    status: StatusCode,
    code: &str,
    error: String,
    fields: BTreeMap<String, String>,
) -> Response {
    let body = Failure {
        success: false,
        error,
        code: code.to_owned(),
        fields,
    };
    (status, Json(body)).into_response()
}

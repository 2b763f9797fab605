//! `Idempotency-Key`: the same call again gets the first answer again.
//!
//! Not here: what a key means, and what happens after a crash (`app/idempotency.rs`).

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use tose_model::Error;

use crate::app::Platform;
use crate::app::idempotency::Turn;
use crate::http::error::{ApiError, Transport};
use crate::http::routes::MAX_BODY;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers `request` once for this key of `owner`. `handle` gets the key's name in the store, and
/// runs to its end even if the client goes away.
pub(crate) async fn run<F>(
    platform: &Arc<Platform>,
    owner: &str,
    key: &HeaderValue,
    request: Request,
    handle: impl FnOnce(Request, String) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let (request, hash) = match fingerprint(request).await {
        Ok(parts) => parts,
        Err(error) => return error.into_response(),
    };
    let key = String::from_utf8_lossy(key.as_bytes());
    let name = match platform.claim_call(owner, &key, hash).await {
        Ok(Turn::Go { name }) => name,
        Ok(Turn::Replay { status, body }) => return replay(status, body),
        Err(error) => return ApiError::from(error).into_response(),
    };
    let task_platform = Arc::clone(platform);
    let work = async move {
        let response = handle(request, name.clone()).await;
        settle(&task_platform, &name, response).await
    };
    match platform.background.spawn(work).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a call with an idempotency key broke");
            ApiError::from(Transport::Broken).into_response()
        }
    }
}

/// What makes two requests the same: method, path, query and body. A body that is not JSON is not
/// held in memory; its length stands in for it.
async fn fingerprint(request: Request) -> Result<(Request, [u8; 32]), ApiError> {
    let mut digest = Sha256::new();
    digest.update(request.method().as_str());
    digest.update(b" ");
    digest.update(request.uri().to_string());
    digest.update(b"\n");
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        if let Some(length) = request.headers().get(CONTENT_LENGTH) {
            digest.update(length.as_bytes());
        }
        return Ok((request, digest.finalize().into()));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| ApiError::from(Transport::TooLarge))?;
    digest.update(&bytes);
    Ok((
        Request::from_parts(parts, Body::from(bytes)),
        digest.finalize().into(),
    ))
}

/// Keeps the answer, unless it says that nothing was decided.
async fn settle(platform: &Platform, name: &str, response: Response) -> Response {
    let status = response.status();
    let is_open = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    if is_open {
        forget(platform, name).await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        forget(platform, name).await;
        return ApiError::from(Transport::Broken).into_response();
    };
    let text = String::from_utf8_lossy(&bytes);
    if let Err(error) = platform.keep_answer(name, status.as_u16(), &text).await {
        // The effect is there and the caller gets this answer; only a repetition would not.
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an answer was not kept"
        );
    }
    Response::from_parts(parts, Body::from(bytes))
}

async fn forget(platform: &Platform, name: &str) {
    if let Err(error) = platform.forget_call(name).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an idempotency key was not released"
        );
    }
}

fn replay(status: u16, body: String) -> Response {
    let Ok(status) = StatusCode::from_u16(status) else {
        let error = Error::internal("a kept answer has no status", "it is out of range");
        return ApiError::from(error).into_response();
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

//! `ETag` and `If-None-Match` on what can be read as a single thing.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::http::error::{ApiError, Transport};

/// Adds the tag of a 200 answer, and answers 304 without a body to who has it already.
pub(crate) async fn tag(request: Request, next: Next) -> Response {
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match whole(body).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let digest = Sha256::digest(&bytes);
    let tag = format!("\"{}\"", hex::encode(&digest[..16]));
    let is_known = known.is_some_and(|known| names(&known, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, value);
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(http::header::CONTENT_TYPE);
        parts.headers.remove(http::header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// All of an answer's body. Answers are made in memory, so there is always all of it.
pub(crate) async fn whole(body: Body) -> Result<Bytes, ApiError> {
    to_bytes(body, usize::MAX)
        .await
        .map_err(|_| Transport::Broken.into())
}

/// Whether a list of tags has this one; `*` has every.
pub(crate) fn names(list: &HeaderValue, tag: &str) -> bool {
    list.to_str().is_ok_and(|list| {
        list.split(',').any(|part| {
            let part = part.trim();
            part == "*" || part.trim_start_matches("W/") == tag
        })
    })
}

//! Answers that are asked for again and again: kept until something in their workspace changes.
//!
//! Guarantees: an answer is given again only while the workspace's revision
//! ([`tose_store::Store::revision`]) is the one from before it was made, so a change that was answered
//! is seen by every call after it. Access is decided before this is asked, for each call. Only
//! routes whose answer is the same for every member may be kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use tose_api::WorkspaceId;
use tose_model::access::Access;

use crate::http::etag::{self, names};
use crate::http::routes::Shared;

/// The most bytes that are kept, of all answers together. When there are more, all are forgotten.
const MAX_BYTES: usize = 8 << 20;
/// What an answer costs besides its body.
const OVERHEAD: usize = 256;

/// Answers by workspace, path and query.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    answers: HashMap<(WorkspaceId, Box<str>), Answer>,
    bytes: usize,
}

#[derive(Clone)]
struct Answer {
    revision: u64,
    body: Bytes,
    tag: Option<HeaderValue>,
}

impl Kept {
    fn find(&self, key: &(WorkspaceId, Box<str>), revision: u64) -> Option<Answer> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = inner.answers.get(key)?;
        (found.revision == revision).then(|| found.clone())
    }

    fn keep(&self, key: (WorkspaceId, Box<str>), answer: Answer) {
        let cost = answer.body.len() + key.1.len() + OVERHEAD;
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.bytes + cost > MAX_BYTES {
            *inner = Inner::default();
        }
        if cost > MAX_BYTES {
            return;
        }
        inner.bytes += cost;
        let path_len = key.1.len();
        if let Some(before) = inner.answers.insert(key, answer) {
            inner.bytes -= before.body.len() + path_len + OVERHEAD;
        }
    }
}

/// Answers from what is kept, or keeps what the handler answers.
pub(crate) async fn answer(
    State(Shared { platform, kept }): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let Some(access) = request.extensions().get::<Access>() else {
        return next.run(request).await;
    };
    let scope = access.scope().clone();
    let path = request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str());
    let key = (scope.id(), Box::from(path));
    // Read before the handler reads anything: a change in between makes its answer useless.
    // Both only grow, so their sum is never the same again.
    let revision = platform.store.revision(&scope) + platform.wildcard.revision();
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    if let Some(answer) = kept.find(&key, revision) {
        return respond(answer, known.as_ref());
    }
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = match etag::whole(body).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let answer = Answer {
        revision,
        body: bytes.clone(),
        tag: parts.headers.get(ETAG).cloned(),
    };
    kept.keep(key, answer);
    Response::from_parts(parts, Body::from(bytes))
}

fn respond(answer: Answer, known: Option<&HeaderValue>) -> Response {
    let is_known = match (&answer.tag, known) {
        (Some(tag), Some(known)) => tag.to_str().is_ok_and(|tag| names(known, tag)),
        _ => false,
    };
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], answer.body).into_response()
    };
    if let Some(tag) = answer.tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn answer(revision: u64, bytes: usize) -> Answer {
        Answer {
            revision,
            body: Bytes::from(vec![b'x'; bytes]),
            tag: None,
        }
    }

    #[test]
    fn an_answer_of_another_revision_is_none() {
        let kept = Kept::default();
        let key = (WorkspaceId::from_uuid(Uuid::nil()), Box::from("/a"));
        kept.keep(key.clone(), answer(1, 10));
        assert!(kept.find(&key, 1).is_some());
        assert!(kept.find(&key, 2).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = Kept::default();
        for number in 0..100 {
            let path = format!("/{number}").into_boxed_str();
            let key = (WorkspaceId::from_uuid(Uuid::nil()), path);
            kept.keep(key, answer(1, 1 << 20));
            let inner = kept.0.lock().expect("no panic");
            let real: usize = inner
                .answers
                .iter()
                .map(|((_, path), answer)| answer.body.len() + path.len() + OVERHEAD)
                .sum();
            assert_eq!(real, inner.bytes);
            assert!(real <= MAX_BYTES);
        }
    }
}

//! Who may enter: runs before each handler, with the access that the route list names.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use tose_api::workspace::Role;
use tose_model::Error;
use tose_model::access::{Access, Caller, authorize};

use crate::app::Platform;
use crate::http::error::ApiError;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may call it.
    Nothing,
    /// A valid key.
    Key,
    /// A valid key of the workspace in the path, of a member with this role or above.
    Role(Role),
}

/// Where the key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// In a header.
    Header,
    /// In a header, or as `?api_key=`: browsers cannot set headers on a WebSocket.
    HeaderOrQuery,
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) platform: Arc<Platform>,
    pub(crate) needs: Needs,
    pub(crate) key_place: KeyPlace,
}

/// Lets a request through with a [`Caller`] or an [`Access`] beside it, or answers why not.
pub(crate) async fn check(
    State(guard): State<Guard>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    // The body is no part of the decision, and a reference to it could not be held while waiting.
    let key = find_key(&request, guard.key_place);
    match admit(&guard, &params, key).await {
        Ok(None) => {}
        Ok(Some(Admitted::Caller(caller))) => {
            request.extensions_mut().insert(caller);
        }
        Ok(Some(Admitted::Access(access))) => {
            request.extensions_mut().insert(access);
        }
        Err(error) => return ApiError::from(error).into_response(),
    }
    next.run(request).await
}

enum Admitted {
    Caller(Caller),
    Access(Access),
}

async fn admit(
    guard: &Guard,
    params: &RawPathParams,
    key: Option<String>,
) -> Result<Option<Admitted>, Error> {
    if guard.needs == Needs::Nothing {
        return Ok(None);
    }
    let key = key.ok_or(Error::Unauthenticated(
        "an API key is needed; send it in the header X-API-Key",
    ))?;
    let caller = guard.platform.authenticate(&key).await?;
    let Needs::Role(role) = guard.needs else {
        return Ok(Some(Admitted::Caller(caller)));
    };
    let slug = params
        .iter()
        .find(|(name, _)| *name == "slug")
        .map_or("", |(_, value)| value);
    authorize(caller, slug, role).map(|access| Some(Admitted::Access(access)))
}

fn find_key(request: &Request, place: KeyPlace) -> Option<String> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if let Some(key) = header("x-api-key") {
        return Some(key.trim().to_owned());
    }
    if let Some(key) = header(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    }) {
        return Some(key.to_owned());
    }
    if place == KeyPlace::Header {
        return None;
    }
    // A key is hex digits and letters: it needs no decoding.
    let query = request.uri().query()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("api_key="))
        .map(str::to_owned)
}

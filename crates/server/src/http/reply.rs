//! The envelope around what succeeded.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use tose_api::{Meta, Success};

use crate::http::error::ApiError;

/// What a handler answers.
pub(crate) type Reply = Result<Response, ApiError>;

/// 200 with what there is.
pub(crate) fn ok<T: Serialize>(data: T) -> Reply {
    Ok(Json(Success::new(data)).into_response())
}

/// 201 with what was made.
pub(crate) fn created<T: Serialize>(data: T) -> Reply {
    Ok((StatusCode::CREATED, Json(Success::new(data))).into_response())
}

/// 202 with what is on its way.
pub(crate) fn accepted<T: Serialize>(data: T) -> Reply {
    Ok((StatusCode::ACCEPTED, Json(Success::new(data))).into_response())
}

/// 200 with one page of a list.
pub(crate) fn page<T: Serialize>((data, meta): (Vec<T>, Meta)) -> Reply {
    Ok(Json(Success::page(data, meta)).into_response())
}

/// 200 with a whole list, as one page.
pub(crate) fn list<T: Serialize>(data: Vec<T>) -> Reply {
    let total = u64::try_from(data.len()).unwrap_or(u64::MAX);
    let limit = u32::try_from(data.len()).unwrap_or(u32::MAX).max(1);
    let meta = Meta {
        page: 1,
        limit,
        total,
        has_more: false,
    };
    page((data, meta))
}

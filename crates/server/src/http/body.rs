//! Input: JSON bodies and query parameters, with errors that name the field.

use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tose_api::envelope::Paging;
use tose_model::Error;

use crate::http::error::{ApiError, Transport};

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that may be absent: then every field is.
pub(crate) struct OptionalBody<T>(pub(crate) T);

/// A JSON body that is a list of objects.
pub(crate) struct BodyList<T>(pub(crate) Vec<T>);

/// `page` and `limit`.
pub(crate) struct Page(pub(crate) Paging);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let is_json = is_json(&request);
        let bytes = read(request).await?;
        if !is_json {
            return Err(Transport::NotJson.into());
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let is_json = is_json(&request);
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(Transport::NotJson.into());
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for BodyList<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let is_json = is_json(&request);
        let bytes = read(request).await?;
        if !is_json {
            return Err(Transport::NotJson.into());
        }
        parse_list(&bytes).map(Self)
    }
}

fn is_json(request: &Request) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or(value).trim();
            essence.eq_ignore_ascii_case("application/json")
                || (essence.starts_with("application/") && essence.ends_with("+json"))
        })
}

pub(crate) async fn read(request: Request) -> Result<Bytes, ApiError> {
    request.extract::<Bytes, _>().await.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Transport::TooLarge.into()
        } else {
            Transport::TooSlow.into()
        }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde would take a list for an object, its items for the fields in their order.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        return Err(Error::invalid_field("body", "must be a JSON object").into());
    }
    read_json(bytes)
}

fn parse_list<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, ApiError> {
    let items: Vec<serde_json::Value> = read_json(bytes)?;
    if !items.iter().all(serde_json::Value::is_object) {
        return Err(Error::invalid_field("body", "must be a list of JSON objects").into());
    }
    read_json(bytes)
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        bad_json(&path, &inner)
    })?;
    reader.end().map_err(|error| bad_json(".", &error))?;
    Ok(parsed)
}

fn bad_json(path: &str, error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        return Error::invalid(format!("the body is no valid JSON: {error}")).into();
    }
    let text = error.to_string();
    // Where in the text it stands says less than the field's name.
    let problem = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let field = match path {
        "." => named_in(&problem).unwrap_or("body"),
        path => path,
    };
    Error::invalid_field(field, problem.clone()).into()
}

/// The field that serde names in backquotes, for a missing or unknown one at the top level.
fn named_in(problem: &str) -> Option<&str> {
    let is_about_field =
        problem.starts_with("missing field") || problem.starts_with("unknown field");
    problem.split('`').nth(1).filter(|_| is_about_field)
}

#[derive(Deserialize)]
struct RawPage {
    page: Option<String>,
    limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(raw) = Query::<RawPage>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::invalid("the query cannot be read"))?;
        let page = number("page", raw.page)?;
        let limit = number("limit", raw.limit)?;
        let paging = Paging::new(page, limit).map_err(out_of_range)?;
        Ok(Self(paging))
    }
}

fn number(field: &'static str, text: Option<String>) -> Result<Option<u32>, ApiError> {
    text.map(|text| text.parse().map_err(|_| out_of_range(field).into()))
        .transpose()
}

fn out_of_range(field: &'static str) -> Error {
    let problem = match field {
        "limit" => format!("must be a number from 1 to {}", Paging::MAX_LIMIT),
        _ => format!("must be a number from 1 to {}", Paging::MAX_PAGE),
    };
    Error::invalid_field(field, problem)
}

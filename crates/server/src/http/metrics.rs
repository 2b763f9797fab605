//! `…/projects/:project_slug/metrics`, and `/metrics` of the server itself.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use tose_api::Timestamp;
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::app::metrics::Asked;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok};

/// What `/metrics` answers: the form that Prometheus and its like read.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `?start=&end=&step=`
#[derive(Deserialize)]
pub(crate) struct MetricsQuery {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    step: Option<u32>,
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    query: Result<Query<MetricsQuery>, QueryRejection>,
) -> Reply {
    let Query(query) = query.map_err(|_| {
        Error::invalid(
            "the query cannot be read: start and end are times such as 2026-01-31T08:00:00Z, step a number of seconds",
        )
    })?;
    let asked = Asked {
        start: query.start,
        end: query.end,
        step: query.step,
    };
    ok(platform.project_metrics(&access, &project, asked).await?)
}

pub(crate) async fn scrape(State(platform): State<Arc<Platform>>) -> Reply {
    let text = platform.telemetry().await?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

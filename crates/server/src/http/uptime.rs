//! `…/projects/:project_slug/uptime`, also of templates and databases.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use tose_api::Timestamp;
use tose_api::uptime::SetUptime;
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{Body, Page};
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok, page};

/// `?start=&end=`, besides which page.
#[derive(Deserialize)]
pub(crate) struct Span {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_uptime(&access, &project).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetUptime>,
) -> Reply {
    ok(platform.set_uptime(&access, &project, input).await?)
}

pub(crate) async fn checks(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    span: Result<Query<Span>, QueryRejection>,
    Page(paging): Page,
) -> Reply {
    let Query(span) = span.map_err(|_| {
        Error::invalid(
            "the query cannot be read: start and end are times such as 2026-01-31T08:00:00Z",
        )
    })?;
    if let (Some(start), Some(end)) = (span.start, span.end)
        && start >= end
    {
        return Err(Error::invalid_field("end", "must be after start").into());
    }
    let span = (span.start, span.end);
    page(
        platform
            .list_checks(&access, &project, span, paging)
            .await?,
    )
}

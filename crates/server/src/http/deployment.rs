//! `…/projects/:project_slug/deployments`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use tose_api::deployment::CreateDeployment;
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::app::deployment::{DEFAULT_LOG_LINES, MAX_LOG_LINES};
use crate::http::body::{OptionalBody, Page};
use crate::http::error::Transport;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, ok, page};

/// The slugs of workspace and project, and the deployment's id.
pub(crate) type DeploymentPath = Path<(String, String, String)>;

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    OptionalBody(input): OptionalBody<CreateDeployment>,
) -> Reply {
    created(platform.create_deployment(&access, &project, input).await?)
}

pub(crate) async fn redeploy(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    created(platform.redeploy(&access, &project).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Page(paging): Page,
) -> Reply {
    page(platform.list_deployments(&access, &project, paging).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DeploymentPath,
) -> Reply {
    ok(platform.get_deployment(&access, &project, &id).await?)
}

pub(crate) async fn stop(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DeploymentPath,
) -> Reply {
    ok(platform.stop_deployment(&access, &project, &id).await?)
}

pub(crate) async fn rollback(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DeploymentPath,
) -> Reply {
    created(platform.rollback(&access, &project, &id).await?)
}

/// The largest number that every JSON reader keeps exact.
pub(crate) const MAX_LINE_NUMBER: u64 = (1 << 53) - 1;

/// `?after=&limit=`
#[derive(Deserialize)]
pub(crate) struct LogQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

/// The query of a log, as it came.
pub(crate) type RawLogQuery = Result<Query<LogQuery>, QueryRejection>;

/// After which line, and how many at most.
pub(crate) fn log_part(query: RawLogQuery) -> Result<(Option<u64>, usize), Error> {
    let Query(query) = query.map_err(|_| Error::invalid("after and limit have to be numbers"))?;
    if query.after.is_some_and(|after| after > MAX_LINE_NUMBER) {
        let problem = format!("must be a number from 0 to {MAX_LINE_NUMBER}");
        return Err(Error::invalid_field("after", problem));
    }
    let limit = query.limit.unwrap_or(DEFAULT_LOG_LINES);
    if !(1..=MAX_LOG_LINES).contains(&limit) {
        let problem = format!("must be a number from 1 to {MAX_LOG_LINES}");
        return Err(Error::invalid_field("limit", problem));
    }
    Ok((query.after, limit))
}

pub(crate) async fn logs(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DeploymentPath,
    query: RawLogQuery,
) -> Reply {
    let (after, limit) = log_part(query)?;
    ok(platform
        .deployment_log(&access, &project, &id, after, limit)
        .await?)
}

/// Takes a gzipped tar archive of a source tree. The body is streamed to the disk.
pub(crate) async fn upload(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    request: Request,
) -> Reply {
    const KINDS: [&str; 4] = [
        "application/gzip",
        "application/x-gzip",
        "application/x-tar+gzip",
        "application/octet-stream",
    ];
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(Transport::NotGzip.into());
    }
    let body = request.into_body().into_data_stream();
    match platform.upload(&access, &project, body).await? {
        Some(deployment) => created(deployment),
        None => Err(Transport::TooLarge.into()),
    }
}

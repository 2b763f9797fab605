//! `…/projects/:project_slug/jobs`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::job::CreateJob;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{Body, Page};
use crate::http::deployment::{RawLogQuery, log_part};
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, ok, page};

/// The slugs of workspace and project, and the job's id.
type JobPath = Path<(String, String, String)>;

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<CreateJob>,
) -> Reply {
    created(platform.create_job(&access, &project, input).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Page(paging): Page,
) -> Reply {
    page(platform.list_jobs(&access, &project, paging).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): JobPath,
) -> Reply {
    ok(platform.get_job(&access, &project, &id).await?)
}

pub(crate) async fn stop(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): JobPath,
) -> Reply {
    ok(platform.stop_job(&access, &project, &id).await?)
}

pub(crate) async fn logs(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): JobPath,
    query: RawLogQuery,
) -> Reply {
    let (after, limit) = log_part(query)?;
    ok(platform
        .job_log(&access, &project, &id, after, limit)
        .await?)
}

//! `…/projects/:project_slug/deployments`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::deployment::CreateDeployment;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{OptionalBody, Page};
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

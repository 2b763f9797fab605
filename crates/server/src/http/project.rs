//! `/api/workspaces/:slug/projects`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::project::{CreateProject, ScaleProject, UpdateProject};
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{Body, Page};
use crate::http::reply::{Reply, created, ok, page};

/// The slugs of workspace and project in a path.
pub(crate) type ProjectPath = Path<(String, String)>;

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateProject>,
) -> Reply {
    created(platform.create_project(&access, input).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_projects(&access, paging).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_project(&access, &project).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<UpdateProject>,
) -> Reply {
    ok(platform.update_project(&access, &project, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.delete_project(&access, &project).await?)
}

pub(crate) async fn status(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.project_status(&access, &project).await?)
}

pub(crate) async fn start(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    platform.start_project(&access, &project).await?;
    ok(platform.get_project(&access, &project).await?)
}

pub(crate) async fn stop(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    platform.stop_project(&access, &project).await?;
    ok(platform.get_project(&access, &project).await?)
}

pub(crate) async fn restart(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    platform.restart_project(&access, &project).await?;
    ok(platform.get_project(&access, &project).await?)
}

pub(crate) async fn scale(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<ScaleProject>,
) -> Reply {
    ok(platform.scale_project(&access, &project, input).await?)
}

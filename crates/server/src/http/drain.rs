//! `…/projects/:project_slug/drains`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::drain::SetDrain;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, ok};

/// The slugs of workspace and project, and the drain's id.
type DrainPath = Path<(String, String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.list_drains(&access, &project).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetDrain>,
) -> Reply {
    created(platform.create_drain(&access, &project, input).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DrainPath,
    Body(input): Body<SetDrain>,
) -> Reply {
    ok(platform.update_drain(&access, &project, &id, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DrainPath,
) -> Reply {
    ok(platform.delete_drain(&access, &project, &id).await?)
}

pub(crate) async fn test(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DrainPath,
) -> Reply {
    ok(platform.test_drain(&access, &project, &id).await?)
}

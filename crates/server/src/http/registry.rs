//! `…/projects/:project_slug/registry`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::registry::SetRegistry;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok};

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_registry(&access, &project).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetRegistry>,
) -> Reply {
    ok(platform.set_registry(&access, &project, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.delete_registry(&access, &project).await?)
}

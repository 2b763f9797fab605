//! `…/projects/:project_slug/git`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::git::ConnectGit;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, list, ok};

pub(crate) async fn connect(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<ConnectGit>,
) -> Reply {
    created(platform.connect_git(&access, &project, input).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_git(&access, &project).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<ConnectGit>,
) -> Reply {
    ok(platform.update_git(&access, &project, input).await?)
}

pub(crate) async fn disconnect(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.disconnect_git(&access, &project).await?)
}

pub(crate) async fn previews(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    list(platform.list_previews(&access, &project).await?)
}

//! `…/projects/:project_slug/autoscaling`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::autoscaling::SetAutoscaling;
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
    ok(platform.get_autoscaling(&access, &project).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetAutoscaling>,
) -> Reply {
    ok(platform.set_autoscaling(&access, &project, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.delete_autoscaling(&access, &project).await?)
}

//! `/api/workspaces`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use tose_api::workspace::{CreateWorkspace, UpdateWorkspace};
use tose_model::access::{Access, Caller};

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::reply::{Reply, created, list as reply_list, ok};

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Body(input): Body<CreateWorkspace>,
) -> Reply {
    created(platform.create_workspace(&caller, input).await?)
}

/// The workspaces that what the caller showed opens.
pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    reply_list(platform.list_workspaces(&caller).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.get_workspace(&access).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<UpdateWorkspace>,
) -> Reply {
    ok(platform.update_workspace(&access, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.delete_workspace(&access).await?)
}

//! `/api/workspaces`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use tose_api::workspace::{CreateWorkspace, Role, UpdateWorkspace};
use tose_model::access::{Access, Caller, authorize};

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

/// The workspaces that the key opens: its own.
pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    let slug = caller.workspace.clone();
    let access = authorize(caller, slug.as_str(), Role::Member)?;
    reply_list(vec![platform.get_workspace(&access).await?])
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

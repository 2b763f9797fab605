//! `…/alerts`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::alert::{CreateAlert, UpdateAlert};
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::reply::{Reply, created, ok};

/// The workspace's slug and the rule's id.
type AlertPath = Path<(String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.list_alerts(&access).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateAlert>,
) -> Reply {
    created(platform.create_alert(&access, input).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): AlertPath,
) -> Reply {
    ok(platform.get_alert(&access, &id).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): AlertPath,
    Body(input): Body<UpdateAlert>,
) -> Reply {
    ok(platform.update_alert(&access, &id, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): AlertPath,
) -> Reply {
    ok(platform.delete_alert(&access, &id).await?)
}

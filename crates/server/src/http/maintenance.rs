//! `…/maintenance`: times in which failures are expected.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::maintenance::CreateMaintenance;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::reply::{Reply, created, list as whole, ok};

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    whole(platform.list_maintenances(&access).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateMaintenance>,
) -> Reply {
    created(platform.create_maintenance(&access, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): Path<(String, String)>,
) -> Reply {
    ok(platform.delete_maintenance(&access, &id).await?)
}

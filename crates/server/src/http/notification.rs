//! `…/notifications`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::notification::{CreateNotification, UpdateNotification};
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::reply::{Reply, created, ok};

/// The workspace's slug and the channel's id.
type ChannelPath = Path<(String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.list_notifications(&access).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateNotification>,
) -> Reply {
    created(platform.create_notification(&access, input).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): ChannelPath,
) -> Reply {
    ok(platform.get_notification(&access, &id).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): ChannelPath,
    Body(input): Body<UpdateNotification>,
) -> Reply {
    ok(platform.update_notification(&access, &id, input).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): ChannelPath,
) -> Reply {
    ok(platform.delete_notification(&access, &id).await?)
}

pub(crate) async fn test(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): ChannelPath,
) -> Reply {
    ok(platform.test_notification(&access, &id).await?)
}

pub(crate) async fn deliveries(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): ChannelPath,
) -> Reply {
    ok(platform.list_notification_deliveries(&access, &id).await?)
}

//! `/api/heartbeats/:token`, which jobs call, and `…/uptime/heartbeat`, which makes their address.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_model::access::Access;

use crate::app::Platform;
use crate::app::heartbeat::Work;
use crate::http::guard::Peer;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, ok};

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    created(platform.create_heartbeat(&access, &project).await?)
}

/// What a job sends along is not read.
pub(crate) async fn done(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Path(token): Path<String>,
) -> Reply {
    ok(platform.take_heartbeat(&token, Work::Done, peer.ip).await?)
}

pub(crate) async fn failed(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Path(token): Path<String>,
) -> Reply {
    let taken = platform.take_heartbeat(&token, Work::Failed, peer.ip);
    ok(taken.await?)
}

//! What is not of any workspace: who am I, which version, is it alive.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use tose_api::workspace::VersionView;
use tose_model::access::Caller;

use crate::app::Platform;
use crate::http::reply::{Reply, ok};

pub(crate) async fn me(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    ok(platform.me(&caller))
}

pub(crate) async fn version() -> Reply {
    ok(VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

pub(crate) async fn healthz() -> Reply {
    ok("ok")
}

/// Ready when store and engine answer.
pub(crate) async fn readyz(State(platform): State<Arc<Platform>>) -> Reply {
    platform.check_ready().await?;
    ok("ready")
}

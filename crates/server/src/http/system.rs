//! The server itself: which version, is it alive, what can it do.

use std::sync::Arc;

use axum::extract::State;
use tose_api::workspace::VersionView;

use crate::app::Platform;
use crate::http::reply::{Reply, ok};

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

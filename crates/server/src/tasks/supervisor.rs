//! Keeps the data plane running: starts it when it is not there, and tells it the routes again.

use std::sync::Arc;
use std::time::Duration;

use crate::app::Platform;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(2);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = platform.data_plane.ensure_running().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the proxy is not running"
            );
        }
    }
}

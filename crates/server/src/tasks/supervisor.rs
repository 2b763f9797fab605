//! Keeps the data plane running: starts it when it is not there, and tells it the routes again.

use std::sync::Arc;
use std::time::Duration;

use crate::app::Platform;
use crate::data_plane::DataPlaneError;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(2);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = look(&platform).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the proxy does not serve what it should"
            );
        }
    }
}

async fn look(platform: &Platform) -> Result<(), DataPlaneError> {
    let data_plane = platform.data_plane.as_ref();
    data_plane.ensure_running().await?;
    platform.routes.confirm(data_plane).await
}

//! Payments that are waited for: providers are asked after them, for a notice may never come.

use std::sync::Arc;
use std::time::Duration;

use tose_api::Timestamp;

use crate::app::Platform;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often is asked, by the clock.
const PERIOD: Duration = Duration::from_secs(30);

pub(crate) async fn run(platform: Arc<Platform>) {
    if !platform.is_prepaid() || !platform.config.payments.any() {
        return;
    }
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut asked: Option<Timestamp> = None;
    loop {
        tick.tick().await;
        let now = platform.now();
        // A clock that was set back is no reason to wait for the old time.
        let is_due = asked
            .is_none_or(|asked| now.since(asked) >= PERIOD || asked.since(now) > Duration::ZERO);
        if !is_due {
            continue;
        }
        asked = Some(now);
        if let Err(error) = platform.poll_payments().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "payments could not be asked after; it is tried again"
            );
        }
    }
}

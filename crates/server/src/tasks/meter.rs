//! The meter: what runs is measured again and again, hours that are over are charged, and wallets judged.

use std::sync::Arc;
use std::time::Duration;

use tose_api::Timestamp;
use tose_model::error::Result;

use crate::app::Platform;
use crate::tasks::wallets;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How soon it is tried again when it failed.
const RETRY: Duration = Duration::from_secs(10);

pub(crate) async fn run(platform: Arc<Platform>) {
    if !platform.is_prepaid() {
        return;
    }
    let period = platform.config.billing.interval;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next: Option<Timestamp> = None;
    loop {
        let is_called = tokio::select! {
            _ = tick.tick() => false,
            () = platform.signals.wallets_called() => true,
        };
        let now = platform.now();
        // A clock that was set back is no reason to wait for the old time.
        let is_due = next.is_none_or(|next| next <= now || next.since(now) > period.max(RETRY));
        if !is_due && !is_called {
            continue;
        }
        let looked = if is_due {
            platform.meter().await
        } else {
            Ok(())
        };
        let judged = wallets::judge_all(&platform).await;
        let wait = match is_fine(looked) & is_fine(judged) {
            true => period,
            false => RETRY.min(period),
        };
        if is_due {
            next = Some(now.saturating_add(wait));
        }
    }
}

fn is_fine(outcome: Result<()>) -> bool {
    if let Err(error) = &outcome {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "what runs could not be metered; it is tried again, and nothing is lost"
        );
    }
    outcome.is_ok()
}

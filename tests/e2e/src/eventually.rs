//! Waiting: the one way in which a test waits for something.
//!
//! Invariant: the limit is no measure of speed; only a test that fails reaches it.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

const PATIENCE: Duration = Duration::from_secs(120);
const PERIOD: Duration = Duration::from_millis(20);

/// Looks again and again until `look` answers; what it saw last goes into the failure.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    match within(PATIENCE, look).await {
        Ok(answer) => answer,
        Err(seen) => panic!(
            "did not come about within {} s: {what}; last seen: {seen}",
            PATIENCE.as_secs()
        ),
    }
}

/// The same with a limit of its own; the failure is the caller's.
pub async fn within<T>(
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = "nothing".to_owned();
    let looking = async {
        loop {
            ticks.tick().await;
            match look().await {
                Ok(answer) => return answer,
                Err(other) => seen = other,
            }
        }
    };
    timeout(limit, looking).await.map_err(|_| seen)
}

/// A condition for [`eventually`], with what was seen in its place.
pub fn when(holds: bool, seen: impl Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen.to_string()) }
}

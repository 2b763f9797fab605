//! Waiting for what the server does, by asking again and again.
//!
//! Guarantees: a server that is away for a while, because it restarts, is waited for.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tose_api::Kind;
use tose_api::client;

use crate::output::Output;

/// How often the server is asked.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many questions in a row may go unanswered.
const MAX_MISSED: u32 = 60;

/// How long a server that is away is put up with.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    missed: u32,
}

impl Patience {
    /// The answer; `None` where there is none and another one may well come a little later.
    pub(crate) fn pass<T>(
        &mut self,
        output: &Output,
        answer: client::Result<T>,
    ) -> client::Result<Option<T>> {
        match answer {
            Ok(answer) => {
                self.missed = 0;
                Ok(Some(answer))
            }
            Err(error) if may_pass(&error) && self.missed < MAX_MISSED => {
                if self.missed == 0 {
                    output.warn(&format!("{error}; trying again"));
                }
                self.missed += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the same call may well succeed a little later.
fn may_pass(error: &client::Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::RateLimited)
}

/// Asks until what is answered is at an end. `going_on` says what it is doing before that.
pub(crate) async fn until<T>(
    output: &Output,
    mut ask: impl AsyncFnMut() -> client::Result<T>,
    going_on: impl Fn(&T) -> Option<&'static str>,
) -> Result<T> {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut patience = Patience::default();
    let started = Instant::now();
    loop {
        ticks.tick().await;
        let Some(seen) = patience.pass(output, ask().await)? else {
            continue;
        };
        let Some(doing) = going_on(&seen) else {
            return Ok(seen);
        };
        let so_far = started.elapsed().as_secs();
        output.status(&format!("{doing} … {so_far} s"));
    }
}

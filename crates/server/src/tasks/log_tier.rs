//! Old log lines into the bucket that the operator names, and out of it.
//!
//! A round deletes what is not wanted there any more, copies what is full, and drops what was copied and
//! is old. What a round left half done is noted on the disk (see `tose-logs`), so a kill costs nothing
//! but the copy that was under way.
//!
//! A bucket that does not answer is asked again later and later, and the operator's log says it once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tose_logs::{Error, Result};

use crate::app::Platform;

/// How long to rest between two rounds.
const PERIOD: Duration = Duration::from_secs(20);
/// How long at most when the bucket does not answer.
const LONGEST: Duration = Duration::from_secs(300);

pub(crate) async fn run(platform: Arc<Platform>) {
    let Some(config) = &platform.config.log_tier else {
        return;
    };
    let mut pace = Pace::default();
    loop {
        let result = round(&platform, config.keep_local).await;
        let change = pace.after(result.is_ok());
        match (change, result) {
            (Some(Change::Broken), Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old log lines could not be moved to the bucket; they stay here, and it is tried again"
            ),
            (Some(Change::Mended), _) => {
                tracing::info!("old log lines are moved to the bucket again");
            }
            _ => {}
        }
        sleep(pace.rest).await;
    }
}

/// When the next round is.
struct Pace {
    rest: Duration,
    is_broken: bool,
}

/// What the operator is told.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Broken,
    Mended,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rest: PERIOD,
            is_broken: false,
        }
    }
}

impl Pace {
    /// Takes how a round went. Answers what is new about that.
    fn after(&mut self, is_ok: bool) -> Option<Change> {
        let was_broken = std::mem::replace(&mut self.is_broken, !is_ok);
        self.rest = match is_ok {
            true => PERIOD,
            false => (self.rest * 2).min(LONGEST),
        };
        match (was_broken, is_ok) {
            (false, false) => Some(Change::Broken),
            (true, true) => Some(Change::Mended),
            _ => None,
        }
    }
}

async fn round(platform: &Platform, keep_local: Duration) -> Result<()> {
    let logs = &platform.logs;
    logs.delete_unwanted().await?;
    let drop_before = platform.now().saturating_sub(keep_local);
    let mut result = Ok(());
    for stream in logs.list_streams().await? {
        match logs.move_far(stream, drop_before).await {
            // The next one would wait for the bucket as well.
            Err(error @ Error::FarWork(_)) => return Err(error),
            // What is wrong with one log is no matter of the others.
            moved => result = result.and(moved),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_is_away_is_asked_later_and_later_and_said_once() {
        let mut pace = Pace::default();
        assert_eq!(pace.after(true), None);
        assert_eq!(
            (pace.after(false), pace.rest),
            (Some(Change::Broken), PERIOD * 2)
        );
        assert_eq!((pace.after(false), pace.rest), (None, PERIOD * 4));
        for _ in 0..9 {
            assert_eq!(pace.after(false), None);
        }
        assert_eq!(pace.rest, LONGEST);
        assert_eq!(
            (pace.after(true), pace.rest),
            (Some(Change::Mended), PERIOD)
        );
        assert_eq!(pace.after(true), None);
    }
}

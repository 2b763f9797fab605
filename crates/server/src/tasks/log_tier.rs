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
    let mut rest = PERIOD;
    loop {
        match round(&platform, config.keep_local).await {
            Ok(()) => {
                if rest > PERIOD {
                    tracing::info!("old log lines are moved to the bucket again");
                }
                rest = PERIOD;
            }
            Err(error) => {
                if rest == PERIOD {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "old log lines could not be moved to the bucket; they stay here, and it is tried again"
                    );
                }
                rest = (rest * 2).min(LONGEST);
            }
        }
        sleep(rest).await;
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

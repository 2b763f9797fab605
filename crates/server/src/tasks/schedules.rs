//! Schedules that are due: each leads to a job, once. Times that passed while the server was down, or
//! while the clock jumped, lead to one job together.

use std::sync::Arc;
use std::time::Duration;

use tose_model::access::WorkspaceScope;
use tose_model::error::Result;

use crate::app::Platform;

/// How often the clock is looked at; the store is asked only when one is due.
const PERIOD: Duration = Duration::from_secs(1);
/// How many are read at once.
const BATCH: u32 = 100;
/// How soon it is tried again when one could not be run.
const RETRY: Duration = Duration::from_secs(10);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !platform.next_due.is_reached(platform.now()) {
            continue;
        }
        if let Err(error) = look(&platform).await {
            let again_at = platform.now().saturating_add(RETRY);
            platform.next_due.include(Some(again_at));
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "schedules could not be read; it is tried again"
            );
        }
    }
}

async fn look(platform: &Platform) -> Result<()> {
    // One that is set from here on makes this earlier again.
    platform.next_due.set(None);
    let now = platform.now();
    let due = platform
        .store
        .list_due_schedules_for_task(now, BATCH)
        .await?;
    let mut has_failed = false;
    for schedule in &due {
        let scope = WorkspaceScope::for_task(schedule.workspace_id);
        if let Err(error) = platform.run_schedule(&scope, schedule).await {
            has_failed = true;
            tracing::warn!(
                project_id = %schedule.project_id,
                schedule = %schedule.name,
                error = &error as &dyn std::error::Error,
                "a schedule that is due could not be run; it is tried again"
            );
        }
    }
    let next = platform.store.find_next_schedule_time_for_task().await?;
    let next = match has_failed {
        true => next.max(Some(now.saturating_add(RETRY))),
        false => next,
    };
    platform.next_due.include(next);
    Ok(())
}

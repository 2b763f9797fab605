//! The reconciler: brings each project from what is to what is wanted, one pass at a time.
//!
//! Guarantees: one pass of a project at a time in this process, and in this installation through a
//! lease; a pass that fails is tried again; a project is looked at when somebody signals it, when
//! its last pass asked for it, and by sweeps.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tose_api::{ProjectId, Timestamp};
use tose_model::error::Result;

use crate::app::Platform;
use crate::tasks::Spawner;
use crate::tasks::capture::Capture;
use crate::tasks::project_pass::{self, Memory};

/// How soon a pass that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest pause between two passes of a project that asked for another.
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// What the reconciler keeps of a project between passes.
#[derive(Default)]
struct Slot {
    memory: Arc<Mutex<Memory>>,
    is_running: bool,
    /// Somebody signalled while a pass was running.
    is_wanted: bool,
    due: Option<Instant>,
}

/// A pass that ended, with when the next one is due.
struct Done {
    id: ProjectId,
    outcome: Result<Option<Timestamp>>,
    is_idle: bool,
}

pub(crate) async fn run(
    platform: Arc<Platform>,
    mut wakes: mpsc::UnboundedReceiver<ProjectId>,
    capture: Arc<Capture>,
    spawner: Spawner,
) {
    let (done_sender, mut done_receiver) = mpsc::unbounded_channel::<Done>();
    let mut slots: HashMap<ProjectId, Slot> = HashMap::new();
    let mut due: BTreeSet<(Instant, ProjectId)> = BTreeSet::new();
    let start = |slots: &mut HashMap<ProjectId, Slot>, due: &mut BTreeSet<_>, id: ProjectId| {
        let slot = slots.entry(id).or_default();
        if let Some(at) = slot.due.take() {
            due.remove(&(at, id));
        }
        if slot.is_running {
            slot.is_wanted = true;
            return;
        }
        slot.is_running = true;
        let (platform, capture, memory) = (
            Arc::clone(&platform),
            Arc::clone(&capture),
            Arc::clone(&slot.memory),
        );
        let done = done_sender.clone();
        spawner.spawn(async move {
            let mut memory = memory.lock().await;
            let outcome = project_pass::run(&platform, &capture, id, &mut memory).await;
            let is_idle = memory.is_empty();
            // The receiver is gone only when the server is shutting down.
            let _ = done.send(Done {
                id,
                outcome,
                is_idle,
            });
        });
    };
    loop {
        let next_due = due.first().copied();
        tokio::select! {
            wake = wakes.recv() => match wake {
                Some(id) => start(&mut slots, &mut due, id),
                None => return,
            },
            Some(done) = done_receiver.recv() => {
                if let Some(at) = settle(&platform, &mut slots, &done) {
                    due.insert((at, done.id));
                } else if slots.get(&done.id).is_some_and(|slot| slot.is_wanted) {
                    if let Some(slot) = slots.get_mut(&done.id) {
                        slot.is_wanted = false;
                    }
                    start(&mut slots, &mut due, done.id);
                }
            }
            () = sleep_until(next_due) => {
                if let Some((_, id)) = next_due {
                    start(&mut slots, &mut due, id);
                }
            }
        }
    }
}

/// Notes that a pass ended; answers when the next one is due, if that is known.
fn settle(
    platform: &Platform,
    slots: &mut HashMap<ProjectId, Slot>,
    done: &Done,
) -> Option<Instant> {
    let slot = slots.get_mut(&done.id)?;
    slot.is_running = false;
    if slot.is_wanted {
        return None;
    }
    let pause = match &done.outcome {
        Ok(None) => {
            if done.is_idle {
                slots.remove(&done.id);
            }
            return None;
        }
        Ok(Some(at)) => at.since(platform.now()).max(MIN_PAUSE),
        Err(error) => {
            tracing::warn!(project_id = %done.id, error = error as &dyn std::error::Error, "a pass failed; it is tried again");
            RETRY
        }
    };
    let at = Instant::now() + pause;
    slot.due = Some(at);
    Some(at)
}

async fn sleep_until(next_due: Option<(Instant, ProjectId)>) {
    match next_due {
        Some((at, _)) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

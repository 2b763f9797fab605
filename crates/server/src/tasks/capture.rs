//! Capture: from the engine's logs into the log store.
//!
//! Guarantees: a line is stored once. The place to go on from is read from the log store itself (the
//! time of the last stored line, and how many lines have that time), so a line and the position
//! behind it are written together.
//! Assumptions: the engine keeps a replica's lines until the replica is removed, and gives them in
//! the same order with the same times each time it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tose_api::{ProjectId, Timestamp};
use tose_logs::StreamId;
use tose_model::driver::{DriverError, ObservedReplica, ReplicaName, ReplicaState};
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;

use crate::app::Platform;
use crate::tasks::Spawner;

/// How many lines are written at once when many are waiting.
const BATCH: usize = 512;
/// How long the removal of a replica waits for its last lines.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(5);

/// Follows the output of every replica.
pub(crate) struct Capture {
    platform: Arc<Platform>,
    spawner: Spawner,
    replicas: Mutex<HashMap<ReplicaName, Following>>,
}

struct Following {
    /// The run of the process that is being (or was) followed.
    started_at: Option<Timestamp>,
    /// Turns true when there is nothing more to read.
    is_done: watch::Receiver<bool>,
}

impl Capture {
    pub(crate) fn new(platform: Arc<Platform>, spawner: Spawner) -> Self {
        Self {
            platform,
            spawner,
            replicas: Mutex::new(HashMap::new()),
        }
    }

    /// Makes sure that the replica's output is followed, or was read to its end.
    pub(crate) fn ensure(self: &Arc<Self>, replica: &ObservedReplica) {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(following) = replicas.get(&replica.name) {
            let is_over = *following.is_done.borrow();
            let has_ended = !matches!(replica.state, ReplicaState::Running);
            let is_same_run = following.started_at == replica.started_at;
            if !is_over || (has_ended && is_same_run) {
                return;
            }
        }
        let (done, is_done) = watch::channel(false);
        let following = Following {
            started_at: replica.started_at,
            is_done,
        };
        replicas.insert(replica.name.clone(), following);
        let (this, name, project_id) = (
            Arc::clone(self),
            replica.name.clone(),
            replica.key.project_id,
        );
        self.spawner.spawn(async move {
            if let Err(error) = this.follow(&name, project_id).await {
                tracing::warn!(replica = %name, error = &error as &dyn std::error::Error, "output is not followed any more");
            }
            done.send_replace(true);
        });
    }

    /// Waits until what the replica wrote before it ended is stored; then forgets it.
    pub(crate) async fn finish(&self, name: &ReplicaName) {
        let following = {
            let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
            replicas.remove(name)
        };
        if let Some(mut following) = following {
            let ended = following.is_done.wait_for(|is_done| *is_done);
            if tokio::time::timeout(LAST_LINES_TIMEOUT, ended)
                .await
                .is_err()
            {
                tracing::warn!(replica = %name, "its last lines did not arrive in time");
            }
        }
    }

    /// Waits until what an ended replica wrote is stored.
    pub(crate) async fn catch_up(&self, name: &ReplicaName) {
        let is_done = {
            let replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
            replicas
                .get(name)
                .map(|following| following.is_done.clone())
        };
        if let Some(mut is_done) = is_done {
            let ended = is_done.wait_for(|is_done| *is_done);
            // What is there after this time has to do for an explanation.
            let _ = tokio::time::timeout(Duration::from_millis(500), ended).await;
        }
    }

    async fn follow(&self, name: &ReplicaName, project_id: ProjectId) -> Result<()> {
        let stream_id = StreamId::Project(project_id);
        let logs = &self.platform.logs;
        let position = logs
            .last_position(stream_id, name.as_str())
            .await
            .map_err(log_error)?;
        let since = position.map(|position| position.time);
        let mut known = position.map_or(0, |position| position.count);
        let lines = match self.platform.driver.logs(name, since).await {
            Ok(lines) => lines,
            Err(DriverError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut batches = lines.ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let mut fresh: Vec<LogLine> = Vec::with_capacity(batch.len());
            for line in batch {
                let line = line?;
                if since.is_some_and(|since| line.time < since) {
                    continue;
                }
                if known > 0 && since == Some(line.time) {
                    known -= 1;
                    continue;
                }
                fresh.push(line);
            }
            if !fresh.is_empty() {
                logs.append(stream_id, fresh).await.map_err(log_error)?;
            }
        }
        Ok(())
    }
}

fn log_error(error: tose_logs::Error) -> Error {
    Error::internal("the log store failed", error)
}

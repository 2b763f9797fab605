//! Capture: from the engine's logs into the log store.
//!
//! Guarantees: a line is stored once. The place to go on from is read from the log store itself, so a
//! line and the position behind it are written together: what is stored of the last moments is read,
//! the engine is asked for its lines from there on, and what is known is left out.
//! Assumptions: the engine keeps a replica's lines until the replica is removed, and gives each the
//! same time whenever it is asked. Standard output and standard error are stamped one by one, so
//! lines may be out of order, but by less than [`OVERLAP`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tose_api::Timestamp;
use tose_logs::{Event, FollowFrom, StreamId};
use tose_model::driver::{DriverError, ObservedReplica, ReplicaKey, ReplicaName, ReplicaState};
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;

use crate::app::Platform;
use crate::tasks::Spawner;

/// Where what a replica writes is stored.
pub(crate) fn stream_of(key: &ReplicaKey) -> StreamId {
    match key.job_number() {
        Some(number) => StreamId::Job(key.project_id, number),
        None => StreamId::Project(key.project_id),
    }
}

/// How many lines are written at once when many are waiting.
const BATCH: usize = 512;
/// How far back the engine is asked again for lines that may be stored already.
const OVERLAP: Duration = Duration::from_millis(20);
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
        let (this, name) = (Arc::clone(self), replica.name.clone());
        let stream = stream_of(&replica.key);
        self.spawner.spawn(async move {
            if let Err(error) = this.follow(&name, stream).await {
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

    async fn follow(&self, name: &ReplicaName, stream_id: StreamId) -> Result<()> {
        let logs = &self.platform.logs;
        let position = logs
            .last_position(stream_id, name.as_str())
            .await
            .map_err(log_error)?;
        let since = position.map(|position| position.time.saturating_sub(OVERLAP));
        let mut known = match since {
            Some(since) => self.known_since(stream_id, name, since).await?,
            None => HashMap::new(),
        };
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
                match known.get_mut(&line) {
                    Some(count) if *count > 0 => *count -= 1,
                    _ => fresh.push(line),
                }
            }
            if !fresh.is_empty() {
                logs.append(stream_id, fresh).await.map_err(log_error)?;
            }
        }
        Ok(())
    }

    /// The replica's stored lines from `since` on, with how often each is there.
    async fn known_since(
        &self,
        stream_id: StreamId,
        name: &ReplicaName,
        since: Timestamp,
    ) -> Result<HashMap<LogLine, usize>> {
        let mut known = HashMap::new();
        let mut stored = self
            .platform
            .logs
            .follow(stream_id, FollowFrom::Since(since));
        while let Some(event) = stored.next_ready().await.map_err(log_error)? {
            match event {
                Event::Records(records) => {
                    let is_ours = |line: &LogLine| *line.pod == *name.as_str();
                    for line in records
                        .into_iter()
                        .map(|record| record.line)
                        .filter(is_ours)
                    {
                        *known.entry(line).or_default() += 1;
                    }
                }
                Event::Missed(_) => {}
                Event::End => break,
            }
        }
        Ok(known)
    }
}

fn log_error(error: tose_logs::Error) -> Error {
    Error::internal("the log store failed", error)
}

//! Capture: from the engine's logs into the log store.
//!
//! Guarantees: a line is stored once, or counted among those that a flood leaves out (see `flood`). The place to go on from is read from the log store itself, so a
//! line and the position behind it are written together: what is stored of the last moments is read,
//! the engine is asked for its lines from there on, and what is known is left out.
//! Assumptions: the engine keeps a replica's lines until the replica is removed, and gives each the
//! same time whenever it is asked. Standard output and standard error are stamped one by one, so
//! lines may be out of order, but by less than [`OVERLAP`].

mod flood;
mod known;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tose_api::Timestamp;
use tose_api::log::LogLevel;
use tose_logs::StreamId;
use tose_model::driver::{
    DriverError, DriverResult, ObservedReplica, ReplicaKey, ReplicaName, ReplicaState,
};
use tose_model::error::Result;
use tose_model::log::{LogLine, detect_level, is_continuation};

use crate::app::Platform;
use crate::app::log::log_error;
use crate::tasks::Spawner;
use crate::tasks::capture::flood::Flood;
use crate::tasks::capture::known::Known;

/// Where what a replica writes is stored.
pub(crate) fn stream_of(key: &ReplicaKey) -> StreamId {
    match key.job_number() {
        Some(number) => StreamId::Job(key.project_id, number),
        None => StreamId::Project(key.project_id),
    }
}

/// How many lines are written at once when many are waiting.
const BATCH: usize = 512;
/// How long a stack trace is waited for whose end has not come, and how many lines it may have: lines
/// that are written at once stay together.
const TRACE_PAUSE: Duration = Duration::from_millis(20);
const TRACE_LINES: usize = 1000;
/// How far back the engine is asked again for lines that may be stored already.
const OVERLAP: Duration = Duration::from_millis(20);
/// How long the removal of a replica waits for its last lines.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(5);

/// Follows the output of every replica.
pub(crate) struct Capture {
    platform: Arc<Platform>,
    spawner: Spawner,
    replicas: Mutex<HashMap<ReplicaName, Following>>,
    /// What the projects may print that somebody follows.
    floods: Mutex<HashMap<StreamId, Weak<Mutex<Flood>>>>,
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
            floods: Mutex::new(HashMap::new()),
        }
    }

    /// Makes sure that the replica's output is followed, or was read to its end.
    pub(crate) fn ensure(self: &Arc<Self>, replica: &ObservedReplica) {
        let mut replicas = lock(&self.replicas);
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
            let mut replicas = lock(&self.replicas);
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
            let replicas = lock(&self.replicas);
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
        let mut known = match position.zip(since) {
            Some((position, since)) => Known::find(logs, stream_id, name, position, since)
                .await
                .map_err(log_error)?,
            None => Known::nothing(),
        };
        let lines = match self.platform.driver.logs(name, since).await {
            Ok(lines) => lines,
            Err(DriverError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let flood = self.flood(stream_id);
        let mut last_time = None;
        let mut batches = lines.ready_chunks(BATCH).fuse();
        while let Some(batch) = next_batch(&mut batches).await {
            let mut fresh: Vec<LogLine> = Vec::with_capacity(batch.len());
            for line in batch {
                let line = line?;
                if !known.takes(&line) {
                    fresh.push(line);
                }
            }
            last_time = fresh.last().map(|line| line.time).or(last_time);
            let now = self.platform.now();
            let kept = lock(&flood).sift(now, fresh);
            if !kept.is_empty() {
                logs.append(stream_id, kept).await.map_err(log_error)?;
            }
        }
        let now = self.platform.now();
        let note = last_time.and_then(|time| lock(&flood).take_note(now, time));
        if let Some(note) = note {
            logs.append(stream_id, vec![note])
                .await
                .map_err(log_error)?;
        }
        Ok(())
    }

    /// What the replicas of a project may print together.
    fn flood(&self, stream_id: StreamId) -> Arc<Mutex<Flood>> {
        let mut floods = lock(&self.floods);
        floods.retain(|_, flood| flood.strong_count() > 0);
        if let Some(flood) = floods.get(&stream_id).and_then(Weak::upgrade) {
            return flood;
        }
        let rate = self.platform.config.limits.log_bytes_per_second;
        let flood = Arc::new(Mutex::new(Flood::new(rate, self.platform.now())));
        floods.insert(stream_id, Arc::downgrade(&flood));
        flood
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next lines. If they end within what looks like a stack trace, its rest is waited for a little.
async fn next_batch(
    batches: &mut (impl Stream<Item = Vec<DriverResult<LogLine>>> + Unpin),
) -> Option<Vec<DriverResult<LogLine>>> {
    let mut batch = batches.next().await?;
    while batch.len() < TRACE_LINES && batch.last().is_some_and(may_go_on) {
        match tokio::time::timeout(TRACE_PAUSE, batches.next()).await {
            Ok(Some(more)) => batch.extend(more),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

fn may_go_on(line: &DriverResult<LogLine>) -> bool {
    let Ok(line) = line else { return false };
    is_continuation(&line.text) || detect_level(&line.text) == Some(LogLevel::Error)
}

#[cfg(test)]
mod tests;

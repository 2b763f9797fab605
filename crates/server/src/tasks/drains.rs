//! Log drains: lines from the projects' logs to the services that want them.
//!
//! Guarantees: a drain's lines arrive in order, each at least once, from the line on that was the next when it was
//! made; how far it came is noted after each batch, and the next server goes on there. A drain has one connection and
//! one batch in memory; while its service does not take lines they stay in the log. One drain waits for no other.
//! Lines that the log's retention removed before their turn are counted, and the service gets a line that says so.
//! Caveats: a batch of which the answer was lost is sent again, so are lines when somebody changes the drain while they
//! are on their way: receivers know them by their numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tose_api::event::Via;
use tose_api::log::LogLevel;
use tose_api::{DrainId, Timestamp};
use tose_logs::{Event, FollowFrom, StreamId};
use tose_model::access::{Actor, WorkspaceScope};
use tose_model::drain::{DrainLine, Origin, pause_after};
use tose_model::error::Result;
use tose_store::{Delivered, Drain, DueDrain};

use super::Spawner;
use crate::app::Platform;
use crate::app::log::log_error;
use crate::drain::{Batch, Failure, Receiver};

/// How often it is looked which drains there are, if nobody says that they changed.
const PERIOD: Duration = Duration::from_secs(10);
/// The least time from one batch to the next, unless the next is full: so old may a line be when it is sent.
const PACE: Duration = Duration::from_secs(1);
/// How often the clock is looked at during a pause.
const TICK: Duration = Duration::from_millis(500);
/// How long a connection without lines is kept.
const IDLE: Duration = Duration::from_secs(60);
/// The longest time that a service may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(3600);
/// How long nothing but refusals may come until it is given up.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How soon it is tried again when store or logs failed.
const RETRY: Duration = Duration::from_secs(10);

/// The drains that are served.
type Running = HashMap<DrainId, Served>;

struct Served {
    revision: u64,
    /// Cancelled by whoever ends it: the look that finds it changed, or it itself.
    stop: CancellationToken,
}

pub(crate) async fn run(platform: Arc<Platform>, spawner: Spawner) {
    let mut running = Running::new();
    loop {
        if let Err(error) = look(&platform, &spawner, &mut running).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "log drains could not be listed; it is tried again"
            );
        }
        tokio::select! {
            () = platform.signals.drains_called() => {}
            () = sleep(PERIOD) => {}
        }
    }
}

/// Ends what is not wanted any more, and begins what is new.
async fn look(platform: &Arc<Platform>, spawner: &Spawner, running: &mut Running) -> Result<()> {
    let due = platform.store.list_due_drains_for_task().await?;
    let due: HashMap<DrainId, DueDrain> = due.into_iter().map(|due| (due.id, due)).collect();
    running.retain(|id, served| {
        let is_wanted = due
            .get(id)
            .is_some_and(|due| due.revision == served.revision);
        if !is_wanted {
            served.stop.cancel();
        }
        is_wanted && !served.stop.is_cancelled()
    });
    for (id, due) in due {
        running.entry(id).or_insert_with(|| {
            let stop = CancellationToken::new();
            let platform = Arc::clone(platform);
            let stopped = stop.clone();
            spawner.spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = serve(&platform, &due) => stopped.cancel(),
                }
            });
            let revision = due.revision;
            Served { revision, stop }
        });
    }
    Ok(())
}

/// Forwards a drain's lines until it is changed, paused, or its log is gone.
async fn serve(platform: &Platform, due: &DueDrain) {
    while let Err(error) = forward(platform, due).await {
        tracing::warn!(
            drain_id = %due.id,
            error = &error as &dyn std::error::Error,
            "a log drain stood still; it is tried again"
        );
        sleep(RETRY).await;
    }
}

async fn forward(platform: &Platform, due: &DueDrain) -> Result<()> {
    let scope = WorkspaceScope::for_task(due.workspace_id);
    let Some(mut way) = Way::find(platform, &scope, due).await? else {
        return Ok(());
    };
    let stream = StreamId::Project(way.drain.project_id);
    let from = FollowFrom::After(way.drain.position);
    let mut follower = platform.logs.follow(stream, from);
    loop {
        let Ok(event) = timeout(IDLE, follower.next()).await else {
            way.receiver.disconnect();
            continue;
        };
        let event = event.map_err(log_error)?;
        let begun = Instant::now();
        let Some(load) = way.load(event).await? else {
            return Ok(());
        };
        if !way.bring(load).await? {
            return Ok(());
        }
        if follower.is_caught_up() {
            sleep_until(begun + PACE).await;
        }
    }
}

/// A batch, and what is noted once it was taken.
struct Load {
    batch: Batch,
    position: u64,
    lines: u64,
    dropped: u64,
}

/// What leads from a log to a service.
struct Way<'a> {
    platform: &'a Platform,
    scope: &'a WorkspaceScope,
    due: &'a DueDrain,
    drain: Drain,
    origin: Origin,
    receiver: Receiver,
    /// The number of the last line that was taken, or dropped.
    position: u64,
    /// Since when nothing but refusals came.
    refused_since: Option<Timestamp>,
    /// The problem that the store knows of.
    noted: Option<String>,
}

impl<'a> Way<'a> {
    /// `None` if the drain is not any more what it was when it was listed.
    async fn find(
        platform: &'a Platform,
        scope: &'a WorkspaceScope,
        due: &'a DueDrain,
    ) -> Result<Option<Self>> {
        let found = platform.store.find_drain(scope, due.id).await?;
        let Some(drain) = found.filter(|drain| drain.revision == due.revision) else {
            return Ok(None);
        };
        let project = platform.store.find_project(scope, drain.project_id).await?;
        let Some((project, _)) = project else {
            return Ok(None);
        };
        let workspace = platform.store.get_workspace(scope).await?;
        let receiver = platform.open_receiver(&drain)?;
        Ok(Some(Self {
            platform,
            scope,
            due,
            origin: Origin {
                workspace: workspace.slug,
                project: project.slug,
            },
            receiver,
            position: drain.position,
            refused_since: drain.refused_since,
            noted: drain.last_error.clone(),
            drain,
        }))
    }

    /// What is to be sent for this event; `None` at the end of the log.
    async fn load(&self, event: Event) -> Result<Option<Load>> {
        let (lines, dropped) = match event {
            Event::End => return Ok(None),
            Event::Missed(count) => {
                let text = format!("removed before they could be delivered: {count} lines");
                let seq = self.position.saturating_add(count);
                let line = self.platform.drain_note(text);
                let level = Some(LogLevel::Warn);
                (vec![DrainLine { seq, level, line }], count)
            }
            Event::Records(records) => {
                let line = |record: tose_logs::Record| DrainLine {
                    seq: record.seq,
                    level: record.level,
                    line: record.line,
                };
                (records.iter().cloned().map(line).collect(), 0)
            }
        };
        let position = lines.last().map_or(self.position, |line| line.seq);
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        Ok(Some(Load {
            batch: self.receiver.batch(&self.origin, lines).await?,
            position,
            lines: if dropped == 0 { count } else { 0 },
            dropped,
        }))
    }

    /// Sends until it is taken. `false` when that is not wanted any more.
    async fn bring(&mut self, load: Load) -> Result<bool> {
        let mut failures = 0;
        loop {
            let now = self.platform.now();
            let outgoing = &self.platform.outgoing;
            let Err(failure) = self.receiver.deliver(outgoing, &load.batch, now).await else {
                return self.note_taken(&load).await;
            };
            failures += 1;
            if !self.note_failure(&failure).await? {
                return Ok(false);
            }
            let mut random = [0];
            self.platform.ids.fill(&mut random);
            let wish = failure.retry_after.unwrap_or_default();
            let pause = pause_after(failures, random[0]).max(wish.min(LONGEST_WISH));
            wait(self.platform, pause).await;
        }
    }

    async fn note_taken(&mut self, load: &Load) -> Result<bool> {
        let delivered = Delivered {
            position: load.position,
            lines: load.lines,
            dropped: load.dropped,
            at: self.platform.now(),
        };
        self.position = load.position;
        self.refused_since = None;
        self.noted = None;
        let noted = self
            .platform
            .store
            .note_delivered(self.scope, self.due, &delivered)
            .await?;
        Ok(noted)
    }

    async fn note_failure(&mut self, failure: &Failure) -> Result<bool> {
        let now = self.platform.now();
        let since = self.refused_since.filter(|_| failure.is_refusal);
        let is_news =
            self.noted.as_ref() != Some(&failure.problem) || since.is_some() != failure.is_refusal;
        self.refused_since = failure.is_refusal.then(|| since.unwrap_or(now));
        let refused_for = since.map(|since| now.since(since));
        if refused_for.is_some_and(|refused_for| refused_for >= PATIENCE) {
            self.pause(&failure.problem).await?;
            return Ok(false);
        }
        if !is_news {
            return Ok(true);
        }
        self.noted = Some(failure.problem.clone());
        let (problem, refused_since) = (failure.problem.as_str(), self.refused_since);
        let noted = self
            .platform
            .store
            .note_undelivered(self.scope, self.due, problem, refused_since)
            .await?;
        Ok(noted)
    }

    /// Gives it up until somebody does something, and says so.
    async fn pause(&self, problem: &str) -> Result<()> {
        let name = &self.drain.settings.name;
        let actor = Actor {
            user_id: None,
            name: "log drain".to_owned(),
            via: Via::System,
            ip: None,
            idempotency: None,
        };
        let target = format!("{}/{name}", self.origin.project);
        let event = self.platform.event_by(actor, "drain.pause", target);
        let is_noted = self
            .platform
            .store
            .pause_drain(self.scope, self.due, problem, &event)
            .await?;
        if is_noted {
            let text = format!(
                "the log drain {name} is paused: its service refused lines for an hour ({problem})"
            );
            self.platform
                .tell_project(self.drain.project_id, text)
                .await;
        }
        Ok(())
    }
}

/// Waits by the platform's clock. One that goes back does not prolong it.
pub(super) async fn wait(platform: &Platform, pause: Duration) {
    let until = platform.now().saturating_add(pause);
    loop {
        let rest = until.since(platform.now());
        if rest.is_zero() || rest > pause {
            return;
        }
        sleep(rest.min(TICK)).await;
    }
}

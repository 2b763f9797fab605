//! Uptime: checks when they are due, what they found into the store, and word of it to people.
//!
//! Guarantees: checks of one monitor never overlap, and not more than [`AT_ONCE`] run at the same time. What was
//! found of all monitors is written once a second, in one transaction; people are told after that, and only if it
//! counted. A project that is stopped, suspended or not live is not checked, and a failure counts only if the project
//! was still to answer when it came. Caveats: which monitors there are is looked up when somebody changes one, and
//! every minute; what was found in the last second is lost when the server is killed, and so is word that was on its way.
//! Not here: how a check is made (`crate::uptime`), and how people are told (`tell`).

mod tell;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tose_api::uptime::{CheckView, UptimeStatus};
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::error::Result;
use tose_model::uptime::{Seen, Turn, first_delay};
use tose_store::{CheckOutcome, Monitor};

use super::Spawner;
use crate::app::Platform;
use crate::app::uptime::{Activity, activity};
use crate::uptime::{Found, Target, check};
use tell::{Subject, tell};

/// How many checks run at the same time.
const AT_ONCE: usize = 64;
/// How often it is looked what is due. Nothing but memory is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often what was found is written.
const FLUSH: Duration = Duration::from_secs(1);
/// How often it is looked which monitors there are, if nobody says that they changed.
const PERIOD: Duration = Duration::from_secs(60);
/// The most that waits to be written while the store takes nothing.
const MOST_WAITING: usize = 10_000;

pub(crate) async fn run(platform: Arc<Platform>, spawner: Spawner) {
    let (results, mut found) = mpsc::unbounded_channel();
    let mut watch = Watch::new(platform, spawner, results);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    watch.load().await;
    let platform = Arc::clone(&watch.platform);
    loop {
        tokio::select! {
            () = platform.signals.uptime_called() => watch.load().await,
            Some(result) = found.recv() => watch.take(result),
            _ = tick.tick() => {
                watch.load_if_due().await;
                watch.begin_due();
                watch.flush_if_due().await;
            }
        }
    }
}

/// A monitor that is known.
struct Watched {
    monitor: Monitor,
    subject: Subject,
    /// What is checked; `None` while it is not.
    target: Option<Arc<Target>>,
    due: Timestamp,
}

/// What came of a check.
struct Checked {
    project_id: ProjectId,
    revision: u64,
    found: Found,
    /// Whether the project was still to answer.
    counts: bool,
    at: Timestamp,
}

/// What waits to be written, and what people are to be told then.
struct Waiting {
    outcome: CheckOutcome,
    turn: Option<(Turn, Monitor, Subject)>,
}

struct Watch {
    platform: Arc<Platform>,
    spawner: Spawner,
    results: mpsc::UnboundedSender<Checked>,
    monitors: HashMap<ProjectId, Watched>,
    /// Those that are to be checked and are not being checked, by when that is due.
    queue: BTreeSet<(Timestamp, ProjectId)>,
    /// Those that are being checked, also if they are watched no more.
    running: HashSet<ProjectId>,
    waiting: Vec<Waiting>,
    flushed: Instant,
    /// When it was looked which monitors there are; `None` before the first time.
    loaded: Option<(Instant, Timestamp)>,
}

impl Watch {
    fn new(
        platform: Arc<Platform>,
        spawner: Spawner,
        results: mpsc::UnboundedSender<Checked>,
    ) -> Self {
        Self {
            platform,
            spawner,
            results,
            monitors: HashMap::new(),
            queue: BTreeSet::new(),
            running: HashSet::new(),
            waiting: Vec::new(),
            flushed: Instant::now(),
            loaded: None,
        }
    }

    async fn load_if_due(&mut self) {
        let now = self.platform.now();
        let is_due = self
            .loaded
            .is_none_or(|(at, time)| at.elapsed() >= PERIOD || now.since(time) >= PERIOD);
        if is_due {
            self.load().await;
        }
    }

    async fn load(&mut self) {
        if let Err(error) = self.look().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "monitors could not be listed; it is tried again"
            );
        }
        self.loaded = Some((Instant::now(), self.platform.now()));
    }

    /// Learns which monitors there are, and what of each is to be checked.
    async fn look(&mut self) -> Result<()> {
        // What was found by older settings is to stand before newer ones are read.
        self.flush().await;
        let mut stay = HashSet::new();
        for monitor in self.platform.store.list_monitors_for_task().await? {
            let scope = WorkspaceScope::for_task(monitor.workspace_id);
            let project_id = monitor.project_id;
            let found = self.platform.store.find_project(&scope, project_id).await?;
            let Some((project, facts)) = found else {
                continue;
            };
            stay.insert(project_id);
            let state = activity(&project, facts);
            let target = match state {
                Activity::Live => {
                    let settings = &monitor.settings;
                    let platform = &self.platform;
                    let target = platform.check_target(&scope, &project, facts, settings);
                    // What is wrong with one is no matter of the others.
                    target
                        .await
                        .inspect_err(|error| tracing::error!(%project_id, %error, "a project cannot be checked"))
                        .ok()
                        .map(Arc::new)
                }
                Activity::NotLive | Activity::Resting => None,
            };
            let subject = Subject {
                workspace: project.workspace,
                project: project.slug,
            };
            self.place(monitor, subject, target);
            self.settle(project_id, state);
        }
        self.monitors.retain(|id, _| stay.contains(id));
        self.queue.retain(|(_, id)| stay.contains(id));
        Ok(())
    }

    /// Enters a monitor as the store has it. What this process knows of it by the same settings is newer.
    fn place(&mut self, monitor: Monitor, subject: Subject, target: Option<Arc<Target>>) {
        let (id, now) = (monitor.project_id, self.platform.now());
        let interval = interval_of(&monitor);
        let known = self.monitors.get(&id);
        let is_same = known.is_some_and(|known| known.monitor.revision == monitor.revision);
        let (due, monitor) = match known {
            Some(known) if is_same => (known.due, known.monitor.clone()),
            Some(_) => (now, monitor),
            None if self.loaded.is_some() => (now, monitor),
            // All of them begin with the server.
            None => {
                let mut random = [0];
                self.platform.ids.fill(&mut random);
                let delay = first_delay(interval, random[0]);
                (now.saturating_add(delay), monitor)
            }
        };
        if let Some(known) = known {
            self.queue.remove(&(known.due, id));
        }
        // A clock that was set back is no reason to wait for the old time.
        let due = due.min(now.saturating_add(interval));
        if target.is_some() && !self.running.contains(&id) {
            self.queue.insert((due, id));
        }
        let watched = Watched {
            monitor,
            subject,
            target,
            due,
        };
        self.monitors.insert(id, watched);
    }

    /// Notes that a project is checked no more, or again.
    fn settle(&mut self, id: ProjectId, state: Activity) {
        let Some(watched) = self.monitors.get(&id) else {
            return;
        };
        let status = watched.monitor.condition.status;
        let seen = match state {
            Activity::Resting => Seen::Paused,
            Activity::NotLive => Seen::Unknown,
            Activity::Live if status == UptimeStatus::Paused => Seen::Unknown,
            Activity::Live => return,
        };
        let is_noted = matches!(
            (&seen, status),
            (Seen::Paused, UptimeStatus::Paused) | (Seen::Unknown, UptimeStatus::Unknown)
        );
        if !is_noted {
            self.note(id, seen, None, self.platform.now());
        }
    }

    /// Begins the checks that are due, as many as may run at once.
    fn begin_due(&mut self) {
        let now = self.platform.now();
        while self.running.len() < AT_ONCE {
            let Some((due, id)) = self.queue.first().copied().filter(|(due, _)| *due <= now) else {
                return;
            };
            self.queue.remove(&(due, id));
            let Some(watched) = self.monitors.get(&id) else {
                continue;
            };
            let Some(target) = watched.target.clone() else {
                continue;
            };
            self.running.insert(id);
            let platform = Arc::clone(&self.platform);
            let (monitor, results) = (watched.monitor.clone(), self.results.clone());
            self.spawner.spawn(async move {
                let checked = check_once(&platform, &monitor, &target).await;
                // The receiver is gone only when the server is shutting down.
                let _ = results.send(checked);
            });
        }
    }

    /// Takes what a check found, and plans the next.
    fn take(&mut self, checked: Checked) {
        let (id, now) = (checked.project_id, self.platform.now());
        self.running.remove(&id);
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let is_current = watched.monitor.revision == checked.revision;
        let interval = interval_of(&watched.monitor);
        let next = watched.due.saturating_add(interval);
        watched.due = match is_current {
            true if next > now => next,
            true => now.saturating_add(interval),
            // Somebody changed it meanwhile, and wants to see what comes of it.
            false => now,
        };
        if watched.target.is_some() {
            self.queue.insert((watched.due, id));
        }
        if !checked.counts {
            self.platform.signals.uptime();
        } else if is_current && watched.target.is_some() {
            let seen = match &checked.found.problem {
                Some(problem) => Seen::Failed(problem.clone()),
                None => Seen::Good,
            };
            let check = CheckView {
                time: checked.at,
                ok: checked.found.problem.is_none(),
                status_code: checked.found.status_code,
                response_ms: checked.found.response_ms,
                reason: checked.found.problem,
            };
            self.note(id, seen, Some(check), checked.at);
        }
    }

    /// Has something written about a monitor.
    fn note(&mut self, id: ProjectId, seen: Seen, check: Option<CheckView>, at: Timestamp) {
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let monitor = &mut watched.monitor;
        let most = monitor.settings.failures_before_down;
        let (condition, turn) = monitor.condition.next(seen, most, at);
        monitor.condition = condition.clone();
        let outcome = CheckOutcome {
            project_id: id,
            revision: monitor.revision,
            check,
            condition,
            at,
        };
        let turn = turn.map(|turn| (turn, monitor.clone(), watched.subject.clone()));
        self.waiting.push(Waiting { outcome, turn });
        if self.waiting.len() > MOST_WAITING {
            self.waiting.remove(0);
        }
    }

    async fn flush_if_due(&mut self) {
        if self.flushed.elapsed() >= FLUSH {
            self.flush().await;
        }
    }

    /// Writes what waits, and tells people what counted.
    async fn flush(&mut self) {
        self.flushed = Instant::now();
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let outcomes: Vec<_> = waiting.iter().map(|one| one.outcome.clone()).collect();
        let counted = match self.platform.store.note_outcomes(&outcomes).await {
            Ok(counted) => counted,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what checks found could not be written; it is tried again"
                );
                self.waiting = waiting;
                return;
            }
        };
        for (one, counts) in waiting.into_iter().zip(counted) {
            let Some((turn, monitor, subject)) = one.turn.filter(|_| counts) else {
                continue;
            };
            let platform = Arc::clone(&self.platform);
            self.spawner
                .spawn(async move { tell(&platform, &monitor, &subject, &turn).await });
        }
    }
}

fn interval_of(monitor: &Monitor) -> Duration {
    Duration::from_secs(u64::from(monitor.settings.interval_seconds))
}

async fn check_once(platform: &Platform, monitor: &Monitor, target: &Target) -> Checked {
    let time_limit = Duration::from_millis(u64::from(monitor.settings.timeout_ms));
    let driver = platform.driver.as_ref();
    let found = check(&platform.outgoing, driver, target, time_limit).await;
    // One that fails because somebody has just stopped the project is no failure of it.
    let counts = found.problem.is_none() || is_live(platform, monitor).await;
    Checked {
        project_id: monitor.project_id,
        revision: monitor.revision,
        found,
        counts,
        at: platform.now(),
    }
}

async fn is_live(platform: &Platform, monitor: &Monitor) -> bool {
    let scope = WorkspaceScope::for_task(monitor.workspace_id);
    let found = platform
        .store
        .find_project(&scope, monitor.project_id)
        .await;
    match found {
        Ok(found) => {
            found.is_some_and(|(project, facts)| activity(&project, facts) == Activity::Live)
        }
        // A store that does not answer says nothing about the project.
        Err(_) => false,
    }
}

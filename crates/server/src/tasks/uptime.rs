//! Uptime: checks when they are due, what they found into the store, and word of it to people.
//!
//! Guarantees: checks of one monitor never overlap, and not more than [`AT_ONCE`] run at the same time, of one workspace
//! not more than [`OF_ONE_WORKSPACE`]. What was found of all monitors is written once a second, and soon where people are
//! to be told, in one transaction; people are told after that, and only if it counted. Neither that nor a look at all
//! monitors keeps a check waiting. A project that is stopped, suspended or not live is not checked, and a failure counts
//! only if the project was still to answer when it came, and not during a maintenance. Caveats: which monitors there are
//! is looked up every minute, and one at once when somebody changes it; what was found in the last second is lost when
//! the server is killed, and so is word that was on its way. A heartbeat is in the store before it is answered; one that
//! could not come while the server was down is waited for a grace longer.
//! Not here: how a check is made (`crate::uptime`), what there is to check (`look`), how results are written (`record`),
//! and how people are told (`tell`, `certificate`).

mod certificate;
mod look;
mod record;
mod tell;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tose_api::uptime::{CheckView, MonitorKind, UptimeStatus};
use tose_api::{ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::error::{Error, Result};
use tose_model::uptime::{CertificateNews, CertificateWatch, Seen, Turn, first_delay, on_grid};
use tose_store::{CheckOutcome, Monitor};

use super::Spawner;
use crate::app::uptime::{Activity, activity};
use crate::app::{Beat, Platform, UptimeCall};
use crate::uptime::{Found, Target, check};
use look::{Entry, Looked, Windows, look, look_at, look_for_windows};
use record::{Record, Word};
use tell::Subject;

/// How many checks run at the same time, and how many of one workspace.
const AT_ONCE: usize = 256;
const OF_ONE_WORKSPACE: usize = 64;
/// How long it is waited at most until it is looked again what is due. Nothing but memory is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked which monitors there are, if nobody says that they changed.
const PERIOD: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    platform: Arc<Platform>,
    mut calls: mpsc::UnboundedReceiver<UptimeCall>,
    spawner: Spawner,
) {
    let (results, mut found) = mpsc::unbounded_channel();
    let mut watch = Watch::new(platform, spawner, results);
    let mut checked = Vec::with_capacity(AT_ONCE);
    loop {
        watch.look_if_due();
        watch.begin_due();
        watch.record.write_if_due();
        let pause = watch.pause();
        tokio::select! {
            Some(call) = calls.recv() => watch.hear(call).await,
            _ = found.recv_many(&mut checked, AT_ONCE) => watch.take(&mut checked),
            looked = looked(&mut watch.looking) => watch.take_all(looked),
            () = watch.record.ended() => {}
            () = sleep(pause) => {}
        }
    }
}

/// A monitor that is known.
struct Watched {
    monitor: Arc<Monitor>,
    subject: Subject,
    /// What is checked; `None` while it is not.
    target: Option<Arc<Target>>,
    due: Timestamp,
}

/// What came of a check.
struct Checked {
    monitor: Arc<Monitor>,
    found: Found,
    /// Whether the project was still to answer.
    counts: bool,
    at: Timestamp,
}

/// What is new of a monitor.
struct News {
    /// `None` where it counts for nothing.
    seen: Option<Seen>,
    /// The check; `None` where it was only paused, or set going.
    check: Option<CheckView>,
    /// When the certificate ends that the check met.
    certificate_expires_at: Option<Timestamp>,
    at: Timestamp,
}

struct Watch {
    platform: Arc<Platform>,
    spawner: Spawner,
    results: mpsc::UnboundedSender<Checked>,
    monitors: HashMap<ProjectId, Watched>,
    /// Those that are to be checked and are not being checked, by when that is due.
    queue: BTreeSet<(Timestamp, ProjectId)>,
    /// Those that are being checked, also if they are watched no more, and how many of each workspace.
    running: HashSet<ProjectId>,
    running_of: HashMap<WorkspaceId, usize>,
    windows: Windows,
    record: Record,
    /// A look at everything that is under way.
    looking: Option<oneshot::Receiver<Result<Looked>>>,
    /// What was looked at meanwhile, and is newer than what that look learns.
    looked_at: HashSet<ProjectId>,
    /// Whether maintenances were.
    has_newer_windows: bool,
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
            record: Record::new(Arc::clone(&platform), spawner.clone()),
            platform,
            spawner,
            results,
            monitors: HashMap::new(),
            queue: BTreeSet::new(),
            running: HashSet::new(),
            running_of: HashMap::new(),
            windows: HashMap::new(),
            looking: None,
            looked_at: HashSet::new(),
            has_newer_windows: false,
            loaded: None,
        }
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let next = match self.queue.first() {
            Some((due, _)) if self.running.len() < AT_ONCE => due.since(self.platform.now()),
            _ => TICK,
        };
        next.clamp(Duration::from_millis(1), TICK)
    }

    /// Begins to look which monitors there are, if it is time.
    fn look_if_due(&mut self) {
        let now = self.platform.now();
        let is_due = self
            .loaded
            .is_none_or(|(at, time)| at.elapsed() >= PERIOD || now.since(time) >= PERIOD);
        if !is_due || self.looking.is_some() {
            return;
        }
        let (answer, looking) = oneshot::channel();
        self.looking = Some(looking);
        self.looked_at.clear();
        self.has_newer_windows = false;
        let platform = Arc::clone(&self.platform);
        self.spawner.spawn(async move {
            // The receiver is gone only when the server is shutting down.
            let _ = answer.send(look(&platform).await);
        });
    }

    /// Takes what a look at everything learned.
    fn take_all(&mut self, looked: Result<Looked>) {
        match looked {
            Ok(looked) => {
                if !self.has_newer_windows {
                    self.windows = looked.windows;
                }
                self.enter_all(looked.entries);
            }
            Err(error) => warn_of(&error, "monitors could not be listed; it is tried again"),
        }
        self.loaded = Some((Instant::now(), self.platform.now()));
    }

    fn enter_all(&mut self, entries: Vec<Entry>) {
        let mut stay = std::mem::take(&mut self.looked_at);
        for entry in entries {
            if stay.insert(entry.monitor.project_id) {
                self.enter(entry);
            }
        }
        self.monitors.retain(|id, _| stay.contains(id));
        self.queue.retain(|(_, id)| stay.contains(id));
    }

    async fn hear(&mut self, call: UptimeCall) {
        match call {
            UptimeCall::Monitor(id) => match look_at(&self.platform, id).await {
                Ok(found) => self.take_look(id, found),
                Err(error) => warn_of(&error, "a monitor could not be read; it is tried again"),
            },
            UptimeCall::Maintenance => match look_for_windows(&self.platform).await {
                Ok(windows) => {
                    self.windows = windows;
                    self.has_newer_windows = true;
                }
                Err(error) => warn_of(&error, "maintenances could not be read; it is tried again"),
            },
            UptimeCall::Beat(beat) => self.beat(beat),
        }
    }

    /// Takes what a look at one project learned.
    fn take_look(&mut self, id: ProjectId, found: Option<Entry>) {
        self.looked_at.insert(id);
        if let Some(entry) = found {
            self.enter(entry);
        } else if let Some(known) = self.monitors.remove(&id) {
            self.queue.remove(&(known.due, id));
        }
    }

    fn is_in_maintenance(&self, monitor: &Monitor, at: Timestamp) -> bool {
        let windows = self.windows.get(&monitor.workspace_id);
        windows.is_some_and(|windows| {
            windows
                .iter()
                .any(|window| window.covers(monitor.project_id, at))
        })
    }

    fn enter(&mut self, entry: Entry) {
        let Entry {
            monitor,
            subject,
            state,
            target,
        } = entry;
        let id = monitor.project_id;
        // One that came when this process could not note it.
        let last = monitor.last_checked_at;
        let missed = monitor
            .heartbeat_at
            .filter(|at| last.is_none_or(|last| *at > last));
        let is_read = self.place(monitor, subject, target);
        self.settle(id, state);
        if let Some(at) = missed.filter(|_| is_read && state == Activity::Live) {
            self.note(id, News::of_check(Seen::Good, good_beat(at)));
        }
    }

    /// Enters a monitor as the store has it. What this process knows of it by the same settings is newer; answers
    /// whether the store's is taken.
    fn place(&mut self, monitor: Monitor, subject: Subject, target: Option<Arc<Target>>) -> bool {
        let (id, now) = (monitor.project_id, self.platform.now());
        let span = span_of(&monitor);
        let known = self.monitors.get(&id);
        let same = known.filter(|known| known.monitor.revision == monitor.revision);
        let is_read = same.is_none();
        // What is waited for again after a rest is not late.
        let rested = same.is_some_and(|known| known.target.is_none() && target.is_some());
        let begin = match (monitor.settings.kind, same) {
            (MonitorKind::Heartbeat, Some(known)) if !rested => known.due,
            (MonitorKind::Heartbeat, _) => self.first_deadline(&monitor, rested),
            (_, Some(known)) => known.due,
            (_, None) if known.is_some() || self.loaded.is_some() => now,
            // All of them begin with the server.
            (_, None) => {
                let mut random = [0; 4];
                self.platform.ids.fill(&mut random);
                on_grid(now.saturating_add(first_delay(span, u32::from_le_bytes(random))))
            }
        };
        let monitor = same.map_or_else(|| Arc::new(monitor), |known| Arc::clone(&known.monitor));
        if let Some(known) = known {
            self.queue.remove(&(known.due, id));
        }
        // A clock that was set back is no reason to wait for the old time.
        let due = begin.min(now.saturating_add(span));
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
        is_read
    }

    /// When a heartbeat is missing that is waited for from now on.
    fn first_deadline(&self, monitor: &Monitor, rested: bool) -> Timestamp {
        let now = self.platform.now();
        let span = span_of(monitor);
        let begun = now.saturating_add(span);
        if self.loaded.is_some() && (rested || monitor.heartbeat_at.is_none()) {
            return begun;
        }
        // It may have tried to come while the server was down.
        let since = monitor.heartbeat_at.unwrap_or(monitor.condition.since);
        let least = now.saturating_add(grace_of(monitor));
        since.saturating_add(span).max(least).min(begun)
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
            let news = News {
                seen: Some(seen),
                check: None,
                certificate_expires_at: None,
                at: self.platform.now(),
            };
            self.note(id, news);
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
            let Some(watched) = self.monitors.get_mut(&id) else {
                continue;
            };
            let Some(target) = watched.target.clone() else {
                continue;
            };
            let running = self
                .running_of
                .entry(watched.monitor.workspace_id)
                .or_default();
            if *running >= OF_ONE_WORKSPACE {
                // So that others do not wait behind all of its checks.
                watched.due = now.saturating_add(TICK);
                self.queue.insert((watched.due, id));
                continue;
            }
            *running += 1;
            self.running.insert(id);
            let platform = Arc::clone(&self.platform);
            let (monitor, results) = (Arc::clone(&watched.monitor), self.results.clone());
            self.spawner.spawn(async move {
                let checked = check_once(&platform, monitor, &target).await;
                // The receiver is gone only when the server is shutting down.
                let _ = results.send(checked);
            });
        }
    }

    fn ended(&mut self, monitor: &Monitor) {
        self.running.remove(&monitor.project_id);
        if let Some(running) = self.running_of.get_mut(&monitor.workspace_id) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running_of.remove(&monitor.workspace_id);
            }
        }
    }

    fn take(&mut self, checked: &mut Vec<Checked>) {
        for one in checked.drain(..) {
            self.take_one(one);
        }
    }

    /// Takes what a check found, and plans the next.
    fn take_one(&mut self, checked: Checked) {
        let (id, now) = (checked.monitor.project_id, self.platform.now());
        self.ended(&checked.monitor);
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let is_current = watched.monitor.revision == checked.monitor.revision;
        // A heartbeat that came at the last moment is not missing.
        let has_come = watched.monitor.heartbeat_at != checked.monitor.heartbeat_at;
        let interval = interval_of(&watched.monitor);
        let next = on_grid(watched.due.saturating_add(interval));
        let is_waited_for = watched.monitor.settings.kind == MonitorKind::Heartbeat;
        watched.due = match is_current {
            true if has_come => watched.due,
            true if next > now => next,
            true => on_grid(now.saturating_add(interval)),
            false if is_waited_for => watched.due,
            // Somebody changed it meanwhile, and wants to see what comes of it.
            false => now,
        };
        if watched.target.is_some() {
            self.queue.insert((watched.due, id));
        }
        if !checked.counts {
            self.platform.signals.uptime(UptimeCall::Monitor(id));
        } else if is_current && !has_come && watched.target.is_some() {
            self.note_check(id, checked);
        }
    }

    /// Has what a check found written.
    fn note_check(&mut self, id: ProjectId, checked: Checked) {
        let Checked {
            monitor, found, at, ..
        } = checked;
        let maintenance = self.is_in_maintenance(&monitor, at);
        // Nobody else has it then, so that it can be changed where it is.
        drop(monitor);
        let seen = match &found.problem {
            Some(_) if maintenance => None,
            Some(problem) => Some(Seen::Failed(problem.clone())),
            None => Some(Seen::Good),
        };
        let check = CheckView {
            time: at,
            ok: found.problem.is_none(),
            status_code: found.status_code,
            response_ms: found.response_ms,
            reason: found.problem,
            maintenance,
        };
        let news = News {
            seen,
            check: Some(check),
            certificate_expires_at: found.certificate_expires_at.filter(|_| !maintenance),
            at,
        };
        self.note(id, news);
    }

    /// Takes a heartbeat, which the store has already unless it says that the job failed.
    fn beat(&mut self, beat: Beat) {
        let Beat {
            project_id: id,
            at,
            has_failed,
        } = beat;
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let is_known = watched.monitor.heartbeat_at >= Some(at);
        if watched.monitor.settings.kind != MonitorKind::Heartbeat || (is_known && !has_failed) {
            return;
        }
        if !has_failed {
            Arc::make_mut(&mut watched.monitor).heartbeat_at = Some(at);
        }
        if watched.target.is_none() {
            return;
        }
        self.queue.remove(&(watched.due, id));
        watched.due = at.saturating_add(span_of(&watched.monitor));
        if !self.running.contains(&id) {
            self.queue.insert((watched.due, id));
        }
        let monitor = Arc::clone(&watched.monitor);
        let maintenance = self.is_in_maintenance(&monitor, at);
        let mut check = CheckView {
            maintenance,
            ..good_beat(at)
        };
        let mut seen = Some(Seen::Good);
        if has_failed {
            let reason = "its job reported a failure".to_owned();
            (check.ok, check.reason) = (false, Some(reason.clone()));
            seen = (!maintenance).then_some(Seen::Failed(reason));
        }
        let news = News {
            seen,
            check: Some(check),
            certificate_expires_at: None,
            at,
        };
        self.note(id, news);
    }

    /// Has something written about a monitor.
    fn note(&mut self, id: ProjectId, news: News) {
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let (certificate, certificate_news) = watched.meet(news.certificate_expires_at, news.at);
        let monitor = Arc::make_mut(&mut watched.monitor);
        let most = match monitor.settings.kind {
            // Each is waited for a grace longer as it is.
            MonitorKind::Heartbeat => 1,
            _ => monitor.settings.failures_before_down,
        };
        let (condition, turn) = match news.seen {
            Some(seen) => monitor.condition.next(seen, most, news.at),
            None => (monitor.condition.clone(), None),
        };
        monitor.condition = condition.clone();
        let outcome = CheckOutcome {
            project_id: id,
            revision: monitor.revision,
            check: news.check,
            condition,
            certificate,
            at: news.at,
        };
        let is_told = turn.is_some() || certificate_news.is_some();
        let word = is_told.then(|| watched.word(turn, certificate_news));
        self.record.add(outcome, word);
    }
}

impl Watched {
    /// Learns when the certificate ends that a check met; answers what is known of it if that is new, and what people
    /// are to be told.
    fn meet(
        &mut self,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> (Option<CertificateWatch>, Option<CertificateNews>) {
        let Some(expires_at) = expires_at else {
            return (None, None);
        };
        let settings = &self.monitor.settings;
        let days = match settings.kind {
            // A check of that kind fails then, which is told of as every failure.
            MonitorKind::Certificate => 0,
            _ => settings.certificate_warn_days,
        };
        let known: CertificateWatch = self.monitor.certificate;
        let (next, news) = known.next(expires_at, days, now);
        if next == known {
            return (None, None);
        }
        Arc::make_mut(&mut self.monitor).certificate = next;
        (Some(next), news)
    }

    fn word(&self, turn: Option<Turn>, news: Option<CertificateNews>) -> Word {
        Word {
            turn,
            news,
            monitor: Arc::clone(&self.monitor),
            subject: self.subject.clone(),
        }
    }
}

impl News {
    fn of_check(seen: Seen, check: CheckView) -> Self {
        Self {
            seen: Some(seen),
            at: check.time,
            check: Some(check),
            certificate_expires_at: None,
        }
    }
}

fn warn_of(error: &Error, what: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}

/// Waits until a look at everything has ended; without one, for ever.
async fn looked(looking: &mut Option<oneshot::Receiver<Result<Looked>>>) -> Result<Looked> {
    let Some(under_way) = looking else {
        return pending().await;
    };
    let looked = under_way.await;
    *looking = None;
    looked.unwrap_or_else(|lost| Err(Error::internal("a look at monitors ended", lost)))
}

/// The check that a heartbeat is.
fn good_beat(at: Timestamp) -> CheckView {
    CheckView {
        time: at,
        ok: true,
        status_code: None,
        response_ms: 0,
        reason: None,
        maintenance: false,
    }
}

fn interval_of(monitor: &Monitor) -> Duration {
    Duration::from_secs(u64::from(monitor.settings.interval_seconds))
}

/// How much later than its interval something may come.
fn grace_of(monitor: &Monitor) -> Duration {
    match monitor.settings.kind {
        MonitorKind::Heartbeat => {
            Duration::from_secs(u64::from(monitor.settings.heartbeat_grace_seconds))
        }
        _ => Duration::ZERO,
    }
}

/// The longest time without anything of it.
fn span_of(monitor: &Monitor) -> Duration {
    interval_of(monitor) + grace_of(monitor)
}

async fn check_once(platform: &Platform, monitor: Arc<Monitor>, target: &Target) -> Checked {
    let time_limit = Duration::from_millis(u64::from(monitor.settings.timeout_ms));
    let found = match target {
        Target::Heartbeat => missing(&monitor),
        target => {
            let driver = platform.driver.as_ref();
            let now = platform.now();
            check(&platform.outgoing, driver, target, time_limit, now).await
        }
    };
    // One that fails because somebody has just stopped the project is no failure of it.
    let counts = found.problem.is_none() || is_live(platform, &monitor).await;
    Checked {
        monitor,
        found,
        counts,
        at: platform.now(),
    }
}

/// What it is that no heartbeat came.
fn missing(monitor: &Monitor) -> Found {
    let since = monitor.heartbeat_at.unwrap_or(monitor.condition.since);
    Found {
        status_code: None,
        response_ms: 0,
        problem: Some(format!("no heartbeat since {since}")),
        certificate_expires_at: None,
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

//! Uptime: checks when they are due, what they found into the store, and word of it to people.
//!
//! Guarantees: checks of one monitor never overlap, and not more than [`AT_ONCE`] run at the same time, of one workspace
//! not more than [`OF_ONE_WORKSPACE`]. What was found of all monitors is written once a second, and soon where people are to be told, in one transaction;
//! people are told after that, and only if it counted. A project that is stopped, suspended or not live is not checked,
//! and a failure counts only if the project was still to answer when it came, and not during a maintenance. Caveats:
//! which monitors there are is looked up every minute, and one at once when somebody changes it; what was found in the
//! last second is lost when the server is killed, and so is word that was on its way. A heartbeat is in the store before
//! it is answered; one that could not come while the server was down is waited for a grace longer.
//! Not here: how a check is made (`crate::uptime`), and how people are told (`tell`, `certificate`).

mod certificate;
mod tell;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tose_api::uptime::{CheckView, MonitorKind, UptimeStatus};
use tose_api::{Hostname, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::error::Result;
use tose_model::project::Project;
use tose_model::uptime::{CertificateNews, CertificateWatch, Seen, Turn, first_delay};
use tose_store::{CheckOutcome, Monitor, ProjectFacts, Window};

use super::Spawner;
use crate::app::uptime::{Activity, activity};
use crate::app::{Beat, Platform, UptimeCall};
use crate::uptime::{Found, Target, check};
use certificate::announce_certificate;
use tell::{Subject, tell};

/// How many checks run at the same time, and how many of one workspace.
const AT_ONCE: usize = 256;
const OF_ONE_WORKSPACE: usize = 64;
/// How long it is waited at most until it is looked again what is due. Nothing but memory is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often what was found is written.
const FLUSH: Duration = Duration::from_secs(1);
/// How soon it is written that people are to be told.
const PROMPT: Duration = Duration::from_millis(100);
/// How often it is looked which monitors there are, if nobody says that they changed.
const PERIOD: Duration = Duration::from_secs(60);
/// The most that waits to be written while the store takes nothing.
const MOST_WAITING: usize = 10_000;

pub(crate) async fn run(
    platform: Arc<Platform>,
    mut calls: mpsc::UnboundedReceiver<UptimeCall>,
    spawner: Spawner,
) {
    let (results, mut found) = mpsc::unbounded_channel();
    let mut watch = Watch::new(platform, spawner, results);
    loop {
        watch.load_if_due().await;
        watch.begin_due();
        watch.flush_if_due().await;
        tokio::select! {
            Some(call) = calls.recv() => watch.hear(call).await,
            Some(result) = found.recv() => watch.take(result),
            () = sleep(watch.pause()) => {}
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

/// What waits to be written, and what people are to be told then.
struct Waiting {
    outcome: CheckOutcome,
    word: Option<Word>,
}

struct Word {
    turn: Option<Turn>,
    news: Option<CertificateNews>,
    monitor: Arc<Monitor>,
    subject: Subject,
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
    /// Maintenances that have not ended.
    windows: HashMap<WorkspaceId, Vec<Window>>,
    waiting: Vec<Waiting>,
    /// Whether people are to be told of something that waits.
    is_urgent: bool,
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
            running_of: HashMap::new(),
            windows: HashMap::new(),
            waiting: Vec::new(),
            is_urgent: false,
            flushed: Instant::now(),
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

    async fn load_if_due(&mut self) {
        let now = self.platform.now();
        let is_due = self
            .loaded
            .is_none_or(|(at, time)| at.elapsed() >= PERIOD || now.since(time) >= PERIOD);
        if !is_due {
            return;
        }
        let looked = self.look().await;
        warn_of(looked, "monitors could not be listed; it is tried again");
        self.loaded = Some((Instant::now(), self.platform.now()));
    }

    async fn hear(&mut self, call: UptimeCall) {
        match call {
            UptimeCall::Monitor(id) => {
                let looked = self.look_at(id).await;
                warn_of(looked, "a monitor could not be read; it is tried again");
            }
            UptimeCall::Maintenance => {
                let looked = self.look_for_windows().await;
                warn_of(looked, "maintenances could not be read; it is tried again");
            }
            UptimeCall::Beat(beat) => self.beat(beat),
        }
    }

    /// Learns which monitors there are, and what of each is to be checked.
    async fn look(&mut self) -> Result<()> {
        // What was found by older settings is to stand before newer ones are read.
        self.flush().await;
        self.look_for_windows().await?;
        let store = &self.platform.store;
        let monitors = store.list_monitors_for_task().await?;
        let projects = store.list_monitored_projects_for_task().await?;
        let mut projects: HashMap<_, _> = projects
            .into_iter()
            .map(|(project, facts)| (project.id, (project, facts)))
            .collect();
        let mut hosts: HashMap<_, Vec<_>> = HashMap::new();
        for (id, host) in store.list_monitored_hosts_for_task().await? {
            hosts.entry(id).or_default().push(host);
        }
        let mut stay = HashSet::with_capacity(monitors.len());
        for monitor in monitors {
            let id = monitor.project_id;
            let Some((project, facts)) = projects.remove(&id) else {
                continue;
            };
            stay.insert(id);
            let hosts = hosts.remove(&id).unwrap_or_default();
            self.enter(monitor, project, facts, &hosts);
        }
        self.monitors.retain(|id, _| stay.contains(id));
        self.queue.retain(|(_, id)| stay.contains(id));
        Ok(())
    }

    /// Learns what of one monitor is to be checked.
    async fn look_at(&mut self, id: ProjectId) -> Result<()> {
        self.flush().await;
        let store = &self.platform.store;
        let monitor = store.find_monitor_for_task(id).await?;
        if let Some(monitor) = monitor {
            let scope = WorkspaceScope::for_task(monitor.workspace_id);
            if let Some((project, facts)) = store.find_project(&scope, id).await? {
                let hosts = self.platform.own_hosts(&scope, id).await?;
                self.enter(monitor, project, facts, &hosts);
                return Ok(());
            }
        }
        if let Some(known) = self.monitors.remove(&id) {
            self.queue.remove(&(known.due, id));
        }
        Ok(())
    }

    async fn look_for_windows(&mut self) -> Result<()> {
        let now = self.platform.now();
        let windows = self.platform.store.list_windows_for_task(now).await?;
        self.windows.clear();
        for window in windows {
            let of_workspace = self.windows.entry(window.workspace_id).or_default();
            of_workspace.push(window);
        }
        Ok(())
    }

    fn is_in_maintenance(&self, monitor: &Monitor, at: Timestamp) -> bool {
        let windows = self.windows.get(&monitor.workspace_id);
        windows.is_some_and(|windows| {
            windows
                .iter()
                .any(|window| window.covers(monitor.project_id, at))
        })
    }

    fn enter(
        &mut self,
        monitor: Monitor,
        project: Project,
        facts: ProjectFacts,
        hosts: &[Hostname],
    ) {
        let id = project.id;
        let state = activity(&project, facts);
        let target = match state {
            Activity::Live => {
                let settings = &monitor.settings;
                let target = self.platform.check_target(&project, facts, settings, hosts);
                // What is wrong with one is no matter of the others.
                target
                    .inspect_err(|error| tracing::error!(project_id = %id, %error, "a project cannot be checked"))
                    .ok()
                    .map(Arc::new)
            }
            Activity::NotLive | Activity::Resting => None,
        };
        let subject = Subject {
            workspace: project.workspace,
            project: project.slug,
        };
        // One that came when this process could not note it.
        let last = monitor.last_checked_at;
        let missed = monitor
            .heartbeat_at
            .filter(|at| last.is_none_or(|last| *at > last));
        let is_read = self.place(monitor, subject, target);
        self.settle(id, state);
        if let Some(at) = missed.filter(|_| is_read && state == Activity::Live) {
            self.note(id, Some(Seen::Good), Some(good_beat(at)), at);
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
                now.saturating_add(first_delay(span, u32::from_le_bytes(random)))
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
            self.note(id, Some(seen), None, self.platform.now());
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

    /// Takes what a check found, and plans the next.
    fn take(&mut self, checked: Checked) {
        let (id, now) = (checked.monitor.project_id, self.platform.now());
        self.ended(&checked.monitor);
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let is_current = watched.monitor.revision == checked.monitor.revision;
        // A heartbeat that came at the last moment is not missing.
        let has_come = watched.monitor.heartbeat_at != checked.monitor.heartbeat_at;
        let interval = interval_of(&watched.monitor);
        let next = watched.due.saturating_add(interval);
        let is_waited_for = watched.monitor.settings.kind == MonitorKind::Heartbeat;
        watched.due = match is_current {
            true if has_come => watched.due,
            true if next > now => next,
            true => now.saturating_add(interval),
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
        self.note(id, seen, Some(check), at);
        if let Some(expires_at) = found.certificate_expires_at.filter(|_| !maintenance) {
            self.note_certificate(id, expires_at, at);
        }
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
        self.note(id, seen, Some(check), at);
    }

    /// Has something written about a monitor. What is seen of it is `None` where that counts for nothing.
    fn note(&mut self, id: ProjectId, seen: Option<Seen>, check: Option<CheckView>, at: Timestamp) {
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let monitor = Arc::make_mut(&mut watched.monitor);
        let most = match monitor.settings.kind {
            // Each is waited for a grace longer as it is.
            MonitorKind::Heartbeat => 1,
            _ => monitor.settings.failures_before_down,
        };
        let (condition, turn) = match seen {
            Some(seen) => monitor.condition.next(seen, most, at),
            None => (monitor.condition.clone(), None),
        };
        monitor.condition = condition.clone();
        let outcome = CheckOutcome {
            project_id: id,
            revision: monitor.revision,
            check,
            condition,
            certificate: None,
            at,
        };
        let word = turn.map(|turn| watched.word(Some(turn), None));
        self.is_urgent |= word.is_some();
        self.waiting.push(Waiting { outcome, word });
        if self.waiting.len() > MOST_WAITING {
            self.waiting.remove(0);
        }
    }

    /// Adds to what was just noted that the check met a certificate.
    fn note_certificate(&mut self, id: ProjectId, expires_at: Timestamp, now: Timestamp) {
        let Some(watched) = self.monitors.get_mut(&id) else {
            return;
        };
        let settings = &watched.monitor.settings;
        // A check of that kind fails then, which is told of as every failure.
        let days = match settings.kind {
            MonitorKind::Certificate => 0,
            _ => settings.certificate_warn_days,
        };
        let known: CertificateWatch = watched.monitor.certificate;
        let (next, news) = known.next(expires_at, days, now);
        if next == known {
            return;
        }
        Arc::make_mut(&mut watched.monitor).certificate = next;
        let Some(newest) = self.waiting.last_mut() else {
            return;
        };
        newest.outcome.certificate = Some(next);
        if news.is_some() {
            let turn = newest.word.take().and_then(|word| word.turn);
            newest.word = Some(watched.word(turn, news));
        }
    }

    async fn flush_if_due(&mut self) {
        let wait = if self.is_urgent { PROMPT } else { FLUSH };
        if self.flushed.elapsed() >= wait {
            self.flush().await;
        }
    }

    /// Writes what waits, and tells people what counted.
    async fn flush(&mut self) {
        self.flushed = Instant::now();
        self.is_urgent = false;
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
            let Some(word) = one.word.filter(|_| counts) else {
                continue;
            };
            let platform = Arc::clone(&self.platform);
            self.spawner.spawn(async move { word.say(&platform).await });
        }
    }
}

impl Watched {
    fn word(&self, turn: Option<Turn>, news: Option<CertificateNews>) -> Word {
        Word {
            turn,
            news,
            monitor: Arc::clone(&self.monitor),
            subject: self.subject.clone(),
        }
    }
}

impl Word {
    async fn say(self, platform: &Platform) {
        let (monitor, subject) = (&*self.monitor, &self.subject);
        if let Some(turn) = &self.turn {
            tell(platform, monitor, subject, turn).await;
        }
        if let Some(news) = self.news {
            announce_certificate(platform, monitor, subject, news).await;
        }
    }
}

fn warn_of(outcome: Result<()>, what: &str) {
    if let Err(error) = outcome {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
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

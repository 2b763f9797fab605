//! What is counted of each project's traffic.
//!
//! Each worker has counters of its own for each project, so a request waits for nobody and writes
//! to no memory that another core writes to. The main thread adds them up when it is asked.
//!
//! Guarantees: a request counts once its host was found, an answer once its head is known, its time
//! once the last byte went to the system; bytes count within a tick of the worker's sweep. A page
//! of ours counts like an app's answer, unless the request was refused before its host was read.
//! Caveat: what a connection still has to send when the next pipelined request comes is counted
//! for that one.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tose_api::ProjectId;
use tose_model::traffic::{LATENCY_BUCKETS, Latency, Traffic};

/// How long the numbers of a project are kept that has no route any more, so that whoever asks in
/// intervals gets the last ones too.
const KEPT: Duration = Duration::from_secs(60);

/// What one worker counts of one project. Only that worker writes.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Counters {
    requests: AtomicU64,
    by_class: [AtomicU64; 5],
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    latency: [AtomicU64; LATENCY_BUCKETS],
}

/// Adds without a read-modify-write: there is one writer.
fn add(counter: &AtomicU64, count: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(count);
    counter.store(sum, Ordering::Relaxed);
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            by_class: Default::default(),
            received_bytes: AtomicU64::default(),
            sent_bytes: AtomicU64::default(),
            latency: std::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

impl Counters {
    /// Counts bytes that belong to no request.
    pub(crate) fn count_bytes(&self, received: u64, sent: u64) {
        add(&self.received_bytes, received);
        add(&self.sent_bytes, sent);
    }

    fn read(&self) -> Traffic {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            requests: get(&self.requests),
            by_class: self.by_class.each_ref().map(get),
            received_bytes: get(&self.received_bytes),
            sent_bytes: get(&self.sent_bytes),
            latency: Latency::from_buckets(self.latency.each_ref().map(get)),
        }
    }
}

/// The counters of one project, one set for each worker.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<[Arc<Counters>]>);

impl Meter {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Arc::default()).collect())
    }

    /// The counters of ports.
    pub(crate) fn of_ports(&self) -> &Arc<Counters> {
        &self.0[0]
    }

    /// The counters of a worker.
    pub(crate) fn of_worker(&self, index: usize) -> &Arc<Counters> {
        &self.0[index]
    }

    fn read(&self) -> Traffic {
        let mut sum = Traffic::default();
        for counters in self.0.iter() {
            sum.merge(&counters.read());
        }
        sum
    }
}

/// The meters of all projects that have a route, or had one a moment ago.
pub(crate) struct Meters {
    workers: usize,
    known: BTreeMap<ProjectId, Known>,
}

struct Known {
    meter: Meter,
    /// Since when no table has the project.
    gone_since: Option<Instant>,
}

impl Meters {
    /// No projects yet.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            known: BTreeMap::new(),
        }
    }

    /// The meter of a project that has a route.
    pub(crate) fn meter(&mut self, project_id: ProjectId) -> Meter {
        let workers = self.workers;
        let known = self.known.entry(project_id).or_insert_with(|| Known {
            meter: Meter::new(workers),
            gone_since: None,
        });
        known.meter.clone()
    }

    /// The meter of a project that has ports of its own. These are served by one thread, so it has one set
    /// of counters; a project has either hosts or ports.
    pub(crate) fn meter_of_ports(&mut self, project_id: ProjectId) -> Meter {
        let known = self.known.entry(project_id).or_insert_with(|| Known {
            meter: Meter::new(1),
            gone_since: None,
        });
        known.meter.clone()
    }

    /// Keeps the projects of the newest table, and others for a moment.
    pub(crate) fn retain(&mut self, routed: &BTreeSet<ProjectId>, now: Instant) {
        self.known.retain(|project_id, known| {
            known.gone_since = match known.gone_since {
                _ if routed.contains(project_id) => None,
                None => Some(now),
                since => since,
            };
            known
                .gone_since
                .is_none_or(|since| now.duration_since(since) < KEPT)
        });
    }

    /// Notes whether a project is in the newest table; see [`Meters::retain`].
    pub(crate) fn note_routed(&mut self, project_id: ProjectId, is_routed: bool, now: Instant) {
        if let Some(known) = self.known.get_mut(&project_id) {
            known.gone_since = match known.gone_since {
                _ if is_routed => None,
                None => Some(now),
                since => since,
            };
        }
    }

    /// The totals of so many projects that come after `after`, and whether there are further ones.
    /// A project that had no request and moved no byte is left out.
    pub(crate) fn totals(
        &mut self,
        after: Option<ProjectId>,
        most: usize,
        now: Instant,
    ) -> (BTreeMap<ProjectId, Traffic>, bool) {
        self.known.retain(|_, known| {
            known
                .gone_since
                .is_none_or(|since| now.duration_since(since) < KEPT)
        });
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self
            .known
            .range((begin, Bound::Unbounded))
            .map(|(project_id, known)| (*project_id, known.meter.read()))
            .filter(|(_, traffic)| {
                traffic.requests + traffic.received_bytes + traffic.sent_bytes > 0
            });
        let page = rest.by_ref().take(most).collect();
        (page, rest.next().is_some())
    }
}

/// What moves on one visitor's connection, on its way to the counters of a project.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    received: Cell<u64>,
    sent: Cell<u64>,
    /// Where the running request counts; none before its host was found.
    counters: RefCell<Option<Arc<Counters>>>,
    began: Cell<Option<Instant>>,
    is_answered: Cell<bool>,
    is_ending: Cell<bool>,
    is_tunnel: Cell<bool>,
}

impl Tally {
    /// Bytes came in.
    pub(crate) fn note_read(&self, count: usize) {
        self.received.set(self.received.get() + count as u64);
    }

    /// Bytes went out.
    pub(crate) fn note_written(&self, count: usize) {
        self.sent.set(self.sent.get() + count as u64);
    }

    /// Bytes that came in and went out since the last time, for a connection without requests.
    pub(crate) fn take_bytes(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }

    /// A request's head is there.
    pub(crate) fn begin(&self, now: Instant) {
        if self.is_ending.get() {
            self.finish(now);
        }
        self.began.set(Some(now));
        self.is_answered.set(false);
    }

    /// The request belongs to the project that these counters are for.
    pub(crate) fn attribute(&self, counters: &Arc<Counters>) {
        add(&counters.requests, 1);
        *self.counters.borrow_mut() = Some(Arc::clone(counters));
    }

    /// The head of the answer is known.
    pub(crate) fn answer(&self, status: u16) {
        if let Some(counters) = &*self.counters.borrow() {
            add(&counters.by_class[Traffic::class_of(status)], 1);
            self.is_answered.set(true);
        }
    }

    /// The connection is to be upgraded: what moves from now on belongs to the same project.
    pub(crate) fn keep(&self) {
        self.is_tunnel.set(true);
    }

    /// Nothing comes after what is yet to be written.
    pub(crate) fn end(&self) {
        self.is_ending.set(true);
    }

    /// All that was to be written is.
    pub(crate) fn note_flushed(&self) {
        if self.is_ending.get() {
            self.finish(Instant::now());
        }
    }

    /// Counts the bytes that moved since the last time.
    pub(crate) fn settle(&self) {
        if let Some(counters) = &*self.counters.borrow() {
            add(&counters.received_bytes, self.received.take());
            add(&counters.sent_bytes, self.sent.take());
        }
    }

    fn finish(&self, now: Instant) {
        self.is_ending.set(false);
        self.settle();
        let began = self.began.take();
        if let (Some(counters), Some(began), true) =
            (&*self.counters.borrow(), began, self.is_answered.get())
        {
            let took = now.duration_since(began);
            add(&counters.latency[Latency::bucket_of(took)], 1);
        }
        if !self.is_tunnel.get() {
            *self.counters.borrow_mut() = None;
            // What no project was found for.
            self.received.set(0);
            self.sent.set(0);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if self.counters.get_mut().is_some() {
            self.finish(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(number: u128) -> ProjectId {
        format!("01890000-0000-7000-8000-{number:012x}")
            .parse()
            .unwrap()
    }

    fn request(meters: &mut Meters, number: u128, worker: usize) {
        let tally = Tally::default();
        tally.note_read(100);
        tally.begin(Instant::now());
        tally.attribute(meters.meter(project(number)).of_worker(worker));
        tally.answer(200);
        tally.note_written(50);
        tally.end();
        tally.note_flushed();
    }

    #[test]
    fn workers_counts_are_added_up() {
        let mut meters = Meters::new(2);
        for worker in [0, 1, 1] {
            request(&mut meters, 1, worker);
        }
        let (totals, _) = meters.totals(None, 10, Instant::now());
        let traffic = &totals[&project(1)];
        assert_eq!((traffic.requests, traffic.by_class), (3, [0, 3, 0, 0, 0]));
        assert_eq!((traffic.received_bytes, traffic.sent_bytes), (300, 150));
        assert_eq!(traffic.latency.count(), 3);
    }

    #[test]
    fn bytes_of_a_request_that_belongs_nowhere_are_forgotten() {
        let mut meters = Meters::new(1);
        let tally = Tally::default();
        tally.note_read(1_000);
        tally.begin(Instant::now());
        tally.note_written(1_000);
        tally.end();
        tally.note_flushed();
        tally.note_read(10);
        tally.begin(Instant::now());
        tally.attribute(meters.meter(project(1)).of_worker(0));
        drop(tally);
        let (totals, _) = meters.totals(None, 10, Instant::now());
        let traffic = &totals[&project(1)];
        assert_eq!((traffic.received_bytes, traffic.sent_bytes), (10, 0));
        // Its visitor left before the answer.
        assert_eq!((traffic.by_class, traffic.latency.count()), ([0; 5], 0));
    }

    #[test]
    fn a_project_that_left_is_kept_for_a_while() {
        let mut meters = Meters::new(1);
        let begin = Instant::now();
        request(&mut meters, 1, 0);
        request(&mut meters, 2, 0);
        let second = begin + Duration::from_secs(1);
        meters.retain(&BTreeSet::from([project(2)]), second);
        let (totals, _) = meters.totals(None, 10, begin + KEPT);
        assert_eq!(totals.len(), 2);
        let (totals, _) = meters.totals(None, 10, second + KEPT);
        assert_eq!(totals.into_keys().collect::<Vec<_>>(), [project(2)]);

        // One that comes back in time goes on where it was.
        meters.retain(&BTreeSet::new(), second);
        meters.retain(&BTreeSet::from([project(2)]), begin + KEPT);
        meters.retain(&BTreeSet::from([project(2)]), second + 2 * KEPT);
        let (totals, _) = meters.totals(None, 10, second + 2 * KEPT);
        assert_eq!(totals[&project(2)].requests, 1);
        meters.retain(&BTreeSet::new(), second + 2 * KEPT);
        meters.retain(&BTreeSet::new(), second + 3 * KEPT);
        assert!(meters.known.is_empty());
    }

    #[test]
    fn totals_come_page_by_page() {
        let mut meters = Meters::new(1);
        for number in [1, 2, 4, 5] {
            request(&mut meters, number, 0);
        }
        meters.meter(project(3));
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let (page, has_more) = meters.totals(after, 2, Instant::now());
            assert!(page.len() <= 2);
            found.extend(page.into_keys());
            after = found.last().copied();
            if !has_more {
                break;
            }
        }
        assert_eq!(found, [1, 2, 4, 5].map(project));
    }
}

//! The meter: how long what was seen really ran, cut into hours.
//!
//! Guarantees: between two looks nothing runs longer than the time between them, by a clock that is never
//! set; the wall clock only says which hour it was. What runs on over a restart of the server is counted
//! through, as long as the machine has not been started anew; after that, from its start.
//! Assumptions: an engine's times and ours are of one machine.
//! Caveat: of a replica that crashed and was started again more than once between two looks, only the
//! last two runs are known.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tose_api::{ProjectId, Timestamp, WorkspaceId};

use crate::driver::{ObservedReplica, ReplicaName, ReplicaState};
use crate::pricing::Metered;

/// An hour, counted from 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

const HOUR_NANOS: i64 = 3_600_000_000_000;
const HOUR_MILLIS: i64 = 3_600_000;

impl Hour {
    /// Before all others.
    pub const FIRST: Self = Self(i64::MIN / HOUR_NANOS);

    /// The hour of this number.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The hour that a time lies in.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.as_nanos().div_euclid(HOUR_NANOS))
    }

    /// The hour that begins at exactly this time, if one does.
    pub const fn beginning_at(time: Timestamp) -> Option<Self> {
        if time.as_nanos().rem_euclid(HOUR_NANOS) == 0 {
            Some(Self::of(time))
        } else {
            None
        }
    }

    /// When it begins.
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_nanos(self.0.saturating_mul(HOUR_NANOS))
    }

    /// The month that it lies in.
    pub fn month(self) -> Month {
        let seconds = self.0.saturating_mul(3600);
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let date = jiff::tz::Offset::UTC.to_datetime(time).date();
        Month {
            year: date.year(),
            month: date.month(),
        }
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A month of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

/// A text that names no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a month such as 2026-01")]
pub struct InvalidMonth;

impl Month {
    /// The month of a number of [`Month::number`].
    pub fn from_number(number: i64) -> Option<Self> {
        let year = i16::try_from(number.div_euclid(100)).ok()?;
        let month = i8::try_from(number.rem_euclid(100)).ok()?;
        jiff::civil::Date::new(year, month, 1).ok()?;
        Some(Self { year, month })
    }

    /// Its year times 100, and which month it is: for keeping.
    pub fn number(self) -> i64 {
        i64::from(self.year) * 100 + i64::from(self.month)
    }

    /// Its first hour, and the first one after it.
    pub fn hours(self) -> (Hour, Hour) {
        let next = match self.month {
            12 => (self.year.saturating_add(1), 1),
            month => (self.year, month + 1),
        };
        let first = |(year, month)| {
            let date = jiff::civil::Date::constant(year, month, 1);
            let days = date.duration_since(jiff::civil::Date::constant(1970, 1, 1));
            Hour(days.as_hours())
        };
        (first((self.year, self.month)), first(next))
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl std::str::FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, InvalidMonth> {
        let (year, month) = text.split_once('-').ok_or(InvalidMonth)?;
        let is_number =
            |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(year, 4) || !is_number(month, 2) {
            return Err(InvalidMonth);
        }
        let number = format!("{year}{month}").parse().map_err(|_| InvalidMonth)?;
        Self::from_number(number).ok_or(InvalidMonth)
    }
}

/// A moment by a clock that counts from the machine's start and is never set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uptime {
    /// Which start of the machine.
    pub boot: Box<str>,
    /// How long ago that was, time asleep included.
    pub elapsed: Duration,
}

/// Up to when everything was metered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// By the clock that is never set.
    pub uptime: Uptime,
    /// By the wall clock.
    pub at: Timestamp,
}

impl Mark {
    /// How long it is since `before`.
    pub fn since(&self, before: &Self) -> Duration {
        if self.uptime.boot == before.uptime.boot {
            return self.uptime.elapsed.saturating_sub(before.uptime.elapsed);
        }
        // Nothing has run longer than the machine.
        self.at.since(before.at).min(self.uptime.elapsed)
    }
}

/// What the look before has seen running: the run of each replica, by its start.
pub type Known = HashMap<ReplicaName, Option<Timestamp>>;

/// What was used between two looks, by project and hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usages {
    by_hour: BTreeMap<(ProjectId, Hour), (WorkspaceId, Metered)>,
}

impl Usages {
    /// All of it, in order.
    pub fn iter(&self) -> impl Iterator<Item = (ProjectId, Hour, WorkspaceId, Metered)> + '_ {
        let all = self.by_hour.iter();
        all.map(|((project, hour), (workspace, metered))| (*project, *hour, *workspace, *metered))
    }

    /// How many projects' hours there are.
    pub fn len(&self) -> usize {
        self.by_hour.len()
    }

    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.by_hour.is_empty()
    }

    /// Adds what ran during `span`, with what it uses in so many milliseconds.
    pub fn add(
        &mut self,
        project: ProjectId,
        workspace: WorkspaceId,
        span: Span,
        used: impl Fn(u64) -> Metered,
    ) {
        for (hour, millis) in span.hours() {
            let entry = self.by_hour.entry((project, hour));
            entry.or_insert((workspace, Metered::default())).1 += used(millis);
        }
    }
}

/// A stretch of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from_millis: i64,
    to_millis: i64,
}

impl Span {
    /// From `from` ago to `to` ago, seen from `now`.
    pub fn ago(now: Timestamp, from: Duration, to: Duration) -> Self {
        let now = now.as_nanos().div_euclid(1_000_000);
        let millis = |ago: Duration| i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        Self {
            from_millis: now.saturating_sub(millis(from)),
            to_millis: now.saturating_sub(millis(to)),
        }
    }

    /// How many of its milliseconds lie in which hour.
    fn hours(self) -> impl Iterator<Item = (Hour, u64)> {
        let mut from = self.from_millis;
        std::iter::from_fn(move || {
            let left = self.to_millis.checked_sub(from).filter(|left| *left > 0)?;
            let hour = from.div_euclid(HOUR_MILLIS);
            let part = left.min((hour + 1) * HOUR_MILLIS - from);
            from += part;
            Some((Hour(hour), part.unsigned_abs()))
        })
    }
}

/// What a look sees.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// When.
    pub now: Timestamp,
    /// How long after the look before; nothing is metered further back.
    pub elapsed: Duration,
    /// What that one saw running.
    pub known: &'a Known,
}

impl Look<'_> {
    /// When `replica` ran since the look before: its last run, and the one before that where it was
    /// started again.
    pub fn runs(&self, replica: &ObservedReplica) -> impl Iterator<Item = Span> {
        let run_before = self.known.get(&replica.name);
        let is_same_run = run_before.is_some_and(|started| *started == replica.started_at);
        let started = match is_same_run {
            true => Some(self.elapsed),
            false => replica.started_at.map(|at| self.ago(at)),
        };
        let ended = match replica.state {
            ReplicaState::Running => Some(Duration::ZERO),
            ReplicaState::Exited { .. } | ReplicaState::Restarting { .. } => {
                replica.ended_at.map(|at| self.ago(at))
            }
            ReplicaState::Created => None,
        };
        let last = started
            .zip(ended)
            .map(|(from, to)| Span::ago(self.now, from, to));
        let was_running = run_before.is_some() && !is_same_run;
        let before = replica
            .ended_at
            .filter(|ended| was_running && replica.started_at.is_none_or(|at| *ended <= at))
            .map(|at| Span::ago(self.now, self.elapsed, self.ago(at)));
        before.into_iter().chain(last)
    }

    /// When something was there that was made at this time and is there still.
    pub fn since(&self, made_at: Timestamp) -> Span {
        Span::ago(self.now, self.ago(made_at), Duration::ZERO)
    }

    /// How long ago a time was, and never before the look before.
    fn ago(&self, time: Timestamp) -> Duration {
        self.now.since(time).min(self.elapsed)
    }
}

#[cfg(test)]
mod tests;

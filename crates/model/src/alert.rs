//! Alert rules: what a measurement says, when a rule fires, when that is over, and what people are told then.
//!
//! Guarantees: pure. A rule fires when everything that was measured in its window is beyond the threshold and the
//! window has no gaps; it ends when nothing that was measured in the last minutes is, so that a value that goes up and
//! down around the threshold tells nobody twice. What was not measured holds nothing.
//! Not here: where measurements come from, and who is told (`tose-server`).

use std::time::Duration;

use tose_api::alert::{AlertComparison, AlertMetric, MetricValue};

use crate::uptime::in_words;

/// How many seconds a slot is about: measurements come so often.
pub const SLOT_SECONDS: u32 = 10;
/// How long nothing may be beyond the threshold until it is over, at most: otherwise as long as the window.
const LONGEST_CALM_SECONDS: u32 = 300;
/// How many slots in a row may be missing where each is to be measured: a round that took too long is no gap.
const MOST_MISSING: usize = 2;
/// The same where a measurement needs a request: there is to be one a minute.
const MOST_WITHOUT_REQUESTS: usize = 5;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertRule {
    /// What is looked at.
    pub metric: AlertMetric,
    /// On which side of the threshold there is something to tell.
    pub comparison: AlertComparison,
    /// The threshold.
    pub threshold: MetricValue,
    /// For how long it has to be so, in seconds; restarts are counted over it.
    pub window_seconds: u32,
}

/// What was measured of a project in one slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// Whether its replicas were measured.
    pub is_measured: bool,
    /// What they used, in thousandths of a core, and what they might have used; 0 is without limit.
    pub cpu_milli: u64,
    /// See `cpu_milli`.
    pub cpu_limit_milli: u64,
    /// The same for bytes of memory.
    pub memory_bytes: u64,
    /// See `memory_bytes`.
    pub memory_limit_bytes: u64,
    /// Bytes on the disk; 0 is not known.
    pub disk_bytes: u64,
    /// Requests of visitors.
    pub requests: u64,
    /// Answers with a status of 500 and above.
    pub errors_5xx: u64,
    /// What 95 of 100 requests took at most.
    pub p95: Option<Duration>,
    /// Restarts after a crash.
    pub restarts: u64,
}

impl Measures {
    /// What is known of a metric; `None` if nothing is.
    pub fn value(&self, metric: AlertMetric) -> Option<MetricValue> {
        let whole = |number: u64| MetricValue::from_milli(number.saturating_mul(1000));
        let if_measured = |value| Some(value).filter(|_| self.is_measured);
        match metric {
            AlertMetric::CpuPercent => {
                percent(self.cpu_milli, self.cpu_limit_milli).and_then(if_measured)
            }
            AlertMetric::MemoryPercent => {
                percent(self.memory_bytes, self.memory_limit_bytes).and_then(if_measured)
            }
            AlertMetric::RequestsPerSecond => {
                let milli = u128::from(self.requests) * 1000 / u128::from(SLOT_SECONDS);
                if_measured(saturated(milli))
            }
            // Visitors of an app of which nothing runs are answered too.
            AlertMetric::ErrorPercent => percent(self.errors_5xx, self.requests),
            AlertMetric::P95Ms => self.p95.map(|time| saturated(time.as_micros())),
            AlertMetric::Restarts => Some(whole(self.restarts)),
            AlertMetric::DiskBytes => Some(whole(self.disk_bytes))
                .filter(|_| self.disk_bytes > 0)
                .and_then(if_measured),
        }
    }
}

fn percent(part: u64, whole: u64) -> Option<MetricValue> {
    let milli = (u128::from(part) * 100_000).checked_div(u128::from(whole))?;
    Some(saturated(milli))
}

fn saturated(milli: u128) -> MetricValue {
    MetricValue::from_milli(u64::try_from(milli).unwrap_or(u64::MAX))
}

/// What a look at a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What was measured last in the window; restarts are added up. `None` if nothing was.
    pub value: Option<MetricValue>,
    /// What changes, if anything does.
    pub turn: Option<AlertTurn>,
}

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertTurn {
    /// It fires from now on.
    Fired,
    /// It does not any more.
    Ended(AlertEnd),
}

/// Why a rule does not fire any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertEnd {
    /// Nothing is beyond the threshold any more.
    Back,
    /// Nothing was measured in the whole window.
    Unmeasured,
}

impl AlertRule {
    /// Whether a value is beyond the threshold; the threshold itself is not.
    pub fn is_beyond(&self, value: MetricValue) -> bool {
        match self.comparison {
            AlertComparison::Above => value > self.threshold,
            AlertComparison::Below => value < self.threshold,
        }
    }

    /// How many slots the window has.
    fn slots(&self) -> usize {
        slots_in(self.window_seconds)
    }

    /// Over how many slots nothing may be beyond the threshold until it is over.
    fn calm_slots(&self) -> usize {
        slots_in(self.window_seconds.min(LONGEST_CALM_SECONDS))
    }

    /// Of how many slots the rule has to know what was measured.
    pub fn needed_slots(&self) -> usize {
        match self.metric {
            // The window before each of the last minutes.
            AlertMetric::Restarts => self.slots() + self.calm_slots() - 1,
            // The window may begin where nothing was measured.
            _ => self.slots() + self.most_missing(),
        }
    }

    /// Whether values need requests.
    fn needs_requests(&self) -> bool {
        matches!(self.metric, AlertMetric::ErrorPercent | AlertMetric::P95Ms)
    }

    /// How many slots in a row may be missing.
    fn most_missing(&self) -> usize {
        match self.needs_requests() {
            true => MOST_WITHOUT_REQUESTS,
            false => MOST_MISSING,
        }
    }

    fn has_no_gap(&self, slots: &[Option<MetricValue>]) -> bool {
        let mut gaps = slots.split(Option::is_some).map(<[_]>::len);
        gaps.all(|gap| gap <= self.most_missing())
    }

    /// For how many slots everything was beyond the threshold up to the newest one, which is measured, without a gap.
    fn beyond_slots(&self, slots: &[Option<MetricValue>]) -> usize {
        let (mut reach, mut missing) = (0, 0);
        for (back, slot) in slots.iter().rev().enumerate() {
            match slot {
                Some(value) if self.is_beyond(*value) => (reach, missing) = (back + 1, 0),
                Some(_) => break,
                None => missing += 1,
            }
            if reach == 0 || missing > self.most_missing() {
                break;
            }
        }
        reach
    }

    /// Looks at what was measured, slot by slot, the newest last; a slot in which nothing was is `None`. Of slots before
    /// the first that is given nothing is known.
    pub fn judge(&self, is_firing: bool, measured: &[Option<MetricValue>]) -> Judgement {
        let mut slots = vec![None; self.needed_slots().saturating_sub(measured.len())];
        let known = measured.len().min(self.needed_slots());
        slots.extend_from_slice(&measured[measured.len() - known..]);
        let window = &slots[slots.len() - self.slots()..];
        if window.iter().all(Option::is_none) {
            let turn = is_firing.then_some(AlertTurn::Ended(AlertEnd::Unmeasured));
            return Judgement { value: None, turn };
        }
        match self.metric {
            AlertMetric::Restarts => self.judge_count(is_firing, &slots),
            _ => self.judge_window(is_firing, &slots),
        }
    }

    fn judge_window(&self, is_firing: bool, slots: &[Option<MetricValue>]) -> Judgement {
        let turn = if is_firing {
            let calm = &slots[slots.len() - self.calm_slots()..];
            let is_known = match self.needs_requests() {
                true => calm.iter().any(Option::is_some),
                false => self.has_no_gap(calm),
            };
            let is_calm = !calm.iter().flatten().any(|value| self.is_beyond(*value));
            (is_known && is_calm).then_some(AlertTurn::Ended(AlertEnd::Back))
        } else {
            (self.beyond_slots(slots) >= self.slots()).then_some(AlertTurn::Fired)
        };
        Judgement {
            value: slots.iter().flatten().last().copied(),
            turn,
        }
    }

    fn judge_count(&self, is_firing: bool, slots: &[Option<MetricValue>]) -> Judgement {
        let sum = |window: &[Option<MetricValue>]| {
            let counts = window.iter().flatten().map(|count| count.milli());
            MetricValue::from_milli(counts.fold(0, u64::saturating_add))
        };
        let sums: Vec<_> = slots.windows(self.slots()).map(sum).collect();
        let value = sums.last().copied().unwrap_or_default();
        let turn = match is_firing {
            true => {
                let is_calm = !sums.iter().any(|sum| self.is_beyond(*sum));
                is_calm.then_some(AlertTurn::Ended(AlertEnd::Back))
            }
            false => self.is_beyond(value).then_some(AlertTurn::Fired),
        };
        Judgement {
            value: Some(value),
            turn,
        }
    }

    /// A value with what it is and its unit: `cpu 97.5 %`.
    fn says(&self, value: impl std::fmt::Display) -> String {
        match self.metric {
            AlertMetric::CpuPercent => format!("cpu {value} % of the limit"),
            AlertMetric::MemoryPercent => format!("memory {value} % of the limit"),
            AlertMetric::RequestsPerSecond => format!("{value} requests a second"),
            AlertMetric::ErrorPercent => format!("{value} % of the answers are 5xx"),
            AlertMetric::P95Ms => format!("p95 latency {value} ms"),
            AlertMetric::Restarts => format!("restarts {value}"),
            AlertMetric::DiskBytes => format!("disk {value} bytes"),
        }
    }

    fn window(&self) -> String {
        format!("{} min", self.window_seconds / 60)
    }

    /// What people are told when it fires.
    pub fn fired_text(&self, value: MetricValue) -> String {
        let (side, threshold, window) = (self.comparison.as_str(), self.threshold, self.window());
        match self.metric {
            AlertMetric::Restarts => {
                format!("{} within {window}, {side} {threshold}.", self.says(value))
            }
            _ => format!("{}, {side} {threshold} for {window}.", self.says(value)),
        }
    }

    /// What people are told when that is over, after so long.
    pub fn ended_text(&self, why: AlertEnd, value: Option<MetricValue>, after: Duration) -> String {
        let (side, threshold) = (self.comparison.as_str(), self.threshold);
        let now = match (why, value) {
            (AlertEnd::Back, Some(value)) => {
                format!("{}, no longer {side} {threshold}", self.says(value))
            }
            (AlertEnd::Back, None) => format!("no longer {side} {threshold}"),
            (AlertEnd::Unmeasured, _) if self.needs_requests() => {
                format!("there was no request for {}", self.window())
            }
            (AlertEnd::Unmeasured, _) => format!("nothing was measured for {}", self.window()),
        };
        format!("{now}. It fired for {}.", in_words(after))
    }
}

fn slots_in(seconds: u32) -> usize {
    let slots = (seconds / SLOT_SECONDS).max(1);
    usize::try_from(slots).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;

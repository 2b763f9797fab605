//! Autoscaling: how many replicas a project is to have, by what it had to do.
//!
//! A project is looked at every ten seconds. What a look asks for comes of the load of the last minute: so many
//! replicas that each has its target or less, the larger number where there are two targets, within the bounds. More
//! come when three looks in a row ask for more (30 s), and then as many as the most modest of them; fewer are kept
//! when thirty in a row ask for fewer (5 min), and then as many as the most demanding of them.
//!
//! Guarantees: pure, and with integers only. The number is within the bounds. As long as the load stays as it is, what
//! was decided is not decided otherwise: a load within a tenth of the target asks for no change.
//! Assumption: whoever calls forgets the looks when the number of replicas changes, when the rules do, and whenever
//! there was something that made a look impossible; a gap between two looks makes the first of them forgotten here.
//! Not here: where looks come from, and the changes (`tose-server`, `tasks/autoscale.rs` and `app/autoscale.rs`).

use std::collections::VecDeque;
use std::time::Duration;

use tose_api::Timestamp;
use tose_api::quantity::thousandths;

/// How many looks, the newest among them, make a load: a minute.
pub const LOAD_LOOKS: usize = 6;
/// How many of them there have to be: the first thirty seconds of a version decide nothing.
pub const FEWEST_LOOKS: usize = 3;
/// How many looks in a row have to ask for more replicas: half a minute.
pub const UP_LOOKS: usize = 3;
/// How many looks in a row have to ask for fewer: five minutes.
pub const DOWN_LOOKS: usize = 30;
/// The longest time between two looks that count as in a row: one may be missing between them, two may not.
pub const LONGEST_GAP: Duration = Duration::from_secs(25);
/// How far a load may be from the target without asking for a change, in percent of the target.
pub const TOLERANCE_PERCENT: u64 = 10;
/// The most requests a second that may be a target.
pub const MAX_REQUESTS: u32 = 1_000_000;

/// What somebody set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The fewest replicas, at least 1.
    pub min_replicas: u32,
    /// The most replicas, at least as many.
    pub max_replicas: u32,
    /// How much of its CPU limit a replica is to use, in percent.
    pub cpu_percent: Option<u32>,
    /// How many requests a second a replica is to answer.
    pub requests_per_second: Option<u32>,
}

/// What the replicas that answer visitors used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// Thousandths of a core, of all of them.
    pub used_milli: u64,
    /// Thousandths of a core that one of them may use.
    pub limit_milli: u64,
}

/// What visitors asked for between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// How often.
    pub count: u64,
    /// In which time.
    pub within: Duration,
}

/// One look at a project whose replicas are all there and ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// `None` when it could not be measured.
    pub cpu: Option<Cpu>,
    /// `None` when they could not be counted.
    pub requests: Option<Requests>,
}

/// Looks in a row, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks(VecDeque<Look>);

/// A project's load over the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Thousandths of a core that all replicas used on average, and that one may use; if that counts.
    pub cpu: Option<Cpu>,
    /// Thousandths of a request a second, of all replicas; if that counts.
    pub requests_milli: Option<u64>,
    /// How many replicas it asks for.
    pub wanted: u32,
}

/// What is decided at a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The number stays; the load, once there are enough looks.
    Stay(Option<Load>),
    /// There are to be so many replicas from now on.
    Scale {
        /// How many.
        to: u32,
        /// Why, for people.
        reason: String,
        /// The load, if there were enough looks.
        load: Option<Load>,
    },
}

impl Looks {
    /// Adds the newest look. Those before it are forgotten when there is a gap, and when the time went back.
    pub fn add(&mut self, look: Look) {
        let follows = self
            .0
            .back()
            .is_none_or(|last| last.at < look.at && look.at.since(last.at) <= LONGEST_GAP);
        if !follows {
            self.0.clear();
        }
        self.0.push_back(look);
        while self.0.len() > DOWN_LOOKS + LOAD_LOOKS {
            self.0.pop_front();
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The load at the `nth` look before the newest.
    fn load(&self, rules: &Rules, replicas: u32, nth: usize) -> Option<Load> {
        let end = self.0.len().checked_sub(nth)?;
        let begin = end.saturating_sub(LOAD_LOOKS);
        if end - begin < FEWEST_LOOKS {
            return None;
        }
        load(rules, replicas, self.0.range(begin..end))
    }
}

/// Decides what becomes of the `replicas` that there are.
pub fn decide(rules: &Rules, replicas: u32, looks: &Looks) -> Decision {
    let (min, max) = (rules.min_replicas, rules.max_replicas);
    let newest = looks.load(rules, replicas, 0);
    if !(min..=max).contains(&replicas) {
        return Decision::Scale {
            to: replicas.clamp(min, max),
            reason: format!("there are to be {min} to {max}"),
            load: newest,
        };
    }
    let Some(newest) = newest else {
        return Decision::Stay(None);
    };
    // What each of so many looks in a row asked for, if there were so many.
    let asked = |count: usize| -> Option<Vec<u32>> {
        let load = |nth| Some(looks.load(rules, replicas, nth)?.wanted);
        (0..count).map(load).collect()
    };
    if newest.wanted > replicas {
        let fewest = asked(UP_LOOKS).and_then(|asked| asked.into_iter().min());
        if let Some(to) = fewest.filter(|to| *to > replicas) {
            return Decision::Scale {
                to,
                reason: in_words(rules, &newest),
                load: Some(newest),
            };
        }
    } else if newest.wanted < replicas {
        let most = asked(DOWN_LOOKS).and_then(|asked| asked.into_iter().max());
        if let Some(to) = most.filter(|to| *to < replicas) {
            return Decision::Scale {
                to,
                reason: format!("no more were needed for {} minutes", DOWN_LOOKS / 6),
                load: Some(newest),
            };
        }
    }
    Decision::Stay(Some(newest))
}

/// The load of these looks; `None` when something that counts was not measured at the last of them, or at too few.
fn load<'a>(
    rules: &Rules,
    replicas: u32,
    looks: impl DoubleEndedIterator<Item = &'a Look> + Clone,
) -> Option<Load> {
    let last = looks.clone().next_back()?;
    let mut wanted = 0;
    let mut cpu = None;
    if let Some(percent) = rules.cpu_percent {
        let limit_milli = last.cpu?.limit_milli;
        let used_milli = average_cpu(looks.clone().filter_map(|look| look.cpu))?;
        let target = u128::from(limit_milli) * u128::from(percent);
        wanted = asks_for(u128::from(used_milli) * 100, target, replicas).max(wanted);
        cpu = Some(Cpu {
            used_milli,
            limit_milli,
        });
    }
    let mut requests_milli = None;
    if let Some(target) = rules.requests_per_second {
        last.requests?;
        let (count, millis) = all_requests(looks.filter_map(|look| look.requests))?;
        let load = u128::from(count) * 1000;
        wanted = asks_for(load, u128::from(target) * millis, replicas).max(wanted);
        requests_milli = u64::try_from(load * 1000 / millis).ok();
    }
    Some(Load {
        cpu,
        requests_milli,
        wanted: wanted.clamp(rules.min_replicas, rules.max_replicas),
    })
}

/// What all replicas used on average, rounded up.
fn average_cpu(measured: impl Iterator<Item = Cpu>) -> Option<u64> {
    let (mut sum, mut count) = (0_u64, 0_usize);
    for cpu in measured {
        sum = sum.saturating_add(cpu.used_milli);
        count += 1;
    }
    (count >= FEWEST_LOOKS).then(|| sum.div_ceil(count as u64))
}

/// All requests, and in how many milliseconds they came.
fn all_requests(counted: impl Iterator<Item = Requests>) -> Option<(u64, u128)> {
    let (mut sum, mut time, mut count) = (0_u64, Duration::ZERO, 0_usize);
    for requests in counted {
        sum = sum.saturating_add(requests.count);
        time = time.saturating_add(requests.within);
        count += 1;
    }
    (count >= FEWEST_LOOKS).then(|| (sum, time.as_millis().max(1)))
}

/// How many replicas a load asks for of which each is to have `target` at most, where there are `replicas` now.
fn asks_for(load: u128, target: u128, replicas: u32) -> u32 {
    let target = target.max(1);
    let full = target.saturating_mul(replicas.into());
    let tolerated = full.saturating_mul(TOLERANCE_PERCENT.into()) / 100;
    if load.abs_diff(full) <= tolerated {
        return replicas;
    }
    u32::try_from(load.div_ceil(target)).unwrap_or(u32::MAX)
}

fn in_words(rules: &Rules, load: &Load) -> String {
    let mut parts = Vec::new();
    if let (Some(percent), Some(cpu)) = (rules.cpu_percent, load.cpu) {
        parts.push(format!(
            "{} cores are used, and a replica is to use {percent} % of {}",
            thousandths(cpu.used_milli),
            thousandths(cpu.limit_milli)
        ));
    }
    if let (Some(target), Some(requests)) = (rules.requests_per_second, load.requests_milli) {
        parts.push(format!(
            "{} requests a second come, and a replica is to answer {target}",
            thousandths(requests)
        ));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;

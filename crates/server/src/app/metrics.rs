//! What a project used and served over time, and what the server tells of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tose_api::Timestamp;
use tose_api::metrics::{MetricsPoint, MetricsView};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::project::status;

use crate::app::Platform;
use crate::app::project::facts_for_status;
use crate::metrics::{Ring, Sample};
use crate::telemetry::{Counts, Subject, text};

const SECOND: i64 = 1_000_000_000;
/// The time that is answered when none is asked for.
const DEFAULT_SPAN: i64 = 3_600 * SECOND;
/// The shortest and the longest step: that of the sampler, and a year.
const STEPS: std::ops::RangeInclusive<u32> = 10..=31_536_000;
/// The most points of an answer.
const MAX_POINTS: i64 = 1_000;
/// The most points when no step is asked for.
const USUAL_POINTS: i64 = 120;
/// Steps that people can read, in seconds. Beyond them come whole days.
const ROUND_STEPS: [i64; 14] = [
    10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
];

/// Which time is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// The begin; an hour before the end when absent.
    pub(crate) start: Option<Timestamp>,
    /// The end; now when absent.
    pub(crate) end: Option<Timestamp>,
    /// Seconds of a point; such that there are about a hundred when absent.
    pub(crate) step: Option<u32>,
}

/// Whole steps, in seconds since 1970, and the ring that has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    start: i64,
    end: i64,
    step: i64,
    ring: Ring,
}

impl Platform {
    /// What a project used and served.
    pub(crate) async fn project_metrics(
        &self,
        access: &Access,
        slug: &str,
        asked: Asked,
    ) -> Result<MetricsView> {
        let project = self.find_project(access, slug).await?;
        let now = self.now();
        let plan = plan(asked, now)?;
        let slots = self
            .metrics
            .slots(project.id, plan.ring, plan.start..plan.end)
            .await?;
        Ok(view(plan, slots, seconds(now)))
    }

    /// What operators are told, as OpenMetrics text.
    pub(crate) async fn telemetry(&self) -> Result<String> {
        let subjects = self.telemetry_subjects(self.now()).await?;
        aside(move || text::encode(&subjects)).await
    }

    /// What operators are told: of the server first, then of projects if that is wanted.
    pub(crate) async fn telemetry_subjects(&self, now: Timestamp) -> Result<Vec<Subject>> {
        let mut counts = Counts::default();
        for group in self.store.count_all_projects().await? {
            let facts = facts_for_status(group.desired, group.replicas, group.facts);
            *counts.projects.entry(status(&facts).as_str()).or_default() += group.count;
        }
        for (status, count) in self.store.count_all_deployments().await? {
            counts.deployments.insert(status.as_str(), count);
        }
        let mut subjects = vec![self.telemetry.server(&counts, now)];
        // First what is counted, then what is known: so what is not known is gone, and not new.
        let counted = self.telemetry.counted_projects();
        if !counted.is_empty() {
            let names = self.store.list_project_names_for_task().await?;
            let (telemetry, round) = (Arc::clone(&self.telemetry), self.rounds.newest());
            let told = aside(move || telemetry.projects(&counted, names, &round, now));
            subjects.extend(told.await?);
        }
        Ok(subjects)
    }
}

/// Does what takes its time with ten thousand projects where nobody waits behind it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("the metrics could not be put together", error))
}

fn plan(asked: Asked, now: Timestamp) -> Result<Plan> {
    let end = asked.end.unwrap_or(now);
    let before_end = Timestamp::from_nanos(end.as_nanos().saturating_sub(DEFAULT_SPAN));
    let start = asked.start.unwrap_or(before_end);
    if start >= end {
        let problem = format!("must be before end, which is {end}");
        return Err(Error::invalid_field("start", problem));
    }
    let (start, end) = (seconds(start), seconds_up(end));
    let wanted = match asked.step {
        Some(step) if STEPS.contains(&step) => i64::from(step),
        Some(_) => {
            let problem = format!(
                "must be a number of seconds from {} to {}",
                STEPS.start(),
                STEPS.end()
            );
            return Err(Error::invalid_field("step", problem));
        }
        None => usual_step(end - start),
    };
    let (ring, step) = Ring::choose(start, wanted, seconds(now));
    let start = start.div_euclid(step) * step;
    let end = (end - 1).div_euclid(step) * step + step;
    let points = (end - start) / step;
    if points > MAX_POINTS {
        let problem = format!(
            "from start to end there are {points} steps of {step} s, and at most {MAX_POINTS} are answered; ask for longer steps or less time"
        );
        return Err(Error::invalid_field("step", problem));
    }
    Ok(Plan {
        start,
        end,
        step,
        ring,
    })
}

fn usual_step(span: i64) -> i64 {
    const DAY: i64 = 86_400;
    let fits = |step: &i64| span <= USUAL_POINTS * step;
    let days = (span - 1) / (USUAL_POINTS * DAY) + 1;
    ROUND_STEPS.into_iter().find(fits).unwrap_or(days * DAY)
}

fn view(plan: Plan, slots: Vec<(i64, Sample)>, now: i64) -> MetricsView {
    let mut points: BTreeMap<i64, Sample> = BTreeMap::new();
    for (time, sample) in slots {
        let begin = time.div_euclid(plan.step) * plan.step;
        points.entry(begin).or_default().merge(&sample);
    }
    MetricsView {
        start: timestamp(plan.start),
        end: timestamp(plan.end),
        step: u32::try_from(plan.step).unwrap_or(u32::MAX),
        points: points
            .into_iter()
            .map(|(begin, sample)| point(begin, plan.step, &sample, now))
            .collect(),
    }
}

fn point(begin: i64, step: i64, sample: &Sample, now: i64) -> MetricsPoint {
    let average = |sum| rounded(sum, u64::from(sample.samples));
    let quantile = |per_mille| {
        let time = sample.latency.quantile(per_mille)?;
        u64::try_from(time.as_micros()).ok()
    };
    // Of the step that goes on, what has passed, in whole periods of the sampler.
    let shortest = i64::from(*STEPS.start());
    let passed = now.saturating_sub(begin).clamp(1, step);
    let passed = ((passed - 1) / shortest + 1) * shortest;
    MetricsPoint {
        time: timestamp(begin),
        cpu_milli: average(sample.cpu_milli),
        memory_bytes: average(sample.memory_bytes),
        network_received_bytes: sample.network_received_bytes,
        network_sent_bytes: sample.network_sent_bytes,
        replicas: u32::try_from(average(sample.replicas)).unwrap_or(u32::MAX),
        requests: sample.requests,
        requests_per_second_milli: rounded(
            sample.requests.saturating_mul(1_000),
            passed.unsigned_abs(),
        ),
        errors_5xx: sample.errors_5xx,
        p50_us: quantile(500),
        p90_us: quantile(900),
        p95_us: quantile(950),
        p99_us: quantile(990),
        disk_bytes: Some(sample.disk_bytes).filter(|bytes| *bytes > 0),
        restarts: sample.restarts,
    }
}

/// The quotient to the nearest number; 0 of nothing.
fn rounded(sum: u64, count: u64) -> u64 {
    sum.saturating_add(count / 2)
        .checked_div(count)
        .unwrap_or(0)
}

/// The second in which a time is.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(SECOND)
}

/// The first second that is not before a time.
fn seconds_up(time: Timestamp) -> i64 {
    seconds(time) + i64::from(time.as_nanos().rem_euclid(SECOND) != 0)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds.saturating_mul(SECOND))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tose_model::traffic::Latency;

    use super::*;

    const NOW: i64 = 1_767_225_600;

    fn asked(age: i64, span: i64, step: Option<u32>) -> Asked {
        Asked {
            start: Some(timestamp(NOW - age)),
            end: Some(timestamp(NOW - age + span)),
            step,
        }
    }

    fn planned(asked: Asked) -> Result<(i64, i64)> {
        plan(asked, timestamp(NOW)).map(|plan| (plan.step, (plan.end - plan.start) / plan.step))
    }

    #[test]
    fn about_120_points_are_answered_when_no_step_is_asked_for() {
        const HOUR: i64 = 3_600;
        const DAY: i64 = 24 * HOUR;
        assert_eq!(planned(Asked::default()).expect("fine"), (30, 120));
        for (span, step, points) in [
            (60, 10, 6),
            (HOUR, 30, 120),
            (6 * HOUR, 300, 72),
            (DAY, 900, 96),
            (7 * DAY, 7_200, 84),
            (30 * DAY, 21_600, 120),
            (365 * DAY, 4 * DAY, 92),
        ] {
            assert_eq!(
                planned(asked(span, span, None)).expect("fine"),
                (step, points),
                "{span}"
            );
        }
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        let problem = |asked| planned(asked).expect_err("refused").to_string();
        insta::assert_snapshot!(problem(asked(10, 0, None)), @"start: must be before end, which is 2025-12-31T23:59:50Z");
        insta::assert_snapshot!(problem(asked(10, 10, Some(9))), @"step: must be a number of seconds from 10 to 31536000");
        insta::assert_snapshot!(problem(asked(86_400 * 2, 86_400, Some(10))), @"step: from start to end there are 1440 steps of 60 s, and at most 1000 are answered; ask for longer steps or less time");
        let start = Asked {
            start: Some(timestamp(NOW)),
            ..Asked::default()
        };
        insta::assert_snapshot!(problem(start), @"start: must be before end, which is 2026-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn a_plan_covers_what_was_asked_for_in_whole_steps(
            start: i64,
            end: i64,
            step in proptest::option::of(0..40_000_000_u32),
            now: i64,
        ) {
            let (start, end) = (Timestamp::from_nanos(start), Timestamp::from_nanos(end));
            let asked = Asked { start: Some(start), end: Some(end), step };
            if let Ok(plan) = plan(asked, Timestamp::from_nanos(now)) {
                prop_assert!(plan.start <= seconds(start) && seconds_up(end) <= plan.end);
                prop_assert_eq!((plan.start % plan.step, plan.end % plan.step), (0, 0));
                prop_assert!((plan.end - plan.start) / plan.step <= MAX_POINTS);
            }
        }
    }

    #[test]
    fn a_point_is_made_of_all_its_slots() {
        let mut latency = Latency::default();
        for _ in 0..60 {
            latency.record(Duration::from_millis(1));
        }
        let slot = Sample {
            samples: 1,
            cpu_milli: 250,
            memory_bytes: 64 << 20,
            replicas: 2,
            network_received_bytes: 10,
            network_sent_bytes: 20,
            requests: 61,
            errors_5xx: 1,
            sent_bytes: 1_000,
            disk_bytes: 4_096,
            restarts: 1,
            latency,
        };
        let plan = plan(asked(60, 90, Some(30)), timestamp(NOW)).expect("fine");
        let slots = [-60, -50, -40, 0].map(|age| (NOW + age, slot.clone()));
        let view = view(plan, slots.to_vec(), NOW + 4);
        assert_eq!(
            (view.start, view.end),
            (timestamp(NOW - 60), timestamp(NOW + 30))
        );
        let expected = MetricsPoint {
            time: timestamp(NOW - 60),
            cpu_milli: 250,
            memory_bytes: 64 << 20,
            network_received_bytes: 30,
            network_sent_bytes: 60,
            replicas: 2,
            requests: 183,
            requests_per_second_milli: 6_100,
            errors_5xx: 3,
            p50_us: Some(850),
            p90_us: Some(970),
            p95_us: Some(985),
            p99_us: Some(998),
            disk_bytes: Some(4_096),
            restarts: 3,
        };
        assert_eq!(view.points.len(), 2);
        assert_eq!(view.points[0], expected);
        // Only ten of its thirty seconds have passed.
        assert_eq!(view.points[1].requests_per_second_milli, 6_100);
    }

    #[test]
    fn without_measurements_there_are_no_averages_and_no_times() {
        let sample = Sample {
            requests: 1,
            ..Sample::default()
        };
        let point = point(NOW, 10, &sample, NOW);
        assert_eq!((point.cpu_milli, point.replicas), (0, 0));
        assert_eq!((point.p50_us, point.p99_us), (None, None));
    }
}

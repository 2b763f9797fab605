//! What is told of projects: what they use now, and what they did since the server's start.
//!
//! Guarantees: a count grows only, and begins at 0 with the process; whoever reads it knows a restart by that. A
//! project has counts from the first round on in which something was seen of it, and as long as the store knows it.
//! Not here: the rounds themselves (`tasks/sampler.rs`).

use tose_model::traffic::{LATENCY_BOUNDS_US, Latency};

use super::family::{Family, Histogram, Kind, Reading, Unit, Value};
use crate::metrics::{Latest, Sample};

/// The bounds of the histogram, in seconds: some of those that are counted by, as each makes a series.
const BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];
/// The same in microseconds.
const BOUNDS_US: [u64; 12] = [
    5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000, 30_000_000,
];

static CPU: Family = gauge(
    "tose.project.cpu.usage_cores",
    "Cores that the replicas use together",
    Unit::Things("{cpu}"),
);
static CPU_LIMIT: Family = gauge(
    "tose.project.cpu.limit_cores",
    "Cores that the replicas may use together",
    Unit::Things("{cpu}"),
);
static MEMORY: Family = gauge(
    "tose.project.memory.usage",
    "Memory that the replicas use together",
    Unit::Bytes,
);
static MEMORY_LIMIT: Family = gauge(
    "tose.project.memory.limit",
    "Memory that the replicas may use together",
    Unit::Bytes,
);
static REPLICAS: Family = gauge(
    "tose.project.replicas",
    "Replicas that run",
    Unit::Things("{replica}"),
);
static DISK: Family = gauge(
    "tose.project.disk.usage",
    "What replicas wrote, volumes and a database's data take on the disk",
    Unit::Bytes,
);
static RECEIVED: Family = counter(
    "tose.project.network.received",
    "What replicas received",
    Unit::Bytes,
);
static SENT: Family = counter(
    "tose.project.network.sent",
    "What replicas sent",
    Unit::Bytes,
);
static RESTARTS: Family = counter(
    "tose.project.restarts",
    "How often the engine started replicas again after a crash",
    Unit::Things("{restart}"),
);
static REQUESTS: Family = counter(
    "tose.project.requests",
    "Requests that visitors made",
    Unit::Things("{request}"),
);
static ERRORS: Family = counter(
    "tose.project.errors_5xx",
    "Answers to visitors with a status of 500 and above",
    Unit::Things("{response}"),
);
static ANSWERED: Family = counter(
    "tose.project.response.sent",
    "What was sent to visitors",
    Unit::Bytes,
);
static LATENCY: Family = Family {
    name: "tose.project.request.duration",
    help: "How long answers to visitors took, from the request's head to the last byte",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
};

const fn gauge(name: &'static str, help: &'static str, unit: Unit) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
        unit,
    }
}

const fn counter(name: &'static str, help: &'static str, unit: Unit) -> Family {
    Family {
        name,
        help,
        kind: Kind::Counter,
        unit,
    }
}

/// Whether visitors ask for something of it, by HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitors {
    /// It is an app.
    Come,
    /// It is a database.
    None,
}

/// What a project did since the server's start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    received_bytes: u64,
    sent_bytes: u64,
    restarts: u64,
    requests: u64,
    errors_5xx: u64,
    answered_bytes: u64,
    latency: Latency,
}

impl Totals {
    /// Adds what it did since the round before.
    pub(super) fn add(&mut self, sample: &Sample) {
        for (total, more) in [
            (&mut self.received_bytes, sample.network_received_bytes),
            (&mut self.sent_bytes, sample.network_sent_bytes),
            (&mut self.restarts, sample.restarts),
            (&mut self.requests, sample.requests),
            (&mut self.errors_5xx, sample.errors_5xx),
            (&mut self.answered_bytes, sample.sent_bytes),
        ] {
            *total = total.saturating_add(more);
        }
        self.latency.merge(&sample.latency);
    }

    /// What is told of the project; `latest` is what it uses now, if that is known.
    pub(crate) fn readings(&self, latest: Option<&Latest>, visitors: Visitors) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(13);
        if let Some(latest) = latest.filter(|latest| latest.sample.samples > 0) {
            let sample = &latest.sample;
            let whole = |family, number| Reading::of(family, Value::Whole(number));
            readings.extend([
                Reading::of(&CPU, cores(sample.cpu_milli)),
                Reading::of(&CPU_LIMIT, cores(latest.cpu_limit_milli)),
                whole(&MEMORY, sample.memory_bytes),
                whole(&MEMORY_LIMIT, latest.memory_limit_bytes),
                whole(&REPLICAS, sample.replicas),
            ]);
            if sample.disk_bytes > 0 {
                readings.push(whole(&DISK, sample.disk_bytes));
            }
        }
        let mut count = |family, number| readings.push(Reading::of(family, Value::Whole(number)));
        count(&RECEIVED, self.received_bytes);
        count(&SENT, self.sent_bytes);
        count(&RESTARTS, self.restarts);
        if visitors == Visitors::Come {
            count(&REQUESTS, self.requests);
            count(&ERRORS, self.errors_5xx);
            count(&ANSWERED, self.answered_bytes);
            if self.latency.count() > 0 {
                let histogram = Value::Histogram(histogram(&self.latency));
                readings.push(Reading::of(&LATENCY, histogram));
            }
        }
        readings
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no machine has so many cores that it matters"
)]
fn cores(milli: u64) -> Value {
    Value::Decimal(milli as f64 / 1_000.0)
}

/// The fewer ranges: each of the more belongs to one of them wholly.
fn histogram(latency: &Latency) -> Histogram {
    let mut counts = vec![0_u64; BOUNDS.len() + 1];
    for (index, count) in latency.buckets().iter().enumerate() {
        let bound = LATENCY_BOUNDS_US.get(index).copied().unwrap_or(u64::MAX);
        let range = BOUNDS_US.partition_point(|its| *its < bound);
        counts[range] = counts[range].saturating_add(*count);
    }
    Histogram {
        bounds: &BOUNDS,
        counts,
        // The proxy counts by ranges, and no sum.
        sum: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_ranges_are_made_of_those_that_are_counted_by() {
        for (micros, seconds) in BOUNDS_US.into_iter().zip(BOUNDS) {
            assert!(LATENCY_BOUNDS_US.contains(&micros), "{micros}");
            let written = Duration::from_micros(micros).as_secs_f64();
            assert!((written - seconds).abs() < 1e-9, "{micros}");
        }
        let mut latency = Latency::default();
        for (micros, times) in [
            (1, 1),
            (5_000, 2),
            (5_001, 4),
            (30_000_000, 8),
            (40_000_000, 16),
        ] {
            for _ in 0..times {
                latency.record(Duration::from_micros(micros));
            }
        }
        let counts = histogram(&latency).counts;
        assert_eq!(counts, [3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 16]);
    }

    #[test]
    fn counts_go_on_and_what_is_not_known_is_left_out() {
        let sample = Sample {
            samples: 1,
            cpu_milli: 250,
            memory_bytes: 1_000,
            replicas: 2,
            network_received_bytes: 10,
            requests: 7,
            restarts: 1,
            ..Sample::default()
        };
        let mut totals = Totals::default();
        totals.add(&sample);
        totals.add(&sample);
        let latest = Latest {
            sample,
            cpu_limit_milli: 1_000,
            memory_limit_bytes: 2_000,
            ..Latest::default()
        };
        let told = |latest: Option<&Latest>, visitors| -> Vec<(String, Value)> {
            let readings = totals.readings(latest, visitors).into_iter();
            readings
                .map(|reading| (reading.family.text_name(), reading.value))
                .collect()
        };
        let counted = [
            ("tose_project_network_received_bytes", Value::Whole(20)),
            ("tose_project_network_sent_bytes", Value::Whole(0)),
            ("tose_project_restarts", Value::Whole(2)),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        assert_eq!(told(None, Visitors::None), counted);
        let not_measured = Latest::default();
        assert_eq!(told(Some(&not_measured), Visitors::None), counted);
        let all = told(Some(&latest), Visitors::Come);
        let expected = [
            ("tose_project_cpu_usage_cores", Value::Decimal(0.25)),
            ("tose_project_cpu_limit_cores", Value::Decimal(1.0)),
            ("tose_project_memory_usage_bytes", Value::Whole(1_000)),
            ("tose_project_memory_limit_bytes", Value::Whole(2_000)),
            ("tose_project_replicas", Value::Whole(2)),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let visited = [
            ("tose_project_requests", Value::Whole(14)),
            ("tose_project_errors_5xx", Value::Whole(0)),
            ("tose_project_response_sent_bytes", Value::Whole(0)),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        assert_eq!(all, [&expected[..], &counted, &visited].concat());
    }
}

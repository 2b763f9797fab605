//! What is measured: where each number stands in a point, and how it is written.

use clap::ValueEnum;
use tose_api::metrics::MetricsPoint;

use crate::output::Style;

/// What can be shown, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Metric {
    /// Cores
    Cpu,
    /// Memory
    Memory,
    /// Bytes received a second
    Received,
    /// Bytes sent a second
    Sent,
    /// Bytes on the disk: what replicas wrote, volumes, a database's data
    Disk,
    /// Starts of replicas after a crash
    Restarts,
    /// Requests a second
    Requests,
    /// How long half of the requests took at most
    P50,
    /// How long 90 of 100 requests took at most; only if it is named
    P90,
    /// How long 95 of 100 requests took at most; only if it is named
    P95,
    /// How long 99 of 100 requests took at most
    P99,
    /// Answers with a status of 500 and above
    #[value(name = "5xx")]
    Errors,
}

/// What is told of all points together, besides the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summary {
    /// The lowest, the average and the highest.
    Average,
    /// The lowest and the highest: an average of percentiles, or of what only grows, says nothing.
    Range,
    /// The highest and the sum.
    Sum,
}

/// One of the things that are measured.
pub(super) struct Series {
    pub(super) metric: Metric,
    /// At the head of a plot.
    pub(super) name: &'static str,
    /// At the head of a column.
    pub(super) heading: &'static str,
    pub(super) style: Style,
    pub(super) summary: Summary,
    /// A number of this kind, for people.
    pub(super) write: fn(u64) -> String,
    /// The number of a point that stands for so many seconds.
    pub(super) read: fn(&MetricsPoint, u32) -> Option<u64>,
}

impl Series {
    /// Whether databases have it too, which serve no requests.
    fn is_of_databases(&self) -> bool {
        use Metric::{Cpu, Disk, Memory, Received, Restarts, Sent};
        matches!(
            self.metric,
            Cpu | Memory | Received | Sent | Disk | Restarts
        )
    }

    /// Whether it is shown where nothing is named: two percentiles are enough for a look.
    fn is_usual(&self) -> bool {
        !matches!(self.metric, Metric::P90 | Metric::P95)
    }
}

static SERIES: [Series; 12] = [
    Series {
        metric: Metric::Cpu,
        name: "cpu",
        heading: "CPU",
        style: Style::Good,
        summary: Summary::Average,
        write: cores,
        read: |point, _| Some(point.cpu_milli),
    },
    Series {
        metric: Metric::Memory,
        name: "memory",
        heading: "MEMORY",
        style: Style::Good,
        summary: Summary::Average,
        write: bytes,
        read: |point, _| Some(point.memory_bytes),
    },
    Series {
        metric: Metric::Received,
        name: "received",
        heading: "RECEIVED",
        style: Style::Good,
        summary: Summary::Average,
        write: rate,
        read: |point, step| Some(point.network_received_bytes / u64::from(step.max(1))),
    },
    Series {
        metric: Metric::Sent,
        name: "sent",
        heading: "SENT",
        style: Style::Good,
        summary: Summary::Average,
        write: rate,
        read: |point, step| Some(point.network_sent_bytes / u64::from(step.max(1))),
    },
    Series {
        metric: Metric::Disk,
        name: "disk",
        heading: "DISK",
        style: Style::Good,
        summary: Summary::Range,
        write: bytes,
        read: |point, _| point.disk_bytes,
    },
    Series {
        metric: Metric::Restarts,
        name: "restarts",
        heading: "RESTARTS",
        style: Style::Bad,
        summary: Summary::Sum,
        write: |number| number.to_string(),
        read: |point, _| Some(point.restarts),
    },
    Series {
        metric: Metric::Requests,
        name: "requests",
        heading: "REQUESTS",
        style: Style::Good,
        summary: Summary::Average,
        write: frequency,
        read: |point, _| Some(point.requests_per_second_milli),
    },
    Series {
        metric: Metric::P50,
        name: "p50",
        heading: "P50",
        style: Style::Busy,
        summary: Summary::Range,
        write: latency,
        read: |point, _| point.p50_us,
    },
    Series {
        metric: Metric::P90,
        name: "p90",
        heading: "P90",
        style: Style::Busy,
        summary: Summary::Range,
        write: latency,
        read: |point, _| point.p90_us,
    },
    Series {
        metric: Metric::P95,
        name: "p95",
        heading: "P95",
        style: Style::Busy,
        summary: Summary::Range,
        write: latency,
        read: |point, _| point.p95_us,
    },
    Series {
        metric: Metric::P99,
        name: "p99",
        heading: "P99",
        style: Style::Busy,
        summary: Summary::Range,
        write: latency,
        read: |point, _| point.p99_us,
    },
    Series {
        metric: Metric::Errors,
        name: "5xx",
        heading: "5XX",
        style: Style::Bad,
        summary: Summary::Sum,
        write: |number| number.to_string(),
        read: |point, _| Some(point.errors_5xx),
    },
];

/// Those that are named, or the usual ones, as far as the subject has them.
pub(super) fn choose(only: &[Metric], is_database: bool) -> Vec<&'static Series> {
    let is_wanted = |series: &&Series| {
        let is_asked = match only {
            [] => series.is_usual(),
            _ => only.contains(&series.metric),
        };
        is_asked && (!is_database || series.is_of_databases())
    };
    SERIES.iter().filter(is_wanted).collect()
}

/// Thousandths of a core: `12m`, `1.25 cores`.
fn cores(milli: u64) -> String {
    match milli {
        0..1000 => format!("{milli}m"),
        _ => format!("{}.{:02} cores", milli / 1000, milli % 1000 / 10),
    }
}

/// `512 B`, `6.4 MiB`, `120 GiB`.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while size >= 10_240 && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{} {}", tenths(size), UNITS[unit])
}

fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// Thousandths of a request a second: `0.25/s`, `12.5/s`, `1250/s`.
fn frequency(milli: u64) -> String {
    match milli {
        0 => "0/s".to_owned(),
        1..1000 => format!("0.{:03}/s", milli),
        _ => format!("{}/s", tenths(u128::from(milli / 100))),
    }
}

/// Microseconds: `850 µs`, `12.3 ms`, `1.2 s`.
fn latency(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{} ms", tenths(u128::from(micros / 100))),
        _ => format!("{} s", tenths(u128::from(micros / 100_000))),
    }
}

/// A number that was given in tenths; above 100 without them.
fn tenths(number: u128) -> String {
    match number {
        1000.. => (number / 10).to_string(),
        _ => format!("{}.{}", number / 10, number % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_fits() {
        let check = |write: fn(u64) -> String, numbers: &[(u64, &str)]| {
            for (number, text) in numbers {
                assert_eq!(write(*number), *text);
            }
        };
        check(cores, &[(0, "0m"), (999, "999m"), (1250, "1.25 cores")]);
        let memory = [
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (6_710_886, "6.3 MiB"),
            (1_073_741_823, "1023 MiB"),
            (128_849_018_880, "120 GiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        check(bytes, &memory);
        check(rate, &[(2048, "2.0 KiB/s")]);
        let requests = [
            (0, "0/s"),
            (50, "0.050/s"),
            (12_500, "12.5/s"),
            (1_250_000, "1250/s"),
        ];
        check(frequency, &requests);
        let times = [
            (850, "850 µs"),
            (12_345, "12.3 ms"),
            (999_999, "999 ms"),
            (1_250_000, "1.2 s"),
        ];
        check(latency, &times);
    }

    #[test]
    fn databases_serve_no_requests() {
        let names = |only: &[Metric], is_database| {
            let series = choose(only, is_database).into_iter();
            series.map(|series| series.name).collect::<Vec<_>>()
        };
        let of_databases = ["cpu", "memory", "received", "sent", "disk", "restarts"];
        assert_eq!(names(&[], true), of_databases);
        let disk = [Metric::Restarts, Metric::P90, Metric::Disk];
        assert_eq!(names(&disk, true), ["disk", "restarts"]);
        assert_eq!(names(&[Metric::P99, Metric::Cpu], false), ["cpu", "p99"]);
        assert!(names(&[Metric::P99], true).is_empty());
    }

    #[test]
    fn some_percentiles_are_shown_only_if_they_are_named() {
        let names = |only: &[Metric]| {
            let series = choose(only, false).into_iter();
            series.map(|series| series.name).collect::<Vec<_>>()
        };
        let usual = names(&[]);
        assert_eq!(usual.len(), SERIES.len() - 2);
        assert!(!usual.contains(&"p90") && !usual.contains(&"p95"));
        assert_eq!(names(&[Metric::P95, Metric::P90]), ["p90", "p95"]);
    }
}

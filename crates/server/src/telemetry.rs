//! What the server tells its operators of itself, for Prometheus and its like.
//!
//! Owns the registry and the names in it. What the store knows is not held here: it comes along
//! with each question.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tose_api::Timestamp;
use tose_model::traffic::Traffic;

/// The bounds of the latency histogram, in seconds.
const LATENCY_BOUNDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A call as the list of routes has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Operation {
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
}

impl Operation {
    /// Whatever is not on the list.
    const OTHER: Self = Self {
        operation: "other",
        method: "other",
    };
}

/// Which call a request is, by its path as the router matched it.
#[derive(Default)]
pub(crate) struct Operations(HashMap<String, Vec<(Method, Operation)>>);

impl Operations {
    /// Adds a call that is made with `method`.
    pub(crate) fn add(&mut self, path: &str, method: Method, operation: Operation) {
        let calls = self.0.entry(path.to_owned()).or_default();
        calls.push((method, operation));
    }

    /// The call of a request. Allocates nothing.
    pub(crate) fn find(&self, path: Option<&str>, method: &Method) -> Operation {
        let method = match method {
            // The router lets the handler of GET answer it.
            &Method::HEAD => &Method::GET,
            other => other,
        };
        let mut calls = path.and_then(|path| self.0.get(path)).into_iter().flatten();
        calls
            .find(|(its, _)| its == method)
            .map_or(Operation::OTHER, |(_, operation)| *operation)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    operation: &'static str,
    method: &'static str,
    class: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

/// What the store counts, by status.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) projects: BTreeMap<&'static str, u64>,
    pub(crate) deployments: BTreeMap<&'static str, u64>,
}

/// A round of the sampler that got everything.
#[derive(Debug, Clone, Copy)]
struct Round {
    at: Timestamp,
    took: Duration,
}

type Latencies = Family<Operation, Histogram, fn() -> Histogram>;

/// The server's counters.
pub(crate) struct Telemetry {
    registry: Registry,
    requests: Family<Answer, Counter>,
    latencies: Latencies,
    sampler: Mutex<Option<Round>>,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let requests = Family::<Answer, Counter>::default();
        let latencies = Latencies::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS));
        let mut registry = Registry::with_prefix("tose");
        registry.register(
            "build",
            "The server's version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "http_requests",
            "Calls of the API that were answered",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long calls of the API took",
            Unit::Seconds,
            latencies.clone(),
        );
        Self {
            registry,
            requests,
            latencies,
            sampler: Mutex::default(),
        }
    }

    /// Counts a call that was answered.
    pub(crate) fn answered(&self, operation: Operation, status: u16, took: Duration) {
        let answer = Answer {
            operation: operation.operation,
            method: operation.method,
            class: CLASSES[Traffic::class_of(status)],
        };
        self.requests.get_or_create(&answer).inc();
        self.latencies
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
    }

    /// Notes that the sampler got everything, at `at`, in this time.
    pub(crate) fn sampled(&self, at: Timestamp, took: Duration) {
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        *sampler = Some(Round { at, took });
    }

    /// Everything as OpenMetrics text.
    pub(crate) fn text(&self, counts: &Counts, now: Timestamp) -> String {
        let mut registry = Registry::with_prefix("tose");
        let projects = by_status(&counts.projects);
        registry.register("projects", "Projects, by status", projects);
        let deployments = by_status(&counts.deployments);
        registry.register("deployments", "Deployments, by status", deployments);
        let sampler = *self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Round { at, took }) = sampler {
            registry.register_with_unit(
                "sampler_duration",
                "How long the last complete round of measuring projects took",
                Unit::Seconds,
                seconds(took),
            );
            registry.register_with_unit(
                "sampler_age",
                "How long ago the last complete round of measuring projects was",
                Unit::Seconds,
                seconds(now.since(at)),
            );
        }
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)
            .and_then(|()| text::encode_registry(&mut text, &registry))
            .and_then(|()| text::encode_eof(&mut text))
            .expect("a String takes all that is written to it");
        text
    }
}

fn by_status(counts: &BTreeMap<&'static str, u64>) -> Family<Status, Gauge<u64, AtomicU64>> {
    let family = Family::<Status, Gauge<u64, AtomicU64>>::default();
    for (status, count) in counts {
        family.get_or_create(&Status { status }).set(*count);
    }
    family
}

fn seconds(duration: Duration) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::default();
    gauge.set(duration.as_secs_f64());
    gauge
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET_ME: Operation = Operation {
        operation: "get_me",
        method: "GET",
    };

    #[test]
    fn a_request_is_named_after_its_route() {
        let attach = Operation {
            operation: "attach",
            method: "WS",
        };
        let mut operations = Operations::default();
        operations.add("/api/me", Method::GET, GET_ME);
        operations.add("/api/exec", Method::GET, attach);
        for (path, method, expected) in [
            (Some("/api/me"), Method::GET, GET_ME),
            (Some("/api/me"), Method::HEAD, GET_ME),
            (Some("/api/me"), Method::POST, Operation::OTHER),
            (Some("/api/exec"), Method::GET, attach),
            (Some("/api/you"), Method::GET, Operation::OTHER),
            (None, Method::GET, Operation::OTHER),
        ] {
            assert_eq!(operations.find(path, &method), expected, "{path:?}");
        }
    }

    #[test]
    fn the_text_is_as_written_down() {
        let telemetry = Telemetry::new();
        telemetry.answered(GET_ME, 200, Duration::from_millis(3));
        telemetry.answered(GET_ME, 204, Duration::from_secs(60));
        telemetry.sampled(Timestamp::from_nanos(0), Duration::from_millis(250));
        let counts = Counts {
            projects: BTreeMap::from([("running", 3)]),
            deployments: BTreeMap::from([("failed", 1)]),
        };
        let text = telemetry.text(&counts, Timestamp::from_nanos(7_000_000_000));
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn before_the_first_round_the_sampler_has_no_age() {
        let text = Telemetry::new().text(&Counts::default(), Timestamp::from_nanos(0));
        assert!(!text.contains("sampler"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}

//! What the server tells its operators of itself and of projects, for Prometheus and its like.
//!
//! Owns the counts since the server's start. What the store knows is not held here: it comes along with each
//! question. Everything is told as a list of [`Subject`]s, which `text` and `otlp` write down each in its form.

mod family;
pub(crate) mod otlp;
mod projects;
pub(crate) mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use tose_api::{ProjectId, Timestamp};
use tose_model::project::ProjectKind;
use tose_model::traffic::Traffic;
use tose_store::ProjectName;

use self::family::{Family, Histogram, Kind, Reading, Unit, Value};
pub(crate) use self::family::{Subject, Whom};
use self::projects::{Totals, Visitors};
use self::text::fixed;
use crate::metrics::{Latest, Round};

/// The bounds of the latency histogram, in seconds.
const LATENCY_BOUNDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// What is older does not say what projects use now.
const FRESH: Duration = Duration::from_secs(60);

static BUILD: Family = Family {
    name: "tose.build",
    help: "The server's version",
    kind: Kind::Info,
    unit: Unit::Things("1"),
};
static HTTP_REQUESTS: Family = Family {
    name: "tose.http.requests",
    help: "Calls of the API that were answered",
    kind: Kind::Counter,
    unit: Unit::Things("{request}"),
};
static HTTP_DURATION: Family = Family {
    name: "tose.http.request.duration",
    help: "How long calls of the API took",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
};
static PROJECTS: Family = Family {
    name: "tose.projects",
    help: "Projects, by status",
    kind: Kind::Gauge,
    unit: Unit::Things("{project}"),
};
static DEPLOYMENTS: Family = Family {
    name: "tose.deployments",
    help: "Deployments, by status",
    kind: Kind::Gauge,
    unit: Unit::Things("{deployment}"),
};
static SAMPLER_DURATION: Family = Family {
    name: "tose.sampler.duration",
    help: "How long the last complete round of measuring projects took",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
};
static SAMPLER_AGE: Family = Family {
    name: "tose.sampler.age",
    help: "How long ago the last complete round of measuring projects was",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
};
static EXPORTS: Family = Family {
    name: "tose.otlp.exports",
    help: "Exports of metrics by OTLP, by what became of them",
    kind: Kind::Counter,
    unit: Unit::Things("{export}"),
};

/// A call as the list of routes has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What was answered to calls of one operation.
#[derive(Default)]
struct Calls {
    by_class: [u64; CLASSES.len()],
    by_duration: [u64; LATENCY_BOUNDS.len() + 1],
    took: Duration,
}

/// What the store counts, by status.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) projects: BTreeMap<&'static str, u64>,
    pub(crate) deployments: BTreeMap<&'static str, u64>,
}

/// A round of the sampler that got everything.
#[derive(Debug, Clone, Copy)]
struct Complete {
    at: Timestamp,
    took: Duration,
}

/// What became of exports.
#[derive(Debug, Clone, Copy, Default)]
struct Exports {
    delivered: u64,
    failed: u64,
}

/// The server's counters.
pub(crate) struct Telemetry {
    since: Timestamp,
    calls: Mutex<BTreeMap<Operation, Calls>>,
    sampler: Mutex<Option<Complete>>,
    /// `None` where nothing is to be told of projects.
    projects: Option<Mutex<BTreeMap<ProjectId, Totals>>>,
    /// `None` where nothing is exported.
    exports: Option<Mutex<Exports>>,
}

impl Telemetry {
    /// Counts from now on; of projects and of exports only where that is wanted.
    pub(crate) fn new(now: Timestamp, with_projects: bool, with_exports: bool) -> Self {
        Self {
            since: now,
            calls: Mutex::default(),
            sampler: Mutex::default(),
            projects: with_projects.then(Mutex::default),
            exports: with_exports.then(Mutex::default),
        }
    }

    /// When all counts were 0.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Counts a call that was answered.
    pub(crate) fn answered(&self, operation: Operation, status: u16, took: Duration) {
        let range = LATENCY_BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        let mut calls = lock(&self.calls);
        let calls = calls.entry(operation).or_default();
        calls.by_class[Traffic::class_of(status)] += 1;
        calls.by_duration[range] += 1;
        calls.took = calls.took.saturating_add(took);
    }

    /// Notes that the sampler got everything, at `at`, in this time.
    pub(crate) fn sampled(&self, at: Timestamp, took: Duration) {
        *lock(&self.sampler) = Some(Complete { at, took });
    }

    /// Counts what projects did since the round before.
    pub(crate) fn count_projects(&self, round: &BTreeMap<ProjectId, Latest>) {
        let Some(projects) = &self.projects else {
            return;
        };
        let mut projects = lock(projects);
        for (id, latest) in round {
            projects.entry(*id).or_default().add(&latest.sample);
        }
    }

    /// Forgets a project that is gone.
    pub(crate) fn forget_project(&self, id: ProjectId) {
        if let Some(projects) = &self.projects {
            lock(projects).remove(&id);
        }
    }

    /// Counts an export.
    pub(crate) fn exported(&self, is_delivered: bool) {
        let Some(exports) = &self.exports else {
            return;
        };
        let mut exports = lock(exports);
        let count = match is_delivered {
            true => &mut exports.delivered,
            false => &mut exports.failed,
        };
        *count += 1;
    }

    /// What is told of the server itself.
    pub(crate) fn server(&self, counts: &Counts, now: Timestamp) -> Subject {
        let mut readings = vec![Reading {
            family: &BUILD,
            labels: vec![fixed("version", env!("CARGO_PKG_VERSION"))],
            value: Value::Whole(1),
        }];
        self.add_calls(&mut readings);
        for (family, counts) in [
            (&PROJECTS, &counts.projects),
            (&DEPLOYMENTS, &counts.deployments),
        ] {
            readings.extend(counts.iter().map(|(status, count)| Reading {
                family,
                labels: vec![fixed("status", status)],
                value: Value::Whole(*count),
            }));
        }
        if let Some(Complete { at, took }) = *lock(&self.sampler) {
            let seconds = |time: Duration| Value::Decimal(time.as_secs_f64());
            readings.push(Reading::of(&SAMPLER_DURATION, seconds(took)));
            readings.push(Reading::of(&SAMPLER_AGE, seconds(now.since(at))));
        }
        if let Some(exports) = &self.exports {
            let Exports { delivered, failed } = *lock(exports);
            for (outcome, count) in [("delivered", delivered), ("failed", failed)] {
                readings.push(Reading {
                    family: &EXPORTS,
                    labels: vec![fixed("outcome", outcome)],
                    value: Value::Whole(count),
                });
            }
        }
        Subject {
            whom: Whom::Server,
            readings,
        }
    }

    fn add_calls(&self, readings: &mut Vec<Reading>) {
        let calls = lock(&self.calls);
        let of = |operation: &Operation| {
            vec![
                fixed("operation", operation.operation),
                fixed("method", operation.method),
            ]
        };
        for (operation, calls) in calls.iter() {
            let classes = CLASSES.into_iter().zip(calls.by_class);
            for (class, count) in classes.filter(|(_, count)| *count > 0) {
                let mut labels = of(operation);
                labels.push(fixed("class", class));
                readings.push(Reading {
                    family: &HTTP_REQUESTS,
                    labels,
                    value: Value::Whole(count),
                });
            }
        }
        readings.extend(calls.iter().map(|(operation, calls)| Reading {
            family: &HTTP_DURATION,
            labels: of(operation),
            value: Value::Histogram(Histogram {
                bounds: &LATENCY_BOUNDS,
                counts: calls.by_duration.to_vec(),
                sum: Some(calls.took.as_secs_f64()),
            }),
        }));
    }

    /// The projects of which something is counted.
    pub(crate) fn counted_projects(&self) -> Vec<ProjectId> {
        let Some(projects) = &self.projects else {
            return Vec::new();
        };
        lock(projects).keys().copied().collect()
    }

    /// What is told of projects that have these names. Those among `counted` that have none are gone, and forgotten.
    pub(crate) fn projects(
        &self,
        counted: &[ProjectId],
        names: Vec<ProjectName>,
        round: &Round,
        now: Timestamp,
    ) -> Vec<Subject> {
        let Some(projects) = &self.projects else {
            return Vec::new();
        };
        let is_fresh = round.at.is_some_and(|at| now.since(at) <= FRESH);
        let mut projects = lock(projects);
        let mut gone: BTreeSet<ProjectId> = counted.iter().copied().collect();
        let mut subjects = Vec::with_capacity(projects.len());
        for name in names {
            gone.remove(&name.id);
            let Some(totals) = projects.get(&name.id) else {
                continue;
            };
            let (kind, visitors) = match name.kind {
                ProjectKind::App => ("project", Visitors::Come),
                ProjectKind::Template(_) => ("template", Visitors::Come),
                ProjectKind::Database => ("database", Visitors::None),
            };
            let latest = round.projects.get(&name.id).filter(|_| is_fresh);
            subjects.push(Subject {
                whom: Whom::Project {
                    workspace: name.workspace.to_string(),
                    project: name.project.to_string(),
                    kind,
                },
                readings: totals.readings(latest, visitors),
            });
        }
        projects.retain(|id, _| !gone.contains(id));
        subjects
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tose_model::IdGen;
    use tose_testkit::SeededIds;

    use super::*;
    use crate::metrics::Sample;

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

    const START: Timestamp = Timestamp::from_nanos(0);

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_text_is_as_written_down() {
        let telemetry = Telemetry::new(START, false, true);
        telemetry.answered(GET_ME, 200, Duration::from_millis(3));
        telemetry.answered(GET_ME, 204, Duration::from_secs(60));
        telemetry.answered(GET_ME, 404, Duration::from_millis(2));
        telemetry.sampled(START, Duration::from_millis(250));
        telemetry.exported(true);
        let counts = Counts {
            projects: BTreeMap::from([("running", 3)]),
            deployments: BTreeMap::from([("failed", 1)]),
        };
        let text = text::encode(&[telemetry.server(&counts, after(7))]);
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn before_the_first_round_the_sampler_has_no_age() {
        let telemetry = Telemetry::new(START, true, false);
        let text = text::encode(&[telemetry.server(&Counts::default(), START)]);
        assert!(!text.contains("sampler"), "{text}");
        assert!(!text.contains("otlp"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    fn name(ids: &SeededIds, project: &str, kind: ProjectKind) -> ProjectName {
        ProjectName {
            id: ProjectId::from_uuid(ids.uuid()),
            workspace: "demo".parse().expect("a slug"),
            project: project.parse().expect("a slug"),
            kind,
        }
    }

    fn round(at: Timestamp, names: &[ProjectName]) -> Round {
        let latest = Latest {
            sample: Sample {
                samples: 1,
                replicas: 1,
                requests: 3,
                ..Sample::default()
            },
            ..Latest::default()
        };
        let projects = names.iter().map(|name| (name.id, latest.clone()));
        Round {
            at: Some(at),
            projects: projects.collect(),
            ..Round::default()
        }
    }

    #[test]
    fn projects_are_told_of_while_the_store_knows_them_and_gauges_while_they_are_fresh() {
        let ids = SeededIds::new(1);
        let telemetry = Telemetry::new(START, true, false);
        let names = vec![
            name(&ids, "shop", ProjectKind::App),
            name(&ids, "store", ProjectKind::Database),
            name(&ids, "notes", ProjectKind::Template("it-tools".to_owned())),
            // Nothing was seen of it.
            name(&ids, "new", ProjectKind::App),
        ];
        let round = round(START, &names[..3]);
        telemetry.count_projects(&round.projects);
        telemetry.count_projects(&round.projects);
        let told = |names: &[ProjectName], now| -> Vec<String> {
            let counted = telemetry.counted_projects();
            let subjects = telemetry.projects(&counted, names.to_vec(), &round, now);
            let text = text::encode(&subjects);
            let lines = text.lines().filter(|line| {
                ["tose_project_replicas{", "tose_project_requests_total{"]
                    .iter()
                    .any(|begin| line.starts_with(begin))
            });
            lines.map(str::to_owned).collect()
        };
        let requests = [
            r#"tose_project_requests_total{workspace="demo",project="shop",kind="project"} 6"#,
            r#"tose_project_requests_total{workspace="demo",project="notes",kind="template"} 6"#,
        ];
        let replicas = [
            r#"tose_project_replicas{workspace="demo",project="shop",kind="project"} 1"#,
            r#"tose_project_replicas{workspace="demo",project="store",kind="database"} 1"#,
            r#"tose_project_replicas{workspace="demo",project="notes",kind="template"} 1"#,
        ];
        assert_eq!(told(&names, after(60)), [&replicas[..], &requests].concat());
        assert_eq!(told(&names, after(61)), requests);
        // A project that came between the two looks is not taken for gone.
        let subjects = telemetry.projects(&[], names[1..].to_vec(), &round, START);
        assert_eq!(subjects.len(), 2);
        assert_eq!(telemetry.counted_projects().len(), 3);
        assert_eq!(told(&names[1..], after(61)), requests[1..]);
        assert_eq!(telemetry.counted_projects().len(), 2);
        telemetry.forget_project(names[2].id);
        assert_eq!(told(&names, after(61)), [""; 0]);
    }

    #[test]
    fn nothing_is_counted_of_projects_where_that_is_switched_off() {
        let ids = SeededIds::new(1);
        let telemetry = Telemetry::new(START, false, false);
        let names = vec![name(&ids, "shop", ProjectKind::App)];
        let round = round(START, &names);
        telemetry.count_projects(&round.projects);
        assert_eq!(telemetry.counted_projects(), []);
        assert_eq!(telemetry.projects(&[], names, &round, START), []);
    }
}

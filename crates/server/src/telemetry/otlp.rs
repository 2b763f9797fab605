//! Readings as OTLP/HTTP takes them in JSON: metrics of the OpenTelemetry protocol, version 1.
//!
//! Guarantees: a subject is a resource of its own; counts are cumulative and say since when; whole numbers are texts,
//! as JSON's own cannot hold all of them. What only has labels is part of the server's resource.

use std::borrow::Cow;

use serde::Serialize;
use tose_api::Timestamp;

use super::family::{Family, Kind, Label, Reading, Subject, Value, Whom};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;
/// The largest whole number of a reading.
const MAX_INT: u64 = i64::MAX.unsigned_abs();

/// When readings were taken, and where.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// When all counts were 0.
    pub(crate) since: Timestamp,
    /// When they were read.
    pub(crate) at: Timestamp,
    /// The installation's id.
    pub(crate) installation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    resource: Resource<'a>,
    scope_metrics: [ScopeMetrics<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeMetrics<'a> {
    scope: Scope,
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Metric<'a> {
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Data<'a> {
    #[serde(rename_all = "camelCase")]
    Gauge { data_points: Vec<NumberPoint<'a>> },
    #[serde(rename_all = "camelCase")]
    Sum {
        data_points: Vec<NumberPoint<'a>>,
        aggregation_temporality: u8,
        is_monotonic: bool,
    },
    #[serde(rename_all = "camelCase")]
    Histogram {
        data_points: Vec<HistogramPoint<'a>>,
        aggregation_temporality: u8,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NumberPoint<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_unix_nano: Option<String>,
    time_unix_nano: String,
    #[serde(flatten)]
    value: Number,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Number {
    AsInt(String),
    AsDouble(f64),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistogramPoint<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
    start_time_unix_nano: String,
    time_unix_nano: String,
    count: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<f64>,
    bucket_counts: Vec<String>,
    explicit_bounds: &'static [f64],
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    string_value: Cow<'a, str>,
}

/// The body of one request that brings these subjects' readings.
pub(crate) fn encode(subjects: &[Subject], taken: &Taken) -> Vec<u8> {
    let resource_metrics = subjects
        .iter()
        .map(|subject| ResourceMetrics {
            resource: Resource {
                attributes: resource(&subject.whom, &taken.installation),
            },
            scope_metrics: [ScopeMetrics {
                scope: Scope {
                    name: "tose",
                    version: env!("CARGO_PKG_VERSION"),
                },
                metrics: metrics(&subject.readings, taken),
            }],
        })
        .collect();
    serde_json::to_vec(&Request { resource_metrics }).expect("texts and numbers are always JSON")
}

fn attribute<'a>(key: &'static str, value: impl Into<Cow<'a, str>>) -> Attribute<'a> {
    let string_value = value.into();
    Attribute {
        key,
        value: Text { string_value },
    }
}

fn resource<'a>(whom: &'a Whom, installation: &'a str) -> Vec<Attribute<'a>> {
    let mut attributes = match whom {
        Whom::Server => vec![
            attribute("service.name", "tose"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("service.instance.id", installation),
        ],
        Whom::Project {
            workspace,
            project,
            kind,
        } => vec![
            // As log drains name them.
            attribute("service.name", project),
            attribute("service.namespace", workspace),
            attribute("tose.workspace", workspace),
            attribute("tose.project", project),
            attribute("tose.kind", *kind),
        ],
    };
    attributes.push(attribute("tose.installation", installation));
    attributes
}

fn metrics<'a>(readings: &'a [Reading], taken: &Taken) -> Vec<Metric<'a>> {
    let same = |one: &Reading, next: &Reading| one.family == next.family;
    readings
        .chunk_by(same)
        .filter_map(|readings| {
            let family = readings.first()?.family;
            Some(Metric {
                name: family.name,
                description: family.help,
                unit: family.unit.code(),
                data: data(family, readings, taken)?,
            })
        })
        .collect()
}

/// `None` of what only has labels.
fn data<'a>(family: &Family, readings: &'a [Reading], taken: &Taken) -> Option<Data<'a>> {
    Some(match family.kind {
        Kind::Info => return None,
        Kind::Gauge => Data::Gauge {
            data_points: numbers(readings, None, taken.at),
        },
        Kind::Counter => Data::Sum {
            data_points: numbers(readings, Some(taken.since), taken.at),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        },
        Kind::Histogram => Data::Histogram {
            data_points: histograms(readings, taken),
            aggregation_temporality: CUMULATIVE,
        },
    })
}

fn numbers(readings: &[Reading], since: Option<Timestamp>, at: Timestamp) -> Vec<NumberPoint<'_>> {
    let number = |value: &Value| match value {
        // It is a signed one there.
        Value::Whole(number) => Some(Number::AsInt(number.min(&MAX_INT).to_string())),
        Value::Decimal(number) => Some(Number::AsDouble(*number)),
        Value::Histogram(_) => None,
    };
    readings
        .iter()
        .filter_map(|reading| {
            Some(NumberPoint {
                attributes: attributes(&reading.labels),
                start_time_unix_nano: since.map(nanos),
                time_unix_nano: nanos(at),
                value: number(&reading.value)?,
            })
        })
        .collect()
}

fn histograms<'a>(readings: &'a [Reading], taken: &Taken) -> Vec<HistogramPoint<'a>> {
    readings
        .iter()
        .filter_map(|reading| {
            let Value::Histogram(histogram) = &reading.value else {
                return None;
            };
            let counts = histogram.counts.iter();
            let count = counts
                .clone()
                .fold(0_u64, |sum, more| sum.saturating_add(*more));
            Some(HistogramPoint {
                attributes: attributes(&reading.labels),
                start_time_unix_nano: nanos(taken.since),
                time_unix_nano: nanos(taken.at),
                count: count.to_string(),
                sum: histogram.sum,
                bucket_counts: counts.map(u64::to_string).collect(),
                explicit_bounds: histogram.bounds,
            })
        })
        .collect()
}

fn attributes(labels: &[Label]) -> Vec<Attribute<'_>> {
    let labels = labels.iter();
    labels
        .map(|(key, value)| attribute(key, value.as_ref()))
        .collect()
}

fn nanos(time: Timestamp) -> String {
    time.as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::family::{Histogram, Unit};
    use super::*;

    static VERSION: Family = family("tose.test.build", Kind::Info, Unit::Things("1"));
    static CALLS: Family = family("tose.test.calls", Kind::Counter, Unit::Things("{call}"));
    static TIMES: Family = family("tose.test.time", Kind::Histogram, Unit::Seconds);
    static SIZE: Family = family("tose.test.size", Kind::Gauge, Unit::Bytes);

    const fn family(name: &'static str, kind: Kind, unit: Unit) -> Family {
        Family {
            name,
            help: "Help",
            kind,
            unit,
        }
    }

    fn call(operation: &'static str, count: u64) -> Reading {
        Reading {
            family: &CALLS,
            labels: vec![("operation", operation.into())],
            value: Value::Whole(count),
        }
    }

    #[test]
    fn it_is_json_as_the_protocol_has_it() {
        let histogram = Value::Histogram(Histogram {
            bounds: &[0.5, 1.0],
            counts: vec![1, 0, u64::MAX],
            sum: Some(70.25),
        });
        let subjects = [
            Subject {
                whom: Whom::Server,
                readings: vec![
                    Reading::of(&VERSION, Value::Whole(1)),
                    call("get", 3),
                    call("put", u64::MAX),
                    Reading::of(&TIMES, histogram),
                ],
            },
            Subject {
                whom: Whom::Project {
                    workspace: "demo".to_owned(),
                    project: "shop".to_owned(),
                    kind: "project",
                },
                readings: vec![Reading::of(&SIZE, Value::Decimal(0.25))],
            },
        ];
        let taken = Taken {
            since: Timestamp::from_nanos(1_000),
            at: Timestamp::from_nanos(2_000),
            installation: "0a1b2c3d".to_owned(),
        };
        let body = encode(&subjects, &taken);
        let found: Json = serde_json::from_slice(&body).expect("JSON");
        let text = |key, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let scope = json!({"name": "tose", "version": env!("CARGO_PKG_VERSION")});
        let sum = |operation, count: &str| {
            json!({
                "attributes": [text("operation", operation)],
                "startTimeUnixNano": "1000",
                "timeUnixNano": "2000",
                "asInt": count,
            })
        };
        let calls = json!({
            "name": "tose.test.calls", "description": "Help", "unit": "{call}",
            "sum": {
                "dataPoints": [sum("get", "3"), sum("put", "9223372036854775807")],
                "aggregationTemporality": 2,
                "isMonotonic": true,
            },
        });
        let times = json!({
            "name": "tose.test.time", "description": "Help", "unit": "s",
            "histogram": {
                "dataPoints": [{
                    "startTimeUnixNano": "1000",
                    "timeUnixNano": "2000",
                    "count": "18446744073709551615",
                    "sum": 70.25,
                    "bucketCounts": ["1", "0", "18446744073709551615"],
                    "explicitBounds": [0.5, 1.0],
                }],
                "aggregationTemporality": 2,
            },
        });
        let size = json!({
            "name": "tose.test.size", "description": "Help", "unit": "By",
            "gauge": {"dataPoints": [{"timeUnixNano": "2000", "asDouble": 0.25}]},
        });
        let expected = json!({"resourceMetrics": [
            {
                "resource": {"attributes": [
                    text("service.name", "tose"),
                    text("service.version", env!("CARGO_PKG_VERSION")),
                    text("service.instance.id", "0a1b2c3d"),
                    text("tose.installation", "0a1b2c3d"),
                ]},
                "scopeMetrics": [{"scope": scope, "metrics": [calls, times]}],
            },
            {
                "resource": {"attributes": [
                    text("service.name", "shop"),
                    text("service.namespace", "demo"),
                    text("tose.workspace", "demo"),
                    text("tose.project", "shop"),
                    text("tose.kind", "project"),
                    text("tose.installation", "0a1b2c3d"),
                ]},
                "scopeMetrics": [{"scope": scope, "metrics": [size]}],
            },
        ]});
        assert_eq!(found, expected);
    }
}

//! The services that take JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use tose_api::Timestamp;
use tose_api::log::LogLevel;

use super::{DrainLine, Origin, level, stream};

/// A line as an element of an array.
#[derive(Serialize)]
struct PlainLine<'a> {
    seq: u64,
    timestamp: Timestamp,
    workspace: &'a str,
    project: &'a str,
    pod: &'a str,
    stream: &'static str,
    level: LogLevel,
    message: Cow<'a, str>,
}

pub(super) fn plain(origin: &Origin, lines: &[DrainLine]) -> Vec<u8> {
    let lines: Vec<PlainLine<'_>> = lines
        .iter()
        .map(|numbered| PlainLine {
            seq: numbered.seq,
            timestamp: numbered.line.time,
            workspace: origin.workspace.as_str(),
            project: origin.project.as_str(),
            pod: &numbered.line.pod,
            stream: stream(&numbered.line),
            level: level(numbered),
            message: String::from_utf8_lossy(&numbered.line.text),
        })
        .collect();
    to_bytes(&lines)
}

#[derive(Serialize)]
struct LokiPush<'a> {
    streams: Vec<LokiStream<'a>>,
}

#[derive(Serialize)]
struct LokiStream<'a> {
    stream: LokiLabels<'a>,
    values: LokiValues<'a>,
}

/// Nanoseconds since 1970, and the text, of each line.
type LokiValues<'a> = Vec<(String, Cow<'a, str>)>;

#[derive(Serialize)]
struct LokiLabels<'a> {
    project: &'a str,
    workspace: &'a str,
    pod: &'a str,
    stream: &'a str,
}

pub(super) fn loki(origin: &Origin, lines: &[DrainLine]) -> Vec<u8> {
    let mut by_labels: BTreeMap<(&str, &str), LokiValues<'_>> = BTreeMap::new();
    for DrainLine { line, .. } in lines {
        let text = String::from_utf8_lossy(&line.text);
        let values = by_labels.entry((&line.pod, stream(line))).or_default();
        values.push((line.time.as_nanos().to_string(), text));
    }
    let streams = by_labels
        .into_iter()
        .map(|((pod, stream), values)| LokiStream {
            stream: LokiLabels {
                project: origin.project.as_str(),
                workspace: origin.workspace.as_str(),
                pod,
                stream,
            },
            values,
        })
        .collect();
    to_bytes(&LokiPush { streams })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpRequest<'a> {
    resource_logs: [OtlpResourceLogs<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpResourceLogs<'a> {
    resource: OtlpResource<'a>,
    scope_logs: [OtlpScopeLogs<'a>; 1],
}

#[derive(Serialize)]
struct OtlpResource<'a> {
    attributes: [OtlpAttribute<'a>; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpScopeLogs<'a> {
    scope: OtlpScope,
    log_records: Vec<OtlpRecord<'a>>,
}

#[derive(Serialize)]
struct OtlpScope {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpRecord<'a> {
    time_unix_nano: String,
    severity_number: u8,
    severity_text: &'static str,
    body: OtlpValue<'a>,
    attributes: [OtlpAttribute<'a>; 3],
}

#[derive(Serialize)]
struct OtlpAttribute<'a> {
    key: &'static str,
    value: OtlpValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum OtlpValue<'a> {
    StringValue(Cow<'a, str>),
    /// Whole numbers are texts, as JSON's own cannot hold all of them.
    IntValue(String),
}

pub(super) fn otlp(origin: &Origin, lines: &[DrainLine]) -> Vec<u8> {
    let attribute = |key, value| OtlpAttribute { key, value };
    let text = |text: &'_ str| OtlpValue::StringValue(Cow::Owned(text.to_owned()));
    let log_records = lines
        .iter()
        .map(|numbered| {
            let line = &numbered.line;
            let (severity_number, severity_text) = match level(numbered) {
                LogLevel::Debug => (5, "DEBUG"),
                LogLevel::Info => (9, "INFO"),
                LogLevel::Warn => (13, "WARN"),
                LogLevel::Error => (17, "ERROR"),
            };
            OtlpRecord {
                time_unix_nano: line.time.as_nanos().to_string(),
                severity_number,
                severity_text,
                body: OtlpValue::StringValue(String::from_utf8_lossy(&line.text)),
                attributes: [
                    attribute("tose.pod", text(&line.pod)),
                    attribute("tose.stream", text(stream(line))),
                    attribute("tose.seq", OtlpValue::IntValue(numbered.seq.to_string())),
                ],
            }
        })
        .collect();
    let resource = OtlpResource {
        attributes: [
            attribute("service.name", text(origin.project.as_str())),
            attribute("service.namespace", text(origin.workspace.as_str())),
        ],
    };
    let scope_logs = [OtlpScopeLogs {
        scope: OtlpScope { name: "tose" },
        log_records,
    }];
    to_bytes(&OtlpRequest {
        resource_logs: [OtlpResourceLogs {
            resource,
            scope_logs,
        }],
    })
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are always JSON")
}

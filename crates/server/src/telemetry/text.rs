//! Readings as OpenMetrics text, version 1.0.
//!
//! Guarantees: a family is told of in one piece, with its help, type and unit; labels are escaped. `scripts/fuzz`
//! has the text of a server read by the parser of Prometheus' own library.

use std::fmt::{self, Write};

use super::family::{Family, Kind, Label, Reading, Subject, Value, Whom};

/// What is told of each family.
struct Section {
    family: &'static Family,
    name: String,
    samples: String,
}

/// Everything, in the order in which families first come.
pub(crate) fn encode(subjects: &[Subject]) -> String {
    let mut sections: Vec<Section> = Vec::new();
    for subject in subjects {
        let whom = labels_of(&subject.whom);
        for reading in &subject.readings {
            let known = sections
                .iter()
                .position(|section| section.family == reading.family);
            let place = known.unwrap_or_else(|| {
                sections.push(Section {
                    family: reading.family,
                    name: reading.family.text_name(),
                    samples: String::new(),
                });
                sections.len() - 1
            });
            let Section { name, samples, .. } = &mut sections[place];
            sample(samples, name, &whom, reading)
                .expect("a String takes all that is written to it");
        }
    }
    let length = |section: &Section| section.samples.len() + 512;
    let mut text = String::with_capacity(sections.iter().map(length).sum());
    for section in &sections {
        head(&mut text, section).expect("a String takes all that is written to it");
        text.push_str(&section.samples);
    }
    text.push_str("# EOF\n");
    text
}

/// The labels that all readings about somebody have, written out.
fn labels_of(whom: &Whom) -> String {
    let mut text = String::new();
    if let Whom::Project {
        workspace,
        project,
        kind,
    } = whom
    {
        for (key, value) in [
            ("workspace", workspace.as_str()),
            ("project", project.as_str()),
            ("kind", kind),
        ] {
            label(&mut text, key, value);
        }
    }
    text
}

fn head(text: &mut String, Section { family, name, .. }: &Section) -> fmt::Result {
    let kind = match family.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    };
    writeln!(text, "# HELP {name} {}.", escaped(family.help))?;
    writeln!(text, "# TYPE {name} {kind}")?;
    match family.unit.suffix() {
        Some(unit) => writeln!(text, "# UNIT {name} {unit}"),
        None => Ok(()),
    }
}

fn sample(text: &mut String, name: &str, whom: &str, reading: &Reading) -> fmt::Result {
    let suffix = match reading.family.kind {
        Kind::Gauge | Kind::Histogram => "",
        Kind::Counter => "_total",
        Kind::Info => "_info",
    };
    let mut labels = whom.to_owned();
    for (key, value) in &reading.labels {
        label(&mut labels, key, value);
    }
    match &reading.value {
        Value::Whole(number) => line(text, name, suffix, &labels, &number.to_string()),
        Value::Decimal(number) => line(text, name, suffix, &labels, &decimal(*number)),
        Value::Histogram(histogram) => {
            let mut count = 0_u64;
            let bounds = histogram.bounds.iter().copied().map(decimal);
            let bounds = bounds.chain(["+Inf".to_owned()]);
            for (bound, more) in bounds.zip(&histogram.counts) {
                count = count.saturating_add(*more);
                let mut labels = labels.clone();
                label(&mut labels, "le", &bound);
                line(text, name, "_bucket", &labels, &count.to_string())?;
            }
            // The one is there only with the other.
            let Some(sum) = histogram.sum else {
                return Ok(());
            };
            line(text, name, "_count", &labels, &count.to_string())?;
            line(text, name, "_sum", &labels, &decimal(sum))
        }
    }
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &str, number: &str) -> fmt::Result {
    if labels.is_empty() {
        return writeln!(text, "{name}{suffix} {number}");
    }
    writeln!(text, "{name}{suffix}{{{labels}}} {number}")
}

/// Adds a label to others.
fn label(labels: &mut String, key: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    write!(labels, "{key}=\"{}\"", escaped(value))
        .expect("a String takes all that is written to it");
}

/// A number with a point or an exponent, as bounds are to be written.
fn decimal(number: f64) -> String {
    format!("{number:?}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// A label whose value is known when the program is made.
pub(super) fn fixed(key: &'static str, value: &'static str) -> Label {
    (key, value.into())
}

#[cfg(test)]
mod tests {
    use super::super::family::{Histogram, Unit};
    use super::*;

    static SIZE: Family = Family {
        name: "tose.test.size",
        help: "How \"large\" it is: a \\ and\nmore",
        kind: Kind::Gauge,
        unit: Unit::Bytes,
    };
    static CALLS: Family = Family {
        name: "tose.test.calls",
        help: "Calls",
        kind: Kind::Counter,
        unit: Unit::Things("{call}"),
    };
    static TIMES: Family = Family {
        name: "tose.test.time",
        help: "How long",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
    };

    fn project(project: &str, readings: Vec<Reading>) -> Subject {
        Subject {
            whom: Whom::Project {
                workspace: "demo".to_owned(),
                project: project.to_owned(),
                kind: "project",
            },
            readings,
        }
    }

    #[test]
    fn a_family_is_told_of_in_one_piece() {
        let histogram = |sum| {
            Value::Histogram(Histogram {
                bounds: &[0.5, 1.0],
                counts: vec![1, 0, 2],
                sum,
            })
        };
        let call = |operation: &str, count| Reading {
            family: &CALLS,
            labels: vec![("operation", operation.to_owned().into())],
            value: Value::Whole(count),
        };
        let subjects = [
            Subject {
                whom: Whom::Server,
                readings: vec![
                    call("get", 3),
                    call("a\"b\\c\nd", 4),
                    Reading::of(&TIMES, histogram(Some(70.25))),
                ],
            },
            project(
                "shop",
                vec![
                    Reading::of(&SIZE, Value::Whole(7)),
                    Reading::of(&TIMES, histogram(None)),
                ],
            ),
            project("blog", vec![Reading::of(&SIZE, Value::Decimal(0.25))]),
        ];
        insta::assert_snapshot!(encode(&subjects), @r#"
        # HELP tose_test_calls Calls.
        # TYPE tose_test_calls counter
        tose_test_calls_total{operation="get"} 3
        tose_test_calls_total{operation="a\"b\\c\nd"} 4
        # HELP tose_test_time_seconds How long.
        # TYPE tose_test_time_seconds histogram
        # UNIT tose_test_time_seconds seconds
        tose_test_time_seconds_bucket{le="0.5"} 1
        tose_test_time_seconds_bucket{le="1.0"} 1
        tose_test_time_seconds_bucket{le="+Inf"} 3
        tose_test_time_seconds_count 3
        tose_test_time_seconds_sum 70.25
        tose_test_time_seconds_bucket{workspace="demo",project="shop",kind="project",le="0.5"} 1
        tose_test_time_seconds_bucket{workspace="demo",project="shop",kind="project",le="1.0"} 1
        tose_test_time_seconds_bucket{workspace="demo",project="shop",kind="project",le="+Inf"} 3
        # HELP tose_test_size_bytes How \"large\" it is: a \\ and\nmore.
        # TYPE tose_test_size_bytes gauge
        # UNIT tose_test_size_bytes bytes
        tose_test_size_bytes{workspace="demo",project="shop",kind="project"} 7
        tose_test_size_bytes{workspace="demo",project="blog",kind="project"} 0.25
        # EOF
        "#);
    }
}

//! What is told: families of numbers, and one reading after the other of whom they are about.
//!
//! There is one list of families, which is shown as OpenMetrics text (`text.rs`) and as OTLP (`otlp.rs`). A name
//! there is one for both: dots become underscores, and the unit its end. That is what Prometheus makes of OTLP, so a
//! series has the same name whichever way it came.
//!
//! Not here: where the numbers come from (`telemetry.rs`, `projects.rs`).

use std::borrow::Cow;

/// How a family's numbers go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Up and down.
    Gauge,
    /// Up only, from 0 at the server's start.
    Counter,
    /// Counts by ranges, each up only, from 0 at the server's start.
    Histogram,
    /// Not at all: the labels say everything.
    Info,
}

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Things; OTLP is told which, in braces.
    Things(&'static str),
}

impl Unit {
    /// The end of the names of its families in OpenMetrics.
    pub(super) fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Bytes => Some("bytes"),
            Self::Seconds => Some("seconds"),
            Self::Things(_) => None,
        }
    }

    /// Its name in OTLP.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Bytes => "By",
            Self::Seconds => "s",
            Self::Things(things) => things,
        }
    }
}

/// Numbers of one meaning.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name as OTLP has it: words with dots between them.
    pub(crate) name: &'static str,
    /// What it tells, without a full stop.
    pub(crate) help: &'static str,
    /// How its numbers go on.
    pub(crate) kind: Kind,
    /// What it counts.
    pub(crate) unit: Unit,
}

impl Family {
    /// Its name in OpenMetrics, without what single samples have at their end.
    pub(super) fn text_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        if let Some(suffix) = self.unit.suffix() {
            name.push('_');
            name.push_str(suffix);
        }
        name
    }
}

/// A name and a value that tell readings of a family apart.
pub(crate) type Label = (&'static str, Cow<'static, str>);

/// A number of a family.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A whole one.
    Whole(u64),
    /// Another one.
    Decimal(f64),
    /// Counts by ranges.
    Histogram(Histogram),
}

/// How many things were how large.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    /// The most that each range but the last holds.
    pub(crate) bounds: &'static [f64],
    /// How many things are in each range: one more than there are bounds.
    pub(crate) counts: Vec<u64>,
    /// What they are together; `None` where that was not counted.
    pub(crate) sum: Option<f64>,
}

/// A family's number at the moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// Which family.
    pub(crate) family: &'static Family,
    /// What tells it from others of the same subject and family.
    pub(crate) labels: Vec<Label>,
    /// The number.
    pub(crate) value: Value,
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Reading {
    /// A reading that is the only one of its family.
    pub(crate) fn of(family: &'static Family, value: Value) -> Self {
        Self {
            family,
            labels: Vec::new(),
            value,
        }
    }
}

/// Whom readings are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The server itself.
    Server,
    /// A project.
    Project {
        /// The workspace's slug.
        workspace: String,
        /// Its own.
        project: String,
        /// `project`, `template` or `database`.
        kind: &'static str,
    },
}

/// What is told of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    /// Of whom.
    pub(crate) whom: Whom,
    /// What. Those of a family follow one another.
    pub(crate) readings: Vec<Reading>,
}

//! Alert rules: what projects use and serve, and from where on somebody is to be told of it.
//!
//! Not here: when a rule fires (`tose-model`, `alert.rs`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AlertId, Slug, Timestamp};

/// Body of `POST W/alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAlert {
    /// Its name, unique in the workspace.
    pub name: Slug,
    /// What is looked at.
    pub metric: AlertMetric,
    /// On which side of the threshold there is something to tell. `restarts` take `above` only.
    pub comparison: AlertComparison,
    /// The threshold, in the metric's unit. It is kept to three decimals.
    pub threshold: MetricValue,
    /// For how many seconds it has to be so, in whole minutes; for `restarts`, within how many they are counted.
    #[schemars(range(min = 60, max = 3600), extend("multipleOf" = 60, "examples" = [300]))]
    pub window_seconds: u32,
    /// The slug of the project, instance or database that it is about; all of the workspace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Slug>,
    /// Whether it is looked at; `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Body of `PUT W/alerts/:id`: what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAlert {
    /// Its name, unique in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Slug>,
    /// What is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<AlertMetric>,
    /// On which side of the threshold there is something to tell. `restarts` take `above` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<AlertComparison>,
    /// The threshold, in the metric's unit. It is kept to three decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<MetricValue>,
    /// For how many seconds it has to be so, in whole minutes; for `restarts`, within how many they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 3600), extend("multipleOf" = 60, "examples" = [300]))]
    pub window_seconds: Option<u32>,
    /// The slug of the project, instance or database that it is about; `null`: all of the workspace.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Slug>")]
    pub project: Option<Option<Slug>>,
    /// Whether it is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Slug>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a rule looks at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum AlertMetric {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl AlertMetric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word as it stands on the wire and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

metrics! {
    /// Processor time, in percent of what the replicas may use together.
    CpuPercent = "cpu_percent";
    /// Memory, in percent of what the replicas may use together.
    MemoryPercent = "memory_percent";
    /// Requests of visitors in a second.
    RequestsPerSecond = "requests_per_second";
    /// Answers with a status of 500 and above, in percent of the requests.
    ErrorPercent = "error_percent";
    /// 95 of 100 requests took no longer than this, in milliseconds.
    P95Ms = "p95_ms";
    /// How often replicas were started again after a crash.
    Restarts = "restarts";
    /// Bytes on the disk.
    DiskBytes = "disk_bytes";
}

/// On which side of the threshold there is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertComparison {
    /// More than the threshold.
    Above,
    /// Less than the threshold.
    Below,
}

impl AlertComparison {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// How a rule stands for a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// There is nothing to tell.
    Ok,
    /// People were told, and it is not over.
    Firing,
    /// Nothing was measured within the window.
    Unknown,
}

/// An alert rule, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertView {
    /// Its id.
    pub id: AlertId,
    /// Its name, unique in the workspace.
    pub name: Slug,
    /// What is looked at.
    pub metric: AlertMetric,
    /// On which side of the threshold there is something to tell.
    pub comparison: AlertComparison,
    /// The threshold, in the metric's unit.
    pub threshold: MetricValue,
    /// For how many seconds it has to be so; for `restarts`, within how many they are counted.
    pub window_seconds: u32,
    /// What it is about; `null`: all of the workspace.
    pub project: Option<Slug>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// For how many projects it fires.
    pub firing: u32,
    /// How it stands for each project that was looked at, those for which it fires first, a hundred at most. The
    /// last look is forgotten when the server starts again; what fires is not.
    pub states: Vec<AlertProjectState>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How a rule stands for one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertProjectState {
    /// The project.
    pub project: Slug,
    /// How it stands.
    pub state: AlertState,
    /// Since when it fires, if it does.
    pub since: Option<Timestamp>,
    /// What was measured last within the window, in the metric's unit; for `restarts`, how many there were in it.
    pub value: Option<MetricValue>,
    /// When it was looked at last.
    pub seen_at: Option<Timestamp>,
}

/// A number that is not negative, kept to three decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricValue(u64);

/// A number that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 to 9000000000000")]
pub struct InvalidMetricValue;

impl MetricValue {
    /// The largest: 9 TB, where bytes are meant.
    pub const MAX: Self = Self(9_000_000_000_000_000);

    /// Makes it from thousandths; what is too much becomes the largest.
    pub const fn from_milli(milli: u64) -> Self {
        if milli > Self::MAX.0 {
            Self::MAX
        } else {
            Self(milli)
        }
    }

    /// The number in thousandths.
    pub const fn milli(self) -> u64 {
        self.0
    }

    fn from_number(number: f64) -> Result<Self, InvalidMetricValue> {
        // Exact: whole numbers up to 2^53 are, and the largest is below that.
        const MOST: f64 = 9_000_000_000_000.0;
        if !(0.0..=MOST).contains(&number) {
            return Err(InvalidMetricValue);
        }
        format!("{:.0}", number.abs() * 1000.0)
            .parse()
            .map(Self::from_milli)
            .map_err(|_| InvalidMetricValue)
    }
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::quantity::thousandths(self.0))
    }
}

impl FromStr for MetricValue {
    type Err = InvalidMetricValue;

    fn from_str(text: &str) -> Result<Self, InvalidMetricValue> {
        let number: f64 = text.parse().map_err(|_| InvalidMetricValue)?;
        Self::from_number(number)
    }
}

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            return serializer.serialize_u64(self.0 / 1000);
        }
        let number: f64 = self
            .to_string()
            .parse()
            .map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Self::from_number(number).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for MetricValue {
    fn schema_name() -> Cow<'static, str> {
        "MetricValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 9_000_000_000_000_u64,
            "description": "Kept to three decimals",
            "examples": [90],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_to_three_decimals() {
        for (json, milli, back) in [
            ("90", 90_000, "90"),
            ("90.0", 90_000, "90"),
            ("0.5", 500, "0.5"),
            ("0.001", 1, "0.001"),
            ("12.3456", 12_346, "12.346"),
            ("0", 0, "0"),
            ("-0.0", 0, "0"),
            ("9000000000000", 9_000_000_000_000_000, "9000000000000"),
        ] {
            let value: MetricValue = serde_json::from_str(json).expect(json);
            assert_eq!(value.milli(), milli, "{json}");
            assert_eq!(serde_json::to_string(&value).expect("JSON"), back);
            assert_eq!(value.to_string(), back);
            assert_eq!(json.parse::<MetricValue>(), Ok(value));
        }
        for json in ["-1", "1e300", "9000000000001", "\"90\"", "null", "[]"] {
            assert!(serde_json::from_str::<MetricValue>(json).is_err(), "{json}");
        }
        for text in ["", "NaN", "inf", "-0.1", "9e12x"] {
            assert!(text.parse::<MetricValue>().is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_the_same_on_the_wire_and_in_the_store() {
        for metric in AlertMetric::ALL {
            let word = serde_json::to_value(metric).expect("JSON");
            assert_eq!(word, metric.as_str());
        }
        for comparison in [AlertComparison::Above, AlertComparison::Below] {
            let word = serde_json::to_value(comparison).expect("JSON");
            assert_eq!(word, comparison.as_str());
        }
    }

    #[test]
    fn a_project_that_is_null_is_told_from_one_that_is_absent() {
        let read = |json| serde_json::from_str::<UpdateAlert>(json).expect(json);
        assert_eq!(read("{}").project, None);
        assert_eq!(read(r#"{"project":null}"#).project, Some(None));
        let shop = read(r#"{"project":"shop"}"#).project.flatten();
        assert_eq!(shop.expect("a slug").as_str(), "shop");
    }
}

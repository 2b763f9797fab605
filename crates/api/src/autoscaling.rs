//! Autoscaling: how many replicas a project has, by what it has to do.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Timestamp;

/// Body of `PUT P/autoscaling`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAutoscaling {
    /// Whether replicas come and go by themselves; `false` until it is set. It needs a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The fewest replicas; 1 until it is set.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub min_replicas: Option<u32>,
    /// The most replicas, `min_replicas` or more, up to what a project may have on the server.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub max_replicas: Option<u32>,
    /// How much of its CPU limit a replica is to use, in percent; `null` takes the target away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 100), extend("examples" = [70]))]
    pub target_cpu_percent: Option<Option<u32>>,
    /// How many requests a second a replica is to answer; `null` takes the target away.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 1000000), extend("examples" = [50]))]
    pub target_requests_per_second: Option<Option<u32>>,
}

/// Tells a field that was sent as `null` (`Some(None)`) from one that was not sent (`None`).
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How a project is scaled, and what came of it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutoscalingView {
    /// Whether replicas come and go by themselves.
    pub enabled: bool,
    /// The fewest replicas.
    pub min_replicas: u32,
    /// The most replicas.
    pub max_replicas: u32,
    /// How much of its CPU limit a replica is to use, in percent, if that counts.
    pub target_cpu_percent: Option<u32>,
    /// How many requests a second a replica is to answer, if that counts.
    pub target_requests_per_second: Option<u32>,
    /// How many replicas the project is to have at the moment.
    pub replicas: u32,
    /// When the project was last looked at, which is every ten seconds; `null` before the first time.
    pub looked_at: Option<Timestamp>,
    /// What was measured then; `null` where nothing can be decided.
    pub load: Option<AutoscalingLoad>,
    /// Why nothing can be decided at the moment, if that is so.
    pub waiting: Option<String>,
    /// When the number of replicas was last changed because of this, and why.
    pub last_scaled: Option<ScaledView>,
    /// What would be needed and cannot be had, if anything.
    pub refused: Option<RefusedScaling>,
}

/// What a project has to do, of all its replicas over the last minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutoscalingLoad {
    /// The share of their CPU limits that the replicas use, in percent, if that counts.
    pub cpu_percent: Option<u32>,
    /// Requests a second of all replicas together, in thousandths, if that counts.
    pub requests_per_second_milli: Option<u64>,
    /// How many replicas that asks for. They come when it stays so for a while.
    pub wanted: u32,
}

/// A change of the number of replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScaledView {
    /// When.
    pub at: Timestamp,
    /// How many there were.
    pub from: u32,
    /// How many there were to be.
    pub to: u32,
    /// Why.
    pub reason: String,
}

/// Replicas that are needed and cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedScaling {
    /// Since when.
    pub since: Timestamp,
    /// How many would be needed.
    pub wanted: u32,
    /// Why there cannot be so many.
    pub reason: String,
}

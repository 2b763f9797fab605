//! What a project used and served over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Answer of `GET P/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsView {
    /// The first point's time.
    pub start: Timestamp,
    /// The end of the last point.
    pub end: Timestamp,
    /// How many seconds a point stands for.
    pub step: u32,
    /// The points that there are, oldest first; a time at which nothing was measured has none.
    pub points: Vec<MetricsPoint>,
}

/// One step of a [`MetricsView`]: averages over its time, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsPoint {
    /// When it begins.
    pub time: Timestamp,
    /// Thousandths of a core, all replicas together.
    pub cpu_milli: u64,
    /// Bytes of memory, all replicas together.
    pub memory_bytes: u64,
    /// Bytes that the replicas received in this time.
    pub network_received_bytes: u64,
    /// Bytes that the replicas sent in this time.
    pub network_sent_bytes: u64,
    /// Replicas that ran.
    pub replicas: u32,
    /// Requests that visitors made in this time.
    pub requests: u64,
    /// Requests a second, in thousandths.
    pub requests_per_second_milli: u64,
    /// Answers with a status of 500 and above in this time.
    pub errors_5xx: u64,
    /// Half of the requests took no longer than this, in microseconds; null without requests.
    pub p50_us: Option<u64>,
    /// 90 of 100 requests took no longer than this, in microseconds; null without requests.
    #[serde(default)]
    pub p90_us: Option<u64>,
    /// 95 of 100 requests took no longer than this, in microseconds; null without requests.
    #[serde(default)]
    pub p95_us: Option<u64>,
    /// 99 of 100 requests took no longer than this, in microseconds; null without requests.
    pub p99_us: Option<u64>,
    /// The most bytes on the disk in this time: what replicas wrote, volumes, a database's data. Null where it is not
    /// known.
    #[serde(default)]
    pub disk_bytes: Option<u64>,
    /// How often the engine started replicas again after a crash in this time.
    #[serde(default)]
    pub restarts: u64,
}

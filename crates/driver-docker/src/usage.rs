//! Usage: what a replica takes of the machine.
//!
//! The engine is asked for one sample and answers at once; the rate is taken from the sample of the
//! look before, kept here.

use std::collections::HashMap;
use std::sync::Mutex;

use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::{InspectContainerOptionsBuilder, StatsOptionsBuilder};
use futures_util::StreamExt;
use tose_api::Timestamp;
use tose_model::driver::{DriverError, DriverResult, ReplicaName, Usage};

use crate::DockerDriver;
use crate::error::{has_status, refused};

/// Processor time used up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at: Timestamp,
    used_nanos: u64,
}

/// The last look at each replica.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<HashMap<ReplicaName, Sample>>);

impl Samples {
    /// Keeps a sample and answers the one before.
    fn replace(&self, name: &ReplicaName, sample: Sample) -> Option<Sample> {
        self.0
            .lock()
            .expect("nothing panics while it is held")
            .insert(name.clone(), sample)
    }

    /// Drops what is known of a replica that goes.
    pub(crate) fn forget(&self, name: &ReplicaName) {
        self.0
            .lock()
            .expect("nothing panics while it is held")
            .remove(name);
    }
}

impl DockerDriver {
    pub(crate) async fn measure_usage(&self, name: &ReplicaName) -> DriverResult<Usage> {
        let gone = || DriverError::NotFound(format!("replica {name}"));
        let inspected = self.find(name).await?.ok_or_else(gone)?;
        if inspected.pid().is_none() {
            self.samples.forget(name);
            return Ok(Usage::default());
        }
        let docker = self.engine.docker().await?;
        let options = StatsOptionsBuilder::default()
            .stream(false)
            .one_shot(true)
            .build();
        let mut stats = docker.stats(&inspected.container.id, Some(options)).boxed();
        let operation = || format!("measure replica {name}");
        let answer = self
            .engine
            .within(async { stats.next().await.transpose() })
            .await;
        let stats = match answer {
            Ok(Some(stats)) => stats,
            Ok(None) => return Err(refused(operation(), "the answer is empty")),
            Err(error) if has_status(&error, 404) => return Err(gone()),
            Err(error) => return Err(self.engine.failed(operation(), error)),
        };
        let (received_bytes, sent_bytes) = moved_bytes(&stats);
        let usage = Usage {
            cpu_milli: 0,
            memory_bytes: stats.memory_stats.as_ref().map_or(0, resident_bytes),
            received_bytes,
            sent_bytes,
        };
        let Some(now) = sample(&stats) else {
            return Ok(usage);
        };
        let start = inspected
            .state()
            .started_at
            .and_then(|time| time.parse().ok());
        let start = start.map(|at| Sample { at, used_nanos: 0 });
        let before = self.samples.replace(name, now);
        Ok(Usage {
            cpu_milli: rate(before, start, now),
            ..usage
        })
    }
}

impl DockerDriver {
    /// The size of the container's own layer.
    pub(crate) async fn measure_written(&self, name: &ReplicaName) -> DriverResult<u64> {
        let gone = || DriverError::NotFound(format!("replica {name}"));
        let id = self.find(name).await?.ok_or_else(gone)?.container.id;
        let docker = self.engine.docker().await?;
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let looked = docker.inspect_container(&id, Some(options));
        let operation = || format!("measure what replica {name} wrote");
        match self.engine.within(looked).await {
            Ok(container) => container
                .size_rw
                .and_then(|size| u64::try_from(size).ok())
                .ok_or_else(|| refused(operation(), "the engine does not tell")),
            Err(error) if has_status(&error, 404) => Err(gone()),
            Err(error) => Err(self.engine.failed(operation(), error)),
        }
    }
}

fn sample(stats: &ContainerStatsResponse) -> Option<Sample> {
    let used_nanos = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    Some(Sample {
        at: stats.read.as_deref()?.parse().ok()?,
        used_nanos,
    })
}

/// Thousandths of a core between `before` and `now`; since the start, when `before` is of an
/// earlier run or missing.
fn rate(before: Option<Sample>, start: Option<Sample>, now: Sample) -> u64 {
    let is_same_run = |sample: &Sample| {
        sample.used_nanos <= now.used_nanos
            && sample.at < now.at
            && start.is_none_or(|start| start.at <= sample.at)
    };
    let Some(from) = before.filter(is_same_run).or(start) else {
        return 0;
    };
    let elapsed = now.at.since(from.at).as_nanos();
    let used = u128::from(now.used_nanos.saturating_sub(from.used_nanos)) * 1000;
    used.checked_div(elapsed)
        .and_then(|milli| u64::try_from(milli).ok())
        .unwrap_or(0)
}

/// Bytes received and sent since the start: the interfaces are made with each start.
fn moved_bytes(stats: &ContainerStatsResponse) -> (u64, u64) {
    let interfaces = stats.networks.iter().flat_map(HashMap::values);
    interfaces.fold((0, 0), |(received, sent), interface| {
        (
            received + interface.rx_bytes.unwrap_or(0),
            sent + interface.tx_bytes.unwrap_or(0),
        )
    })
}

/// Memory without the file pages that the kernel drops first; the name is cgroup v1's, then v2's.
fn resident_bytes(memory: &ContainerMemoryStats) -> u64 {
    let stats = memory.stats.as_ref();
    let get = |name: &str| stats.and_then(|stats| stats.get(name)).copied();
    let droppable = get("total_inactive_file")
        .or_else(|| get("inactive_file"))
        .unwrap_or(0);
    let used = memory.usage.unwrap_or(0);
    used.checked_sub(droppable).unwrap_or(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, used_millis: u64) -> Sample {
        let at = Timestamp::from_nanos(seconds * 1_000_000_000);
        Sample {
            at,
            used_nanos: used_millis * 1_000_000,
        }
    }

    #[test]
    fn the_rate_is_since_the_last_look_or_the_start() {
        let start = Some(at(100, 0));
        assert_eq!(rate(Some(at(110, 5_000)), start, at(120, 10_000)), 500);
        assert_eq!(rate(None, start, at(120, 10_000)), 500);
        // A look before the last start says nothing about this run.
        assert_eq!(rate(Some(at(90, 9_000)), start, at(110, 10_000)), 1_000);
        assert_eq!(rate(Some(at(120, 10_000)), start, at(120, 10_000)), 500);
        assert_eq!(rate(None, None, at(120, 10_000)), 0);
    }

    #[test]
    fn droppable_pages_do_not_count() {
        for name in ["inactive_file", "total_inactive_file"] {
            let stats = HashMap::from([(name.to_owned(), 40)]);
            let memory = ContainerMemoryStats {
                usage: Some(100),
                stats: Some(stats),
                ..Default::default()
            };
            assert_eq!(resident_bytes(&memory), 60);
        }
    }
}

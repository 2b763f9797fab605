//! What projects use and serve, measured every ten seconds.
//!
//! Guarantees: what came before the first look is counted to nobody, and what came between two looks
//! once. What cannot be learned is left out, never taken for nothing. The newest
//! round is kept in `metrics::Rounds`, also one in which something could not be learned.
//! Caveat: counts that began anew between two looks and have grown beyond the old ones by then
//! are taken for the old ones going on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tose_api::{ProjectId, Timestamp};
use tose_model::Driver;
use tose_model::driver::{DriverResult, ObservedReplica, ReplicaName, ReplicaState, Scope, Usage};
use tose_model::error::{Error, Result};
use tose_model::traffic::Traffic;

use crate::app::Platform;
use crate::app::metrics::seconds;
use crate::metrics::{Latest, Round, Sample};

/// How often is measured, in seconds.
const PERIOD_SECONDS: i64 = 10;
/// How often it is looked whether the time has come.
const TICK: Duration = Duration::from_millis(250);
/// How many replicas are measured at the same time.
const AT_ONCE: usize = 8;
/// How long one replica's measurement may take.
const USAGE_TIMEOUT: Duration = Duration::from_secs(5);

type Samples = BTreeMap<ProjectId, Latest>;

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut memory = Memory::default();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut newest = None;
    loop {
        tick.tick().await;
        // The clock decides and no timer, so that no slot is left empty by one that is late.
        let slot = seconds(platform.now()).div_euclid(PERIOD_SECONDS);
        if newest.replace(slot) == Some(slot) {
            continue;
        }
        let (at, began) = (platform.now(), tokio::time::Instant::now());
        match sample(&platform, &mut memory, at).await {
            Ok(()) => platform.telemetry.sampled(at, began.elapsed()),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "projects were not measured completely"
            ),
        }
    }
}

async fn sample(platform: &Platform, memory: &mut Memory, at: Timestamp) -> Result<()> {
    let mut latest = Samples::new();
    let measured = measure(platform.driver.as_ref()).await;
    let counted = platform.data_plane.traffic().await;
    let measured = measured.map(|replicas| memory.add_usage(&mut latest, replicas, at));
    let counted = counted.map(|traffic| memory.add_traffic(&mut latest, traffic));
    let counted_since = match counted {
        Ok(()) => memory.counted_at.replace(at),
        Err(_) => None,
    };
    latest.retain(|_, one| !one.sample.is_empty());
    for (id, one) in &mut latest {
        if one.sample.samples > 0 {
            one.sample.disk_bytes = platform.disks.bytes(*id);
        }
    }
    let samples: Vec<_> = latest
        .iter()
        .map(|(id, one)| (*id, one.sample.clone()))
        .collect();
    let written = match samples.is_empty() {
        true => Ok(()),
        false => platform.metrics.add(seconds(at), samples).await,
    };
    platform.telemetry.count_projects(&latest);
    platform.rounds.publish(Round {
        at: Some(at),
        counted_since,
        projects: latest,
    });
    written?;
    measured?;
    counted.map_err(|error| Error::internal("visitors' requests are not known", error))
}

/// A replica, with what it uses if it runs and that could be learned.
struct Measured {
    replica: ObservedReplica,
    usage: Option<Usage>,
}

async fn measure(driver: &dyn Driver) -> DriverResult<Vec<Measured>> {
    let replicas = driver.observe(Scope::Installation).await?;
    let measurements = replicas.into_iter().map(async |replica| {
        if replica.state != ReplicaState::Running {
            return Measured {
                replica,
                usage: None,
            };
        }
        let usage = tokio::time::timeout(USAGE_TIMEOUT, driver.usage(&replica.name)).await;
        // Most that fail have ended in this moment.
        let usage = usage.ok().and_then(DriverResult::ok);
        Measured { replica, usage }
    });
    Ok(futures_util::stream::iter(measurements)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await)
}

/// What the looks before have seen; without them there are no differences.
#[derive(Default)]
struct Memory {
    looked_at: Option<Timestamp>,
    replicas: HashMap<ReplicaName, Totals>,
    /// How often each replica that is there had been started again.
    restarts: HashMap<ReplicaName, u32>,
    traffic: Option<BTreeMap<ProjectId, Traffic>>,
    /// When that was.
    counted_at: Option<Timestamp>,
}

/// What a run of a replica has moved over its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Totals {
    started_at: Option<Timestamp>,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Memory {
    fn add_usage(&mut self, samples: &mut Samples, measured: Vec<Measured>, at: Timestamp) {
        let mut seen = HashMap::with_capacity(measured.len());
        let mut restarts = HashMap::with_capacity(measured.len());
        for Measured { replica, usage } in measured {
            let restarted = self.restarted(&replica);
            if restarted > 0 {
                let latest = samples.entry(replica.key.project_id).or_default();
                latest.sample.restarts = latest.sample.restarts.saturating_add(restarted);
            }
            restarts.insert(replica.name.clone(), replica.restarts);
            let before = self.replicas.remove(&replica.name);
            let Some(usage) = usage else {
                seen.extend(before.map(|before| (replica.name, before)));
                continue;
            };
            let totals = totals(&replica, &usage, before);
            let base = self.base(before, &totals);
            let latest = samples.entry(replica.key.project_id).or_default();
            latest.cpu_limit_milli += replica.load.cpu_milli;
            latest.memory_limit_bytes += (replica.load.ram_milli << 30) / 1000;
            if replica.key.is_web() {
                latest.web.replicas += 1;
                latest.web.cpu_milli += usage.cpu_milli;
                latest.web.cpu_limit_milli += replica.load.cpu_milli;
            }
            let sample = &mut latest.sample;
            sample.merge(&Sample {
                // The project's replicas together are one measurement.
                samples: u32::from(sample.samples == 0),
                cpu_milli: usage.cpu_milli,
                memory_bytes: usage.memory_bytes,
                replicas: 1,
                network_received_bytes: grown(totals.received_bytes, base.received_bytes),
                network_sent_bytes: grown(totals.sent_bytes, base.sent_bytes),
                ..Sample::default()
            });
            seen.insert(replica.name, totals);
        }
        self.replicas = seen;
        self.restarts = restarts;
        self.looked_at = Some(at);
    }

    /// How often the engine started a replica again since the look before.
    fn restarted(&self, replica: &ObservedReplica) -> u64 {
        let now = replica.restarts;
        let since = match (self.restarts.get(&replica.name), self.looked_at) {
            // A number that went down began anew when somebody started it again.
            (Some(before), _) => now.checked_sub(*before).unwrap_or(now),
            (None, Some(_)) => now,
            (None, None) => 0,
        };
        u64::from(since)
    }

    /// What a replica's totals are compared with.
    fn base(&self, before: Option<Totals>, totals: &Totals) -> Totals {
        let nothing = Totals {
            started_at: totals.started_at,
            received_bytes: 0,
            sent_bytes: 0,
        };
        match before {
            Some(before) if before.started_at == totals.started_at => before,
            Some(_) => nothing,
            None => {
                let started_since = self
                    .looked_at
                    .is_some_and(|looked_at| totals.started_at >= Some(looked_at));
                if started_since { nothing } else { *totals }
            }
        }
    }

    fn add_traffic(&mut self, samples: &mut Samples, traffic: BTreeMap<ProjectId, Traffic>) {
        if let Some(before) = &self.traffic {
            for (id, now) in &traffic {
                let new = match before.get(id) {
                    Some(before) => now.since(before),
                    None => now.clone(),
                };
                samples.entry(*id).or_default().sample.merge(&Sample {
                    requests: new.requests,
                    errors_5xx: new.by_class[4],
                    sent_bytes: new.sent_bytes,
                    latency: new.latency,
                    ..Sample::default()
                });
            }
        }
        self.traffic = Some(traffic);
    }
}

/// A total of 0 says that it is not known: within a run it does not shrink.
fn totals(replica: &ObservedReplica, usage: &Usage, before: Option<Totals>) -> Totals {
    let same_run = before.filter(|before| before.started_at == replica.started_at);
    let known = |now: u64, before: Option<u64>| if now == 0 { before.unwrap_or(0) } else { now };
    Totals {
        started_at: replica.started_at,
        received_bytes: known(usage.received_bytes, same_run.map(|run| run.received_bytes)),
        sent_bytes: known(usage.sent_bytes, same_run.map(|run| run.sent_bytes)),
    }
}

/// How much a total has grown; if it went down, it began anew.
fn grown(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests;

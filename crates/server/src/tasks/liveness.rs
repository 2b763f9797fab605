//! Asks replicas that serve whether they are still well.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::MissedTickBehavior;
use tose_model::driver::ReplicaName;
use tose_model::plan::Health;

use crate::app::Platform;
use crate::liveness::Watched;
use crate::tasks::probe;

/// How many are asked at the same time.
const AT_ONCE: usize = 64;

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(platform.config.limits.health_interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let all = platform.liveness.all();
        stream::iter(all)
            .for_each_concurrent(AT_ONCE, |(name, watched)| ask(&platform, name, watched))
            .await;
    }
}

async fn ask(platform: &Platform, name: ReplicaName, watched: Watched) {
    let answer = match probe::probe(watched.addr, Some(&watched.health_path)).await {
        Health::NotReady(reason) | Health::Unhealthy(reason) => Err(reason),
        Health::Ready | Health::Unknown => Ok(()),
    };
    if platform.liveness.note(&name, &watched, answer) {
        platform.signals.project(watched.project_id);
    }
}

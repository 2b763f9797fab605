//! The background loops, and the one place that starts them.
//!
//! A loop takes no input: it re-reads everything from store and engine, may be killed at any line,
//! and repairs on its next round what an earlier one left half done.

mod access_log;
mod alerts;
mod autoscale;
mod backups;
mod builder;
mod capture;
mod certificates;
mod commit_status;
mod disk;
mod domains;
mod drains;
mod images;
mod liveness;
mod log_tier;
mod meter;
mod metrics_export;
mod notices;
mod payments;
mod probe;
pub(crate) mod project_disk;
mod project_pass;
mod proofs;
mod reconciler;
mod sampler;
mod schedules;
mod storage;
mod supervisor;
mod sweep;
mod uptime;
mod wallets;

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{Platform, Wakes};

/// The loops of one server, to be ended together.
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts every loop.
    pub(crate) fn start(platform: &Arc<Platform>, wakes: Wakes) -> Self {
        let tasks = Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let capture = Arc::new(capture::Capture::new(Arc::clone(platform), tasks.spawner()));
        tasks.spawn(reconciler::run(
            Arc::clone(platform),
            wakes.projects,
            Arc::clone(&capture),
            tasks.spawner(),
        ));
        tasks.spawn(access_log::run(Arc::clone(platform)));
        tasks.spawn(alerts::run(Arc::clone(platform)));
        tasks.spawn(autoscale::run(Arc::clone(platform)));
        tasks.spawn(backups::run(Arc::clone(platform), tasks.spawner()));
        tasks.spawn(builder::run(Arc::clone(platform), tasks.spawner()));
        tasks.spawn(certificates::run(Arc::clone(platform)));
        tasks.spawn(commit_status::run(Arc::clone(platform)));
        tasks.spawn(domains::run(Arc::clone(platform)));
        tasks.spawn(drains::run(Arc::clone(platform), tasks.spawner()));
        tasks.spawn(notices::run(Arc::clone(platform), tasks.spawner()));
        tasks.spawn(images::run(Arc::clone(platform), wakes.images));
        tasks.spawn(liveness::run(Arc::clone(platform)));
        tasks.spawn(payments::run(Arc::clone(platform)));
        tasks.spawn(meter::run(Arc::clone(platform)));
        tasks.spawn(metrics_export::run(Arc::clone(platform)));
        tasks.spawn(log_tier::run(Arc::clone(platform)));
        tasks.spawn(project_disk::run(Arc::clone(platform)));
        tasks.spawn(sampler::run(Arc::clone(platform)));
        tasks.spawn(schedules::run(Arc::clone(platform)));
        tasks.spawn(storage::run(Arc::clone(platform)));
        tasks.spawn(supervisor::run(Arc::clone(platform)));
        tasks.spawn(sweep::run(Arc::clone(platform), capture));
        tasks.spawn(sweep::listen(Arc::clone(platform)));
        tasks.spawn(uptime::run(
            Arc::clone(platform),
            wakes.uptime,
            tasks.spawner(),
        ));
        tasks
    }

    fn spawner(&self) -> Spawner {
        Spawner {
            tracker: self.tracker.clone(),
            stop: self.stop.clone(),
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner().spawn(task);
    }

    /// Ends every loop where it stands and waits until all are gone.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Starts the work that a loop does beside itself; it ends with the server.
#[derive(Clone)]
pub(crate) struct Spawner {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Spawner {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}

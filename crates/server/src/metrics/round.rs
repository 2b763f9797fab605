//! What the sampler saw last, for those who want the present rather than the past.
//!
//! Guarantee: a round is seen after it was written to the projects' files, as far as it could be.
//! Caveat: lost with the process; the first round comes with the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tose_api::{ProjectId, Timestamp};

use crate::metrics::Sample;

/// One look at everything that runs.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// When; `None` before the first.
    pub(crate) at: Option<Timestamp>,
    /// Since when the requests in it came; `None` when they are not known. A project that is not among
    /// `projects` had none then.
    pub(crate) counted_since: Option<Timestamp>,
    /// What was seen of each project that ran, or was asked for.
    pub(crate) projects: BTreeMap<ProjectId, Latest>,
}

/// What was seen of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Latest {
    /// What it used, and what it did since the round before.
    pub(crate) sample: Sample,
    /// Thousandths of a core that the replicas in the sample may use together.
    pub(crate) cpu_limit_milli: u64,
    /// Bytes of memory that they may use together.
    pub(crate) memory_limit_bytes: u64,
    /// What of it those use that answer visitors.
    pub(crate) web: WebUsage,
}

/// What the replicas of a project use that answer visitors, as far as it was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WebUsage {
    /// How many were measured.
    pub(crate) replicas: u32,
    /// Thousandths of a core that they used together.
    pub(crate) cpu_milli: u64,
    /// Thousandths of a core that they may use together.
    pub(crate) cpu_limit_milli: u64,
}

/// The newest round.
#[derive(Default)]
pub(crate) struct Rounds(watch::Sender<Arc<Round>>);

impl Rounds {
    /// Tells of a round that is over.
    pub(crate) fn publish(&self, round: Round) {
        self.0.send_replace(Arc::new(round));
    }

    /// The newest round.
    pub(crate) fn newest(&self) -> Arc<Round> {
        Arc::clone(&self.0.borrow())
    }

    /// The newest round and those to come, one after the other; who is slow misses some.
    pub(crate) fn follow(&self) -> Following {
        let mut rounds = self.0.subscribe();
        rounds.mark_changed();
        Following(rounds)
    }
}

/// Somebody who looks at each round.
pub(crate) struct Following(watch::Receiver<Arc<Round>>);

impl Following {
    /// Waits for a round that was not looked at, with its time. `None` once there will be no more.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Round>, Timestamp)> {
        loop {
            self.0.changed().await.ok()?;
            let round = Arc::clone(&self.0.borrow_and_update());
            if let Some(at) = round.at {
                return Some((round, at));
            }
        }
    }
}

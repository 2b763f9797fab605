//! Which replicas that serve are still well.
//!
//! Passes of the reconciler enter the replicas that have a route and a health path; `tasks/liveness.rs`
//! asks each again and again; what it found is read by the next pass. Nothing in it is needed to be
//! right: after a restart of the server everybody counts as well until asked again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tose_api::{ProjectId, Timestamp};
use tose_model::driver::{ObservedReplica, ReplicaName};
use tose_model::plan::Health;

/// How often in a row a replica may fail before it counts as unhealthy.
const FAILURES: u32 = 3;

/// How long a worker runs before it counts as started.
const WORKER_SETTLED: Duration = Duration::from_secs(2);

/// A worker is well once it has run for a moment: nobody can ask it.
pub(crate) fn worker_health(observed: &ObservedReplica, now: Timestamp) -> Health {
    let ran = observed.started_at.map(|at| now.since(at));
    if ran.is_some_and(|ran| ran >= WORKER_SETTLED) {
        Health::Ready
    } else {
        let seconds = WORKER_SETTLED.as_secs();
        Health::NotReady(format!("it has not run for {seconds} s"))
    }
}

/// Whom to ask what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) project_id: ProjectId,
    pub(crate) addr: SocketAddr,
    pub(crate) health_path: String,
    /// Which run of its process: another one begins anew.
    pub(crate) started_at: Option<Timestamp>,
}

/// What a replica has answered so far.
struct Record {
    watched: Watched,
    failures: u32,
    reason: Option<String>,
}

/// The list.
#[derive(Default)]
pub(crate) struct Liveness {
    records: Mutex<HashMap<ReplicaName, Record>>,
}

impl Liveness {
    /// Has a replica asked from now on. One that is on the list keeps what it has answered.
    pub(crate) fn watch(&self, name: &ReplicaName, watched: Watched) {
        let mut records = self.records();
        let is_known = records
            .get(name)
            .is_some_and(|record| record.watched == watched);
        if !is_known {
            let record = Record {
                watched,
                failures: 0,
                reason: None,
            };
            records.insert(name.clone(), record);
        }
    }

    /// Takes a project's replicas off the list, but for those that `stays` names.
    pub(crate) fn retain(&self, project_id: ProjectId, stays: impl Fn(&ReplicaName) -> bool) {
        self.records()
            .retain(|name, record| record.watched.project_id != project_id || stays(name));
    }

    /// Everybody on the list.
    pub(crate) fn all(&self) -> Vec<(ReplicaName, Watched)> {
        self.records()
            .iter()
            .map(|(name, record)| (name.clone(), record.watched.clone()))
            .collect()
    }

    /// Notes an answer; says whether the replica counts as unhealthy because of it.
    pub(crate) fn note(
        &self,
        name: &ReplicaName,
        watched: &Watched,
        answer: Result<(), String>,
    ) -> bool {
        let mut records = self.records();
        let Some(record) = records
            .get_mut(name)
            .filter(|record| record.watched == *watched && record.reason.is_none())
        else {
            return false;
        };
        match answer {
            Ok(()) => record.failures = 0,
            Err(reason) => {
                record.failures += 1;
                record.reason = (record.failures >= FAILURES).then_some(reason);
            }
        }
        record.reason.is_some()
    }

    /// Why this run of the replica counts as unhealthy, if it does.
    pub(crate) fn verdict(
        &self,
        name: &ReplicaName,
        started_at: Option<Timestamp>,
    ) -> Option<String> {
        let records = self.records();
        let record = records.get(name)?;
        let is_this_run = record.watched.started_at == started_at;
        record.reason.clone().filter(|_| is_this_run)
    }

    fn records(&self) -> MutexGuard<'_, HashMap<ReplicaName, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(second: i64) -> Watched {
        Watched {
            project_id: ProjectId::from_uuid(uuid::Uuid::nil()),
            addr: "127.0.0.1:80".parse().expect("an address"),
            health_path: "/".to_owned(),
            started_at: Some(Timestamp::from_nanos(second)),
        }
    }

    #[test]
    fn three_failures_in_a_row_count_and_a_new_run_begins_anew() {
        let (liveness, name) = (Liveness::default(), ReplicaName::from_label("a"));
        let first = watched(1);
        liveness.watch(&name, first.clone());
        let fail = || Err("it answered 500".to_owned());
        for answer in [fail(), fail(), Ok(()), fail(), fail()] {
            assert!(!liveness.note(&name, &first, answer));
        }
        assert_eq!(liveness.verdict(&name, first.started_at), None);
        assert!(liveness.note(&name, &first, fail()));
        assert!(!liveness.note(&name, &first, fail()), "said once");
        liveness.watch(&name, first.clone());
        let verdict = liveness.verdict(&name, first.started_at);
        assert_eq!(verdict.as_deref(), Some("it answered 500"));
        let second = watched(2);
        assert_eq!(liveness.verdict(&name, second.started_at), None);
        liveness.watch(&name, second.clone());
        assert!(!liveness.note(&name, &first, fail()), "an answer of before");
        liveness.retain(second.project_id, |_| false);
        assert!(liveness.all().is_empty());
    }
}

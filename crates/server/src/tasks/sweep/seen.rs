//! What sweeps saw of each project, so that those are left alone that run as before.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use tose_api::ProjectId;
use tose_model::driver::{ObservedReplica, ReplicaState};
use tose_store::ProjectRef;

/// In how many sweeps every project is looked at once, whatever was seen of it: what nobody thought of is found then.
const ROUNDS: u64 = 20;

#[derive(Default)]
pub(super) struct Seen {
    round: u64,
    projects: HashMap<ProjectId, Sight>,
    hasher: RandomState,
}

/// What there was of a project.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sight {
    /// The revision of its workspace, which grows with each change that this process makes in the store.
    revision: u64,
    /// A digest of what the engine showed.
    replicas: u64,
}

impl Seen {
    /// Begins another sweep.
    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    /// Whether a project runs and was the same at the sweep before; notes how it is.
    pub(super) fn runs_as_before(
        &mut self,
        project: &ProjectRef,
        revision: u64,
        observed: &[ObservedReplica],
    ) -> bool {
        let sight = Sight {
            revision,
            replicas: self.digest(observed),
        };
        let before = self.projects.insert(project.id, sight);
        let is_running = |replica: &ObservedReplica| replica.state == ReplicaState::Running;
        let runs = project.is_active
            && !project.is_deleted
            && !observed.is_empty()
            && observed.iter().all(is_running);
        runs && before == Some(sight) && !self.has_turn(project.id)
    }

    pub(super) fn keep_only(&mut self, known: &HashSet<ProjectId>) {
        self.projects.retain(|id, _| known.contains(id));
    }

    /// The engine lists in any order.
    fn digest(&self, observed: &[ObservedReplica]) -> u64 {
        let digests = observed.iter().map(|replica| self.hasher.hash_one(replica));
        digests.fold(0, u64::wrapping_add)
    }

    fn has_turn(&self, id: ProjectId) -> bool {
        let share = self.hasher.hash_one(id) % ROUNDS;
        share == self.round % ROUNDS
    }
}

#[cfg(test)]
mod tests {
    use tose_api::{DeploymentId, Timestamp, WorkspaceId};
    use tose_model::driver::{ReplicaKey, ReplicaName};
    use tose_model::quota::Load;
    use uuid::Uuid;

    use super::*;

    fn project() -> ProjectRef {
        ProjectRef {
            id: ProjectId::from_uuid(Uuid::from_u128(1)),
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(2)),
            is_deleted: false,
            is_active: true,
        }
    }

    fn replica(index: u32) -> ObservedReplica {
        let key = ReplicaKey {
            project_id: project().id,
            deployment_id: DeploymentId::from_uuid(Uuid::from_u128(3)),
            index,
        };
        ObservedReplica {
            name: ReplicaName::new(&"shop".parse().expect("a slug"), &key),
            key,
            workspace_id: project().workspace_id,
            generation: 1,
            state: ReplicaState::Running,
            ip: None,
            started_at: Some(Timestamp::from_nanos(5)),
            ended_at: None,
            load: Load::default(),
            restarts: 0,
        }
    }

    /// In how many sweeps of a whole cycle it is left alone.
    fn rests(seen: &mut Seen, project: &ProjectRef, observed: &[ObservedReplica]) -> u64 {
        let mut rests = 0;
        for _ in 0..ROUNDS {
            seen.begin();
            rests += u64::from(seen.runs_as_before(project, 7, observed));
        }
        rests
    }

    #[test]
    fn a_project_that_runs_as_before_is_looked_at_once_in_a_cycle() {
        let mut seen = Seen::default();
        let observed = [replica(0), replica(1)];
        // The first sweep has nothing to compare with.
        assert!(rests(&mut seen, &project(), &observed) >= ROUNDS - 2);
        assert_eq!(rests(&mut seen, &project(), &observed), ROUNDS - 1);
        let [a, b] = observed;
        let other_order = [b, a];
        assert_eq!(rests(&mut seen, &project(), &other_order), ROUNDS - 1);
    }

    #[test]
    fn one_that_does_not_run_is_looked_at_each_time() {
        let mut seen = Seen::default();
        let mut ended = replica(0);
        ended.state = ReplicaState::Exited {
            exit_code: 0,
            out_of_memory: false,
        };
        assert_eq!(rests(&mut seen, &project(), &[]), 0);
        assert_eq!(rests(&mut seen, &project(), &[replica(1), ended]), 0);
        for (is_active, is_deleted) in [(false, false), (true, true)] {
            let project = ProjectRef {
                is_active,
                is_deleted,
                ..project()
            };
            assert_eq!(rests(&mut seen, &project, &[replica(0)]), 0);
        }
    }

    #[test]
    fn a_change_on_either_side_is_seen() {
        let mut seen = Seen::default();
        let mut rests = |revision, observed: &[ObservedReplica]| {
            // A cycle later it is the same project's turn again, or not again.
            for _ in 0..ROUNDS {
                seen.begin();
            }
            if seen.has_turn(project().id) {
                seen.begin();
            }
            seen.runs_as_before(&project(), revision, observed)
        };
        assert!(!rests(1, &[replica(0)]));
        assert!(rests(1, &[replica(0)]));
        assert!(!rests(2, &[replica(0)]), "something was stored");
        let mut again = replica(0);
        again.started_at = Some(Timestamp::from_nanos(6));
        assert!(!rests(2, &[again.clone()]), "it was started again");
        assert!(!rests(2, &[again.clone(), replica(1)]), "another one came");
        assert!(!rests(2, &[again]), "it went");
    }
}

//! The planner: from what is wanted and what was seen to the next steps.
//!
//! Guarantees: pure and deterministic. A replica is never ended while visitors are sent to it: the
//! step that takes it out of the route comes first, in an earlier place or an earlier plan. A new
//! version takes over only when all its replicas are ready; until then the old one keeps its route,
//! unless the rollout is in place: then the old one has gone before the new one starts.
//! Assumptions: the observation is complete for the project (an engine that could not be asked
//! makes no plan at all), and steps are applied in order, up to the first that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use tose_api::{DeploymentId, Timestamp};

use crate::deployment::failure::Cause;
use crate::driver::{ObservedReplica, ReplicaName, ReplicaState};

/// What is wanted of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Replicas of the live version; 0 when the project is stopped.
    pub replicas: u32,
    /// The version that visitors get.
    pub live: Option<DeploymentId>,
    /// The version that is to take over.
    pub target: Option<Target>,
    /// The places of the live version's replicas that answer no visitors: those of its workers.
    pub live_workers: Vec<u32>,
    /// The same of the version that is to take over.
    pub target_workers: Vec<u32>,
    /// How it takes over.
    pub rollout: Rollout,
    /// Until when a live version that breaks is given up for the one before it; `None` where there is
    /// none to go back to.
    pub watched_until: Option<Timestamp>,
}

impl Desired {
    /// Whether a version is to have a replica with this place, as long as it is there at all.
    pub fn has_place(&self, deployment_id: DeploymentId, index: u32) -> bool {
        index < self.replicas || self.workers(deployment_id).contains(&index)
    }

    fn places(&self, deployment_id: DeploymentId) -> impl Iterator<Item = u32> {
        (0..self.replicas).chain(self.workers(deployment_id).iter().copied())
    }

    fn workers(&self, deployment_id: DeploymentId) -> &[u32] {
        let is_target = |target: Target| target.deployment_id == deployment_id;
        if self.target.is_some_and(is_target) {
            &self.target_workers
        } else if self.live == Some(deployment_id) {
            &self.live_workers
        } else {
            &[]
        }
    }
}

/// How a version takes over from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// It starts beside the live one, which serves until it is ready.
    Beside,
    /// The live one ends first: both cannot have the same volume. If the new one fails, the live one
    /// is started again.
    InPlace,
}

/// A version that is to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its deployment.
    pub deployment_id: DeploymentId,
    /// When it must be ready.
    pub deadline: Timestamp,
}

/// A replica with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What the engine shows.
    pub observed: ObservedReplica,
    /// What its probe says about this run of its process.
    pub health: Health,
    /// Whether visitors are sent to it.
    pub routed: bool,
    /// Since when it is on its way out.
    pub retiring_since: Option<Timestamp>,
    /// When it was asked to end.
    pub terminated_at: Option<Timestamp>,
    /// Whether requests are still running on it; unknown counts as yes.
    pub is_busy: bool,
}

/// What a replica's probe says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It was not asked so far.
    Unknown,
    /// It was ready.
    Ready,
    /// It was asked and was not ready.
    NotReady(String),
    /// It was ready, and then failed again and again: it is to be replaced.
    Unhealthy(String),
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long running requests may go on at a replica that left the route.
    pub drain: Duration,
    /// How long a replica may take from its start until it is ready.
    pub start: Duration,
    /// How long a replica may take to end after it was asked to.
    pub termination: Duration,
    /// How long after its start a replica that ended by itself is started again.
    pub restart: Duration,
    /// How soon a replica that has just started is looked at again; others later.
    pub probe: Duration,
    /// How often a version may crash while it starts before it is given up.
    pub start_crashes: u32,
    /// How often a replica of a fresh live version may crash before that is given up.
    pub watch_crashes: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(30),
            start: Duration::from_secs(60),
            termination: crate::driver::TERMINATION_GRACE,
            restart: Duration::from_secs(10),
            probe: Duration::from_millis(5),
            start_crashes: 3,
            watch_crashes: 2,
        }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start (again) the replica with this place in this version.
    Start {
        deployment_id: DeploymentId,
        index: u32,
    },
    /// Send visitors to exactly these replicas.
    Route { replicas: Vec<ReplicaName> },
    /// The target is live; the version before it is superseded.
    Promote { deployment_id: DeploymentId },
    /// The target cannot come to life; `replica` is the one that shows why, if one was started.
    Fail {
        deployment_id: DeploymentId,
        replica: Option<ReplicaName>,
        cause: Cause,
    },
    /// The live version broke soon after it went live: bring the one before it back. `replica` shows
    /// why.
    RollBack { replica: ReplicaName, cause: Cause },
    /// Note that the replica is on its way out: its time to drain begins.
    Retire { name: ReplicaName },
    /// Ask the replica to end.
    Terminate { name: ReplicaName },
    /// Take the replica away.
    Remove { name: ReplicaName },
}

/// What to do, and when to look again if nothing happens before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order, up to the first that fails.
    pub steps: Vec<Step>,
    /// When to plan again at the latest; `None`: when something happens.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Decides the next steps. Pure: the caller supplies `now`.
pub fn plan(desired: &Desired, replicas: &[Replica], now: Timestamp, patience: &Patience) -> Plan {
    let mut plan = Plan::default();
    let replicas = &one_at_a_time(desired, replicas);
    if let Some(failure) = find_failure(desired, replicas, now, patience) {
        plan.steps.push(failure);
        return plan;
    }
    plan.steps
        .extend(find_regression(desired, replicas, now, patience));
    plan_starts(desired, replicas, now, patience, &mut plan);
    plan_route(desired, replicas, &mut plan);
    plan_retirements(desired, replicas, now, patience, &mut plan);
    for replica in wanted(desired, replicas).filter(|replica| !is_serving(replica)) {
        plan.wake(now.saturating_add(probe_pause(replica, now, patience)));
    }
    if desired.target.is_some() {
        let slowest = patience.probe * SLOWEST_PROBE;
        plan.wake(now.saturating_add(slowest));
    }
    plan
}

/// Lets one unhealthy replica of the live version go at a time, and only while all others are up: the
/// rest goes on as it can. While another version is about to take over, all of them do.
fn one_at_a_time(desired: &Desired, replicas: &[Replica]) -> Vec<Replica> {
    let is_unhealthy = |replica: &&Replica| matches!(replica.health, Health::Unhealthy(_));
    let live = || {
        replicas
            .iter()
            .filter(|replica| Some(replica.observed.key.deployment_id) == desired.live)
    };
    let is_going = |replica: &&Replica| {
        is_unhealthy(replica)
            && (replica.retiring_since.is_some() || replica.terminated_at.is_some())
    };
    let are_up = live().filter(|replica| {
        replica.observed.key.is_web()
            && replica.observed.state == ReplicaState::Running
            && matches!(replica.health, Health::Ready | Health::Unhealthy(_))
    });
    let is_complete =
        desired.target.is_none() && are_up.count() as u64 >= u64::from(desired.replicas);
    let next = live()
        .find(is_going)
        .or_else(|| live().filter(|_| is_complete).find(is_unhealthy))
        .map(|replica| replica.observed.name.clone());
    let spare = |replica: &Replica| match replica.health {
        Health::Unhealthy(_) if next.as_ref() != Some(&replica.observed.name) => Replica {
            health: Health::Ready,
            ..replica.clone()
        },
        _ => replica.clone(),
    };
    replicas.iter().map(spare).collect()
}

/// How many of the shortest pauses lie between two looks at a replica that takes long.
const SLOWEST_PROBE: u32 = 100;

/// A tenth of the time that the replica has run: an app that starts at once is seen at once, one
/// that takes a minute is not asked three thousand times.
fn probe_pause(replica: &Replica, now: Timestamp, patience: &Patience) -> Duration {
    let age = replica
        .observed
        .started_at
        .map_or(Duration::ZERO, |at| now.since(at));
    (age / 10).clamp(patience.probe, patience.probe * SLOWEST_PROBE)
}

/// The replicas that are to stay.
fn wanted<'a>(desired: &'a Desired, replicas: &'a [Replica]) -> impl Iterator<Item = &'a Replica> {
    replicas
        .iter()
        .filter(|replica| is_wanted(desired, replica))
}

fn is_wanted(desired: &Desired, replica: &Replica) -> bool {
    let deployment_id = replica.observed.key.deployment_id;
    let is_current = desired.live == Some(deployment_id) && !is_in_place(desired)
        || desired
            .target
            .is_some_and(|target| target.deployment_id == deployment_id);
    is_current
        && desired.has_place(deployment_id, replica.observed.key.index)
        && !matches!(replica.health, Health::Unhealthy(_))
}

/// Whether the live version has to make room for the one that is to take over.
fn is_in_place(desired: &Desired) -> bool {
    desired.rollout == Rollout::InPlace && desired.target.is_some()
}

/// Whether it does its work (of those that answer visitors: whether they may be sent to it): it runs,
/// and its probe succeeded or it has the route from before the control plane was restarted.
fn is_serving(replica: &Replica) -> bool {
    let has_proof = match replica.health {
        Health::Ready => true,
        Health::Unknown => replica.routed,
        Health::NotReady(_) | Health::Unhealthy(_) => false,
    };
    has_proof && replica.observed.state == ReplicaState::Running
}

fn of(replicas: &[Replica], deployment_id: DeploymentId) -> impl Iterator<Item = &Replica> {
    replicas
        .iter()
        .filter(move |replica| replica.observed.key.deployment_id == deployment_id)
}

fn find_failure(
    desired: &Desired,
    replicas: &[Replica],
    now: Timestamp,
    patience: &Patience,
) -> Option<Step> {
    let target = desired.target?;
    let fail = |replica: &Replica, cause| Step::Fail {
        deployment_id: target.deployment_id,
        replica: Some(replica.observed.name.clone()),
        cause,
    };
    for replica in of(replicas, target.deployment_id) {
        let restarts = replica.observed.restarts;
        match replica.observed.state {
            ReplicaState::Exited {
                exit_code,
                out_of_memory,
            } => {
                return Some(fail(
                    replica,
                    Cause::Exited {
                        exit_code,
                        out_of_memory,
                        restarts,
                    },
                ));
            }
            ReplicaState::Restarting {
                exit_code,
                out_of_memory,
            } if out_of_memory || restarts >= patience.start_crashes => {
                return Some(fail(
                    replica,
                    Cause::Exited {
                        exit_code,
                        out_of_memory,
                        restarts,
                    },
                ));
            }
            _ => {}
        }
    }
    if is_takeover_ready(desired, replicas) {
        return None;
    }
    let waiting = || of(replicas, target.deployment_id).filter(|replica| !is_serving(replica));
    let has_had_its_time = |replica: &&Replica| {
        let started_at = replica.observed.started_at;
        started_at.is_some_and(|at| at.saturating_add(patience.start) <= now)
    };
    if let Some(late) = waiting().find(has_had_its_time) {
        return Some(fail(late, not_ready(late)));
    }
    if now < target.deadline {
        return None;
    }
    Some(match waiting().next() {
        Some(late) => fail(late, not_ready(late)),
        None => Step::Fail {
            deployment_id: target.deployment_id,
            replica: None,
            cause: Cause::NeverStarted,
        },
    })
}

/// What shows that the live version is worse than the one before it: a replica that crashed more than
/// once, was killed for its memory, or is unhealthy, while the version is watched.
fn find_regression(
    desired: &Desired,
    replicas: &[Replica],
    now: Timestamp,
    patience: &Patience,
) -> Option<Step> {
    desired.watched_until.filter(|until| now < *until)?;
    let broken = |replica: &Replica| {
        let restarts = replica.observed.restarts;
        let cause = match (replica.observed.state, &replica.health) {
            (_, Health::Unhealthy(probe)) => Cause::NotReady {
                probe: probe.clone(),
            },
            (
                ReplicaState::Exited {
                    exit_code,
                    out_of_memory,
                }
                | ReplicaState::Restarting {
                    exit_code,
                    out_of_memory,
                },
                _,
            ) if out_of_memory || exit_code != 0 && restarts >= patience.watch_crashes => {
                Cause::Exited {
                    exit_code,
                    out_of_memory,
                    restarts,
                }
            }
            _ => return None,
        };
        Some(Step::RollBack {
            replica: replica.observed.name.clone(),
            cause,
        })
    };
    of(replicas, desired.live?).find_map(broken)
}

fn not_ready(replica: &Replica) -> Cause {
    let probe = match &replica.health {
        Health::NotReady(reason) | Health::Unhealthy(reason) => reason.clone(),
        Health::Ready | Health::Unknown => "it did not stay up long enough to be asked".to_owned(),
    };
    Cause::NotReady { probe }
}

fn is_takeover_ready(desired: &Desired, replicas: &[Replica]) -> bool {
    let Some(target) = desired.target else {
        return false;
    };
    let serving = of(replicas, target.deployment_id)
        .filter(|replica| is_wanted(desired, replica) && is_serving(replica));
    let needed = desired.places(target.deployment_id).count();
    desired.replicas > 0 && serving.count() == needed
}

fn plan_starts(
    desired: &Desired,
    replicas: &[Replica],
    now: Timestamp,
    patience: &Patience,
    plan: &mut Plan,
) {
    let takes_over = is_takeover_ready(desired, replicas);
    let live = desired
        .live
        .filter(|_| !takes_over && !is_in_place(desired));
    let target = desired.target.map(|target| target.deployment_id);
    let has_room = |version: &DeploymentId| {
        desired.rollout == Rollout::Beside
            || replicas
                .iter()
                .all(|replica| replica.observed.key.deployment_id == *version)
    };
    for deployment_id in live.into_iter().chain(target).filter(has_room) {
        for index in desired.places(deployment_id) {
            let found = of(replicas, deployment_id).find(|r| r.observed.key.index == index);
            let start_at = match found.map(|replica| &replica.observed) {
                None => now,
                Some(observed) => match observed.state {
                    ReplicaState::Created => now,
                    ReplicaState::Running | ReplicaState::Restarting { .. } => continue,
                    ReplicaState::Exited { .. } => observed
                        .started_at
                        .map_or(now, |at| at.saturating_add(patience.restart)),
                },
            };
            if start_at <= now {
                plan.steps.push(Step::Start {
                    deployment_id,
                    index,
                });
            } else {
                plan.wake(start_at);
            }
        }
    }
}

fn plan_route(desired: &Desired, replicas: &[Replica], plan: &mut Plan) {
    let takeover = desired
        .target
        .filter(|_| is_takeover_ready(desired, replicas));
    let version = takeover.map(|target| target.deployment_id).or(desired.live);
    let serves = |replica: &&Replica| {
        Some(replica.observed.key.deployment_id) == version
            && replica.observed.key.is_web()
            && is_wanted(desired, replica)
            && is_serving(replica)
    };
    let names = |replicas: &mut dyn Iterator<Item = &Replica>| -> BTreeSet<ReplicaName> {
        replicas
            .map(|replica| replica.observed.name.clone())
            .collect()
    };
    let wanted = names(&mut replicas.iter().filter(serves));
    let current = names(&mut replicas.iter().filter(|replica| replica.routed));
    if wanted != current {
        plan.steps.push(Step::Route {
            replicas: wanted.into_iter().collect(),
        });
    }
    if let Some(target) = takeover {
        plan.steps.push(Step::Promote {
            deployment_id: target.deployment_id,
        });
    }
}

fn plan_retirements(
    desired: &Desired,
    replicas: &[Replica],
    now: Timestamp,
    patience: &Patience,
    plan: &mut Plan,
) {
    for replica in replicas
        .iter()
        .filter(|replica| !is_wanted(desired, replica))
    {
        let name = replica.observed.name.clone();
        if replica.routed {
            // It leaves the route in this plan; its time to drain begins with the next one.
            plan.wake(now);
            continue;
        }
        let is_alive = matches!(
            replica.observed.state,
            ReplicaState::Running | ReplicaState::Restarting { .. }
        );
        if !is_alive {
            plan.steps.push(Step::Remove { name });
            continue;
        }
        if let Some(terminated_at) = replica.terminated_at {
            let killed_at = terminated_at.saturating_add(patience.termination);
            if killed_at <= now {
                plan.steps.push(Step::Remove { name });
            } else {
                plan.wake(killed_at);
            }
            continue;
        }
        let drained_at = replica
            .retiring_since
            .map(|since| since.saturating_add(patience.drain));
        match drained_at {
            None if replica.is_busy => {
                plan.steps.push(Step::Retire { name });
                plan.wake(now.saturating_add(patience.probe * SLOWEST_PROBE));
            }
            Some(drained_at) if replica.is_busy && drained_at > now => {
                let again = now.saturating_add(patience.probe * SLOWEST_PROBE);
                plan.wake(drained_at.min(again));
            }
            _ => plan.steps.push(Step::Terminate { name }),
        }
    }
}

//! The route table as workers use it: host to target by one hash, replicas with their counters.
//!
//! Guarantees: one [`Replica`] stands for one (name, address) across tables for as long as a table
//! or a request holds it, so its count of running requests survives reloads. Picking and counting
//! happen in one step, so a worker that confirmed a new table starts nothing on a replica that is
//! not in it. Assumption: the control plane gives each replica its own name.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tose_api::domain_settings::UpstreamProtocol;
use tose_api::{Hostname, ProjectId, Slug};
use tose_model::route::{Backend, PortRoute, Route, RouteChange, RouteTable, Rules};

use crate::limits::{AVOID, LONGEST_AVOID, MAX_LOST_ANSWERS, SLOW_START};
use crate::meter::{Meter, Meters};
use crate::rules::{Gate, Permit, Ruled};

/// Every host that this process knows.
#[derive(Default)]
pub(crate) struct Table {
    /// The generation of the table that it was made of.
    pub(crate) generation: u64,
    /// Where connections to each port of its own go.
    pub(crate) ports: BTreeMap<SocketAddr, Arc<PortTarget>>,
    targets: HashMap<Arc<str>, Arc<Target>>,
}

/// Where connections to one port go.
pub(crate) struct PortTarget {
    /// As the control plane wrote it.
    pub(crate) route: PortRoute,
    /// What its bytes count for.
    pub(crate) meter: Meter,
}

/// Where requests for one host go.
pub(crate) struct Target {
    /// The project.
    pub(crate) project_id: ProjectId,
    /// The workspace's slug, for messages.
    pub(crate) workspace: Slug,
    /// The project's slug, for messages.
    pub(crate) project: Slug,
    /// Why nothing serves it.
    pub(crate) reason: Option<String>,
    /// The port of HTTPS to which visitors without it are sent; `None` serves them as they came.
    pub(crate) https_port: Option<u16>,
    /// What its requests count for.
    pub(crate) meter: Meter,
    /// What visitors meet before the app.
    pub(crate) ruled: Option<Box<Ruled>>,
    replicas: Vec<Arc<Replica>>,
}

/// One replica, shared by all workers.
pub(crate) struct Replica {
    /// Its number in this process, never used twice.
    pub(crate) id: u64,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// What a visitor's cookie calls it.
    pub(crate) cookie: Box<str>,
    in_flight: AtomicU64,
    is_retired: AtomicBool,
    avoid_until_ms: AtomicU64,
    /// Connections and answers that failed since the last that did not.
    failures: AtomicU32,
    /// Until when it gets less than its share.
    slow_until_ms: u64,
}

/// A request or tunnel on a replica; it is counted for as long as this lives.
pub(crate) struct Lease {
    replica: Arc<Replica>,
    permit: Option<Permit>,
}

/// Every replica that a table or a request holds, and what counts for hosts.
pub(crate) struct Replicas {
    known: HashMap<Backend, Weak<Replica>>,
    gates: HashMap<Hostname, Arc<Gate>>,
    next_id: u64,
    /// When the milliseconds of workers began to count.
    epoch: Instant,
    is_first_table: bool,
}

impl Table {
    /// The target of `host`, a lower-case name without port.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<Target>> {
        self.targets.get(host)
    }
}

impl PortTarget {
    fn new(route: PortRoute, meters: &mut Meters) -> Arc<Self> {
        let meter = meters.meter_of_ports(route.project_id);
        Arc::new(Self { route, meter })
    }

    /// Whether a client of this address may come in.
    pub(crate) fn admits(&self, ip: IpAddr) -> bool {
        let allow = &self.route.allow;
        allow.is_empty() || allow.iter().any(|range| range.contains(ip))
    }
}

impl Target {
    /// The replica with the fewest running requests, seen from `start` so that equals take turns;
    /// those in `tried` are left out, and those that are avoided at `now_ms` come last.
    pub(crate) fn pick(&self, start: usize, now_ms: u64, tried: &[u64]) -> Option<Lease> {
        if let [only] = self.replicas.as_slice() {
            return (!tried.contains(&only.id)).then(|| Lease::new(only));
        }
        let split = start % self.replicas.len().max(1);
        let (tail, head) = self.replicas.split_at(split);
        head.iter()
            .chain(tail)
            .filter(|replica| !tried.contains(&replica.id))
            .min_by_key(|replica| (replica.is_avoided(now_ms), replica.load(now_ms)))
            .map(Lease::new)
    }

    /// The replica that a visitor's cookie names, unless it was tried or is avoided.
    pub(crate) fn pick_named(&self, cookie: &str, now_ms: u64, tried: &[u64]) -> Option<Lease> {
        self.replicas
            .iter()
            .find(|replica| *replica.cookie == *cookie)
            .filter(|replica| !tried.contains(&replica.id) && !replica.is_avoided(now_ms))
            .map(Lease::new)
    }

    /// How its replicas are spoken to.
    pub(crate) fn upstream(&self) -> UpstreamProtocol {
        self.rules()
            .map_or_else(UpstreamProtocol::default, |rules| rules.upstream)
    }

    /// The rules of its host, if it has any.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.ruled.as_ref().map(|ruled| ruled.rules())
    }

    /// Whether a replica is there at all.
    pub(crate) fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }
}

impl Replica {
    fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_avoided(&self, now_ms: u64) -> bool {
        self.avoid_until_ms.load(Ordering::Relaxed) > now_ms
    }

    /// Running requests, as many as they would be with a full share; one that is new gets a tenth of
    /// it, and more and more until [`SLOW_START`] is over.
    fn load(&self, now_ms: u64) -> u64 {
        let slow_ms = SLOW_START.as_millis() as u64;
        let rest_ms = self.slow_until_ms.saturating_sub(now_ms).min(slow_ms);
        let share = (slow_ms - rest_ms).max(slow_ms / 10);
        (self.in_flight() + 1) * slow_ms / share
    }

    /// It could not be connected to: while there are others it is passed over, the longer the more
    /// often that happens.
    pub(crate) fn note_unreachable(&self, now_ms: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = AVOID
            .saturating_mul(1 << failures.min(8))
            .min(LONGEST_AVOID);
        self.avoid_for(pause, now_ms);
    }

    /// It took a request and gave no answer: one may be the request's fault, several in a row are its
    /// own.
    pub(crate) fn note_lost_answer(&self, now_ms: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= MAX_LOST_ANSWERS {
            self.avoid_for(AVOID, now_ms);
        }
    }

    /// It answered.
    pub(crate) fn note_answer(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn avoid_for(&self, pause: Duration, now_ms: u64) {
        let until_ms = now_ms.saturating_add(pause.as_millis() as u64);
        self.avoid_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Whether no table holds it any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }
}

impl Lease {
    fn new(replica: &Arc<Replica>) -> Self {
        replica.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            replica: Arc::clone(replica),
            permit: None,
        }
    }

    /// Keeps a permit for as long as this lives.
    pub(crate) fn keep(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// The replica.
    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.replica.in_flight.fetch_sub(1, Ordering::Release);
    }
}

impl Replicas {
    /// None so far; milliseconds count from `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            known: HashMap::new(),
            gates: HashMap::new(),
            next_id: 0,
            epoch,
            is_first_table: true,
        }
    }

    /// Makes the table that workers use, with a meter for each project in it.
    pub(crate) fn compile(&mut self, table: RouteTable, meters: &mut Meters) -> Table {
        self.known.retain(|_, replica| replica.strong_count() > 0);
        for replica in self.known.values().filter_map(Weak::upgrade) {
            replica.is_retired.store(true, Ordering::Relaxed);
        }
        let generation = table.generation;
        let mut gates = HashMap::new();
        let targets = table
            .routes
            .into_iter()
            .map(|(host, route)| {
                let target = self.target(&host, route, meters);
                if let Some(gate) = target.ruled.as_ref().and_then(|ruled| ruled.gate()) {
                    gates.insert(host.clone(), Arc::clone(gate));
                }
                (host.as_str().into(), Arc::new(target))
            })
            .collect();
        self.gates = gates;
        self.is_first_table = false;
        let ports = table.ports.into_iter();
        Table {
            generation,
            ports: ports
                .map(|(addr, route)| (addr, PortTarget::new(route, meters)))
                .collect(),
            targets,
        }
    }

    /// Makes the next table of the one before.
    pub(crate) fn apply(
        &mut self,
        table: &Table,
        change: RouteChange,
        meters: &mut Meters,
        now: Instant,
    ) -> Table {
        let mut targets = table.targets.clone();
        let mut ports = table.ports.clone();
        ports.retain(|_, port| !change.projects.contains_key(&port.route.project_id));
        for (addr, route) in change.ports {
            ports.insert(addr, PortTarget::new(route, meters));
        }
        for (project_id, routes) in change.projects {
            let old = take_targets(&mut targets, project_id);
            for replica in old.iter().flat_map(|(_, target)| &target.replicas) {
                replica.is_retired.store(true, Ordering::Relaxed);
            }
            let mut own_ports = ports.values();
            let has_port = own_ports.any(|port| port.route.project_id == project_id);
            let is_routed = !routes.is_empty() || has_port;
            for (host, route) in routes {
                let target = self.target(&host, route, meters);
                match target.ruled.as_ref().and_then(|ruled| ruled.gate()) {
                    Some(gate) => self.gates.insert(host.clone(), Arc::clone(gate)),
                    None => self.gates.remove(&host),
                };
                targets.insert(host.as_str().into(), Arc::new(target));
            }
            for (host, _) in old {
                if !targets.contains_key(&host) {
                    self.gates.retain(|known, _| known.as_str() != &*host);
                }
            }
            meters.note_routed(project_id, is_routed, now);
        }
        self.known.retain(|_, replica| replica.strong_count() > 0);
        Table {
            generation: change.generation,
            ports,
            targets,
        }
    }

    /// Requests and tunnels that run on the replica of this name.
    pub(crate) fn in_flight(&self, name: &str) -> u64 {
        self.known
            .iter()
            .filter(|(backend, _)| backend.replica == name)
            .filter_map(|(_, replica)| replica.upgrade())
            .map(|replica| replica.in_flight.load(Ordering::Acquire))
            .sum()
    }

    fn target(&mut self, host: &Hostname, route: Route, meters: &mut Meters) -> Target {
        let replicas = route
            .backends
            .into_iter()
            .map(|backend| self.replica(backend))
            .collect();
        let ruled = route.rules.map(|rules| {
            let gate = self.gates.get(host).map(Arc::clone);
            Box::new(Ruled::new(*rules, gate))
        });
        Target {
            project_id: route.project_id,
            workspace: route.workspace,
            project: route.project,
            reason: route.reason,
            https_port: route.https_port,
            meter: meters.meter(route.project_id),
            ruled,
            replicas,
        }
    }

    fn replica(&mut self, backend: Backend) -> Arc<Replica> {
        if let Some(replica) = self.known.get(&backend).and_then(Weak::upgrade) {
            replica.is_retired.store(false, Ordering::Relaxed);
            return replica;
        }
        self.next_id += 1;
        let replica = Arc::new(Replica {
            id: self.next_id,
            addr: backend.addr,
            cookie: cookie_of(&backend),
            in_flight: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
            avoid_until_ms: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            slow_until_ms: self.slow_until_ms(),
        });
        self.known.insert(backend, Arc::downgrade(&replica));
        replica
    }

    /// What the first table names may have served for long.
    fn slow_until_ms(&self) -> u64 {
        if self.is_first_table {
            return 0;
        }
        (self.epoch.elapsed() + SLOW_START).as_millis() as u64
    }
}

/// Takes the targets of a project out.
fn take_targets(
    targets: &mut HashMap<Arc<str>, Arc<Target>>,
    project_id: ProjectId,
) -> Vec<(Arc<str>, Arc<Target>)> {
    let own: Vec<Arc<str>> = targets
        .iter()
        .filter(|(_, target)| target.project_id == project_id)
        .map(|(host, _)| Arc::clone(host))
        .collect();
    own.into_iter()
        .filter_map(|host| targets.remove_entry(&host))
        .collect()
}

/// Tells replicas apart and says nothing about them.
fn cookie_of(backend: &Backend) -> Box<str> {
    let mut hasher = DefaultHasher::new();
    backend.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn table(backends: &[&str]) -> RouteTable {
        let backends = backends
            .iter()
            .enumerate()
            .map(|(index, name)| Backend {
                replica: (*name).to_owned(),
                addr: SocketAddr::from(([127, 0, 0, 1], 1000 + u16::try_from(index).unwrap())),
            })
            .collect();
        let route = Route {
            project_id: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
            workspace: "acme".parse().unwrap(),
            project: "shop".parse().unwrap(),
            backends,
            reason: None,
            https_port: None,
            rules: None,
        };
        RouteTable {
            generation: 1,
            routes: BTreeMap::from([("shop.example.com".parse().unwrap(), route)]),
            ..RouteTable::default()
        }
    }

    #[test]
    fn the_replica_with_the_fewest_requests_is_picked_and_equals_take_turns() {
        let table = Replicas::new(Instant::now()).compile(table(&["a", "b"]), &mut Meters::new(1));
        let target = table.find("shop.example.com").unwrap();
        let first = target.pick(0, 0, &[]).unwrap();
        let second = target.pick(0, 0, &[]).unwrap();
        assert_ne!(first.replica().id, second.replica().id);
        drop((first, second));
        let even = target.pick(0, 0, &[]).unwrap().replica().id;
        let odd = target.pick(1, 0, &[]).unwrap().replica().id;
        assert_ne!(even, odd);
    }

    #[test]
    fn tried_replicas_are_left_out_and_avoided_ones_come_last() {
        let table = Replicas::new(Instant::now()).compile(table(&["a", "b"]), &mut Meters::new(1));
        let target = table.find("shop.example.com").unwrap();
        let bad = target.pick(0, 0, &[]).unwrap();
        bad.replica().note_unreachable(0);
        let good = target.pick(0, 1_999, &[]).unwrap();
        assert_ne!(good.replica().id, bad.replica().id);
        assert_eq!(
            target
                .pick(0, 4, &[good.replica().id])
                .unwrap()
                .replica()
                .id,
            bad.replica().id
        );
        assert!(
            target
                .pick(0, 4, &[good.replica().id, bad.replica().id])
                .is_none()
        );
    }

    #[test]
    fn a_lease_counts_across_tables_until_it_ends() {
        let mut replicas = Replicas::new(Instant::now());
        let old = replicas.compile(table(&["a"]), &mut Meters::new(1));
        let lease = old
            .find("shop.example.com")
            .unwrap()
            .pick(0, 0, &[])
            .unwrap();
        let new = replicas.compile(table(&[]), &mut Meters::new(1));
        drop(old);
        assert_eq!(replicas.in_flight("a"), 1);
        assert!(lease.replica().is_retired());
        assert!(!new.find("shop.example.com").unwrap().has_replicas());
        drop(lease);
        assert_eq!(replicas.in_flight("a"), 0);
    }

    #[test]
    fn a_replica_that_joins_others_gets_more_and_more_until_it_has_its_share() {
        let mut replicas = Replicas::new(Instant::now());
        let mut meters = Meters::new(1);
        let _first = replicas.compile(table(&["a"]), &mut meters);
        let table = replicas.compile(table(&["a", "b"]), &mut meters);
        let target = table.find("shop.example.com").unwrap();
        let is_new = |lease: &Lease| lease.replica().slow_until_ms > 0;
        let share_at = |now_ms: u64| {
            let leases: Vec<_> = (0..110)
                .map(|start| target.pick(start, now_ms, &[]).unwrap())
                .collect();
            leases.iter().filter(|lease| is_new(lease)).count()
        };
        assert_eq!(share_at(0), 10);
        let end_ms = target.replicas[1].slow_until_ms;
        let half = share_at(end_ms - 5_000);
        assert!((30..45).contains(&half), "{half}");
        assert_eq!(share_at(end_ms), 55);
    }

    #[test]
    fn a_replica_is_passed_over_the_longer_the_more_often_it_fails() {
        let table = Replicas::new(Instant::now()).compile(table(&["a"]), &mut Meters::new(1));
        let target = table.find("shop.example.com").unwrap();
        let lease = target.pick(0, 0, &[]).unwrap();
        let replica = lease.replica();
        for seconds in [2, 4, 8, 16, 32, 32] {
            replica.note_unreachable(1_000);
            assert!(replica.is_avoided(1_000 + seconds * 1_000 - 1));
            assert!(!replica.is_avoided(1_000 + seconds * 1_000));
        }
        replica.note_answer();
        replica.note_lost_answer(100_000);
        replica.note_lost_answer(100_000);
        assert!(
            !replica.is_avoided(100_000),
            "two may be the requests' fault"
        );
        replica.note_lost_answer(100_000);
        assert!(replica.is_avoided(100_000));
    }
}

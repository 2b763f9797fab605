//! The route table as workers use it: host to target by one hash, replicas with their counters.
//!
//! Guarantees: one [`Replica`] stands for one (name, address) across tables for as long as a table
//! or a request holds it, so its count of running requests survives reloads. Picking and counting
//! happen in one step, so a worker that confirmed a new table starts nothing on a replica that is
//! not in it. Assumption: the control plane gives each replica its own name.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tose_api::Slug;
use tose_model::route::{Backend, Route, RouteTable};

use crate::meter::{Meter, Meters};

/// Every host that this process knows.
#[derive(Default)]
pub(crate) struct Table {
    /// The generation of the table that it was made of.
    pub(crate) generation: u64,
    targets: HashMap<Box<str>, Arc<Target>>,
}

/// Where requests for one host go.
pub(crate) struct Target {
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
    replicas: Vec<Arc<Replica>>,
}

/// One replica, shared by all workers.
pub(crate) struct Replica {
    /// Its number in this process, never used twice.
    pub(crate) id: u64,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    in_flight: AtomicU64,
    is_retired: AtomicBool,
    avoid_until_ms: AtomicU64,
}

/// A request or tunnel on a replica; it is counted for as long as this lives.
pub(crate) struct Lease(Arc<Replica>);

/// Every replica that a table or a request holds.
#[derive(Default)]
pub(crate) struct Replicas {
    known: HashMap<Backend, Weak<Replica>>,
    next_id: u64,
}

impl Table {
    /// The target of `host`, a lower-case name without port.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<Target>> {
        self.targets.get(host)
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
            .min_by_key(|replica| (replica.is_avoided(now_ms), replica.in_flight()))
            .map(Lease::new)
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

    /// Passes it over until `until_ms` while there are others.
    pub(crate) fn avoid_until(&self, until_ms: u64) {
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
        Self(Arc::clone(replica))
    }

    /// The replica.
    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

impl Replicas {
    /// Makes the table that workers use, with a meter for each project in it.
    pub(crate) fn compile(&mut self, table: RouteTable, meters: &mut Meters) -> Table {
        self.known.retain(|_, replica| replica.strong_count() > 0);
        for replica in self.known.values().filter_map(Weak::upgrade) {
            replica.is_retired.store(true, Ordering::Relaxed);
        }
        let generation = table.generation;
        let targets = table
            .routes
            .into_iter()
            .map(|(host, route)| (host.as_str().into(), Arc::new(self.target(route, meters))))
            .collect();
        Table {
            generation,
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

    fn target(&mut self, route: Route, meters: &mut Meters) -> Target {
        let replicas = route
            .backends
            .into_iter()
            .map(|backend| self.replica(backend))
            .collect();
        Target {
            workspace: route.workspace,
            project: route.project,
            reason: route.reason,
            https_port: route.https_port,
            meter: meters.meter(route.project_id),
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
            in_flight: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
            avoid_until_ms: AtomicU64::new(0),
        });
        self.known.insert(backend, Arc::downgrade(&replica));
        replica
    }
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
        }
    }

    #[test]
    fn the_replica_with_the_fewest_requests_is_picked_and_equals_take_turns() {
        let table = Replicas::default().compile(table(&["a", "b"]), &mut Meters::new(1));
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
        let table = Replicas::default().compile(table(&["a", "b"]), &mut Meters::new(1));
        let target = table.find("shop.example.com").unwrap();
        let bad = target.pick(0, 0, &[]).unwrap();
        bad.replica().avoid_until(5);
        let good = target.pick(0, 4, &[]).unwrap();
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
        let mut replicas = Replicas::default();
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
}

//! The route table with an index by project: what is done with the routes of one costs the same with ten thousand others.
//!
//! Invariant: the places of a project are those of its routes in the table, and of no others.

use std::collections::HashMap;
use std::net::SocketAddr;

use tose_api::{Hostname, ProjectId};

use super::{PortRoute, ProjectRoutes, Route, RouteChange, RouteTable};

/// Where in the table the routes of a project are.
#[derive(Debug, Default)]
struct Places {
    hosts: Vec<Hostname>,
    ports: Vec<SocketAddr>,
}

/// A table that knows the routes of each project.
#[derive(Debug, Default)]
pub struct IndexedTable {
    table: RouteTable,
    places: HashMap<ProjectId, Places>,
}

impl From<RouteTable> for IndexedTable {
    fn from(table: RouteTable) -> Self {
        let mut places: HashMap<ProjectId, Places> = HashMap::new();
        for (host, route) in &table.routes {
            let of_project = places.entry(route.project_id).or_default();
            of_project.hosts.push(host.clone());
        }
        for (addr, port) in &table.ports {
            places.entry(port.project_id).or_default().ports.push(*addr);
        }
        Self { table, places }
    }
}

impl IndexedTable {
    /// The table.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The table alone.
    pub fn into_table(self) -> RouteTable {
        self.table
    }

    /// Makes the table what a change says. A host or a port that another project had goes to the new one.
    pub fn apply(&mut self, change: &RouteChange) {
        for project_id in change.projects.keys() {
            self.clear(*project_id);
        }
        for (host, route) in change.projects.values().flatten() {
            self.insert_host(host, route);
        }
        for (addr, port) in &change.ports {
            self.insert_port(*addr, port);
        }
        self.table.generation = change.generation;
    }

    fn clear(&mut self, project_id: ProjectId) {
        let places = self.places.remove(&project_id).unwrap_or_default();
        for host in places.hosts {
            self.table.routes.remove(&host);
        }
        for addr in places.ports {
            self.table.ports.remove(&addr);
        }
    }

    fn insert_host(&mut self, host: &Hostname, route: &Route) {
        let before = self.table.routes.insert(host.clone(), route.clone());
        if let Some(before) = before {
            let loser = self.places.entry(before.project_id).or_default();
            loser.hosts.retain(|other| other != host);
        }
        let winner = self.places.entry(route.project_id).or_default();
        winner.hosts.push(host.clone());
    }

    fn insert_port(&mut self, addr: SocketAddr, port: &PortRoute) {
        if let Some(before) = self.table.ports.insert(addr, port.clone()) {
            let loser = self.places.entry(before.project_id).or_default();
            loser.ports.retain(|other| *other != addr);
        }
        let winner = self.places.entry(port.project_id).or_default();
        winner.ports.push(addr);
    }

    /// All routes of a project.
    pub fn routes_of(&self, project_id: ProjectId) -> ProjectRoutes {
        let hosts = self.hosts_of(project_id);
        let ports = self.ports_of(project_id);
        ProjectRoutes {
            hosts: hosts
                .map(|(host, route)| (host.clone(), route.clone()))
                .collect(),
            ports: ports.map(|(addr, port)| (*addr, port.clone())).collect(),
        }
    }

    /// Whether `routes` are all routes of `project_id`.
    pub fn has(&self, project_id: ProjectId, routes: &ProjectRoutes) -> bool {
        let hosts = self.hosts_of(project_id);
        let ports = self.ports_of(project_id);
        let place_count = |places: &Places| (places.hosts.len(), places.ports.len());
        let counts = self.places.get(&project_id).map_or((0, 0), place_count);
        counts == (routes.hosts.len(), routes.ports.len())
            && hosts
                .into_iter()
                .all(|(host, route)| routes.hosts.get(host) == Some(route))
            && ports
                .into_iter()
                .all(|(addr, port)| routes.ports.get(addr) == Some(port))
    }

    /// The hosts of a project, in no order.
    pub fn hosts_of(&self, project_id: ProjectId) -> impl Iterator<Item = (&Hostname, &Route)> {
        let places = self.places.get(&project_id).into_iter();
        let hosts = places.flat_map(|places| &places.hosts);
        hosts.filter_map(|host| self.table.routes.get_key_value(host))
    }

    fn ports_of(&self, project_id: ProjectId) -> impl Iterator<Item = (&SocketAddr, &PortRoute)> {
        let places = self.places.get(&project_id).into_iter();
        let ports = places.flat_map(|places| &places.ports);
        ports.filter_map(|addr| self.table.ports.get_key_value(addr))
    }

    /// The projects that have a route, in no order.
    pub fn projects(&self) -> impl Iterator<Item = ProjectId> {
        let some = |places: &Places| !places.hosts.is_empty() || !places.ports.is_empty();
        let places = self.places.iter();
        places.filter_map(move |(id, places)| some(places).then_some(*id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn project(number: u8) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn host(number: u8) -> Hostname {
        format!("host-{number}.localhost").parse().expect("a host")
    }

    fn route(number: u8, reason: u8) -> Route {
        Route {
            project_id: project(number),
            workspace: "demo".parse().expect("a slug"),
            project: "app".parse().expect("a slug"),
            backends: Vec::new(),
            reason: Some(reason.to_string()),
            https_port: None,
            rules: None,
        }
    }

    fn port(number: u8) -> PortRoute {
        PortRoute {
            project_id: project(number),
            backend: None,
            allow: Vec::new(),
            host: host(0),
            self_signed: host(0),
        }
    }

    /// Routes that one of five projects may have, at places that the others may have, too.
    fn routes() -> impl Strategy<Value = (ProjectId, ProjectRoutes)> {
        let hosts = proptest::collection::btree_map(0_u8..6, 0_u8..3, 0..4);
        let ports = proptest::collection::btree_set(1_u16..6, 0..3);
        (0_u8..5, hosts, ports).prop_map(|(number, hosts, ports)| {
            let hosts = hosts
                .into_iter()
                .map(|(place, reason)| (host(place), route(number, reason)));
            let ports = ports
                .into_iter()
                .map(|place| (SocketAddr::from(([127, 0, 0, 1], place)), port(number)));
            let routes = ProjectRoutes {
                hosts: hosts.collect(),
                ports: ports.collect(),
            };
            (project(number), routes)
        })
    }

    /// What is to be there after a change, worked out by looking at every route.
    fn apply(table: &mut RouteTable, change: &RouteChange) {
        let is_of_another = |id: ProjectId| !change.projects.contains_key(&id);
        table
            .routes
            .retain(|_, route| is_of_another(route.project_id));
        table.ports.retain(|_, port| is_of_another(port.project_id));
        let hosts = change.projects.values().flatten();
        table
            .routes
            .extend(hosts.map(|(host, route)| (host.clone(), route.clone())));
        table.ports.extend(change.ports.clone());
        table.generation = change.generation;
    }

    fn routes_in(table: &RouteTable, id: ProjectId) -> ProjectRoutes {
        let hosts = table
            .routes
            .iter()
            .filter(|(_, route)| route.project_id == id);
        let ports = table.ports.iter().filter(|(_, port)| port.project_id == id);
        ProjectRoutes {
            hosts: hosts
                .map(|(host, route)| (host.clone(), route.clone()))
                .collect(),
            ports: ports.map(|(addr, port)| (*addr, port.clone())).collect(),
        }
    }

    proptest! {
        #[test]
        fn it_is_the_table_that_looking_at_every_route_makes(
            first in proptest::collection::vec(routes(), 0..4),
            changes in proptest::collection::vec(proptest::collection::vec(routes(), 1..3), 0..12),
        ) {
            let mut plain = RouteTable::default();
            apply(&mut plain, &RouteChange::new(1, first));
            let mut indexed = IndexedTable::from(plain.clone());
            for (number, change) in changes.into_iter().enumerate() {
                let change = RouteChange::new(number as u64 + 2, change);
                apply(&mut plain, &change);
                indexed.apply(&change);
                prop_assert_eq!(indexed.table(), &plain);
                let mut known: Vec<_> = indexed.projects().collect();
                known.sort_unstable();
                let all = (0..6).map(project);
                let with_routes = all.filter(|id| routes_in(&plain, *id) != ProjectRoutes::default());
                prop_assert_eq!(known, with_routes.collect::<Vec<_>>());
                for number in 0..6 {
                    let (id, routes) = (project(number), routes_in(&plain, project(number)));
                    prop_assert_eq!(&indexed.routes_of(id), &routes);
                    prop_assert!(indexed.has(id, &routes));
                    let mut others = routes.clone();
                    others.hosts.insert(host(7), route(number, 0));
                    prop_assert!(!indexed.has(id, &others));
                    let fewer = ProjectRoutes { hosts: BTreeMap::new(), ..routes.clone() };
                    prop_assert_eq!(indexed.has(id, &fewer), routes.hosts.is_empty());
                    let changed = routes.hosts.keys().map(|host| (host.clone(), route(number, 9)));
                    let changed = ProjectRoutes { hosts: changed.collect(), ..routes.clone() };
                    prop_assert_eq!(indexed.has(id, &changed), routes.hosts.is_empty());
                }
            }
        }
    }
}

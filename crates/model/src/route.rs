//! The route table: which host leads to which replicas.
//!
//! Invariant: a table has at most one route a host. The control plane writes whole tables; the
//! data plane swaps whole tables, so a bad entry cannot break its neighbours.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tose_api::{Hostname, ProjectId, Slug};

/// One replica that may get requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Backend {
    /// The replica's name, for messages.
    pub replica: String,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// Where requests for one host go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The project, for counters and messages.
    pub project_id: ProjectId,
    /// The workspace's slug, for messages.
    pub workspace: Slug,
    /// The project's slug, for messages.
    pub project: Slug,
    /// The replicas that are ready. Empty: the host is known, and nothing serves it.
    pub backends: Vec<Backend>,
    /// Why nothing serves it, for the error page: "stopped", "deploying" and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The port of HTTPS to which visitors who come without it are sent: where the host has a
    /// certificate. `None` serves them as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_port: Option<u16>,
}

/// Every host that the data plane knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows with every table; the data plane confirms it.
    pub generation: u64,
    /// The routes by host.
    pub routes: BTreeMap<Hostname, Route>,
}

impl RouteTable {
    /// Puts `routes` in place of all routes of `project_id`; says whether that changed anything.
    pub fn replace_project(
        &mut self,
        project_id: ProjectId,
        routes: BTreeMap<Hostname, Route>,
    ) -> bool {
        if self.has(project_id, &routes) {
            return false;
        }
        self.routes
            .retain(|_, route| route.project_id != project_id);
        self.routes.extend(routes);
        true
    }

    /// Whether `routes` are all routes of `project_id`.
    pub fn has(&self, project_id: ProjectId, routes: &BTreeMap<Hostname, Route>) -> bool {
        self.routes
            .iter()
            .filter(|(_, route)| route.project_id == project_id)
            .eq(routes.iter())
    }
}

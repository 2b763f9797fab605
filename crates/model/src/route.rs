//! The route table: which host leads to which replicas, and which port to which database.
//!
//! Invariant: a table has at most one route a host, and one a port. The control plane writes whole tables; the
//! data plane swaps whole tables, so a bad entry cannot break its neighbours.

mod indexed;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tose_api::domain_settings::{Hsts, IpRange, UpstreamProtocol};
use tose_api::{Hostname, ProjectId, Slug};

use crate::secret::{ExposeSecret, SecretString};
pub use indexed::IndexedTable;

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
    /// What visitors meet before the app; `None` is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<Rules>>,
}

/// What visitors of one host meet before the app, see [`tose_api::domain_settings::DomainSettings`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// From where visitors may come; empty lets everybody in.
    pub allowed_ips: Vec<IpRange>,
    /// The host that visitors are sent to instead.
    pub redirect_to: Option<Hostname>,
    /// Requests a second of one address.
    pub requests_per_second: Option<u32>,
    /// Who may come in; empty asks nobody.
    pub users: Vec<Credential>,
    /// Whether a page is shown instead of the app.
    pub maintenance: bool,
    /// Requests at the same time.
    pub max_requests: Option<u32>,
    /// The most bytes of a request's body.
    pub max_body_bytes: Option<u64>,
    /// Paths that lead to other projects.
    pub paths: Vec<PathRule>,
    /// Whether a visitor stays with a replica.
    pub sticky: bool,
    /// How the replicas of this host are spoken to.
    pub upstream: UpstreamProtocol,
    /// Whether texts are compressed.
    pub compression: bool,
    /// What browsers are told to remember of HTTPS.
    pub hsts: Option<Hsts>,
    /// HTML for the time of maintenance.
    pub maintenance_page: Option<String>,
    /// HTML for when the app does not answer.
    pub error_page: Option<String>,
    /// Whether requests are written into the project's logs.
    pub access_log: bool,
}

/// A path that leads to another project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRule {
    /// How the path begins.
    pub prefix: String,
    /// A host of the other project, whose replicas are asked.
    pub host: Hostname,
    /// The other project: a host that has gone to somebody else leads nowhere.
    pub project_id: ProjectId,
    /// Whether the prefix is cut off.
    pub strip_prefix: bool,
}

/// Somebody who may come in. The password is known by a salted digest alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The name.
    pub name: String,
    salt: String,
    digest: String,
}

impl Credential {
    /// Of a password; `salt` is random and of this credential alone. A fast digest: it is checked with
    /// each request, and kept sealed or in a file that lies beside the key to all seals.
    pub fn new(name: String, password: &SecretString, salt: [u8; 16]) -> Self {
        let salt = hex::encode(salt);
        let digest = digest(&salt, password.expose_secret().as_bytes());
        Self { name, salt, digest }
    }

    /// Whether this is the password; takes as long whatever is wrong.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = digest(&self.salt, password);
        let pairs = given.bytes().zip(self.digest.bytes());
        pairs.fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
            && given.len() == self.digest.len()
    }
}

fn digest(salt: &str, password: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update(password);
    hex::encode(hash.finalize())
}

/// Where connections to a port of its own go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRoute {
    /// The project, for counters.
    pub project_id: ProjectId,
    /// Where its server listens; `None` while it does not run.
    pub backend: Option<SocketAddr>,
    /// From where clients may come; empty lets everybody in.
    pub allow: Vec<IpRange>,
    /// The host name that clients use: its certificate serves those who name no other.
    pub host: Hostname,
    /// The name of the self-signed certificate that serves where there is no other.
    pub self_signed: Hostname,
}

/// The routes by the address that the data plane listens on.
pub type Ports = BTreeMap<SocketAddr, PortRoute>;

/// All routes of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectRoutes {
    /// Its hosts.
    pub hosts: BTreeMap<Hostname, Route>,
    /// Its ports.
    pub ports: Ports,
}

/// Every host and every port that the data plane knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows with every table; the data plane confirms it.
    pub generation: u64,
    /// The routes by host.
    pub routes: BTreeMap<Hostname, Route>,
    /// The routes by port.
    #[serde(default, skip_serializing_if = "Ports::is_empty")]
    pub ports: Ports,
}

/// What makes one table out of the one before: all routes of some projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChange {
    /// The generation of the table that it makes.
    pub generation: u64,
    /// All hosts of each project that changed; none where it has none any more.
    pub projects: BTreeMap<ProjectId, BTreeMap<Hostname, Route>>,
    /// All ports of these projects.
    #[serde(default, skip_serializing_if = "Ports::is_empty")]
    pub ports: Ports,
}

impl RouteChange {
    /// What gives these projects these routes. Of two that want one port, the last gets it.
    pub fn new(
        generation: u64,
        routes: impl IntoIterator<Item = (ProjectId, ProjectRoutes)>,
    ) -> Self {
        let mut change = Self {
            generation,
            ..Self::default()
        };
        for (project_id, routes) in routes {
            // One that is there twice has what it has last.
            change.ports.retain(|_, port| port.project_id != project_id);
            change.ports.extend(routes.ports);
            change.projects.insert(project_id, routes.hosts);
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_accepts_its_password_and_no_other() {
        let password = SecretString::from("correct horse".to_owned());
        let credential = Credential::new("ann".to_owned(), &password, [7; 16]);
        assert!(credential.accepts(b"correct horse"));
        for other in [&b"correct hors"[..], b"correct horse ", b""] {
            assert!(!credential.accepts(other));
        }
        let elsewhere = Credential::new("ann".to_owned(), &password, [8; 16]);
        assert_ne!(credential, elsewhere);
        assert!(
            !serde_json::to_string(&credential)
                .unwrap()
                .contains("correct")
        );
    }

    fn port_of(project: u128) -> (ProjectId, ProjectRoutes) {
        let project_id = ProjectId::from_uuid(uuid::Uuid::from_u128(project));
        let port = PortRoute {
            project_id,
            backend: None,
            allow: Vec::new(),
            host: "demo-db.localhost".parse().unwrap(),
            self_signed: "localhost".parse().unwrap(),
        };
        let routes = ProjectRoutes {
            ports: BTreeMap::from([("0.0.0.0:32000".parse().unwrap(), port)]),
            ..ProjectRoutes::default()
        };
        (project_id, routes)
    }

    #[test]
    fn a_port_goes_with_its_project_and_a_table_without_ports_reads_as_before() {
        let old = r#"{"generation":3,"routes":{}}"#;
        let table: RouteTable = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&table).unwrap(), old);
        let mut table = IndexedTable::from(table);
        let (id, routes) = port_of(1);
        let added = RouteChange::new(4, [(id, routes.clone())]);
        let line = serde_json::to_string(&added).unwrap();
        assert_eq!(serde_json::from_str::<RouteChange>(&line).unwrap(), added);
        table.apply(&added);
        assert!(table.has(id, &routes));
        assert_eq!(table.routes_of(id), routes);
        // Another project that has the port now keeps it, whatever its first one says later.
        let (other, others) = port_of(2);
        table.apply(&RouteChange::new(5, [(other, others.clone())]));
        table.apply(&RouteChange::new(6, [(id, ProjectRoutes::default())]));
        assert!(table.has(other, &others));
        assert!(table.has(id, &ProjectRoutes::default()));
        let ended: RouteChange = serde_json::from_str(&format!(
            r#"{{"generation":7,"projects":{{"{other}":{{}}}}}}"#
        ))
        .unwrap();
        table.apply(&ended);
        assert!(table.table().ports.is_empty());
    }
}

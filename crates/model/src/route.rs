//! The route table: which host leads to which replicas.
//!
//! Invariant: a table has at most one route a host. The control plane writes whole tables; the
//! data plane swaps whole tables, so a bad entry cannot break its neighbours.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tose_api::domain_settings::{Hsts, IpRange, UpstreamProtocol};
use tose_api::{Hostname, ProjectId, Slug};

use crate::secret::{ExposeSecret, SecretString};

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

/// Every host that the data plane knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows with every table; the data plane confirms it.
    pub generation: u64,
    /// The routes by host.
    pub routes: BTreeMap<Hostname, Route>,
}

/// What makes one table out of the one before: all routes of some projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChange {
    /// The generation of the table that it makes.
    pub generation: u64,
    /// All routes of each project that changed; none where it has none any more.
    pub projects: BTreeMap<ProjectId, BTreeMap<Hostname, Route>>,
}

impl RouteTable {
    /// Makes the table what a change says.
    pub fn apply(&mut self, change: &RouteChange) {
        for (project_id, routes) in &change.projects {
            self.replace_project(*project_id, routes.clone());
        }
        self.generation = change.generation;
    }

    /// All routes of a project.
    pub fn routes_of(&self, project_id: ProjectId) -> BTreeMap<Hostname, Route> {
        let own = self
            .routes
            .iter()
            .filter(|(_, route)| route.project_id == project_id);
        own.map(|(host, route)| (host.clone(), route.clone()))
            .collect()
    }

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
}

//! The conversation between the control plane and the proxy: JSON lines over a socket.
//!
//! Each line is one [`Request`], answered by one line with a [`Response`], in order. The socket is
//! the owner's only. A successor binds a socket of its own and renames it over the path, so who
//! starts one connects anew to talk to it.

mod client;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tose_api::domain_settings::IpRange;
use tose_api::{Hostname, ProjectId};
use tose_model::traffic::{AccessRecord, Traffic};

pub use client::Client;

/// The longest line of either side.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// How the answer to a line begins that holds no known request; older versions say it too.
const NO_REQUEST: &str = "this is no request";
/// How many projects' traffic goes into one line: at most 1 KB each.
const MAX_PROJECTS: usize = 50;
/// The most listeners that one message of the kernel carries.
const MAX_LISTENERS: usize = 253;

/// What the proxy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How it is.
    Status,
    /// Read the route table and use it in every worker before answering.
    Reload,
    /// Use the routes of this generation in every worker before answering; what changed since the one
    /// that is in use is read alone, where that is written. Answered like [`Request::Reload`].
    UseRoutes {
        /// The generation.
        generation: u64,
    },
    /// How many requests and tunnels run on a replica, those of a predecessor that still drains
    /// included.
    InFlight {
        /// The replica's name.
        replica: String,
    },
    /// What visitors asked of each project and got; a part of it, see [`Response::Traffic`].
    Traffic {
        /// The last project of the part before.
        after: Option<ProjectId>,
    },
    /// The oldest requests that are to be logged and nobody has fetched; see [`Response::AccessRecords`].
    AccessRecords,
    /// The certificates of these hosts have changed.
    ForgetCertificates {
        /// The hosts.
        hosts: Vec<Hostname>,
    },
    /// Give the listeners to the asking process; both accept until one finishes.
    HandOver,
    /// Accept no more visitors, finish what runs, end.
    Finish,
}

/// What the proxy answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Reload`] and [`Request::UseRoutes`].
    Reloaded {
        /// The generation that every worker uses.
        generation: u64,
    },
    /// To [`Request::InFlight`].
    InFlight {
        /// Requests and tunnels.
        count: u64,
    },
    /// To [`Request::Traffic`].
    Traffic {
        /// What marks the numbers of this process.
        start_id: String,
        /// Some projects in the order of their ids.
        projects: BTreeMap<ProjectId, Traffic>,
        /// Whether there are projects after the last of these.
        has_more: bool,
    },
    /// To [`Request::AccessRecords`]; an empty list is the end for now.
    AccessRecords {
        /// The requests, in the order of their ends.
        records: Vec<AccessRecord>,
        /// How many did not fit since the last time.
        lost: u64,
    },
    /// To [`Request::ForgetCertificates`].
    Forgotten,
    /// To [`Request::HandOver`]; the listeners come with the line's first byte.
    HandedOver {
        /// How many come.
        listeners: usize,
        /// How many of them, the last ones, are for HTTPS.
        #[serde(default)]
        https: usize,
        /// How many of them, the first ones, are for ports of databases. Whoever knows none of these takes them
        /// for listeners on an address that it does not want.
        #[serde(default)]
        ports: usize,
    },
    /// To [`Request::Finish`]: the end has begun.
    Finishing,
    /// To anything that could not be done.
    Error {
        /// Why.
        message: String,
    },
}

/// What a proxy has counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Differs between proxies, so that numbers of one are not taken for those of another.
    pub start_id: String,
    /// The traffic of each project that had any. A project that has no route any more is in it for
    /// another minute.
    pub projects: BTreeMap<ProjectId, Traffic>,
}

/// How a proxy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// The build of its binary.
    pub version: String,
    /// Where visitors connect; `None` when it listens nowhere.
    pub http_addr: Option<SocketAddr>,
    /// Where they connect with HTTPS; `None` when it listens nowhere.
    #[serde(default)]
    pub https_addr: Option<SocketAddr>,
    /// The proxies in front of it that it trusts.
    #[serde(default)]
    pub trusted_proxies: Vec<IpRange>,
    /// Whether connections of those begin with a PROXY protocol header.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// The route table that it uses.
    pub generation: u64,
    /// Visitors' connections that are open.
    pub connections: u64,
    /// Requests since its start.
    pub requests_total: u64,
    /// Why the route table's file could not be used, if the last look at it failed.
    pub snapshot_error: Option<String>,
}

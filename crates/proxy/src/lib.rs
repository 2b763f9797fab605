//! The data plane: takes visitors' requests and forwards them to the replicas of their project.
//!
//! It runs as a process of its own and knows no database. The control plane gives it whole route
//! tables as a file ([`snapshot`]) and talks to it over a socket ([`control`]). It keeps its last
//! good table for ever and lives on when the control plane dies.
//!
//! Shape: the main thread runs the control socket and the signals; each worker thread runs a
//! single-threaded runtime with its own listener, upstream pools and timers, and shares nothing
//! that a request would have to wait for.
//!
//! Not here: deciding what is routable (`tose-model`, `tose-server`).

pub mod certificates;
pub mod control;
pub mod snapshot;

mod access_log;
mod body;
mod compress;
mod connection;
mod error;
mod forward;
mod gathered;
mod headers;
mod host;
mod io;
mod limits;
mod listener;
mod meter;
mod origin;
mod page;
mod process;
mod proxy_protocol;
mod request_id;
mod rules;
mod sticky;
mod table;
mod tcp;
mod tls;
mod tunnel;
mod upstream;
mod websocket;
mod worker;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{Error, Result};
pub use limits::Limits;
use tose_api::domain_settings::IpRange;

/// What a proxy process needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where visitors connect with plain HTTP; `None` listens nowhere.
    pub http_addr: Option<SocketAddr>,
    /// Where visitors connect with HTTPS; `None` listens nowhere.
    pub https_addr: Option<SocketAddr>,
    /// Where the certificates lie, see [`certificates`].
    pub certificates: certificates::Folder,
    /// Opens their keys.
    pub keys: Arc<dyn certificates::KeyOpener>,
    /// The route table's file, see [`snapshot`].
    pub routes_file: PathBuf,
    /// The control socket's path, see [`control`].
    pub control_socket: PathBuf,
    /// Worker threads, one for each core that is to serve visitors.
    pub workers: NonZeroUsize,
    /// Takes the listeners over from the proxy that answers on the control socket, then ends it.
    /// Without such a proxy it changes nothing.
    pub take_over: bool,
    /// The build of this binary, for [`control::Status`].
    pub version: String,
    /// Makes request ids differ between processes; random, since time and randomness come from
    /// the program's main function.
    pub request_id_seed: u64,
    /// The addresses of proxies in front of this one, whose word about visitors counts.
    pub trusted_proxies: Vec<IpRange>,
    /// Whether connections of those begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Deadlines and caps.
    pub limits: Limits,
}

/// Where the route table lies in a data directory.
pub fn routes_file(data_dir: &Path) -> PathBuf {
    data_dir.join("routes.json")
}

/// Where the control socket lies in a data directory.
pub fn control_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("proxy.sock")
}

/// Serves until a successor, the control plane or SIGTERM ends it; returns once it is drained.
pub fn run(config: Config) -> Result<()> {
    process::run(config)
}

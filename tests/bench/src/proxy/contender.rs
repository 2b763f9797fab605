//! A proxy that takes part: ours or a peer, with the hosts that it serves.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::authority::{Authority, Issued};
use super::peer::Peer;
use super::{Bench, PROXY_CORE, product};
use crate::process::{Running, free_addr, pinned};

/// Reading thousands of certificates takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A host with its certificate.
pub(crate) struct Site {
    pub(crate) host: String,
    pub(crate) certificate: Issued,
}

/// A proxy whose files are in place.
pub(crate) struct Prepared {
    pub(crate) name: &'static str,
    /// Its folder, of which nobody else knows.
    pub(crate) dir: PathBuf,
    /// The program with its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// A proxy that runs.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) running: Running,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

impl Site {
    pub(crate) fn new(authority: &Authority, host: &str) -> Result<Self> {
        Ok(Self {
            host: host.to_owned(),
            certificate: authority.issue(host)?,
        })
    }
}

impl Prepared {
    /// A folder and addresses; the command is yet to come.
    pub(crate) fn new(bench: &Bench<'_>, name: &'static str, sites: usize) -> Result<Self> {
        let dir = bench.dir.path().join(format!("{name}-{sites}"));
        fs::create_dir_all(&dir)?;
        Ok(Self {
            name,
            dir,
            command: Vec::new(),
            http: free_addr()?,
            https: free_addr()?,
        })
    }

    /// Starts it with one worker on its core, and waits until it listens.
    pub(crate) fn start(&self) -> Result<Contender> {
        let mut command = pinned(PROXY_CORE, &self.command[0]);
        command.args(&self.command[1..]);
        Ok(Contender {
            name: self.name,
            running: Running::start_within(START_LIMIT, self.name, command, self.http)?,
            http: self.http,
            https: self.https,
        })
    }
}

impl Contender {
    pub(crate) fn is_ours(&self) -> bool {
        self.name == product::NAME
    }

    /// Its proportional set size.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        Ok(self.running.proportional_bytes()? as f64 / f64::from(1 << 20))
    }
}

/// Ours, HAProxy and nginx, serving these sites.
pub(crate) fn all(bench: &Bench<'_>, sites: &[Site]) -> Result<[Contender; 3]> {
    Ok([
        product::prepare(bench, sites)?.start()?,
        Peer::Haproxy.prepare(bench, sites)?.start()?,
        Peer::Nginx.prepare(bench, sites)?.start()?,
    ])
}

//! Our proxy: this crate's own build of it, or that of a tosed binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use tose_model::route::{Backend, Route, RouteTable};
use tose_model::secret::SecretString;
use tose_proxy::certificates::{Folder, KeyOpener};
use tose_proxy::{Config, Limits, snapshot};

use super::{HOST, PROXY_CORE};
use crate::process::pinned;

/// How the proxy of this crate's own build is started.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Holds the routes and the control socket.
    #[arg(long)]
    data_dir: PathBuf,
    /// Where visitors connect.
    #[arg(long)]
    http_addr: SocketAddr,
}

/// There is no HTTPS here.
#[derive(Debug)]
struct NoKeys;

impl KeyOpener for NoKeys {
    fn open(&self, _name: &str, _sealed: &[u8]) -> Option<SecretString> {
        None
    }
}

/// Serves with one worker until it is told to end.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let config = Config {
        http_addr: Some(arguments.http_addr),
        https_addr: None,
        certificates: Folder::of(&arguments.data_dir),
        keys: Arc::new(NoKeys),
        routes_file: tose_proxy::routes_file(&arguments.data_dir),
        control_socket: tose_proxy::control_socket(&arguments.data_dir),
        workers: NonZeroUsize::MIN,
        take_over: false,
        version: "bench".to_owned(),
        request_id_seed: u64::from(std::process::id()),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        limits: Limits::default(),
    };
    Ok(tose_proxy::run(config)?)
}

/// Writes the routes and says how to start the proxy with one worker.
pub(crate) fn command(
    own_program: &str,
    tosed: Option<&Path>,
    dir: &Path,
    addr: SocketAddr,
    app: SocketAddr,
) -> Result<Command> {
    snapshot::write(&tose_proxy::routes_file(dir), &routes(app)?)?;
    let mut command = match tosed {
        None => {
            let mut command = pinned(PROXY_CORE, own_program);
            command.arg("serve-proxy");
            command
        }
        Some(tosed) => {
            let tosed = tosed.to_str().context("the path of tosed is no text")?;
            let mut command = pinned(PROXY_CORE, tosed);
            command.arg("proxy").arg("--workers").arg("1");
            command
        }
    };
    command
        .arg("--data-dir")
        .arg(dir)
        .arg("--http-addr")
        .arg(addr.to_string());
    Ok(command)
}

fn routes(app: SocketAddr) -> Result<RouteTable> {
    let route = Route {
        project_id: "01890000-0000-7000-8000-000000000001".parse()?,
        workspace: "bench".parse()?,
        project: "bench".parse()?,
        backends: vec![Backend {
            replica: "bench".to_owned(),
            addr: app,
        }],
        https_port: None,
        rules: None,
        reason: None,
    };
    Ok(RouteTable {
        generation: 1,
        routes: BTreeMap::from([(HOST.parse()?, route)]),
    })
}

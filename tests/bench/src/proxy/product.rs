//! Our proxy: this crate's own build of it, or that of a tosed binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tose_model::route::{Backend, Route, RouteChange, RouteTable};
use tose_model::secret::SecretString;
use tose_proxy::certificates::{Certificate, Folder, KeyOpener, Name};
use tose_proxy::{Config, Limits, snapshot};

use super::Bench;
use super::contender::{Prepared, Site};

/// What ours is called.
pub(crate) const NAME: &str = "ours";

/// How the proxy of this crate's own build is started.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Holds the routes, the certificates and the control socket.
    #[arg(long)]
    data_dir: PathBuf,
    /// Where visitors connect.
    #[arg(long)]
    http_addr: SocketAddr,
    /// Where they connect with HTTPS.
    #[arg(long)]
    https_addr: SocketAddr,
}

/// The bench's keys are made for one run and guard nothing, so they lie open.
#[derive(Debug)]
struct OpenKeys;

impl KeyOpener for OpenKeys {
    fn open(&self, _name: &str, sealed: &[u8]) -> Option<SecretString> {
        let key = String::from_utf8(sealed.to_vec()).ok()?;
        Some(SecretString::from(key))
    }
}

/// Serves with one worker until it is told to end.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let config = Config {
        http_addr: Some(arguments.http_addr),
        https_addr: Some(arguments.https_addr),
        certificates: Folder::of(&arguments.data_dir),
        keys: Arc::new(OpenKeys),
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

/// Writes routes and certificates, and says how to start the proxy.
pub(crate) fn prepare(bench: &Bench<'_>, sites: &[Site]) -> Result<Prepared> {
    let mut prepared = Prepared::new(bench, NAME, sites.len())?;
    let dir = &prepared.dir;
    let hosts: Vec<&str> = sites.iter().map(|site| site.host.as_str()).collect();
    snapshot::write(
        &tose_proxy::routes_file(dir),
        &routes(&hosts, bench.app_addr)?,
    )?;
    for site in sites {
        write_certificate(dir, site)?;
    }
    let text = |path: &Path| {
        let text = path.to_str().context("a path is no text")?;
        Ok::<_, anyhow::Error>(text.to_owned())
    };
    let mut command = match &bench.arguments.tosed {
        None => vec![
            bench.own_program.clone(),
            "serve-proxy".to_owned(),
            format!("--https-addr={}", prepared.https),
        ],
        Some(tosed) => vec![text(tosed)?, "proxy".to_owned(), "--workers=1".to_owned()],
    };
    command.push(format!("--data-dir={}", text(dir)?));
    command.push(format!("--http-addr={}", prepared.http));
    prepared.command = command;
    Ok(prepared)
}

/// Puts a site's certificate where the proxy looks for it.
pub(crate) fn write_certificate(dir: &Path, site: &Site) -> Result<()> {
    let certificate = Certificate {
        chain: site.certificate.chain.clone(),
        sealed_key: site.certificate.key.clone().into_bytes(),
    };
    let name = Name::Host(site.host.parse()?);
    Ok(Folder::of(dir).write(&name, &certificate)?)
}

/// A table of these hosts.
fn routes(hosts: &[&str], app: SocketAddr) -> Result<RouteTable> {
    let mut table = RouteTable::default();
    for (number, host) in (1..).zip(hosts) {
        let change = addition(number, host, app)?;
        table.routes.extend(change.projects.into_values().flatten());
        table.generation = number;
    }
    Ok(table)
}

/// What adds a host: a project of its own that leads to the app, as with the peers to one backend for all.
pub(crate) fn addition(number: u64, host: &str, app: SocketAddr) -> Result<RouteChange> {
    let project_id = format!("01890000-0000-7000-8000-{number:012x}").parse()?;
    let route = Route {
        project_id,
        workspace: "bench".parse()?,
        project: format!("bench-{number}").parse()?,
        backends: vec![Backend {
            replica: "bench".to_owned(),
            addr: app,
        }],
        https_port: None,
        rules: None,
        reason: None,
    };
    Ok(RouteChange {
        generation: number,
        projects: BTreeMap::from([(project_id, BTreeMap::from([(host.parse()?, route)]))]),
        ..RouteChange::default()
    })
}

//! The proxy bench: our proxy, HAProxy and nginx, one worker each on core 0, load and app on core 1.
//!
//! Rounds run them back to back, in turning order; a round during which others used the machine is
//! thrown away and run again, as often as there are rounds. All add the same headers, have the same
//! certificates (ECDSA P-256, a chain of two) and log nothing.

mod authority;
mod bars;
mod contender;
mod domains;
pub(crate) mod handshakes;
mod peer;
pub(crate) mod product;
mod rounds;
mod traffic;
mod visitor;
mod websockets;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use self::authority::Authority;
use crate::process::{Running, free_addr, pinned};

/// The host of the one route, where there is one.
const HOST: &str = "bench.localhost";
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of shots.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds a shot.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    seconds: u32,
    /// Connections of the load; HTTP/2 has an eighth of them, with 16 requests at once on each.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Only these scenarios; all without one.
    #[arg(long = "scenario", value_enum)]
    scenarios: Vec<Scenario>,
    /// How many domains the scenario of that name has.
    #[arg(long, default_value_t = 10_000)]
    domains: usize,
    /// A release build of tosed, whose proxy is measured instead of this crate's own build. Its
    /// vault seals the keys, so without HTTPS.
    #[arg(long)]
    tosed: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// HTTP/1.1, connections kept.
    Http,
    /// The same over TLS.
    Https,
    /// HTTP/2 over TLS.
    H2,
    /// A fresh TLS connection for each request.
    Handshakes,
    /// Thousands of hosts with a certificate each.
    Domains,
    /// A thousand WebSockets at rest.
    Websockets,
}

/// What all scenarios share.
pub(crate) struct Bench<'a> {
    arguments: &'a Arguments,
    dir: TempDir,
    own_program: String,
    app: Running,
    app_addr: SocketAddr,
    authority: Authority,
}

/// Runs the bench and prints its report.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bench = Bench::start(arguments)?;
    for scenario in bench.scenarios()? {
        match scenario {
            Scenario::Http | Scenario::Https | Scenario::H2 | Scenario::Handshakes => {
                traffic::run(&bench, scenario)?;
            }
            Scenario::Domains => domains::run(&bench)?,
            Scenario::Websockets => websockets::run(&bench)?,
        }
    }
    Ok(())
}

impl<'a> Bench<'a> {
    fn start(arguments: &'a Arguments) -> Result<Self> {
        let own_program = std::env::current_exe()?;
        let own_program = own_program
            .to_str()
            .context("this program's path is no text")?
            .to_owned();
        let app_addr = free_addr()?;
        let mut command = pinned(LOAD_CORE, &own_program);
        command
            .arg("serve-app")
            .arg("--addr")
            .arg(app_addr.to_string());
        Ok(Self {
            arguments,
            dir: tempfile::tempdir()?,
            own_program,
            app: Running::start("the app", command, app_addr)?,
            app_addr,
            authority: Authority::new()?,
        })
    }

    fn scenarios(&self) -> Result<Vec<Scenario>> {
        use clap::ValueEnum;

        let wanted = &self.arguments.scenarios;
        if self.arguments.tosed.is_none() {
            return Ok(match wanted.as_slice() {
                [] => Scenario::value_variants().to_vec(),
                some => some.to_vec(),
            });
        }
        let is_plain = |scenario: &Scenario| *scenario == Scenario::Http;
        ensure!(
            wanted.iter().all(is_plain),
            "the keys of a tosed are sealed by its vault: --scenario http is all that it can do here"
        );
        Ok(vec![Scenario::Http])
    }
}

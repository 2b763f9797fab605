//! Requests of one host, by HTTP, HTTPS and HTTP/2, on kept and on fresh connections.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::bars::{Metric, bars};
use super::contender::{Contender, Site, all};
use super::peer::Peer;
use super::rounds::undisturbed;
use super::{Bench, HOST, LOAD_CORE, Scenario, handshakes};
use crate::app::BODY_BYTES;
use crate::h2load::H2load;
use crate::load::{Load, Shot, measured};
use crate::ratio::Quartiles;

/// In the order of the shots.
const PEERS: [Peer; 2] = [Peer::Haproxy, Peer::Nginx];
/// Requests at once on a connection of HTTP/2.
const STREAMS: u32 = 16;

/// Ours, HAProxy, nginx.
type Round = [Shot; 3];

/// Runs one scenario with each size of body that it has.
pub(crate) fn run(bench: &Bench<'_>, scenario: Scenario) -> Result<()> {
    let site = Site::new(&bench.authority, HOST)?;
    let contenders = all(bench, &[site])?;
    let [small, usual, large] = BODY_BYTES;
    let (name, sizes) = match scenario {
        Scenario::Http => ("HTTP/1.1", vec![small, usual, large]),
        Scenario::Https => ("HTTPS", vec![usual, large]),
        Scenario::H2 => ("HTTP/2 over TLS", vec![usual]),
        _ => ("a handshake for each request", vec![usual]),
    };
    for bytes in sizes {
        let cell = Cell {
            bench,
            scenario,
            bytes,
        };
        println!("\n{name}, bodies of {bytes} bytes");
        let rounds = cell.rounds(&contenders)?;
        cell.report(&rounds)?;
    }
    for contender in &contenders {
        let mib = contender.memory_mib()?;
        println!("  memory of {:<10} {mib:.1} MiB", contender.name);
    }
    Ok(())
}

struct Cell<'a> {
    bench: &'a Bench<'a>,
    scenario: Scenario,
    bytes: usize,
}

impl Cell<'_> {
    fn rounds(&self, contenders: &[Contender; 3]) -> Result<Vec<Round>> {
        let seconds = self.bench.arguments.seconds;
        for contender in contenders {
            self.shot(contender, 1)?;
        }
        let mut own: Vec<_> = contenders.iter().map(|one| &one.running).collect();
        own.push(&self.bench.app);
        undisturbed(self.bench.arguments.rounds, &own, |number| {
            let mut round = Round::default();
            for place in 0..round.len() {
                let turn = (number + place) % round.len();
                round[turn] = self.shot(&contenders[turn], seconds)?;
            }
            let [ours, haproxy, nginx] = &round;
            println!("  ours {ours}   haproxy {haproxy}   nginx {nginx}");
            Ok(round)
        })
    }

    fn shot(&self, contender: &Contender, seconds: u32) -> Result<Shot> {
        measured(&contender.running, || self.shoot(contender, seconds))
    }

    fn shoot(&self, contender: &Contender, seconds: u32) -> Result<Shot> {
        let Contender { http, https, .. } = contender;
        let (connections, bytes) = (self.bench.arguments.connections, self.bytes);
        match self.scenario {
            Scenario::H2 => {
                let load = H2load {
                    core: LOAD_CORE,
                    url: format!("https://{HOST}/{bytes}"),
                    addr: *https,
                    connections: (connections / 8).max(1),
                    streams: STREAMS,
                    log: self.bench.dir.path().join("h2load.log"),
                };
                load.shoot(seconds)
            }
            Scenario::Handshakes => {
                let authority = self.bench.dir.path().join("authority.pem");
                fs::write(&authority, self.bench.authority.pem())?;
                let program = &self.bench.own_program;
                handshakes::shoot(program, &authority, *https, connections, seconds)
            }
            Scenario::Https => {
                let load = Load {
                    core: Some(LOAD_CORE),
                    url: format!("https://{HOST}/{bytes}"),
                    headers: Vec::new(),
                    script: Some(self.bench.script(https.port(), "")?),
                    connections,
                };
                load.shoot(seconds)
            }
            _ => {
                let load = Load {
                    core: Some(LOAD_CORE),
                    url: format!("http://{http}/{bytes}"),
                    headers: vec![format!("Host: {HOST}")],
                    script: None,
                    connections,
                };
                load.shoot(seconds)
            }
        }
    }

    fn report(&self, rounds: &[Round]) -> Result<()> {
        for (place, peer) in PEERS.into_iter().enumerate() {
            let name = peer.name();
            println!(
                "  ours / {name}: median of {} round ratios [quartiles]",
                rounds.len()
            );
            let quartiles = |of: &dyn Fn(&Round) -> f64| {
                Quartiles::of(rounds.iter().map(of).collect()).context("no rounds")
            };
            for metric in Metric::ALL {
                let ours = quartiles(&|round| metric.of(&round[0]))?;
                let theirs = quartiles(&|round| metric.of(&round[place + 1]))?;
                let ratios =
                    quartiles(&|round| metric.of(&round[0]) / metric.of(&round[place + 1]))?;
                println!(
                    "    {:<20} {ratios}  {:<6}  (medians {:.1} and {:.1})",
                    metric.name(),
                    ratios.verdict().to_string(),
                    ours.median,
                    theirs.median
                );
                for bar in bars(self.scenario, peer) {
                    if bar.metric == metric {
                        println!("      {}", bar.judge(ratios.median));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// A script that leads wrk to a port, whatever the name in its URL, which is also what the
    /// handshake says; `more` is the rest of it.
    pub(crate) fn script(&self, port: u16, more: &str) -> Result<PathBuf> {
        let file = self
            .dir
            .path()
            .join(format!("wrk-{port}-{}.lua", more.len()));
        let resolve =
            format!("wrk.resolve = function() wrk.addrs = wrk.lookup('127.0.0.1', '{port}') end\n");
        fs::write(&file, format!("{resolve}{more}"))?;
        Ok(file)
    }
}

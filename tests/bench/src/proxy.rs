//! The proxy bench: our proxy and a peer, one worker each on core 0, load and app on core 1.
//!
//! Rounds are pairs that run back to back, in turns of order; a pair during which others used the
//! machine is thrown away and run again, as often as there are rounds. Both proxies add the same headers and log nothing.

mod peer;
pub(crate) mod product;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use self::peer::Peer;
use crate::load::{Load, Shot};
use crate::process::{Running, cpu_of_ended_children, cpu_of_machine, free_addr, pinned};
use crate::ratio::Quartiles;

/// The host of the one route.
const HOST: &str = "bench.localhost";
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// A pair is thrown away when others use more than this share of one core.
const FOREIGN_SHARE: f64 = 0.1;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pairs of shots.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds a shot.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    seconds: u32,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// The proxy to compare with.
    #[arg(long, value_enum, default_value_t = Peer::Nginx)]
    peer: Peer,
    /// A release build of tosed, whose proxy is measured instead of this crate's own build.
    #[arg(long)]
    tosed: Option<PathBuf>,
}

/// One pair.
struct Pair {
    ours: Shot,
    theirs: Shot,
}

/// Runs the bench and prints its report.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let app_addr = free_addr()?;
    let own_program = std::env::current_exe()?;
    let own_program = own_program
        .to_str()
        .context("this program's path is no text")?;
    let mut command = pinned(LOAD_CORE, own_program);
    command
        .arg("serve-app")
        .arg("--addr")
        .arg(app_addr.to_string());
    let app = Running::start("the app", command, app_addr)?;

    let our_addr = free_addr()?;
    let tosed = arguments.tosed.as_deref();
    let command = product::command(own_program, tosed, dir.path(), our_addr, app_addr)?;
    let ours = Running::start("our proxy", command, our_addr)?;
    let their_addr = free_addr()?;
    let command = arguments.peer.command(dir.path(), their_addr, app_addr)?;
    let theirs = Running::start(arguments.peer.name(), command, their_addr)?;

    let bench = Bench {
        arguments,
        app,
        ours: (ours, our_addr),
        theirs: (theirs, their_addr),
    };
    let pairs = bench.pairs()?;
    bench.report(&pairs)
}

struct Bench<'a> {
    arguments: &'a Arguments,
    app: Running,
    ours: (Running, SocketAddr),
    theirs: (Running, SocketAddr),
}

impl Bench<'_> {
    fn pairs(&self) -> Result<Vec<Pair>> {
        for (proxy, addr) in [&self.ours, &self.theirs] {
            self.shot(proxy, *addr, 1)?;
        }
        let mut pairs = Vec::new();
        let mut thrown_away = 0;
        while pairs.len() < self.arguments.rounds as usize {
            let busy = self.foreign_cpu()?;
            let is_ours_first = (pairs.len() + thrown_away) % 2 == 0;
            let pair = self.pair(is_ours_first)?;
            let foreign = self.foreign_cpu()?.saturating_sub(busy).as_secs_f64();
            let share = foreign / f64::from(2 * self.arguments.seconds);
            if share > FOREIGN_SHARE {
                let percent = share * 100.0;
                if thrown_away < self.arguments.rounds as usize {
                    thrown_away += 1;
                    println!("a pair was thrown away: others used {percent:.0} % of a core");
                    continue;
                }
                println!("the next pair counts although others used {percent:.0} % of a core");
            }
            println!(
                "pair {:>2}   ours {}   {} {}",
                pairs.len() + 1,
                pair.ours,
                self.arguments.peer.name(),
                pair.theirs
            );
            pairs.push(pair);
        }
        Ok(pairs)
    }

    fn pair(&self, is_ours_first: bool) -> Result<Pair> {
        let seconds = self.arguments.seconds;
        let ours = || self.shot(&self.ours.0, self.ours.1, seconds);
        let theirs = || self.shot(&self.theirs.0, self.theirs.1, seconds);
        if is_ours_first {
            let ours = ours()?;
            Ok(Pair {
                ours,
                theirs: theirs()?,
            })
        } else {
            let theirs = theirs()?;
            Ok(Pair {
                ours: ours()?,
                theirs,
            })
        }
    }

    fn shot(&self, proxy: &Running, addr: SocketAddr, seconds: u32) -> Result<Shot> {
        let load = Load {
            core: Some(LOAD_CORE),
            url: format!("http://{addr}/"),
            headers: vec![format!("Host: {HOST}")],
            script: None,
            connections: self.arguments.connections,
        };
        load.measure(proxy, seconds)
    }

    /// CPU time of everything that is not part of this bench.
    fn foreign_cpu(&self) -> Result<Duration> {
        let own =
            self.ours.0.cpu()? + self.theirs.0.cpu()? + self.app.cpu()? + cpu_of_ended_children()?;
        Ok(cpu_of_machine()?.saturating_sub(own))
    }

    fn report(&self, pairs: &[Pair]) -> Result<()> {
        let peer = self.arguments.peer;
        println!();
        println!(
            "ours / {}: median of {} pair ratios [quartiles]",
            peer.name(),
            pairs.len()
        );
        for (name, value) in [
            (
                "requests per second",
                (|shot| shot.per_second) as fn(&Shot) -> f64,
            ),
            ("CPU per request", |shot| shot.cpu_us),
            ("p99", |shot| shot.p99_us),
        ] {
            let of = |shots: fn(&Pair) -> &Shot| {
                Quartiles::of(pairs.iter().map(|pair| value(shots(pair))).collect())
                    .context("no pairs")
            };
            let (ours, theirs) = (of(|pair| &pair.ours)?, of(|pair| &pair.theirs)?);
            let ratios = pairs
                .iter()
                .map(|pair| value(&pair.ours) / value(&pair.theirs));
            let ratios = Quartiles::of(ratios.collect()).context("no pairs")?;
            println!(
                "  {name:<20} {ratios}  {:<6}  (medians {:.1} and {:.1})",
                ratios.verdict().to_string(),
                ours.median,
                theirs.median
            );
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "  resident memory      {:.1} and {:.1} MiB",
            mib(self.ours.0.resident_bytes()?),
            mib(self.theirs.0.resident_bytes()?)
        );
        println!("{}", peer.bars());
        Ok(())
    }
}

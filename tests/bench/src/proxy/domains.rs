//! Thousands of domains with a certificate each: start, memory, throughput kept, one more under load.
//!
//! nginx takes no part. With so many servers it needs many times the memory and the time to start,
//! and each new one is a start again.

mod newcomer;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::bars::verdict;
use super::contender::{Contender, Prepared, Site};
use super::peer::Peer;
use super::rounds::undisturbed;
use super::visitor::Visitor;
use super::{Bench, LOAD_CORE, product};
use crate::load::{Load, Shot, measured};
use crate::ratio::Quartiles;

/// How often our start is timed. HAProxy's takes some twenty seconds, so once is enough.
const OUR_STARTS: usize = 5;
/// Visitors at once who ask for one domain after another.
const VISITORS: usize = 8;
const PATH: &str = "/1024";

/// Who asks.
struct Visits {
    runtime: Runtime,
    visitor: Visitor,
}

/// A contender with all domains, and the same with one.
struct Pair {
    prepared: Prepared,
    many: Contender,
    one: Contender,
    starts_ms: Vec<f64>,
}

/// Runs the scenario.
pub(crate) fn run(bench: &Bench<'_>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let visitor = Visitor::new(&bench.authority.pem())?;
    let sites = (0..bench.arguments.domains)
        .map(|number| Site::new(&bench.authority, &host(number)))
        .collect::<Result<Vec<_>>>()?;
    println!("\n{} domains with a certificate each", sites.len());
    let visits = Visits { runtime, visitor };
    let prepare = product::prepare;
    let ours = Pair::start(OUR_STARTS, &visits, bench, &sites, prepare)?;
    let prepare = |bench: &Bench<'_>, sites: &[Site]| Peer::Haproxy.prepare(bench, sites);
    let theirs = Pair::start(1, &visits, bench, &sites, prepare)?;
    let pairs = [&ours, &theirs];
    for pair in pairs {
        pair.start_and_memory(&visits, sites.len())?;
    }
    kept(bench, pairs, sites.len())?;
    for pair in pairs {
        newcomer::report(bench, &visits, &pair.prepared, &pair.many, sites.len())?;
    }
    Ok(())
}

fn host(number: usize) -> String {
    format!("app-{number}.bench.localhost")
}

impl Visits {
    fn get(&self, contender: &Contender, host: &str) -> Result<()> {
        let got = self.visitor.get(contender.https, host, PATH);
        self.runtime.block_on(got)
    }
}

impl Pair {
    fn start(
        starts: usize,
        visits: &Visits,
        bench: &Bench<'_>,
        sites: &[Site],
        prepare: impl Fn(&Bench<'_>, &[Site]) -> Result<Prepared>,
    ) -> Result<Self> {
        let prepared = prepare(bench, sites)?;
        let mut starts_ms = Vec::new();
        let many = loop {
            let began = Instant::now();
            let many = prepared.start()?;
            visits.get(&many, &host(0))?;
            starts_ms.push(began.elapsed().as_secs_f64() * 1e3);
            if starts_ms.len() == starts {
                break many;
            }
        };
        Ok(Self {
            prepared,
            many,
            one: prepare(bench, &sites[..1])?.start()?,
            starts_ms,
        })
    }

    fn start_and_memory(&self, visits: &Visits, count: usize) -> Result<()> {
        let name = self.many.name;
        let starts = Quartiles::of(self.starts_ms.clone()).context("no start")?;
        println!("  {name:<10} start until the first answer by HTTPS, ms {starts}");
        let rested = self.many.memory_mib()?;
        let asked = ask_each(&visits.visitor, &self.many, count);
        visits.runtime.block_on(asked)?;
        let asked = self.many.memory_mib()?;
        println!("  {name:<10} memory {rested:.1} MiB, {asked:.1} once each was asked for");
        if self.many.is_ours() {
            println!("    {}", verdict(true, "memory <= 64 MiB", asked <= 64.0));
            println!("    {}", verdict(false, "memory <= 32 MiB", asked <= 32.0));
        }
        Ok(())
    }
}

async fn ask_each(visitor: &Visitor, contender: &Contender, count: usize) -> Result<()> {
    let mut visitors = JoinSet::new();
    for first in 0..VISITORS {
        let (visitor, addr) = (visitor.clone(), contender.https);
        visitors.spawn(async move {
            for number in (first..count).step_by(VISITORS) {
                visitor.get(addr, &host(number), PATH).await?;
            }
            anyhow::Ok(())
        });
    }
    visitors.join_all().await.into_iter().collect()
}

/// The same load on all domains and on one, back to back.
fn kept(bench: &Bench<'_>, pairs: [&Pair; 2], count: usize) -> Result<()> {
    let shot = |contender: &Contender, hosts: usize| -> Result<Shot> {
        let load = Load {
            core: Some(LOAD_CORE),
            url: format!("https://{}/", host(0)),
            headers: Vec::new(),
            script: Some(script(bench, contender, hosts)?),
            connections: bench.arguments.connections,
        };
        measured(&contender.running, || load.shoot(bench.arguments.seconds))
    };
    let mut own: Vec<_> = pairs
        .iter()
        .flat_map(|pair| [&pair.many.running, &pair.one.running])
        .collect();
    own.push(&bench.app);
    let rounds = undisturbed(bench.arguments.rounds, &own, |number| {
        let mut round = Vec::new();
        for pair in pairs {
            let (many, one) = if number % 2 == 0 {
                let many = shot(&pair.many, count)?;
                (many, shot(&pair.one, 1)?)
            } else {
                let one = shot(&pair.one, 1)?;
                (shot(&pair.many, count)?, one)
            };
            println!("  {:<10} all {many}   one {one}", pair.many.name);
            round.push((many, one));
        }
        Ok(round)
    })?;
    for (place, pair) in pairs.into_iter().enumerate() {
        let quartiles = |of: fn(&Shot) -> f64| {
            let ratios = rounds.iter().map(|round| {
                let (many, one) = &round[place];
                of(many) / of(one)
            });
            Quartiles::of(ratios.collect()).context("no rounds")
        };
        let (rate, cpu) = (
            quartiles(|shot| shot.per_second)?,
            quartiles(|shot| shot.cpu_us)?,
        );
        println!(
            "  {:<10} requests per second kept {rate}, CPU per request factor {cpu}",
            pair.many.name
        );
        if pair.many.is_ours() {
            println!("    {}", verdict(true, "kept >= 0.90", rate.median >= 0.9));
            println!(
                "    {}",
                verdict(false, "CPU per request <= 1.02", cpu.median <= 1.02)
            );
        }
    }
    Ok(())
}

/// Has wrk ask for so many hosts at random.
fn script(bench: &Bench<'_>, contender: &Contender, hosts: usize) -> Result<PathBuf> {
    bench.script(
        contender.https.port(),
        &format!(
            "local requests = {{}}
function init()
    for n = 1, {hosts} do
        local host = 'app-' .. (n - 1) .. '.bench.localhost'
        requests[n] = wrk.format('GET', '{PATH}', {{ ['Host'] = host }})
    end
end
function request() return requests[math.random({hosts})] end
"
        ),
    )
}

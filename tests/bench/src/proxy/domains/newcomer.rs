//! One more domain while another is asked for 200 times a second.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::runtime::Runtime;
use tose_model::route::RouteChange;
use tose_proxy::control::Client;
use tose_proxy::snapshot;

use super::{PATH, Visits, host};
use crate::http::{exchange, is_success};
use crate::proxy::bars::verdict;
use crate::proxy::contender::{Contender, Prepared, Site};
use crate::proxy::{Bench, peer, product};
use crate::ratio::Quartiles;

/// How many are added, one after another.
const NEWCOMERS: usize = 10;
/// The pause after each.
const PAUSE: Duration = Duration::from_millis(200);
const PROBE_PERIOD: Duration = Duration::from_millis(5);
/// How long the probe runs alone, to know what it costs.
const ALONE: Duration = Duration::from_secs(2);

/// What adding some took.
struct Added {
    times_ms: Vec<f64>,
    /// CPU time of the proxy for each, without that of the probe.
    cpu_ms: f64,
}

/// Adds some and prints how that went.
pub(super) fn report(
    bench: &Bench<'_>,
    visits: &Visits,
    prepared: &Prepared,
    contender: &Contender,
    count: usize,
) -> Result<()> {
    let sites = (count..count + NEWCOMERS)
        .map(|number| Site::new(&bench.authority, &host(number)))
        .collect::<Result<Vec<_>>>()?;
    let mut generation = None;
    if contender.is_ours() {
        let table = snapshot::read(&tose_proxy::routes_file(&prepared.dir))?;
        generation = Some(table.generation);
    }
    let add = |site: &Site| {
        match &mut generation {
            Some(generation) => {
                *generation += 1;
                let change = product::addition(*generation, &site.host, bench.app_addr)?;
                add_to_ours(&visits.runtime, prepared, &change, site)?;
            }
            None => add_to_haproxy(prepared, site)?,
        }
        visits.get(contender, &site.host)
    };
    let is_over = AtomicBool::new(false);
    let (added, probed) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe(contender, &is_over));
        let added = add_all(contender, &sites, add);
        is_over.store(true, Ordering::Relaxed);
        (added, probe.join())
    });
    let Added { times_ms, cpu_ms } = added?;
    let (probes, failed) = probed.map_err(|_| anyhow!("the probe panicked"))?;
    let times = Quartiles::of(times_ms).context("no newcomer")?;
    println!(
        "  {:<10} one more domain until it answers by HTTPS, ms {times}; CPU {cpu_ms:.1} ms; {failed} of {probes} probes failed",
        contender.name
    );
    if contender.is_ours() {
        for (is_gate, limit_ms) in [(true, 50.0), (false, 5.0)] {
            let what = format!("one more domain <= {limit_ms} ms");
            println!("    {}", verdict(is_gate, what, times.median <= limit_ms));
        }
        println!("    {}", verdict(false, "its CPU <= 1 ms", cpu_ms <= 1.0));
    }
    Ok(())
}

fn add_all(
    contender: &Contender,
    sites: &[Site],
    mut add: impl FnMut(&Site) -> Result<()>,
) -> Result<Added> {
    let cpu = || contender.running.cpu();
    let before = cpu()?;
    thread::sleep(ALONE);
    let alone = (cpu()? - before).div_duration_f64(ALONE);
    let (before, began) = (cpu()?, Instant::now());
    let mut times_ms = Vec::new();
    for site in sites {
        let began = Instant::now();
        add(site)?;
        times_ms.push(began.elapsed().as_secs_f64() * 1e3);
        thread::sleep(PAUSE);
    }
    let used = (cpu()? - before).as_secs_f64() - alone * began.elapsed().as_secs_f64();
    Ok(Added {
        times_ms,
        cpu_ms: used.max(0.0) * 1e3 / sites.len() as f64,
    })
}

/// Asks for one host until it is over. How often, and how often that failed.
fn probe(contender: &Contender, is_over: &AtomicBool) -> (usize, usize) {
    let (mut probes, mut failed) = (0, 0);
    let began = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        let answer = exchange(contender.http, "GET", PATH, &host(1), "", "");
        failed += usize::from(!answer.is_ok_and(|answer| is_success(&answer)));
        probes += 1;
        let next = PROBE_PERIOD * u32::try_from(probes).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_sub(began.elapsed()));
    }
    (probes, failed)
}

/// What the control plane does: the certificate, then what changes in the table, then a word to the proxy.
fn add_to_ours(
    runtime: &Runtime,
    prepared: &Prepared,
    change: &RouteChange,
    site: &Site,
) -> Result<()> {
    product::write_certificate(&prepared.dir, site)?;
    snapshot::append(&tose_proxy::routes_file(&prepared.dir), change)?;
    let socket = tose_proxy::control_socket(&prepared.dir);
    runtime.block_on(async {
        let mut client = Client::connect(&socket).await?;
        client.use_routes(change.generation).await
    })?;
    Ok(())
}

/// The certificate and the host, by its control socket.
fn add_to_haproxy(prepared: &Prepared, site: &Site) -> Result<()> {
    let dir = &prepared.dir;
    let file = peer::certificate_file(dir, &site.host);
    let (file, list, map) = (file.display(), peer::list_file(dir), peer::map_file(dir));
    // A payload ends with an empty line.
    let pem = format!("{}{}", site.certificate.chain, site.certificate.key).replace("\n\n", "\n");
    for command in [
        format!("new ssl cert {file}\n"),
        format!("set ssl cert {file} <<\n{pem}\n"),
        format!("commit ssl cert {file}\n"),
        format!("add ssl crt-list {} {file}\n", list.display()),
        format!("add map {} {} app\n", map.display(), site.host),
    ] {
        let mut stream = UnixStream::connect(peer::control_socket(dir))?;
        stream.write_all(command.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let is_refused =
            answer.contains("rror") || answer.contains("an't") || answer.contains("nknown");
        ensure!(!is_refused, "haproxy: {command}: {answer}");
    }
    Ok(())
}

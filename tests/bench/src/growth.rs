//! What our daemon costs when it has nothing to do, and how that grows with its projects.
//!
//! The start until the first answer of the API and of the proxy, memory and CPU time at rest, each
//! with a number of projects, and beside PocketBase with nothing in it.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::http::{Caller, exchange, is_success};
use crate::load::Load;
use crate::process::{Running, tosed_beside};
use crate::ratio::Quartiles;
use crate::service::{PocketBase, Rows, Service, Tosed, WORKSPACE, pocketbase};

const CONNECTIONS: u32 = 32;
const SHOT_SECONDS: u32 = 3;
const START_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// How the growth bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Starts of each
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds from a start until it counts as at rest
    #[arg(long, default_value_t = 60)]
    settle: u64,
    /// Seconds over which the CPU time at rest is taken
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Projects that ours has, one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100, 1_000, 10_000])]
    projects: Vec<usize>,
    /// The daemon to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    tosed: Option<PathBuf>,
    /// The PocketBase program [default: the one on the path]
    #[arg(long, value_name = "FILE")]
    pocketbase: Option<PathBuf>,
}

/// A service at rest.
#[derive(Debug, Clone, Copy)]
struct Rest {
    bytes: u64,
    core_share: f64,
}

/// Runs the bench and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let program = tosed_beside(arguments.tosed.as_deref())?;
    let peer = PocketBase {
        program: pocketbase(arguments.pocketbase.as_deref()),
        folder: dir.path().join("pocketbase"),
    };
    // The first start makes the database.
    drop(peer.start()?);
    let mut sizes = Vec::new();
    for &projects in &arguments.projects {
        let tosed = Tosed {
            program: program.clone(),
            folder: dir.path().join(format!("tosed-{projects}")),
        };
        let first = tosed.start()?;
        let caller = tosed.seed(first.addr, rows(projects))?;
        drop(first);
        let rest = size(&tosed, &peer, &caller, projects, arguments)?;
        sizes.push((projects as f64, rest.bytes as f64));
    }
    if let Some(bytes) = slope(&sizes) {
        println!("memory grows by {bytes:.0} bytes a project; target <= 2,048");
    }
    Ok(())
}

/// 30 of the projects, if there are so many, are in the workspace that is asked about.
fn rows(projects: usize) -> Rows {
    let asked = projects.min(30);
    let each = 10;
    Rows {
        asked,
        workspaces: (projects - asked) / each,
        each,
    }
}

fn size(
    tosed: &Tosed,
    peer: &PocketBase,
    caller: &Caller,
    projects: usize,
    arguments: &Arguments,
) -> Result<Rest> {
    let (mut times, mut proxy_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let ours = first_answers(|| tosed.start(), "/healthz")?;
        // What a restart finds is a proxy that never stopped; a first start has none.
        tosed.admin(&["shutdown"])?;
        let theirs = first_answers(|| peer.start(), "/api/health")?;
        times.push(millis(ours.api));
        proxy_times.push(millis(ours.proxy));
        ratios.push(ours.api.div_duration_f64(theirs.api));
    }
    let times = Quartiles::of(times).context("no rounds")?;
    let proxy_times = Quartiles::of(proxy_times).context("no rounds")?;
    let ratios = Quartiles::of(ratios).context("no rounds")?;
    let (ours, theirs) = (tosed.start()?, peer.start()?);
    thread::sleep(Duration::from_secs(arguments.settle));
    let [rest, their_rest] = at_rest([&ours.running, &theirs.running], arguments.seconds)?;
    drop(theirs);
    println!("{projects} projects");
    println!("  start until the API answers, ms        {times}; / pocketbase, empty {ratios}");
    println!("  start until the proxy answers, ms      {proxy_times}");
    println!("  at rest, ours                          {}", show(rest));
    println!(
        "  at rest, pocketbase, empty             {}",
        show(their_rest)
    );
    let gates = [
        ("start <= 1.0 of PocketBase's", ratios.median <= 1.0),
        ("the proxy answers within 1 s", proxy_times.median <= 1e3),
        (
            "memory <= 1.0 of PocketBase's",
            rest.bytes <= their_rest.bytes,
        ),
        ("CPU <= 0.1 % of a core", rest.core_share <= 0.001),
    ];
    for (gate, is_met) in gates {
        let outcome = if is_met { "holds" } else { "is missed" };
        println!("  gate: {gate} {outcome}");
    }
    let load = Load {
        core: None,
        url: format!(
            "http://{}/api/workspaces/{WORKSPACE}/projects?limit=30",
            ours.addr
        ),
        headers: vec![caller.header.clone()],
        script: None,
        connections: CONNECTIONS,
    };
    let shot = load.measure(&ours.running, SHOT_SECONDS)?;
    println!("  first page of the list                 {shot}");
    Ok(rest)
}

/// How long a start took until the first answers.
struct Start {
    api: Duration,
    /// As long as `api` for a service without a proxy.
    proxy: Duration,
}

/// Starts a service, takes the times until it answers, and ends it.
fn first_answers(start: impl Fn() -> Result<Service>, path: &str) -> Result<Start> {
    let began = Instant::now();
    let service = start()?;
    let answer = exchange(service.addr, "GET", path, "localhost", "", "")?;
    ensure!(is_success(&answer), "{path}: {answer}");
    let api = began.elapsed();
    if let Some(proxy) = service.proxy {
        // Any answer counts: nothing is routed.
        while exchange(proxy, "GET", "/", "localhost", "", "").is_err() {
            ensure!(began.elapsed() < START_LIMIT, "the proxy does not answer");
            thread::sleep(POLL);
        }
    }
    Ok(Start {
        api,
        proxy: began.elapsed(),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Both over the same seconds.
fn at_rest(services: [&Running; 2], seconds: u64) -> Result<[Rest; 2]> {
    let before = [services[0].cpu()?, services[1].cpu()?];
    thread::sleep(Duration::from_secs(seconds));
    let rest = |place: usize| -> Result<Rest> {
        let used = services[place].cpu()?.saturating_sub(before[place]);
        Ok(Rest {
            bytes: services[place].proportional_bytes()?,
            core_share: used.as_secs_f64() / seconds as f64,
        })
    };
    Ok([rest(0)?, rest(1)?])
}

fn show(rest: Rest) -> String {
    let mib = rest.bytes as f64 / f64::from(1 << 20);
    format!("{mib:.1} MiB, {:.2} % of a core", rest.core_share * 100.0)
}

/// The least-squares slope; none without two different places.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let joint: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    (spread > 0.0).then_some(joint / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_through_the_points() {
        assert_eq!(slope(&[(0.0, 5.0), (10.0, 25.0), (20.0, 45.0)]), Some(2.0));
        assert_eq!(slope(&[(1.0, 5.0)]), None);
    }

    #[test]
    fn every_project_has_a_workspace() {
        for projects in [0, 100, 1_000, 10_000] {
            let rows = rows(projects);
            assert_eq!(
                rows.asked + rows.workspaces * rows.each,
                projects.max(rows.asked)
            );
        }
    }
}

//! The load of fresh connections. wrk would resume the sessions that it had.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::{JoinSet, LocalSet};

use super::visitor::Visitor;
use super::{HOST, LOAD_CORE};
use crate::load::Shot;
use crate::process::pinned;

/// What to load.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The proxy's address for HTTPS.
    #[arg(long)]
    addr: SocketAddr,
    /// The certificate to trust, in PEM.
    #[arg(long)]
    authority: PathBuf,
    /// How long.
    #[arg(long)]
    seconds: u32,
    /// Visitors at once.
    #[arg(long)]
    connections: u32,
    /// What they ask for.
    #[arg(long)]
    path: String,
}

/// Loads and prints the number of requests, that of failures, and the 99th percentile in microseconds.
pub(crate) fn shake(arguments: &Arguments) -> Result<()> {
    let authority = std::fs::read_to_string(&arguments.authority)?;
    let visitor = Visitor::new(&authority)?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds.into());
    let times = Rc::new(RefCell::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut visitors = JoinSet::new();
    let local = LocalSet::new();
    for _ in 0..arguments.connections {
        let (visitor, times) = (visitor.clone(), Rc::clone(&times));
        let (addr, path) = (arguments.addr, arguments.path.clone());
        let visit = async move {
            let mut failed = 0;
            while Instant::now() < end {
                let began = Instant::now();
                match visitor.get(addr, HOST, &path).await {
                    Ok(()) => times.borrow_mut().push(began.elapsed()),
                    Err(_) => failed += 1,
                }
            }
            failed
        };
        visitors.spawn_local_on(visit, &local);
    }
    let failed: Vec<u64> = runtime.block_on(local.run_until(visitors.join_all()));
    let mut times = times.take();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).context("no request")?;
    println!(
        "{} {} {}",
        times.len(),
        failed.iter().sum::<u64>(),
        p99.as_micros()
    );
    Ok(())
}

/// One shot, with this very program.
pub(crate) fn shoot(
    own_program: &str,
    authority: &Path,
    addr: SocketAddr,
    connections: u32,
    seconds: u32,
) -> Result<Shot> {
    let output = pinned(LOAD_CORE, own_program)
        .arg("shake-hands")
        .args(["--addr", &addr.to_string()])
        .arg("--authority")
        .arg(authority)
        .args(["--seconds", &seconds.to_string()])
        .args(["--connections", &connections.to_string()])
        .args(["--path", "/1024"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let [requests, failed, p99_us] = numbers[..] else {
        bail!("shake-hands said something else than awaited: {text}");
    };
    Ok(Shot {
        requests,
        failed,
        per_second: requests as f64 / f64::from(seconds),
        p99_us: p99_us as f64,
        cpu_us: 0.0,
    })
}

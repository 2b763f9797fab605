//! Our API against PocketBase: one record, a list of 30, and a write, 32 connections each.
//!
//! Both check who asks, with 10,000 projects in 1,000 workspaces. A write of ours is answered when
//! it is on the disk; PocketBase answers before that. At the end our daemon is killed in the middle
//! of writes, and what it had answered has to be there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use std::{fs, iter};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::Caller;
use crate::load::{Load, Shot};
use crate::process::tosed_beside;
use crate::ratio::Quartiles;
use crate::service::{PocketBase, Rows, Service, Tosed, WORKSPACE, pocketbase};

const ROWS: Rows = Rows {
    asked: 40,
    workspaces: 999,
    each: 10,
};
const CONNECTIONS: u32 = 32;
const WRITERS: usize = 8;
/// How long is written before the daemon is killed.
const BEFORE_CRASH: Duration = Duration::from_secs(2);

/// How the API bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds; each is a shot at both for each kind of call
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds a shot
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    seconds: u32,
    /// The daemon to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    tosed: Option<PathBuf>,
    /// The PocketBase program [default: the one on the path]
    #[arg(long, value_name = "FILE")]
    pocketbase: Option<PathBuf>,
}

/// A kind of call, as a shot at ours and one at theirs.
struct Kind {
    name: &'static str,
    /// So many times PocketBase's requests a second must be reached.
    gate: f64,
    target: &'static str,
    ours: Load,
    theirs: Load,
}

/// Runs the bench and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let tosed = Tosed {
        program: tosed_beside(arguments.tosed.as_deref())?,
        folder: dir.path().join("tosed"),
    };
    let peer = PocketBase {
        program: pocketbase(arguments.pocketbase.as_deref()),
        folder: dir.path().join("pocketbase"),
    };
    let (mut ours, theirs) = (tosed.start()?, peer.start()?);
    let caller = tosed.seed(ours.addr, ROWS)?;
    let their_caller = peer.seed(theirs.addr, ROWS)?;
    for kind in kinds(dir.path(), &caller, &their_caller)? {
        compare(&kind, arguments, &ours, &theirs)?;
    }
    drop(theirs);
    crash(&tosed, &mut ours, &caller)
}

fn kinds(dir: &Path, ours: &Caller, theirs: &Caller) -> Result<[Kind; 3]> {
    let projects = format!("/api/workspaces/{WORKSPACE}/projects");
    let records = "/api/collections/projects/records";
    let page = theirs.call(
        "GET",
        &format!("{records}?perPage=30&skipTotal=1"),
        &Value::Null,
    )?;
    let listed = page["items"].as_array().context("no items")?;
    ensure!(listed.len() == 30, "PocketBase lists {}", listed.len());
    let page = ours.call("GET", &format!("{projects}?limit=30"), &Value::Null)?;
    let our_count = page["data"].as_array().map_or(0, Vec::len);
    ensure!(our_count == 30, "ours lists {page}");
    let their_ids: Vec<&str> = listed.iter().filter_map(|row| row["id"].as_str()).collect();
    let load = |caller: &Caller, name: &str, script: String| -> Result<Load> {
        let file = dir.join(format!("{name}.lua"));
        fs::write(&file, script)?;
        Ok(Load {
            core: None,
            url: format!("http://{}/", caller.addr),
            headers: vec![
                caller.header.clone(),
                "Content-Type: application/json".to_owned(),
            ],
            script: Some(file),
            connections: CONNECTIONS,
        })
    };
    let slugs: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
    let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let write = format!(
        r#"wrk.format("PUT", "{projects}/p" .. (n % 30) .. "/env/KEY" .. (n % 50), nil, '{{"value":"v' .. n .. '"}}')"#
    );
    let their_write = format!(
        r#"wrk.format("POST", "/api/collections/vars/records", nil, '{{"workspace":"{WORKSPACE}","project":"p' .. (n % 30) .. '","key":"KEY' .. (n % 50) .. '","value":"v' .. n .. '"}}')"#
    );
    Ok([
        Kind {
            name: "one record",
            gate: 3.0,
            target: "8 times, p99 <= 5 ms",
            ours: load(ours, "our-one", one_of(&projects, &slugs))?,
            theirs: load(theirs, "their-one", one_of(records, &their_ids))?,
        },
        Kind {
            name: "list of 30",
            gate: 3.0,
            target: "8 times, p99 <= 5 ms",
            ours: load(
                ours,
                "our-list",
                script(&format!(r#"wrk.format("GET", "{projects}?limit=30")"#)),
            )?,
            theirs: load(
                theirs,
                "their-list",
                script(&format!(
                    r#"wrk.format("GET", "{records}?perPage=30&skipTotal=1")"#
                )),
            )?,
        },
        Kind {
            name: "write",
            gate: 1.5,
            target: "10,000 a second",
            ours: load(ours, "our-write", script(&write))?,
            theirs: load(theirs, "their-write", script(&their_write))?,
        },
    ])
}

/// A script of wrk whose requests are `expression`, with `n` counting up.
fn script(expression: &str) -> String {
    format!("local n = 0\nfunction request()\n  n = n + 1\n  return {expression}\nend\n")
}

fn one_of(path: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let expression = format!(r#"wrk.format("GET", "{path}/" .. names[n % #names + 1])"#);
    format!(
        "local names = {{{}}}\n{}",
        names.join(", "),
        script(&expression)
    )
}

fn compare(kind: &Kind, arguments: &Arguments, ours: &Service, theirs: &Service) -> Result<()> {
    println!("{}", kind.name);
    let mut pairs = Vec::new();
    for round in 0..=arguments.rounds {
        let our_shot = || kind.ours.measure(&ours.running, arguments.seconds);
        let their_shot = || kind.theirs.measure(&theirs.running, arguments.seconds);
        let pair = if round % 2 == 0 {
            let first = our_shot()?;
            (first, their_shot()?)
        } else {
            let first = their_shot()?;
            (our_shot()?, first)
        };
        // The first round fills the caches and is not counted.
        if round > 0 {
            println!("  ours {}   pocketbase {}", pair.0, pair.1);
            pairs.push(pair);
        }
    }
    let ratios = |value: fn(&Shot) -> f64| {
        let ratios = pairs
            .iter()
            .map(|(ours, theirs)| value(ours) / value(theirs));
        Quartiles::of(ratios.collect()).context("no rounds")
    };
    let rate = ratios(|shot| shot.per_second)?;
    println!("  requests a second  ours / pocketbase {rate}");
    println!(
        "  CPU a request      ours / pocketbase {}",
        ratios(|shot| shot.cpu_us)?
    );
    println!(
        "  p99                ours / pocketbase {}",
        ratios(|shot| shot.p99_us)?
    );
    let outcome = if rate.median >= kind.gate {
        "holds"
    } else {
        "is missed"
    };
    println!(
        "  gate: {} times the requests {outcome}; target: {}",
        kind.gate, kind.target
    );
    Ok(())
}

/// Kills the daemon while it writes, starts it again, and looks for what it had answered.
fn crash(tosed: &Tosed, ours: &mut Service, caller: &Caller) -> Result<()> {
    let acknowledged: Vec<AtomicU64> = iter::repeat_with(AtomicU64::default)
        .take(WRITERS)
        .collect();
    thread::scope(|scope| {
        for (writer, last) in acknowledged.iter().enumerate() {
            scope.spawn(move || {
                // Counts until the daemon answers no more.
                for number in 1.. {
                    if put(caller, writer, number).is_err() {
                        return;
                    }
                    last.store(number, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(BEFORE_CRASH);
        ours.running.crash()
    })?;
    let again = tosed.start()?;
    let caller = Caller {
        addr: again.addr,
        ..caller.clone()
    };
    let mut writes = 0;
    for (writer, last) in acknowledged.iter().enumerate() {
        let last = last.load(Ordering::Relaxed);
        ensure!(last > 0, "nothing was written before the crash");
        let found = stored(&caller, writer)?;
        ensure!(
            found >= last,
            "writer {writer}: {last} was answered, {found} is there"
        );
        writes += last;
    }
    println!("kill -9 in the middle of {WRITERS} writers: all {writes} answered writes are there");
    Ok(())
}

fn path_of(writer: usize) -> String {
    format!("/api/workspaces/{WORKSPACE}/projects/p{writer}/env")
}

fn put(caller: &Caller, writer: usize, number: u64) -> Result<()> {
    let path = format!("{}/COUNT", path_of(writer));
    caller.call("PUT", &path, &json!({"value": number.to_string()}))?;
    Ok(())
}

fn stored(caller: &Caller, writer: usize) -> Result<u64> {
    let answer = caller.call("GET", &path_of(writer), &Value::Null)?;
    let rows = answer["data"].as_array().context("no list")?;
    let row = rows.iter().find(|row| row["key"] == json!("COUNT"));
    let value = row.and_then(|row| row["value"].as_str());
    Ok(value
        .with_context(|| format!("no value: {answer}"))?
        .parse()?)
}

//! A project's whole log, downloaded from the product's own server: how fast, and with how much memory. The floor is the
//! same text, unpacked by zstd and packed by gzip.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tose_api::log::LogSource;
use tose_api::{ProjectId, Timestamp};
use tose_logs::{LogStore, StreamId};
use tose_model::log::LogLine;

use super::generator::{Generator, Line};
use crate::process::{Running, program};
use crate::ratio::Quartiles;
use crate::service::{Rows, Tosed, WORKSPACE};

/// How often it is downloaded, each time followed by the floor.
const ROUNDS: usize = 7;
/// How many lines are written at once.
const BATCH: usize = 10_000;
const POLL: Duration = Duration::from_millis(10);
const POD: &str = "web-1";

/// Fills the log of one project with so many lines, downloads it again and again, and prints what that took.
pub(super) fn run(tosed: &Path, dir: &Path, lines: u64) -> Result<()> {
    let tosed = Tosed {
        program: tosed.to_owned(),
        folder: dir.join("download"),
    };
    let rows = Rows {
        asked: 1,
        workspaces: 0,
        each: 0,
    };
    let service = tosed.start()?;
    let caller = tosed.seed(service.addr, rows)?;
    let path = format!("/api/workspaces/{WORKSPACE}/projects/p0");
    let project = caller.call("GET", &path, &Value::Null)?;
    let id = project["data"]["id"].as_str().context("no id")?.parse()?;
    drop(service);
    fill(&tosed.folder.join("data/logs"), id, lines)?;
    let packed = dir.join("download.zst");
    let bytes = pack(&packed, lines)?;
    let service = tosed.start()?;
    let url = format!("http://{}{path}/logs/download", service.addr);
    let (mut ours, mut floor, mut most) = (Vec::new(), Vec::new(), 0);
    let before = service.running.proportional_bytes()?;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        most = most.max(download(&caller.header, &url, lines, &service.running)?);
        ours.push(rate(bytes, began));
        let began = Instant::now();
        shell("zstd -dc \"$0\" | gzip -1 | cat >/dev/null", &packed)?;
        floor.push(rate(bytes, began));
    }
    let ratios = ours.iter().zip(&floor).map(|(ours, floor)| ours / floor);
    let ratios = Quartiles::of(ratios.collect()).context("no rounds")?;
    let show = |rates| Quartiles::of(rates).context("no rounds");
    println!(
        "  download: {} MB/s of text, {:.0} MB; zstd | gzip -1: {} MB/s; ratio {ratios}",
        show(ours)?,
        bytes as f64 / 1e6,
        show(floor)?
    );
    println!(
        "  memory of the server: {} MiB, at most {} MiB while it was downloaded",
        before >> 20,
        most >> 20
    );
    Ok(())
}

fn rate(bytes: u64, began: Instant) -> f64 {
    bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
}

/// Writes the lines of all projects of the generator into the log of one.
fn fill(dir: &Path, id: ProjectId, lines: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let store = LogStore::open(dir)?;
    let mut generator = Generator::new(lines);
    runtime.block_on(async {
        loop {
            let batch = std::iter::from_fn(|| generator.next_line()).take(BATCH);
            let batch: Vec<LogLine> = batch.map(log_line).collect();
            if batch.is_empty() {
                break;
            }
            store.append(StreamId::Project(id), batch).await?;
        }
        store.flush().await?;
        Ok(())
    })
}

fn log_line(line: Line) -> LogLine {
    LogLine {
        time: time_of(&line),
        source: LogSource::Stdout,
        pod: POD.into(),
        text: line.text.into_bytes(),
    }
}

fn time_of(line: &Line) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(line.time_ms).unwrap_or(i64::MAX) * 1_000_000)
}

/// Writes the same text as a file of zstd; answers its size before.
fn pack(path: &Path, lines: u64) -> Result<u64> {
    let plain = path.with_extension("txt");
    let mut file = BufWriter::new(fs::File::create(&plain)?);
    let mut generator = Generator::new(lines);
    while let Some(line) = generator.next_line() {
        writeln!(file, "{} {POD} {}", time_of(&line), line.text)?;
    }
    file.flush()?;
    drop(file);
    shell("zstd -q -f --rm \"$0\" -o \"${0%.txt}.zst\"", &plain)?;
    let text = program("zstd").args(["-lv"]).arg(path).output()?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let size = text
        .lines()
        .find_map(|line| line.strip_prefix("Decompressed Size:"))
        .and_then(|size| size.rsplit_once('(')?.1.split_whitespace().next())
        .with_context(|| format!("zstd said {text}"))?;
    Ok(size.parse()?)
}

/// Runs what `$0` is given to; fails if any part of it does.
fn shell(script: &str, argument: &Path) -> Result<()> {
    let mut command = program("bash");
    command.args(["-o", "pipefail", "-c", script]).arg(argument);
    ensure!(command.status()?.success(), "{script} failed");
    Ok(())
}

/// Downloads once, and counts the lines; answers the most memory that the server had meanwhile.
fn download(header: &str, url: &str, lines: u64, running: &Running) -> Result<u64> {
    let mut child = program("bash")
        .args(["-o", "pipefail", "-c"])
        .arg("curl --silent --show-error --fail --header \"$0\" \"$1\" | gzip -dc | wc -l")
        .args([header, url])
        .stdout(Stdio::piped())
        .spawn()?;
    let most = watch(&mut child, running)?;
    let output = child.wait_with_output()?;
    let counted = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && counted == lines.to_string(),
        "{counted} lines of {lines} came"
    );
    Ok(most)
}

fn watch(child: &mut Child, running: &Running) -> Result<u64> {
    let mut most = 0;
    while child.try_wait()?.is_none() {
        most = most.max(running.proportional_bytes()?);
        thread::sleep(POLL);
    }
    Ok(most)
}

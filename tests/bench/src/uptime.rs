//! Uptime checks against HAProxy's health checks: CPU a check, memory, when checks are made, and how soon people are told.
//!
//! Both check as often, each over a connection of its own, and at the same time, so that the machine is the same for
//! both. Ours keeps every result, which is counted in its database, and has the whole product around it. What it uses
//! without a check is taken beforehand and subtracted for the ratio; it is printed, too.

pub(crate) mod server;
mod targets;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::http::Caller;
use crate::process::{Running, free_addr, program};
use crate::ratio::Quartiles;
use crate::service::{register, side_by_side};
use targets::{Message, Target, receive};

/// How many projects a workspace has.
const EACH: usize = 10;
/// How long the projects may take to come up.
const START_LIMIT: Duration = Duration::from_secs(900);
/// How long word may take until it counts as lost, beside the interval of the checks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it takes until all is quiet.
const SETTLE: Duration = Duration::from_secs(20);
/// The interval at which the target for the whole is set, in seconds.
const MINUTE: u32 = 60;
/// How often a page is asked for.
const PAGES: usize = 50;

/// How the uptime bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Monitors, ten in each workspace
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    monitors: u32,
    /// Monitors whose target goes away, ten in each workspace
    #[arg(long, default_value_t = 500)]
    falling: u32,
    /// Seconds from one check of a monitor to the next while both are compared
    #[arg(long, default_value_t = MINUTE)]
    interval: u32,
    /// Windows in which CPU time and checks are counted
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of a window; projects are looked at every 30 s
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// Runs the bench and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let handle = runtime.handle();
    let (steady, falling) = (Target::listen(handle)?, Target::listen(handle)?);
    let (told, mut messages) = receive(handle)?;
    let bench = Bench::start(arguments, dir.path())?;
    bench.deploy()?;
    thread::sleep(SETTLE);
    let idle = bench.share_of_core(arguments)?;
    bench.watch(&steady, &falling, arguments.interval, told)?;
    let mut busy = compare(
        &bench,
        arguments,
        [&steady, &falling],
        handle,
        dir.path(),
        idle,
    )?;
    bench.read_pages()?;
    drop(falling);
    let interval = Duration::from_secs(arguments.interval.into());
    tell(&bench, &mut messages, interval + PATIENCE)?;
    if arguments.interval != MINUTE {
        bench.set_interval(MINUTE)?;
        // Whoever changes a monitor has it checked at once; these checks are over then.
        thread::sleep(SETTLE);
        busy = bench.share_of_core(arguments)?;
    }
    println!(
        "  a check a minute each:       {:.2} % of a core more than without      target <= 2 %",
        (busy - idle) * 100.0
    );
    Ok(())
}

/// Our server, its projects, and who may ask about them.
struct Bench {
    running: Running,
    caller: Caller,
    database: PathBuf,
    workspaces: usize,
    falling: usize,
}

impl Bench {
    fn start(arguments: &Arguments, dir: &Path) -> Result<Self> {
        let addr = free_addr()?;
        let data_dir = dir.join("data");
        let mut command = program(std::env::current_exe()?);
        command
            .arg("serve-uptime")
            .arg("--data-dir")
            .arg(&data_dir)
            .args(["--api-addr", &addr.to_string()]);
        Ok(Self {
            running: Running::start("tose", command, addr)?,
            caller: register(addr)?,
            database: data_dir.join("tose.db"),
            workspaces: arguments.monitors as usize / EACH,
            falling: arguments.falling as usize / EACH,
        })
    }

    fn workspace(number: usize) -> String {
        format!("/api/workspaces/w{number}")
    }

    /// Has every project run; answers once all do.
    fn deploy(&self) -> Result<()> {
        let began = Instant::now();
        side_by_side(self.workspaces, |number| {
            let slug = format!("w{number}");
            let body = json!({"name": slug, "slug": slug});
            self.caller.call("POST", "/api/workspaces", &body)?;
            for project in 0..EACH {
                let path = format!("{}/projects", Self::workspace(number));
                let body =
                    json!({"name": format!("p{project}"), "image": server::IMAGE, "port": 3000});
                self.caller.call("POST", &path, &body)?;
                let path = format!("{path}/p{project}/deployments");
                self.caller.call("POST", &path, &Value::Null)?;
                // So that the queue stays as short as it is where people deploy.
                while self.caller.call("GET", &path, &Value::Null)?["data"][0]["status"]
                    != "running"
                {
                    ensure!(began.elapsed() < START_LIMIT, "the projects do not come up");
                    thread::sleep(Duration::from_millis(5));
                }
            }
            Ok(())
        })?;
        println!(
            "uptime: {} projects run after {:.0} s",
            self.workspaces * EACH,
            began.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Has every project checked; the last ones are those whose target is to go away. That takes an interval, so that
    /// checks are spread over it: a monitor is checked at once when it is set, and stays at that place.
    fn watch(
        &self,
        steady: &Target,
        falling: &Target,
        interval: u32,
        told: SocketAddr,
    ) -> Result<()> {
        let began = Instant::now();
        side_by_side(self.workspaces, |number| {
            let place = f64::from(interval) * number as f64 / self.workspaces as f64;
            let due = Duration::from_secs_f64(place);
            thread::sleep(due.saturating_sub(began.elapsed()));
            let falls = number + self.falling >= self.workspaces;
            let target = if falls { falling.addr } else { steady.addr };
            if falls {
                let body = json!({"name": "bench", "kind": "webhook", "url": format!("http://{told}/"), "events": ["uptime_down"]});
                let path = format!("{}/notifications", Self::workspace(number));
                self.caller.call("POST", &path, &body)?;
            }
            let body = json!({
                "enabled": true, "check_url": format!("http://{target}/"), "check_interval_sec": interval,
                "failures_before_down": 1,
            });
            self.set_uptime(number, &body)
        })
    }

    fn set_interval(&self, interval: u32) -> Result<()> {
        let body = json!({"check_interval_sec": interval});
        side_by_side(self.workspaces, |number| self.set_uptime(number, &body))
    }

    fn set_uptime(&self, number: usize, body: &Value) -> Result<()> {
        for project in 0..EACH {
            let path = format!("{}/projects/p{project}/uptime", Self::workspace(number));
            self.caller.call("PUT", &path, body)?;
        }
        Ok(())
    }

    /// How much of a core it uses, over all windows together.
    fn share_of_core(&self, arguments: &Arguments) -> Result<f64> {
        let span = Duration::from_secs(arguments.seconds * u64::from(arguments.rounds));
        let before = self.running.cpu()?;
        thread::sleep(span);
        let used = self.running.cpu()?.saturating_sub(before);
        Ok(used.div_duration_f64(span))
    }

    /// How long pages take on which people see how things are, while checks go on.
    fn read_pages(&self) -> Result<()> {
        let pages = [
            "projects?limit=30",
            "projects/p0/uptime",
            "projects/p0/uptime/checks",
        ];
        for page in pages {
            let path = format!("{}/{page}", Self::workspace(0));
            let mut taken = Vec::new();
            for _ in 0..PAGES {
                let began = Instant::now();
                self.caller.call("GET", &path, &Value::Null)?;
                taken.push(began.elapsed().as_secs_f64() * 1e3);
            }
            let taken = Quartiles::of(taken).context("no page")?;
            println!("  GET {page:<26} {taken} ms      gate <= 50 ms");
        }
        Ok(())
    }

    /// Asks the database; see [`ASK`].
    fn count(&self, question: &[&str]) -> Result<f64> {
        let answer = self.ask(question)?;
        let first = answer.lines().next().context("no answer")?;
        Ok(first.parse()?)
    }

    fn ask(&self, question: &[&str]) -> Result<String> {
        let output = program("python3")
            .args(["-c", ASK])
            .arg(&self.database)
            .args(question)
            .output()
            .context("python3 is needed to count")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Counts in the database, read only.
const ASK: &str = r#"
import sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
question, rest = sys.argv[2], [int(text) * 1000 for text in sys.argv[3:]]
if question == "checks":
    print(db.execute("SELECT COUNT(*) FROM checks WHERE at >= ? AND at < ?", rest).fetchone()[0])
elif question == "gaps":
    last = {}
    for project, at in db.execute("SELECT project_id, at FROM checks WHERE at >= ? AND at < ? ORDER BY at", rest):
        if project in last:
            print((at - last[project]) / 1e6)
        last[project] = at
elif question == "incidents":
    for slug, at in db.execute("SELECT w.slug, MIN(i.started_at) FROM incidents i JOIN projects p ON p.id = i.project_id "
                               "JOIN workspaces w ON w.id = p.workspace_id GROUP BY w.slug"):
        print(slug, at // 1000)
"#;

/// Both check side by side. Answers how much of a core ours used.
fn compare(
    bench: &Bench,
    arguments: &Arguments,
    ours: [&Target; 2],
    runtime: &tokio::runtime::Handle,
    dir: &Path,
    idle: f64,
) -> Result<f64> {
    let target = Target::listen(runtime)?;
    let peer = start_haproxy(arguments, target.addr, dir)?;
    // Both spread their first checks over an interval.
    thread::sleep(Duration::from_secs(2 * u64::from(arguments.interval)));
    let (mut our_cost, mut their_cost, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let begin = now_us();
    let asked = || ours.iter().map(|target| target.answered()).sum::<u64>();
    let (first, began, cpu) = (asked(), Instant::now(), bench.running.cpu()?);
    for _ in 0..arguments.rounds {
        let (our_cpu, their_cpu) = (bench.running.cpu()?, peer.cpu()?);
        let (our_checks, their_checks) = (asked(), target.answered());
        let window = Duration::from_secs(arguments.seconds);
        thread::sleep(window);
        let used = (bench.running.cpu()?.saturating_sub(our_cpu)).as_secs_f64();
        let used = used - idle * window.as_secs_f64();
        let each = used * 1e6 / (asked() - our_checks).max(1) as f64;
        let theirs = peer.cpu()?.saturating_sub(their_cpu).as_secs_f64() * 1e6;
        let theirs = theirs / (target.answered() - their_checks).max(1) as f64;
        our_cost.push(each);
        their_cost.push(theirs);
        ratios.push(each / theirs);
    }
    let end = now_us();
    let answered = asked() - first;
    let used = bench.running.cpu()?.saturating_sub(cpu);
    let busy = used.div_duration_f64(began.elapsed());
    // What was found in the last second is still to be written.
    thread::sleep(Duration::from_secs(2));
    let stored = bench.count(&["checks", &begin.to_string(), &end.to_string()])?;
    let show = |series| Quartiles::of(series).context("no rounds");
    println!(
        "  every {} s, of {} monitors; {:.2} % of a core without a check",
        arguments.interval,
        arguments.monitors,
        idle * 100.0
    );
    println!("  ours, us of CPU a check:     {}", show(our_cost)?);
    println!("  HAProxy:                     {}", show(their_cost)?);
    println!(
        "  ratio:                       {}      gate <= 1.5, target <= 0.7",
        show(ratios)?
    );
    println!("  kept:                        {stored:.0} results of about {answered} checks");
    println!(
        "  memory, MiB:                 {}; HAProxy {}",
        bench.running.proportional_bytes()? >> 20,
        peer.proportional_bytes()? >> 20
    );
    lateness(bench, arguments, begin, end)?;
    Ok(busy)
}

/// How far the times between two checks of a monitor are from its interval.
fn lateness(bench: &Bench, arguments: &Arguments, begin: u64, end: u64) -> Result<()> {
    let gaps = bench.ask(&["gaps", &begin.to_string(), &end.to_string()])?;
    let interval = f64::from(arguments.interval) * 1e3;
    let mut errors = Vec::new();
    for gap in gaps.lines() {
        errors.push((gap.parse::<f64>()? - interval).abs());
    }
    errors.sort_by(f64::total_cmp);
    let at = |share: usize| errors.get(errors.len() * share / 1000).copied();
    println!(
        "  off the due time, ms:        p50 {:.0}, p99 {:.0}, of {}      target p99 <= 20 ms",
        at(500).context("no checks")?,
        at(990).context("no checks")?,
        errors.len()
    );
    Ok(())
}

fn start_haproxy(arguments: &Arguments, target: SocketAddr, dir: &Path) -> Result<Running> {
    let addr = free_addr()?;
    let mut text = format!(
        "global\n    nbthread 1\n    maxconn 4000\ndefaults\n    mode http\n    timeout connect 10s\n    timeout client 10s\n    timeout server 10s\nfrontend bench\n    bind {addr}\n    default_backend checked\nbackend checked\n    option httpchk GET /\n    http-check expect status 200-399\n"
    );
    for number in 0..arguments.monitors {
        let interval = arguments.interval;
        writeln!(
            text,
            "    server s{number} {target} check inter {interval}s fall 2 rise 1"
        )?;
    }
    let file = dir.join("haproxy.cfg");
    fs::write(&file, text)?;
    let mut command = program("haproxy");
    command.arg("-db").arg("-f").arg(&file);
    Running::start("haproxy", command, addr)
}

/// How soon somebody is told after the check that decided: the first word of each workspace.
fn tell(
    bench: &Bench,
    messages: &mut UnboundedReceiver<Message>,
    patience: Duration,
) -> Result<()> {
    let mut told = BTreeMap::new();
    let began = Instant::now();
    while told.len() < bench.falling {
        ensure!(began.elapsed() < patience, "only {} were told", told.len());
        match messages.try_recv() {
            Ok(message) => {
                told.entry(message.workspace).or_insert(message.at_us);
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    let mut delays = Vec::new();
    for line in bench.ask(&["incidents"])?.lines() {
        let (workspace, at) = line.split_once(' ').context("a broken answer")?;
        let at_us: u64 = at.parse()?;
        let heard = told.get(workspace).context("somebody was not told")?;
        delays.push(heard.saturating_sub(at_us) as f64 / 1e3);
    }
    let last = delays.iter().copied().fold(0.0, f64::max);
    println!(
        "  from the check to the word:  {} ms, at most {last:.0} ms, in {} workspaces      target <= 1 s",
        Quartiles::of(delays).context("nobody was told")?,
        bench.falling
    );
    Ok(())
}

/// Microseconds since 1970.
fn now_us() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is compared with the server's clock"
    )]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

//! Processes that a bench starts: pinned to a core, measured from /proc, and gone with the bench.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

const START_LIMIT: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// A process with its children; dropped, it is ended.
pub(crate) struct Running {
    name: String,
    child: Child,
}

/// The daemon to measure: the one that was named, or the one beside this program.
pub(crate) fn tosed_beside(named: Option<&Path>) -> Result<PathBuf> {
    let tosed = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("tosed"),
    };
    ensure!(
        tosed.exists(),
        "{} is not there; build it with cargo build --release -p tose-server",
        tosed.display()
    );
    Ok(tosed)
}

/// A free port on the loopback address.
pub(crate) fn free_addr() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port")?;
    Ok(listener.local_addr()?)
}

/// A command that runs anywhere.
#[expect(clippy::disallowed_methods, reason = "a bench starts what it measures")]
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    Command::new(name)
}

/// A command that runs on one core only.
pub(crate) fn pinned(core: usize, name: &str) -> Command {
    let mut command = program("taskset");
    command.arg("-c").arg(core.to_string()).arg(name);
    command
}

impl Running {
    /// Starts `command` and waits until it accepts connections at `addr`.
    pub(crate) fn start(name: &str, command: Command, addr: SocketAddr) -> Result<Self> {
        Self::start_within(START_LIMIT, name, command, addr)
    }

    /// The same, with a limit for what takes longer.
    pub(crate) fn start_within(
        limit: Duration,
        name: &str,
        mut command: Command,
        addr: SocketAddr,
    ) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let mut running = Self {
            name: name.to_owned(),
            child,
        };
        let started = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("{name} ended at its start: {status}");
            }
            if started.elapsed() > limit {
                bail!("{name} does not listen on {addr}");
            }
            thread::sleep(POLL);
        }
        Ok(running)
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// CPU time that the process and its children have used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        tree(self.child.id())
            .into_iter()
            .map(|pid| cpu_of(&pid.to_string()))
            .sum()
    }

    /// Proportional set size of the process and its children, in bytes: what they share counts once.
    pub(crate) fn proportional_bytes(&self) -> Result<u64> {
        tree(self.child.id())
            .into_iter()
            .map(|pid| {
                let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
                let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
                let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
                let kib: u64 = kib.context("smaps_rollup without Pss")?.parse()?;
                Ok(kib * 1024)
            })
            .sum()
    }

    /// Kills the process as a crash would, without a chance to tidy up; its children live on.
    pub(crate) fn crash(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(pid) = Pid::from_raw(id)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > END_LIMIT {
                println!("{} does not end; killing it", self.name);
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// CPU time of this process and of its children that have ended.
pub(crate) fn cpu_of_bench() -> Result<Duration> {
    let fields = stat_fields("self")?;
    Ok(ticks(fields[11..15].iter().sum()))
}

/// CPU time that the whole machine has used.
pub(crate) fn cpu_of_machine() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("an empty /proc/stat")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let [user, nice, system, _idle, _wait, irq, soft_irq, steal, ..] = fields[..] else {
        bail!("a short /proc/stat");
    };
    Ok(ticks(user + nice + system + irq + soft_irq + steal))
}

fn tree(root: u32) -> Vec<u32> {
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        pids.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
        next += 1;
    }
    pids
}

fn cpu_of(pid: &str) -> Result<Duration> {
    let fields = stat_fields(pid)?;
    Ok(ticks(fields[11] + fields[12]))
}

/// The fields of /proc/PID/stat after the name, so that utime is number 11.
fn stat_fields(pid: &str) -> Result<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("a stat without a name")?;
    let fields: Vec<u64> = rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    if fields.len() < 15 {
        bail!("a short stat");
    }
    Ok(fields)
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_nanos(count * 1_000_000_000 / per_second)
}

//! One shot of load with wrk.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{Running, pinned, program};

/// What one shot showed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shot {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the server for each request, in microseconds.
    pub(crate) cpu_us: f64,
}

/// What wrk is told.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The core that wrk is pinned to; anywhere when absent.
    pub(crate) core: Option<usize>,
    pub(crate) url: String,
    /// `Name: value` of each header.
    pub(crate) headers: Vec<String>,
    /// A Lua file that makes the requests.
    pub(crate) script: Option<PathBuf>,
    pub(crate) connections: u32,
}

impl Load {
    /// Loads for some seconds with one thread.
    pub(crate) fn shoot(&self, seconds: u32) -> Result<Shot> {
        let mut command = match self.core {
            Some(core) => pinned(core, "wrk"),
            None => program("wrk"),
        };
        command
            .arg("-t1")
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{seconds}s"))
            .arg("--latency");
        for header in &self.headers {
            command.arg("-H").arg(header);
        }
        if let Some(script) = &self.script {
            command.arg("-s").arg(script);
        }
        let output = command.arg(&self.url).output().context("running wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!(
                "wrk failed: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        parse(&text).with_context(|| format!("wrk said something else than awaited:\n{text}"))
    }

    /// A shot at `served`, with the CPU time that it took there; an error when a request failed.
    pub(crate) fn measure(&self, served: &Running, seconds: u32) -> Result<Shot> {
        measured(served, || self.shoot(seconds))
    }
}

/// A shot at `served`, with the CPU time that it took there; an error when a request failed.
pub(crate) fn measured(served: &Running, shoot: impl FnOnce() -> Result<Shot>) -> Result<Shot> {
    let before = served.cpu()?;
    let mut shot = shoot()?;
    let used = served.cpu()?.saturating_sub(before);
    if shot.failed > 0 {
        bail!("{} requests failed at {}", shot.failed, served.name());
    }
    shot.cpu_us = used.as_secs_f64() * 1e6 / shot.requests as f64;
    Ok(shot)
}

/// Reads what wrk prints.
fn parse(text: &str) -> Option<Shot> {
    let mut shot = Shot::default();
    for line in text.lines().map(str::trim) {
        if let Some(latency) = line.strip_prefix("99%") {
            shot.p99_us = micros(latency.trim())?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            shot.per_second = rate.trim().parse().ok()?;
        } else if let Some((requests, _)) = line.split_once(" requests in ") {
            shot.requests = requests.parse().ok()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors:") {
            let counts = errors.split(|c: char| !c.is_ascii_digit());
            shot.failed += counts
                .filter_map(|count| count.parse::<u64>().ok())
                .sum::<u64>();
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            shot.failed += count.trim().parse::<u64>().ok()?;
        }
    }
    (shot.requests > 0 && shot.per_second > 0.0 && shot.p99_us > 0.0).then_some(shot)
}

fn micros(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

impl fmt::Display for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6.0} req/s {:>5.1} us/req p99 {:>5.2} ms",
            self.per_second,
            self.cpu_us,
            self.p99_us / 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     2.10ms  300.00us   9.00ms   90.00%\n    Req/Sec    30.00k     1.00k   31.00k    70.00%\n  Latency Distribution\n     50%    2.00ms\n     75%    2.10ms\n     90%    2.40ms\n     99%    3.50ms\n  90000 requests in 3.00s, 60.00MB read\n  Socket errors: connect 0, read 1, write 0, timeout 2\n  Non-2xx or 3xx responses: 4\nRequests/sec:  30000.50\nTransfer/sec:     20.00MB\n";
        let expected = Shot {
            requests: 90_000,
            failed: 7,
            per_second: 30_000.5,
            p99_us: 3_500.0,
            cpu_us: 0.0,
        };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("unable to connect"), None);
    }
}

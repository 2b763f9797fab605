//! One shot of load by HTTP/2 over TLS with h2load.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::load::Shot;
use crate::process::pinned;

/// What h2load is told.
#[derive(Debug, Clone)]
pub(crate) struct H2load {
    /// The core that it is pinned to.
    pub(crate) core: usize,
    pub(crate) url: String,
    /// Where the name of the URL leads.
    pub(crate) addr: SocketAddr,
    pub(crate) connections: u32,
    /// Requests at once on each connection.
    pub(crate) streams: u32,
    /// Where it writes down each request.
    pub(crate) log: PathBuf,
}

impl H2load {
    /// Loads for some seconds with one thread.
    pub(crate) fn shoot(&self, seconds: u32) -> Result<Shot> {
        // It would append.
        fs::write(&self.log, "")?;
        let output = pinned(self.core, "h2load")
            .arg("-t1")
            .arg(format!("-c{}", self.connections))
            .arg(format!("-m{}", self.streams))
            .arg(format!("-D{seconds}"))
            .arg(format!("--connect-to={}", self.addr))
            .arg(format!("--log-file={}", self.log.display()))
            .arg(&self.url)
            .output()
            .context("running h2load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!(
                "h2load failed: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let log = fs::read_to_string(&self.log)?;
        parse(&log, seconds).with_context(|| format!("h2load made no request:\n{text}"))
    }
}

/// Reads what h2load writes down: when a request began, its status, and how long it took.
fn parse(log: &str, seconds: u32) -> Option<Shot> {
    let mut times = Vec::new();
    let mut failed = 0;
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, micros) = (fields.next()?, fields.next()?);
        if status == "200" {
            times.push(micros.parse::<u32>().ok()?);
        } else {
            failed += 1;
        }
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100)?;
    Some(Shot {
        requests: times.len() as u64,
        failed,
        per_second: times.len() as f64 / f64::from(seconds),
        p99_us: f64::from(*p99),
        cpu_us: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_writes_down_is_read() {
        let log =
            "1795633869059078\t200\t214\n1795633869059079\t200\t249\n1795633869059080\t-1\t5\n";
        let expected = Shot {
            requests: 2,
            failed: 1,
            per_second: 1.0,
            p99_us: 249.0,
            cpu_us: 0.0,
        };
        assert_eq!(parse(log, 2), Some(expected));
        assert_eq!(parse("", 2), None);
    }
}

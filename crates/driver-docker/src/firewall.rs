//! Rules of ours that keep workspaces apart, beside the engine's.
//!
//! The engine takes its own rule away and puts it back each time that a network is made or removed (seen
//! with 20.10), and whoever loads the machine's firewall anew takes it away for good. Our table belongs to
//! nobody else and is replaced in one transaction.
//!
//! Invariant: nothing that the machine forwards opens a connection into a workspace's network. Replicas of
//! one network don't need to be forwarded, and the proxy's connections begin on the machine itself.

use std::fmt::Write;
use std::io;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long the kernel's table may take to be replaced.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where distributions keep `nft`.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// The rules of one installation on the machine that this process runs on.
pub(crate) struct Firewall {
    table: String,
    is_refused: AtomicBool,
}

impl Firewall {
    pub(crate) fn new(installation: &str) -> Self {
        Self {
            table: format!("tose-{installation}"),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Puts rules for exactly these networks, by their ids, in place of those before. A machine that
    /// does not let us is said once: the engine's rules are there all the same.
    pub(crate) async fn replace(&self, networks: &[String]) {
        let script = script(&self.table, networks);
        let outcome = match tokio::time::timeout(TIMEOUT, run_nft(&script)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match outcome {
            Ok(()) => self.is_refused.store(false, Ordering::Relaxed),
            Err(error) if !self.is_refused.swap(true, Ordering::Relaxed) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "workspaces are kept apart by the engine's own rules only: install nftables, and let this process use it (CAP_NET_ADMIN)"
            ),
            Err(_) => {}
        }
    }
}

/// What makes the table hold these networks and nothing else. The engine names the bridge of a
/// network `br-` and the first 12 digits of its id.
fn script(table: &str, networks: &[String]) -> String {
    // Adding what is there is no error, deleting what is not is one.
    let mut script = format!("add table inet {table}\ndelete table inet {table}\n");
    if networks.is_empty() {
        return script;
    }
    let bridges: Vec<String> = networks
        .iter()
        .map(|id| format!("\"br-{}\"", id.get(..12).unwrap_or(id)))
        .collect();
    let pairs: Vec<String> = bridges
        .iter()
        .map(|name| format!("{name} . {name}"))
        .collect();
    let (bridges, pairs) = (bridges.join(", "), pairs.join(", "));
    // The last two are where clouds answer for the machine.
    let _ = write!(
        script,
        "table inet {table} {{
    set bridges {{ type ifname; elements = {{ {bridges} }}; }}
    set within {{ type ifname . ifname; elements = {{ {pairs} }}; }}
    chain forward {{
        type filter hook forward priority filter - 10; policy accept;
        iifname . oifname @within accept
        oifname @bridges ct state != {{ established, related }} drop
        iifname @bridges ip daddr 169.254.0.0/16 drop
        iifname @bridges ip6 daddr fd00:ec2::254 drop
    }}
}}
"
    );
    script
}

#[expect(clippy::disallowed_methods, reason = "the one place that runs nft")]
async fn run_nft(script: &str) -> io::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(
        said.lines().next().unwrap_or("nft failed").to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_replaces_the_table_in_one_go() {
        let networks = ["0123456789abcdef".to_owned(), "fedcba9876543210".to_owned()];
        let script = script("tose-1", &networks);
        assert!(
            script.starts_with(
                "add table inet tose-1\ndelete table inet tose-1\ntable inet tose-1 {"
            )
        );
        assert!(script.contains("elements = { \"br-0123456789ab\", \"br-fedcba987654\" }"));
        assert!(script.contains("\"br-fedcba987654\" . \"br-fedcba987654\""));
    }

    #[test]
    fn no_network_needs_no_table() {
        let script = script("tose-1", &[]);
        assert_eq!(script, "add table inet tose-1\ndelete table inet tose-1\n");
    }
}

//! What the engine does, as it does it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::program::program;

/// The engine's events of one installation's containers and images, from a moment on.
#[derive(Debug)]
pub struct EngineEvents {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with this.
    _docker: Child,
}

impl EngineEvents {
    /// From now on.
    pub(crate) fn follow(label: &str) -> Self {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let filter = format!("label={label}");
        let mut docker = program("docker");
        docker
            .args(["events", "--since", &since, "--filter", &filter])
            .args(["--format", "{{.Type}} {{.Action}}"])
            .stdout(Stdio::piped());
        let mut child = docker.spawn().expect("docker runs");
        let stdout = child.stdout.take().expect("it is piped");
        Self {
            lines: BufReader::new(stdout).lines(),
            _docker: child,
        }
    }

    /// Waits for so many of them; the last one.
    pub async fn skip_to(&mut self, nth: usize) -> String {
        let mut last = String::new();
        for _ in 0..nth {
            let line = self.lines.next_line().await.expect("docker is read");
            last = line.expect("events go on");
        }
        last
    }
}

//! The end of an installation: nothing of it is left, and a test that left more than it should fails.
//!
//! What may be there when a test ends: one server, its proxy, and the replicas that the API shows.
//! Not here: what a test itself expects to be gone earlier.

use std::fs;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Installation, terminate};
use crate::engine::{
    containers, images, installations as installations_of, remove_all, remove_built,
};
use crate::eventually::within;
use crate::firewall::remove_own_rules;

/// For things to settle that a test did not wait for.
const PATIENCE: Duration = Duration::from_secs(45);
/// How much of a log a failing test shows.
const SHOWN_LINES: usize = 60;

impl Drop for Installation {
    fn drop(&mut self) {
        let has_failed = thread::panicking();
        if has_failed {
            self.show_logs();
        }
        // A runtime of its own: that of the test does not go on while a value is dropped.
        let end = || block_on(self.end(has_failed));
        let ended = thread::scope(|scope| scope.spawn(end).join());
        match ended {
            Ok(problems) if problems.is_empty() => {}
            Ok(problems) if has_failed => say(&problems.join("\n")),
            Ok(problems) => panic!("{}", problems.join("\n")),
            Err(payload) if !has_failed => resume_unwind(payload),
            Err(_) => {}
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "shown with the output of a test that fails"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

impl Installation {
    fn show_logs(&self) {
        for path in [
            self.log_path(self.starts),
            self.data_dir().join("proxy.log"),
        ] {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            say(&format!("--- {}\n{}", path.display(), shown.join("\n")));
        }
    }

    /// Ends everything; what should not have been there.
    async fn end(&mut self, has_failed: bool) -> Vec<String> {
        let mut problems = Vec::new();
        if self.server.is_some() && !has_failed {
            problems.extend(self.find_strangers().await);
        }
        problems.extend(self.end_server().await.err());
        let shutdown = self.admin(&["admin", "shutdown"]).await;
        if shutdown.code != Some(0) {
            problems.push(shutdown.to_string());
        }
        problems.extend(self.find_running().await);
        let mut installations = Vec::new();
        for label in &self.labels {
            installations.extend(installations_of(label).await);
            remove_all(label).await;
        }
        for installation in installations {
            remove_built(&installation, self.prune).await;
            remove_own_rules(&installation).await;
        }
        problems.extend(self.find_remains().await);
        problems
    }

    /// Asks the server to end, and kills it if it does not.
    pub(super) async fn end_server(&mut self) -> Result<(), String> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        terminate(&server);
        let ended = within(PATIENCE, async || {
            let status = server.try_wait().expect("it is a child");
            status.ok_or("it runs".to_owned())
        })
        .await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!(
                "tosed ended with {status} when it was asked to end"
            )),
            Err(_) => {
                server.kill().expect("it is a child");
                server.wait().expect("it is a child");
                Err("tosed did not end when it was asked to".to_owned())
            }
        }
    }

    /// Containers that no project's status shows.
    async fn find_strangers(&self) -> Option<String> {
        let looking = within(PATIENCE, async || {
            let known = self.known_replicas().await;
            let mut strangers = self.containers().await;
            strangers.retain(|container| {
                let replica = container.replica.as_ref();
                !replica.is_some_and(|replica| known.contains(replica))
            });
            crate::when(strangers.is_empty(), format!("{strangers:?}"))
        });
        let seen = looking.await.err()?;
        Some(format!("containers that belong to no project: {seen}"))
    }

    async fn known_replicas(&self) -> Vec<String> {
        let mut known = Vec::new();
        for api in &self.apis {
            let api = api.reconnected();
            for kind in ["projects", "databases", "templates"] {
                let list = api.get(&format!("/{kind}?limit=50")).await;
                for one in list.as_array().expect("a list") {
                    let slug = one["slug"].as_str().expect("a slug");
                    let status = api.get(&format!("/{kind}/{slug}/status")).await;
                    let pods = status["pods"]["items"].as_array().expect("a list");
                    let names = pods.iter().filter_map(|pod| pod["name"].as_str());
                    known.extend(names.map(str::to_owned));
                }
            }
        }
        known
    }

    async fn containers(&self) -> Vec<crate::Container> {
        let mut found = Vec::new();
        for label in &self.labels {
            found.extend(containers(label).await);
        }
        found
    }

    /// What still runs after a shutdown; a proxy among it is ended.
    async fn find_running(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let gone = within(PATIENCE, async || {
            let proxies = self.proxies();
            crate::when(proxies.is_empty(), format!("{proxies:?}"))
        });
        if let Err(proxies) = gone.await {
            problems.push(format!("proxies run after a shutdown: {proxies}"));
            for pid in self.proxies().into_iter().filter_map(Pid::from_raw) {
                // It may have ended already.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let mut running = self.containers().await;
        running.retain(|container| container.is_running);
        if !running.is_empty() {
            problems.push(format!("containers run after a shutdown: {running:?}"));
        }
        problems
    }

    async fn find_remains(&self) -> Option<String> {
        let mut remains = Vec::new();
        for label in &self.labels {
            remains.extend(images(label).await);
        }
        let containers = self.containers().await;
        let is_clean = remains.is_empty() && containers.is_empty();
        (!is_clean).then(|| format!("cannot be removed: {containers:?}, images {remains:?}"))
    }
}

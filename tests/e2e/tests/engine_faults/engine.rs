//! An engine of the tests' own.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tose_e2e::{docker, eventually};

/// Where it keeps everything; a file system of its own.
const DATA: &str = "/var/lib/docker";

/// The engine. It ends with the namespace that it lives in.
pub(crate) struct Engine {
    daemon: Child,
    ballast: Option<tempfile::TempPath>,
}

impl Engine {
    /// Starts it with the fixture images.
    pub(crate) async fn start() -> Self {
        let mut engine = Self {
            daemon: spawn(),
            ballast: None,
        };
        engine.answers().await;
        let images = setting("TOSE_FAULT_IMAGES");
        if docker(&["images", "--quiet"]).await.is_empty() {
            docker(&["load", "--input", &images]).await;
        }
        engine
    }

    async fn answers(&mut self) {
        eventually("the engine answers", async || {
            assert!(
                self.daemon.try_wait().expect("it is a child").is_none(),
                "dockerd has ended: {}",
                fs::read_to_string("/run/dockerd.log").unwrap_or_default()
            );
            match std::os::unix::net::UnixStream::connect("/run/docker.sock") {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        docker(&["version"]).await;
    }

    /// Ends it as an upgrade of the machine's packages does.
    pub(crate) fn end(&mut self) {
        self.signal(Signal::TERM);
        self.daemon.wait().expect("it is a child");
    }

    /// Ends it as a crash does. Its containers live on until it is started again.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.daemon.wait().expect("it is a child");
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("it runs");
    }

    /// Starts it again.
    pub(crate) async fn start_again(&mut self) {
        // A killed one leaves these behind.
        for file in ["/run/docker.pid", "/run/docker.sock"] {
            let _ = fs::remove_file(file);
        }
        self.daemon = spawn();
        self.answers().await;
    }

    /// Leaves so many MiB of its disk.
    pub(crate) fn fill(&mut self, left_mib: u64) {
        let disk = rustix::fs::statvfs(DATA).expect("a file system");
        let free = disk.f_bavail * disk.f_frsize;
        let file = tempfile::NamedTempFile::new_in(DATA).expect("a file");
        rustix::fs::fallocate(
            file.as_file(),
            rustix::fs::FallocateFlags::empty(),
            0,
            free.saturating_sub(left_mib << 20),
        )
        .expect("the space is there");
        self.ballast = Some(file.into_temp_path());
    }

    /// Gives the space back.
    pub(crate) fn empty(&mut self) {
        self.ballast = None;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.empty();
        self.signal(Signal::TERM);
        let _ = self.daemon.wait();
        let _ = fs::remove_file("/run/docker.pid");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "end-to-end tests drive programs as a person would"
)]
fn spawn() -> Child {
    assert!(Path::new(DATA).exists(), "run it by scripts/engine-faults");
    let log = File::options()
        .append(true)
        .create(true)
        .open("/run/dockerd.log")
        .expect("a log");
    std::process::Command::new("dockerd")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("dockerd is installed")
}

#[expect(clippy::disallowed_methods, reason = "scripts/engine-faults sets it")]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/engine-faults"))
}

//! A mail server of a test's own, on the loopback address: Debian's aiosmtpd.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::eventually::eventually;
use crate::program::program;

/// The system's Python, for which the package is installed.
const PYTHON: &str = "/usr/bin/python3";

/// Takes every mail and keeps it as a file.
pub struct Smtp {
    addr: SocketAddr,
    folder: PathBuf,
    server: Child,
}

impl Smtp {
    /// Starts it; mail goes into a folder below `folder`.
    pub async fn start(folder: &Path, addr: SocketAddr) -> Self {
        let folder = folder.join("mail");
        let mut command = program(PYTHON);
        command
            .args([
                "-m",
                "aiosmtpd",
                "--nosetuid",
                "--listen",
                &addr.to_string(),
            ])
            .args(["--class", "aiosmtpd.handlers.Mailbox"])
            .arg(&folder);
        let spawned = command.into_std().spawn();
        let server = spawned.unwrap_or_else(|error| panic!("{PYTHON} (python3-aiosmtpd): {error}"));
        let smtp = Self {
            addr,
            folder,
            server,
        };
        eventually("the mail server listens", async || {
            let connected = tokio::net::TcpStream::connect(addr).await;
            connected.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
        smtp
    }

    /// The settings with which an installation sends its mail here.
    pub fn settings(addr: SocketAddr) -> String {
        format!(
            "[smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"TOSE <tose@example.com>\"\n",
            addr.port()
        )
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for so many mails; their texts, in no order.
    pub async fn mails(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} mails"), async || {
            let entries = fs::read_dir(self.folder.join("new"))
                .map(|entries| entries.flatten().collect::<Vec<_>>())
                .unwrap_or_default();
            if entries.len() == count {
                let read = |entry: &fs::DirEntry| fs::read_to_string(entry.path()).expect("a mail");
                Ok(entries.iter().map(read).collect())
            } else {
                Err(format!("{} mails", entries.len()))
            }
        })
        .await
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        // It is ours, and a test that panics must not leave it behind.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

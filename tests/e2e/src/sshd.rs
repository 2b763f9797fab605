//! An SSH server of a test's own, on the loopback address.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::eventually::eventually;
use crate::program::{program, run};

const SSHD: &str = "/usr/sbin/sshd";
/// A server that root starts wants this folder; the system's own service makes it at its start.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// Lets in whoever has [`Sshd::accepted_key`], as the user that runs the test.
pub struct Sshd {
    addr: SocketAddr,
    user: String,
    folder: PathBuf,
    server: Child,
}

impl Sshd {
    /// Starts it; its files go into `folder`.
    pub async fn start(folder: &Path, addr: SocketAddr) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        for name in ["host", "accepted", "unknown"] {
            make_key(&folder.join(name)).await;
        }
        let mut id = program("id");
        id.arg("--user");
        if run(id).await.ok() == "0" {
            fs::create_dir_all(PRIVILEGE_SEPARATION).expect("root may make the folder");
        }
        let config = folder.join("sshd_config");
        fs::write(&config, settings(folder, addr)).expect("a file");
        let log = File::create(folder.join("log")).expect("a file");
        let mut command = program(SSHD);
        command.args(["-D", "-e", "-f"]).arg(&config).stderr(log);
        let spawned = command.into_std().spawn();
        let server = spawned.unwrap_or_else(|error| panic!("{SSHD} (openssh-server): {error}"));
        let mut name = program("id");
        name.args(["--user", "--name"]);
        let mut sshd = Self {
            addr,
            user: run(name).await.ok(),
            folder: folder.to_owned(),
            server,
        };
        sshd.listens().await;
        sshd
    }

    async fn listens(&mut self) {
        eventually("sshd listens", async || {
            let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let ended = self.server.try_wait().expect("it is a child");
            assert!(ended.is_none(), "sshd ended at its start: {said}");
            let is_ready = said.contains("Server listening");
            if is_ready { Ok(()) } else { Err(said) }
        })
        .await;
    }

    /// The address of a repository of this machine.
    pub fn url(&self, repository: &Path) -> String {
        let (user, port) = (&self.user, self.addr.port());
        format!("ssh://{user}@localhost:{port}{}", repository.display())
    }

    /// A private key that it lets in.
    pub fn accepted_key(&self) -> String {
        self.key("accepted")
    }

    /// A private key that it does not know.
    pub fn unknown_key(&self) -> String {
        self.key("unknown")
    }

    /// Lets in whoever has the private half of this key, and nobody else.
    pub fn accept(&self, public_key: &str) {
        let path = self.folder.join("accepted.pub");
        fs::write(path, format!("{public_key}\n")).expect("a file");
    }

    fn key(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("the key")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn settings(folder: &Path, addr: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress {addr}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/accepted.pub\nPidFile none\n\
         UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\n"
    )
}

async fn make_key(path: &Path) {
    let mut command = program("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f"])
        .arg(path);
    run(command).await.ok();
}

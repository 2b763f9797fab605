//! An S3-compatible service of a test's own, on the loopback address: moto, from PyPI.
//!
//! Caveat: it looks at no signature.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::eventually::eventually;
use crate::installation::{built_binary, free_addr};
use crate::program::{program, run};

const VERSION: &str = "5.2.5";
const BUCKET: &str = "backups";

/// Keeps objects in memory.
pub struct S3 {
    addr: SocketAddr,
    secret: PathBuf,
    server: Child,
}

impl S3 {
    /// Starts it with one bucket; a secret for it goes into `folder`.
    pub async fn start(folder: &Path) -> Self {
        let (addr, secret) = (free_addr(), folder.join("s3-secret"));
        std::fs::write(&secret, "secret").expect("written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&secret, private).expect("it is ours");
        let mut command = program(install().await);
        command.args(["-H", "127.0.0.1", "-p", &addr.port().to_string()]);
        let log = std::fs::File::create(folder.join("s3.log")).expect("a file");
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let server = command.into_std().spawn().expect("moto starts");
        let s3 = Self {
            addr,
            secret,
            server,
        };
        eventually("the bucket is made", async || {
            let made = reqwest::Client::new().put(s3.url("")).send().await;
            let made = made.map_err(|error| error.to_string())?;
            crate::when(made.status().is_success(), made.status())
        })
        .await;
        s3
    }

    /// The settings with which an installation keeps its backups here.
    pub fn settings(&self) -> String {
        format!(
            "[backups.s3]\nbucket = \"{BUCKET}\"\nendpoint = \"http://{}\"\nallow_http = true\naccess_key_id = \"key\"\nsecret_access_key_file = \"{}\"\n",
            self.addr,
            self.secret.display()
        )
    }

    /// The names of what is in the bucket, and the bytes of all of it.
    pub async fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let list = self.get("?list-type=2").await;
        let list = String::from_utf8(list).expect("XML");
        let mut objects = Vec::new();
        for part in list.split("<Key>").skip(1) {
            let name = part.split("</Key>").next().expect("a name").to_owned();
            let bytes = self.get(&format!("/{name}")).await;
            objects.push((name, bytes));
        }
        objects
    }

    /// Ends it, as a service that is away.
    pub fn stop(&mut self) {
        self.server.kill().expect("it is a child");
        self.server.wait().expect("it is a child");
    }

    async fn get(&self, path: &str) -> Vec<u8> {
        let answer = reqwest::get(self.url(path)).await.expect("an answer");
        answer.bytes().await.expect("a body").to_vec()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{BUCKET}{path}", self.addr)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The program, installed beside what is built unless it is there.
async fn install() -> PathBuf {
    let built = built_binary("tosed");
    let target = built.parent().and_then(Path::parent).expect("a folder");
    let folder = target.join(format!("moto-{VERSION}"));
    let server = folder.join("bin/moto_server");
    if server.exists() {
        return server;
    }
    let mut venv = program("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    run(venv).await.ok();
    let mut pip = program(folder.join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install"])
        .arg(format!("moto[s3,server]=={VERSION}"));
    run(pip).await.ok();
    server
}

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
/// Without it, nobody gets what was put there with one.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// Keeps objects in memory.
pub struct S3 {
    addr: SocketAddr,
    secret: PathBuf,
    log: PathBuf,
    server: Child,
}

impl S3 {
    /// Starts it with one bucket; a secret for it goes into `folder`.
    pub async fn start(folder: &Path) -> Self {
        let (addr, secret) = (free_addr(), folder.join("s3-secret"));
        std::fs::write(&secret, "secret").expect("written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&secret, private).expect("it is ours");
        let s3 = Self {
            addr,
            secret,
            log: folder.join("s3.log"),
            server: spawn(addr, &folder.join("s3.log")).await,
        };
        s3.make_bucket().await;
        s3
    }

    /// Starts it again at the same address, with these objects.
    pub async fn start_again(&mut self, objects: &[(String, Vec<u8>)]) {
        self.server = spawn(self.addr, &self.log).await;
        self.make_bucket().await;
        for (name, bytes) in objects {
            let put = reqwest::Client::new().put(self.url(&format!("/{name}")));
            let put = put.header("Authorization", SIGNED).body(bytes.clone());
            let answer = put.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{answer:?}");
        }
    }

    async fn make_bucket(&self) {
        eventually("the bucket is made", async || {
            let made = reqwest::Client::new().put(self.url("")).send().await;
            let made = made.map_err(|error| error.to_string())?;
            crate::when(made.status().is_success(), made.status())
        })
        .await;
    }

    /// The settings with which an installation keeps its backups here.
    pub fn settings(&self) -> String {
        self.settings_of("backups")
    }

    /// The settings with which it keeps something here: `backups` or `logs`.
    pub fn settings_of(&self, what: &str) -> String {
        format!(
            "[{what}.s3]\nbucket = \"{BUCKET}\"\nendpoint = \"http://{}\"\nallow_http = true\naccess_key_id = \"key\"\nsecret_access_key_file = \"{}\"\n",
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
        let get = reqwest::Client::new().get(self.url(path));
        let answer = get.header("Authorization", SIGNED).send().await;
        let answer = answer.expect("an answer");
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

async fn spawn(addr: SocketAddr, log: &Path) -> Child {
    let mut command = program(install().await);
    command.args(["-H", "127.0.0.1", "-p", &addr.port().to_string()]);
    let log = std::fs::File::create(log).expect("a file");
    command.stdout(log.try_clone().expect("a file")).stderr(log);
    command.into_std().spawn().expect("moto starts")
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

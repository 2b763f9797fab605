//! A certificate authority of a test's own, with the DNS that it believes: Debian's pebble.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::{Value, json};

use crate::eventually::eventually;
use crate::https_git::make_certificate;
use crate::program::program;

/// Issues certificates that nobody else trusts.
pub struct Pebble {
    folder: PathBuf,
    addrs: Addrs,
    authority: Option<Child>,
    dns: Child,
}

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Addrs {
    /// The authority.
    pub acme: SocketAddr,
    /// Where it tells of its root.
    pub management: SocketAddr,
    /// Its DNS, and where that is told what to say.
    pub dns: SocketAddr,
    /// See `dns`.
    pub dns_management: SocketAddr,
    /// Where it expects names to be served.
    pub http: SocketAddr,
    /// See `http`.
    pub https: SocketAddr,
}

impl Addrs {
    /// The settings of an installation that orders its certificates here.
    pub fn settings(self, folder: &Path) -> String {
        format!(
            "https_addr = \"{}\"\nbase_domain = \"paas.test\"\n[dns]\nservers = [\"{}\"]\n[acme]\nemail = \"ops@example.com\"\ndirectory_url = \"https://localhost:{}/dir\"\nca_file = \"{}\"\n",
            self.https,
            self.dns,
            self.acme.port(),
            folder.join("cert.pem").display()
        )
    }
}

impl Addrs {
    /// The setting of a program that tells the authority's DNS what to say, to stand behind
    /// [`Addrs::settings`]; it writes its words to the file `calls` beside it.
    pub fn dns_hook(self, folder: &Path) -> String {
        let path = folder.join("dns-hook");
        let url = format!("http://{}", self.dns_management);
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\ncase $1 in\npresent) exec curl -fsS -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" {url}/set-txt ;;\ncleanup) exec curl -fsS -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" {url}/clear-txt ;;\nesac\n",
            folder.join("calls").display()
        );
        fs::write(&path, script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a mode");
        format!("dns_hook = \"{}\"\n", path.display())
    }
}

impl Pebble {
    /// Starts both. Each certificate is good for so many seconds.
    pub async fn start(folder: &Path, addrs: Addrs, validity_seconds: u32) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        make_certificate(&certificate, &key).await;
        let config = json!({"pebble": {
            "listenAddress": addrs.acme.to_string(),
            "managementListenAddress": addrs.management.to_string(),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": addrs.http.port(),
            "tlsPort": addrs.https.port(),
            "certificateValidityPeriod": validity_seconds,
        }});
        fs::write(folder.join("pebble.json"), config.to_string()).expect("a file");
        let mut command = program("pebble-challtestsrv");
        command
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &addrs.dns.to_string()])
            .args(["-management", &addrs.dns_management.to_string()])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let dns = command.into_std().spawn().expect("pebble's DNS (pebble)");
        let mut pebble = Self {
            folder: folder.to_owned(),
            addrs,
            authority: None,
            dns,
        };
        pebble.restart().await;
        pebble
    }

    /// Starts the authority, which has forgotten everything.
    pub async fn restart(&mut self) {
        let mut command = program("pebble");
        command
            .arg("-config")
            .arg(self.folder.join("pebble.json"))
            .args(["-dnsserver", &self.addrs.dns.to_string(), "-strict"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        self.authority = Some(command.into_std().spawn().expect("pebble"));
        for addr in [self.addrs.acme, self.addrs.dns_management] {
            eventually("pebble listens", async || {
                let connected = tokio::net::TcpStream::connect(addr).await;
                connected.map(|_| ()).map_err(|error| error.to_string())
            })
            .await;
        }
    }

    /// Ends the authority; its DNS goes on.
    pub fn kill(&mut self) {
        let mut authority = self.authority.take().expect("it runs");
        authority.kill().expect("it is a child");
        authority.wait().expect("it is a child");
    }

    /// A client that trusts what the authority issues, and finds `host` where the proxy is.
    pub async fn client(&self, host: &str) -> reqwest::Client {
        let own = fs::read(self.folder.join("cert.pem")).expect("a certificate");
        let own = reqwest::Certificate::from_pem(&own).expect("a certificate");
        let asking = reqwest::Client::builder().tls_certs_only([own]).build();
        let url = format!("https://localhost:{}/roots/0", self.addrs.management.port());
        let asked = asking.expect("a client").get(url).send().await;
        let root = asked.expect("an answer").bytes().await.expect("a root");
        fs::write(self.root_file(), &root).expect("a file");
        let root = reqwest::Certificate::from_pem(&root).expect("a root");
        reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve(host, self.addrs.https)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client")
    }

    /// Where it expects names to be served with HTTPS.
    pub fn https_addr(&self) -> SocketAddr {
        self.addrs.https
    }

    /// The root of what it issues, once a client was made.
    pub fn root_file(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// Has its DNS answer with this text record.
    pub async fn set_txt(&self, name: &str, value: &str) {
        let body = json!({"host": format!("{name}."), "value": value});
        self.tell_dns("set-txt", &body).await;
    }

    /// Has its DNS lead the name to this address.
    pub async fn set_a(&self, name: &str, address: &str) {
        let body = json!({"host": format!("{name}."), "addresses": [address]});
        self.tell_dns("clear-a", &json!({"host": format!("{name}.")}))
            .await;
        self.tell_dns("add-a", &body).await;
    }

    async fn tell_dns(&self, what: &str, body: &Value) {
        let url = format!("http://{}/{what}", self.addrs.dns_management);
        let told = reqwest::Client::new()
            .post(url)
            .body(body.to_string())
            .send();
        told.await
            .expect("an answer")
            .error_for_status()
            .expect("it is done");
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in self.authority.iter_mut().chain([&mut self.dns]) {
            // One that has ended already is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

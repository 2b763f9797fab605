//! The two services that the API benches compare: our daemon and PocketBase, each on a folder of
//! its own, with as many rows and a rule that has to look at who asks.
//!
//! PocketBase is one program with an API over SQLite, too; it is the nearest peer that there is.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::{Caller, exchange};
use crate::process::{Running, free_addr, program};

/// Calls that seed run side by side in so many threads.
const SEEDERS: usize = 8;
/// A server for benches asks nobody to wait.
pub(crate) const NO_LIMITS: &str = "[limits]\ncalls_per_minute = 0\ndeployments_per_minute = 0\nfailures_per_minute = 0\nmax_sockets = 20000\n";
const PASSWORD: &str = "correct horse bench";
const EMAIL: &str = "bench@example.com";
/// The workspace that is asked about; the others are there to be searched through.
pub(crate) const WORKSPACE: &str = "bench";

/// How many rows there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// Projects of the workspace that is asked about.
    pub(crate) asked: usize,
    /// Other workspaces.
    pub(crate) workspaces: usize,
    /// Projects of each other workspace.
    pub(crate) each: usize,
}

/// One of the two.
pub(crate) struct Service {
    pub(crate) running: Running,
    pub(crate) addr: SocketAddr,
    /// Where visitors of apps come in, if there is such a place.
    pub(crate) proxy: Option<SocketAddr>,
}

/// Our daemon.
#[derive(Debug, Clone)]
pub(crate) struct Tosed {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// The peer.
#[derive(Debug, Clone)]
pub(crate) struct PocketBase {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Tosed {
    pub(crate) fn start(&self) -> Result<Service> {
        fs::create_dir_all(&self.folder)?;
        let config = self.folder.join("bench.toml");
        fs::write(&config, NO_LIMITS)?;
        let (addr, http) = (free_addr()?, free_addr()?);
        let mut command = program(&self.program);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--api-addr", &addr.to_string()])
            .args(["--http-addr", &http.to_string()])
            .args(["--https-addr", "off", "--log-level", "warn"]);
        Ok(Service {
            running: Running::start("tosed", command, addr)?,
            addr,
            proxy: Some(http),
        })
    }

    /// Makes the account, the workspaces and the projects. Returns who may ask about them.
    pub(crate) fn seed(&self, addr: SocketAddr, rows: Rows) -> Result<Caller> {
        let made = self.admin(&["bootstrap", "--email", EMAIL, "--workspace", WORKSPACE])?;
        let made: Value = serde_json::from_str(&made).context("bootstrap printed no JSON")?;
        let key = made["api_key"].as_str().context("no key")?;
        let caller = Caller {
            addr,
            header: format!("X-API-Key: {key}"),
        };
        let path = format!("/api/workspaces/{WORKSPACE}/projects");
        for number in 0..rows.asked {
            caller.call("POST", &path, &json!({"name": format!("p{number}")}))?;
        }
        let others = register(addr)?;
        side_by_side(rows.workspaces, |workspace| {
            let slug = format!("other-{workspace}");
            let body = json!({"name": slug, "slug": slug});
            others.call("POST", "/api/workspaces", &body)?;
            let path = format!("/api/workspaces/{slug}/projects");
            for number in 0..rows.each {
                let body = json!({"name": format!("w{workspace}-p{number}")});
                others.call("POST", &path, &body)?;
            }
            Ok(())
        })?;
        Ok(caller)
    }

    pub(crate) fn admin(&self, args: &[&str]) -> Result<String> {
        let output = program(&self.program)
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("admin")
            .args(args)
            .output()
            .context("running tosed admin")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("tosed admin {args:?}: {text}");
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Drop for Tosed {
    fn drop(&mut self) {
        // A proxy outlives its daemon; a folder that was never served has none.
        if self.data_dir().exists()
            && let Err(error) = self.admin(&["shutdown"])
        {
            println!("the bench's proxy stays behind: {error:#}");
        }
    }
}

/// An account that owns the other workspaces, logged in by cookie.
pub(crate) fn register(addr: SocketAddr) -> Result<Caller> {
    let body = json!({"email": "others@example.com", "password": PASSWORD}).to_string();
    let head = "Content-Type: application/json\r\n";
    let answer = exchange(addr, "POST", "/api/auth/register", "localhost", head, &body)?;
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .and_then(|cookie| cookie.split(';').next())
        .with_context(|| format!("no cookie: {answer}"))?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    let body: Value = serde_json::from_str(body)?;
    let csrf = body["data"]["csrf_token"].as_str().context("no token")?;
    Ok(Caller {
        addr,
        header: format!("Cookie: {cookie}\r\nX-CSRF-Token: {csrf}"),
    })
}

impl PocketBase {
    pub(crate) fn start(&self) -> Result<Service> {
        fs::create_dir_all(&self.folder)?;
        let addr = free_addr()?;
        let mut command = program(&self.program);
        command
            .arg("serve")
            .args(["--http", &addr.to_string()])
            .arg("--dir")
            .arg(self.folder.join("data"));
        Ok(Service {
            running: Running::start("pocketbase", command, addr)?,
            addr,
            proxy: None,
        })
    }

    /// The same rows as ours. The rule of each collection is the cheapest that still looks at who
    /// asks: one that compares workspaces makes its lists many times slower.
    pub(crate) fn seed(&self, addr: SocketAddr, rows: Rows) -> Result<Caller> {
        let root = self.superuser(addr)?;
        let rule = "@request.auth.id != ''";
        let text = |name: &str| json!({"name": name, "type": "text"});
        for (name, fields) in [
            (
                "projects",
                vec!["workspace", "name", "slug", "cpu", "ram", "status"],
            ),
            ("vars", vec!["workspace", "project", "key", "value"]),
        ] {
            let fields: Vec<Value> = fields.into_iter().map(text).collect();
            let body = json!({
                "name": name, "type": "base", "fields": fields,
                "listRule": rule, "viewRule": rule, "createRule": rule,
            });
            root.call("POST", "/api/collections", &body)?;
        }
        let body = json!({"email": EMAIL, "password": PASSWORD, "passwordConfirm": PASSWORD});
        root.call("POST", "/api/collections/users/records", &body)?;
        let project = |workspace: &str, number: usize| {
            let name = format!("p{number}");
            let body = json!({"workspace": workspace, "name": name, "slug": name, "cpu": "0.5", "ram": "0.5", "status": "pending"});
            root.call("POST", "/api/collections/projects/records", &body)
        };
        for number in 0..rows.asked {
            project(WORKSPACE, number)?;
        }
        side_by_side(rows.workspaces, |workspace| {
            for number in 0..rows.each {
                project(&format!("other-{workspace}"), number)?;
            }
            Ok(())
        })?;
        log_in(addr, "users")
    }

    fn superuser(&self, addr: SocketAddr) -> Result<Caller> {
        let output = program(&self.program)
            .args(["superuser", "upsert", EMAIL, PASSWORD, "--dir"])
            .arg(self.folder.join("data"))
            .output()
            .context("running pocketbase superuser")?;
        if !output.status.success() {
            bail!(
                "pocketbase superuser: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        log_in(addr, "_superusers")
    }
}

fn log_in(addr: SocketAddr, collection: &str) -> Result<Caller> {
    let nobody = Caller {
        addr,
        header: String::new(),
    };
    let path = format!("/api/collections/{collection}/auth-with-password");
    let body = json!({"identity": EMAIL, "password": PASSWORD});
    let answer = nobody.call("POST", &path, &body)?;
    let token = answer["token"].as_str().context("no token")?;
    Ok(Caller {
        addr,
        header: format!("Authorization: {token}"),
    })
}

/// Does `work` for each number below `count`, some at a time.
pub(crate) fn side_by_side(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let seeders: Vec<_> = (0..SEEDERS)
            .map(|first| scope.spawn(move || (first..count).step_by(SEEDERS).try_for_each(work)))
            .collect();
        for seeder in seeders {
            match seeder.join() {
                Ok(done) => done?,
                Err(_) => bail!("a seeding thread panicked"),
            }
        }
        Ok(())
    })
}

/// Where PocketBase is.
pub(crate) fn pocketbase(named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| PathBuf::from("pocketbase"), Path::to_owned)
}

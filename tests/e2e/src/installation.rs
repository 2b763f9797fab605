//! An installation of a test's own: its data directory, its ports, its `tosed`.
//!
//! Guarantees: nothing is shared between two installations but the engine, and there everything
//! carries the installation's mark or the ids of its workspaces.
//! Not here: how it ends (`installation/end.rs`).

mod end;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::api::Api;
use crate::crowd::{Crowd, Page, visit};
use crate::engine::{self, Container, Prune, containers, docker};
use crate::events::EngineEvents;
use crate::eventually::eventually;
use crate::program::{Outcome, program, run};
use crate::project::Project;
use crate::repository::Repository;
use crate::source::Source;

/// The label of everything that is built for one installation.
const MARK: &str = "tose.e2e";

/// A server with its data and its engine objects, which outlive restarts.
pub struct Installation {
    folder: TempDir,
    binary: PathBuf,
    api_addr: SocketAddr,
    http_addr: SocketAddr,
    server: Option<Child>,
    /// How often the server was started.
    starts: u32,
    /// One for each workspace.
    apis: Vec<Api>,
    /// The labels that its engine objects carry.
    labels: Vec<String>,
    /// What its images take along at the end.
    prune: Prune,
}

/// Tests ask as often as they like: rate limits have tests of their own.
fn without_rates(settings: &str) -> String {
    const LIMITS: &str = "[limits]\ncalls_per_minute = 0\ndeployments_per_minute = 0\n";
    if settings.contains("[limits]\n") {
        settings.replacen("[limits]\n", LIMITS, 1)
    } else {
        format!("{settings}\n{LIMITS}")
    }
}

impl Installation {
    /// Starts one with a workspace `demo`; `None` where there is no engine, which only counts as
    /// success where none is required.
    pub async fn start() -> Option<Self> {
        Self::start_with("").await
    }

    /// The same with these settings in its `tose.toml`.
    pub async fn start_with(settings: &str) -> Option<Self> {
        Self::start_at(settings, free_addr()).await
    }

    /// The same with visitors coming in at `http_addr`.
    pub async fn start_at(settings: &str, http_addr: SocketAddr) -> Option<Self> {
        if !engine::is_there().await {
            return None;
        }
        // The path of the proxy's socket has to stay short.
        let folder = tempfile::Builder::new()
            .prefix("tose-")
            .tempdir()
            .expect("a folder");
        fs::write(folder.path().join("tose.toml"), without_rates(settings)).expect("a file");
        let name = folder.path().file_name().expect("a name");
        let mark = format!("{MARK}={}", name.to_string_lossy());
        let mut installation = Self {
            folder,
            binary: built_binary("tosed"),
            api_addr: free_addr(),
            http_addr,
            server: None,
            starts: 0,
            apis: Vec::new(),
            labels: vec![mark],
            // Whoever shares layers with others leaves them some, for the next run.
            prune: match settings.contains("shared_cache = true") {
                true => Prune::Nothing,
                false => Prune::Layers,
            },
        };
        installation.boot().await;
        installation.bootstrap("demo").await;
        Some(installation)
    }

    /// Makes a workspace with an owner and a key of its own.
    pub async fn bootstrap(&mut self, workspace: &str) -> Api {
        let email = format!("{workspace}@example.com");
        let words = [
            "admin",
            "bootstrap",
            "--email",
            &email,
            "--workspace",
            workspace,
        ];
        let made = self.admin(&words).await.ok();
        let made: Value = serde_json::from_str(&made).expect("bootstrap prints JSON");
        let key = made["api_key"].as_str().expect("a key");
        let api = Api::new(&format!("http://{}", self.api_addr), workspace, key);
        let id = api.get("").await["id"].as_str().expect("an id").to_owned();
        self.labels.push(format!("tose.workspace={id}"));
        self.apis.push(api.clone());
        api
    }

    /// The owner of the workspace `demo`.
    pub fn api(&self) -> &Api {
        &self.apis[0]
    }

    /// Makes a project in `demo` that is built from `source` and listens on port 8000.
    pub async fn project(&self, slug: &str, source: &Source) -> Project {
        self.project_of(self.api(), slug, source, json!({})).await
    }

    /// Makes a project of this caller; `settings` are fields of the request.
    pub async fn project_of(
        &self,
        api: &Api,
        slug: &str,
        source: &Source,
        settings: Value,
    ) -> Project {
        let repository = self.repository(&format!("{}-{slug}", api.workspace)).await;
        repository.commit(source).await;
        Project::create(api, slug, settings, repository).await
    }

    /// Makes an empty repository.
    pub async fn repository(&self, name: &str) -> Repository {
        Repository::create(self.path("repositories").join(name), self.mark()).await
    }

    /// One request of a visitor.
    pub async fn visit(&self, host: &str, path: &str) -> Page {
        visit(self.http_addr, host, path).await
    }

    /// Waits until a visitor at `host` gets this status; the page.
    pub async fn shows(&self, host: &str, status: u16) -> Page {
        eventually(&format!("{host} shows {status}"), async || {
            let page = self.visit(host, "/").await;
            if page.status.as_u16() == status {
                Ok(page)
            } else {
                Err(format!("{page:?}"))
            }
        })
        .await
    }

    /// Visitors of a project's page who go on asking.
    pub async fn crowd(&self, project: &Project) -> Crowd {
        Crowd::gather(self.http_addr, &project.host).await
    }

    /// A file beside the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the server keeps everything.
    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Where the proxy listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Everything that the server has written so far.
    pub fn output(&self) -> String {
        let logs = (1..=self.starts).map(|start| fs::read_to_string(self.log_path(start)));
        logs.map(|text| text.expect("a log for each start"))
            .collect()
    }

    /// What the engine does from now on for this installation's apps and builds.
    pub fn engine_events(&self) -> EngineEvents {
        EngineEvents::follow(self.mark())
    }

    /// What the engine runs for builds in this moment.
    pub async fn build_containers(&self) -> Vec<Container> {
        let mut found = containers(self.mark()).await;
        found.retain(|container| container.replica.is_none());
        found
    }

    /// Waits until a build stands at its gate (see [`Source::gated`]); its container's id.
    pub async fn at_the_gate(&self) -> String {
        eventually("a build stands at its gate", async || {
            let found = self.build_containers().await;
            let waiting = found.iter().find(|container| container.is_running);
            waiting
                .map(|container| container.id.clone())
                .ok_or(format!("{found:?}"))
        })
        .await
    }

    /// Lets the build in this container go on.
    pub async fn open_gate(&self, container: &str) {
        docker(&["exec", container, "touch", "/gate"]).await;
    }

    /// Waits until no build has a container.
    pub async fn has_no_build_container(&self) {
        eventually("no container of a build is left", async || {
            let found = self.build_containers().await;
            crate::when(found.is_empty(), format!("{found:?}"))
        })
        .await;
    }

    /// The processes that answer visitors.
    pub fn proxies(&self) -> Vec<i32> {
        let data_dir = self.data_dir();
        let pids = fs::read_dir("/proc").expect("Linux has /proc").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            let data_dir = data_dir.as_os_str().as_encoded_bytes();
            words.get(1) == Some(&&b"proxy"[..]) && words.contains(&data_dir)
        })
        .collect()
    }

    /// Ends the server as a crash does.
    pub fn kill_9(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().expect("it is a child");
        server.wait().expect("it is a child");
    }

    /// Starts the server (again), after it was asked to end if it runs.
    pub async fn restart(&mut self) {
        if self.server.is_some() {
            self.end_server()
                .await
                .expect("the server ends when asked to");
        }
        self.boot().await;
    }

    /// Puts a copy in place of the server's program: another build, as far as anyone can tell.
    pub fn upgrade(&mut self) {
        let copy = self.path(&format!("tosed-{}", self.starts));
        fs::copy(&self.binary, &copy).expect("a copy");
        self.binary = copy;
    }

    /// Runs a second server on the same data directory, which is to refuse.
    pub async fn serve_again(&self) -> Outcome {
        let (api, http) = (free_addr(), free_addr());
        run(self.serve(api, http)).await
    }

    /// `tosed` with these words.
    pub async fn admin(&self, words: &[&str]) -> Outcome {
        let mut command = program(&self.binary);
        command.args(words).arg("--data-dir").arg(self.data_dir());
        run(command).await
    }

    /// The command line tool, without anything from the user's own surroundings.
    pub fn tose(&self, folder: &Path, words: &[&str]) -> Command {
        let mut command = program(built_binary("tose"));
        #[expect(clippy::disallowed_methods, reason = "passed on, never read here")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(words)
            .current_dir(folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("GIT_CEILING_DIRECTORIES", self.folder.path());
        command
    }

    async fn boot(&mut self) {
        self.starts += 1;
        let path = self.log_path(self.starts);
        let log = File::create(&path).expect("a file");
        let mut command = self.serve(self.api_addr, self.http_addr);
        command
            .stdout(log.try_clone().expect("another handle"))
            .stderr(log);
        let mut server = command.into_std().spawn().expect("the server starts");
        eventually("the server is ready", async || {
            let said = fs::read_to_string(&path).expect("the log");
            let ended = server.try_wait().expect("it is a child");
            assert!(ended.is_none(), "tosed ended at its start:\n{said}");
            let is_ready = said.lines().any(|line| line.starts_with("tosed ready "));
            crate::when(is_ready, said)
        })
        .await;
        self.server = Some(server);
    }

    /// The file with the authorities that Git trusts, from the next start on in which it is there.
    pub fn authorities(&self) -> PathBuf {
        self.path("authorities.pem")
    }

    fn serve(&self, api: SocketAddr, http: SocketAddr) -> Command {
        let mut command = program(&self.binary);
        command
            .arg("serve")
            .arg("--config")
            .arg(self.path("tose.toml"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--api-addr", &api.to_string()])
            .args(["--http-addr", &http.to_string()])
            .env("TOSE_GIT_ALLOW_FILE_URLS", "true");
        if self.authorities().exists() {
            command.env("GIT_SSL_CAINFO", self.authorities());
            command.env("SSL_CERT_FILE", self.authorities());
        }
        command
    }

    fn log_path(&self, start: u32) -> PathBuf {
        self.path(&format!("tosed-{start}.log"))
    }

    fn mark(&self) -> &str {
        &self.labels[0]
    }
}

/// Asks a child to end.
fn terminate(child: &Child) {
    // It may have ended already.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

/// A program of this workspace that was built before the tests.
pub(crate) fn built_binary(name: &str) -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting"
    )]
    let folder = match std::env::var_os("TOSE_TEST_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let test = std::env::current_exe().expect("a test has a file");
            let deps = test.parent().expect("it lies in a folder");
            deps.parent().expect("of the profile").to_owned()
        }
    };
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "{} is not there: run `cargo build -p tose-server -p tose-cli`",
        binary.display()
    );
    binary
}

/// An address on which nothing listens. Its port lies below those that the kernel gives to
/// connections, so that no client takes it while a server restarts.
pub fn free_addr() -> SocketAddr {
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 14_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is smaller");
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let addr = SocketAddr::from(([127, 0, 0, 1], FIRST + (offset + number) % COUNT));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no port is free");
}

//! A deploy against its floor: the same change by `docker build` and `docker run` alone.
//!
//! Each round changes one line of an app, lets the floor build and start it until it answers with
//! the new line, and then lets the product do the same from a Git commit, through its API and its
//! proxy. Both build in the same engine with a warm cache for everything below the changed line.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::exchange;
use crate::process::{Running, free_addr, program, tosed_beside};
use crate::ratio::Quartiles;
use crate::service::NO_LIMITS;

const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);
const HOST: &str = "bench-app.localhost";
const APP: &str = "import http.server, os\n\
    class App(http.server.BaseHTTPRequestHandler):\n\
    \x20   def do_GET(self):\n\
    \x20       body = open('/version', 'rb').read()\n\
    \x20       self.send_response(200)\n\
    \x20       self.send_header('content-length', str(len(body)))\n\
    \x20       self.end_headers()\n\
    \x20       self.wfile.write(body)\n\
    \x20   def log_message(self, *_):\n\
    \x20       pass\n\
    http.server.ThreadingHTTPServer(('', int(os.environ['PORT'])), App).serve_forever()\n";
const DOCKERFILE: &str = "FROM python:3.12-slim\nENV PORT=3000\nCOPY app.py /app.py\nCOPY version /version\nCMD [\"python3\", \"/app.py\"]\n";

/// How the deploy bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds; each is one floor and one deploy
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// The daemon to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    tosed: Option<PathBuf>,
}

/// Runs the bench and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "at least one round");
    let tosed = tosed_beside(arguments.tosed.as_deref())?;
    let dir = tempfile::tempdir().context("making a folder")?;
    let floor = Floor::new(dir.path())?;
    let product = Product::start(&tosed, dir.path())?;
    let (mut totals, mut redeploys) = (Vec::new(), Vec::new());
    println!("round   floor ms   deploy ms   ratio   docker run ms   redeploy ms   ratio");
    // The first round fills the caches and is not counted.
    for round in 0..=arguments.rounds {
        let version = format!("version {round}\n");
        let (floor_deploy, floor_start) = floor.deploy(&version)?;
        let deploy = product.deploy(&version)?;
        let redeploy = product.redeploy()?;
        let pair = (
            deploy.div_duration_f64(floor_deploy),
            redeploy.div_duration_f64(floor_start),
        );
        println!(
            "{round:5} {:10.0} {:11.0} {:7.2} {:15.0} {:13.0} {:7.2}",
            millis(floor_deploy),
            millis(deploy),
            pair.0,
            millis(floor_start),
            millis(redeploy),
            pair.1
        );
        if round > 0 {
            totals.push(pair.0);
            redeploys.push(pair.1);
        }
    }
    report(
        "deploy / (docker build + docker run + first answer)",
        totals,
        "gate <= 1.5, target <= 1.10",
    )?;
    report(
        "redeploy / (docker run + first answer)",
        redeploys,
        "gate <= 1.3, target <= 1.05",
    )
}

fn report(what: &str, ratios: Vec<f64>, bar: &str) -> Result<()> {
    let quartiles = Quartiles::of(ratios).context("no rounds")?;
    println!("{what}: {quartiles} ({}); {bar}", quartiles.verdict());
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn write_app(folder: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("app.py"), APP)?;
    fs::write(folder.join("Dockerfile"), DOCKERFILE)?;
    fs::write(folder.join("version"), version)?;
    Ok(())
}

fn call(name: &str, args: &[&str], folder: &Path) -> Result<String> {
    let output = program(name)
        .args(args)
        .current_dir(folder)
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .with_context(|| format!("running {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Bare Docker.
struct Floor {
    folder: PathBuf,
    name: String,
}

impl Floor {
    fn new(dir: &Path) -> Result<Self> {
        let name = format!("tose-bench-{}", std::process::id());
        let floor = Self {
            folder: dir.join("floor"),
            name,
        };
        write_app(&floor.folder, "version none\n")?;
        Ok(floor)
    }

    /// The whole way, and the part of it that starts the container.
    fn deploy(&self, version: &str) -> Result<(Duration, Duration)> {
        write_app(&self.folder, version)?;
        self.remove()?;
        let addr = free_addr()?;
        let began = Instant::now();
        call(
            "docker",
            &["build", "-q", "-t", &self.name, "."],
            &self.folder,
        )?;
        let built = Instant::now();
        let publish = format!("127.0.0.1:{}:3000", addr.port());
        call(
            "docker",
            &[
                "run", "-d", "--name", &self.name, "-p", &publish, &self.name,
            ],
            &self.folder,
        )?;
        until_answers(addr, version)?;
        Ok((began.elapsed(), built.elapsed()))
    }

    fn remove(&self) -> Result<()> {
        call("docker", &["rm", "--force", &self.name], &self.folder).map(|_| ())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // What cannot be removed here is named after this program and found by hand.
        let _ = self.remove();
        let _ = call("docker", &["rmi", "--force", &self.name], &self.folder);
    }
}

/// The product: a daemon of its own, with a project that is built from a repository.
struct Product {
    daemon: Option<Running>,
    tosed: PathBuf,
    data_dir: PathBuf,
    repo: PathBuf,
    api: SocketAddr,
    http: SocketAddr,
    key: String,
    workspace_id: String,
}

impl Product {
    fn start(tosed: &Path, dir: &Path) -> Result<Self> {
        let (api, http) = (free_addr()?, free_addr()?);
        let (data_dir, repo) = (dir.join("data"), dir.join("repo"));
        write_app(&repo, "version none\n")?;
        call("git", &["init", "--quiet", "--initial-branch=main"], &repo)?;
        let command = serve_command(tosed, &data_dir, api, http)?;
        let daemon = Running::start("tosed", command, api)?;
        let mut product = Self {
            daemon: Some(daemon),
            tosed: tosed.to_owned(),
            data_dir,
            repo,
            api,
            http,
            key: String::new(),
            workspace_id: String::new(),
        };
        let made = product.admin(&[
            "bootstrap",
            "--email",
            "bench@example.com",
            "--workspace",
            "bench",
        ])?;
        let made: Value = serde_json::from_str(&made).context("bootstrap printed no JSON")?;
        product.key = made["api_key"].as_str().context("no key")?.to_owned();
        let workspace = product.call("GET", "", "")?;
        product.workspace_id = workspace["id"].as_str().context("no id")?.to_owned();
        product.post(
            "",
            &json!({"name": "app", "port": 3000, "cpu": "2", "ram": "1"}),
        )?;
        let url = format!("file://{}", product.repo.display());
        product.post("/app/git", &json!({"repo_url": url, "branch": "main"}))?;
        Ok(product)
    }

    fn admin(&self, args: &[&str]) -> Result<String> {
        let data_dir = self.data_dir.display().to_string();
        let mut all = vec!["--data-dir", &data_dir, "admin"];
        all.extend(args);
        call(&self.tosed.display().to_string(), &all, &self.repo)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call("POST", &format!("/projects{path}"), &body.to_string())
    }

    /// One call below the workspace, and the data of its answer.
    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let path = format!("/api/workspaces/bench{path}");
        let head = format!(
            "X-API-Key: {}\r\nContent-Type: application/json\r\n",
            self.key
        );
        let answer = exchange(self.api, method, &path, "localhost", &head, body)?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("an answer without a body")?;
        let answer: Value =
            serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))?;
        ensure!(answer["success"] == json!(true), "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    fn deploy(&self, version: &str) -> Result<Duration> {
        fs::write(self.repo.join("version"), version)?;
        call("git", &["add", "--all"], &self.repo)?;
        let who = [
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
        ];
        let commit = [&who[..], &["commit", "--quiet", "--message", "next"]].concat();
        call("git", &commit, &self.repo)?;
        let began = Instant::now();
        self.post("/app/deployments", &json!({}))?;
        until_answers(self.http, version)?;
        Ok(began.elapsed())
    }

    /// The same image again: over when the new deployment is the live one.
    fn redeploy(&self) -> Result<Duration> {
        let began = Instant::now();
        let made = self.post("/app/redeploy", &json!({}))?;
        let id = made["id"].as_str().context("no id")?;
        loop {
            let deployment = self.call("GET", &format!("/projects/app/deployments/{id}"), "")?;
            if deployment["status"] == json!("running") {
                return Ok(began.elapsed());
            }
            ensure!(deployment["status"] != json!("failed"), "{deployment}");
            ensure!(began.elapsed() < ANSWER_LIMIT, "the redeploy does not end");
            thread::sleep(POLL);
        }
    }

    fn remove_network(&self) -> Result<()> {
        let filter = format!("label=tose.workspace={}", self.workspace_id);
        let found = call(
            "docker",
            &["network", "ls", "--quiet", "--filter", &filter],
            &self.repo,
        )?;
        for id in found.lines() {
            call("docker", &["network", "rm", id], &self.repo)?;
        }
        Ok(())
    }

    fn delete_project(&self) -> Result<()> {
        self.call("DELETE", "/projects/app", "")?;
        let began = Instant::now();
        let filter = "label=tose.project.slug=app";
        while !call(
            "docker",
            &["ps", "--quiet", "--all", "--filter", filter],
            &self.repo,
        )?
        .is_empty()
        {
            ensure!(
                began.elapsed() < ANSWER_LIMIT,
                "the project's containers stay"
            );
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if let Err(error) = self.delete_project() {
            println!("the bench's project stays behind: {error:#}");
        }
        drop(self.daemon.take());
        if let Err(error) = self.admin(&["shutdown"]) {
            println!("the bench's proxy stays behind: {error:#}");
        }
        if let Err(error) = self.remove_network() {
            println!("the bench's network stays behind: {error:#}");
        }
    }
}

fn serve_command(
    tosed: &Path,
    data_dir: &Path,
    api: SocketAddr,
    http: SocketAddr,
) -> Result<Command> {
    let config = data_dir.with_extension("toml");
    fs::write(&config, NO_LIMITS)?;
    let mut command = program(tosed);
    command
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--data-dir")
        .arg(data_dir)
        .args([
            "--api-addr",
            &api.to_string(),
            "--http-addr",
            &http.to_string(),
        ])
        .args(["--https-addr", "off", "--log-level", "warn"])
        .env("TOSE_GIT_ALLOW_FILE_URLS", "true");
    Ok(command)
}

/// Asks until the answer ends with `body`.
fn until_answers(addr: SocketAddr, body: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = exchange(addr, "GET", "/", HOST, "", "").unwrap_or_default();
        if answer.starts_with("HTTP/1.") && answer.ends_with(body) {
            return Ok(());
        }
        ensure!(
            began.elapsed() < ANSWER_LIMIT,
            "{addr} does not answer {body:?}; last: {answer}"
        );
        thread::sleep(POLL);
    }
}

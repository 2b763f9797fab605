//! A deploy against its floor: the same change by `docker build` and `docker run` alone.
//!
//! Each round changes one line of an app, lets the floor build and start it until it answers with
//! the new line, and then lets the product do the same from a Git commit, through its API and its
//! proxy. Both build in the same engine with a warm cache for everything below the changed line.

pub(crate) mod crowd;
mod product;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::http::exchange;
use crate::process::{free_addr, program, tosed_beside};
use crate::ratio::Quartiles;
use product::Product;

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
    let product = Product::start(&tosed, dir.path(), FILES)?;
    let (mut totals, mut redeploys) = (Vec::new(), Vec::new());
    println!("round   floor ms   deploy ms   ratio   docker run ms   redeploy ms   ratio");
    // The first round fills the caches and is not counted.
    for round in 0..=arguments.rounds {
        let version = format!("version {round}\n");
        let (floor_deploy, floor_start) = floor.deploy(&version)?;
        let deploy = product.deploy(&version)?;
        product.until_replicas(1)?;
        let redeploy = product.redeploy()?;
        product.until_replicas(1)?;
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

/// What an app is built from, but for its version.
#[derive(Debug, Clone, Copy)]
struct Files<'a>(&'a [(&'a str, &'a str)]);

const FILES: Files<'static> = Files(&[("app.py", APP), ("Dockerfile", DOCKERFILE)]);

impl Files<'_> {
    fn write(self, folder: &Path, version: &str) -> Result<()> {
        fs::create_dir_all(folder)?;
        for (name, text) in self.0 {
            fs::write(folder.join(name), text)?;
        }
        fs::write(folder.join("version"), version)?;
        Ok(())
    }
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
        FILES.write(&floor.folder, "version none\n")?;
        Ok(floor)
    }

    /// The whole way, and the part of it that starts the container.
    fn deploy(&self, version: &str) -> Result<(Duration, Duration)> {
        FILES.write(&self.folder, version)?;
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

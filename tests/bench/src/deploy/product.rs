//! The product in the deploy benches: a daemon of its own, with a project that is built from a
//! repository.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ANSWER_LIMIT, Files, POLL, call, until_answers};
use crate::http::exchange;
use crate::process::{Running, free_addr, program};
use crate::service::NO_LIMITS;

/// How often it is looked whether an earlier version is gone; nothing is timed then.
const SETTLE_POLL: Duration = Duration::from_millis(100);

/// A daemon with one project, `app`; dropped, both go with all that they made.
pub(super) struct Product {
    daemon: Option<Running>,
    tosed: PathBuf,
    data_dir: PathBuf,
    repo: PathBuf,
    api: SocketAddr,
    pub(super) http: SocketAddr,
    key: String,
    workspace_id: String,
}

impl Product {
    pub(super) fn start(tosed: &Path, dir: &Path, files: Files<'_>) -> Result<Self> {
        let (api, http) = (free_addr()?, free_addr()?);
        let (data_dir, repo) = (dir.join("data"), dir.join("repo"));
        files.write(&repo, "version none\n")?;
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

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call("POST", &format!("/projects{path}"), &body.to_string())
    }

    /// One call below the workspace, and the data of its answer.
    pub(super) fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
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

    /// From the call to the first answer of the new version.
    pub(super) fn deploy(&self, version: &str) -> Result<Duration> {
        self.commit(version)?;
        let began = Instant::now();
        self.post("/app/deployments", &json!({}))?;
        until_answers(self.http, version)?;
        Ok(began.elapsed())
    }

    /// Deploys a version that does not come up; over when it is given up.
    pub(super) fn deploy_broken(&self, version: &str) -> Result<()> {
        self.commit(version)?;
        let made = self.post("/app/deployments", &json!({}))?;
        let status = self.until_settled(&made)?;
        ensure!(status == "failed", "a broken version is {status}");
        Ok(())
    }

    fn commit(&self, version: &str) -> Result<()> {
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
        Ok(())
    }

    /// The same image again: over when the new deployment is the live one.
    pub(super) fn redeploy(&self) -> Result<Duration> {
        let began = Instant::now();
        let made = self.post("/app/redeploy", &json!({}))?;
        let status = self.until_settled(&made)?;
        ensure!(status == "running", "the redeploy is {status}");
        Ok(began.elapsed())
    }

    /// Waits until a deployment is live or given up; its status then.
    fn until_settled(&self, made: &Value) -> Result<String> {
        let id = made["id"].as_str().context("no id")?;
        let began = Instant::now();
        loop {
            let deployment = self.call("GET", &format!("/projects/app/deployments/{id}"), "")?;
            let status = deployment["status"].as_str().context("no status")?;
            if ["running", "failed"].contains(&status) {
                return Ok(status.to_owned());
            }
            ensure!(
                began.elapsed() < ANSWER_LIMIT,
                "the deployment does not end"
            );
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
        self.until_replicas(0)
    }

    /// Waits until the project has this many containers: the floor's earlier one is gone as well when
    /// its next is timed.
    pub(super) fn until_replicas(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        let filter = format!("label=tose.workspace={}", self.workspace_id);
        let list = ["ps", "--quiet", "--all", "--filter", &filter];
        while call("docker", &list, &self.repo)?.lines().count() != count {
            ensure!(
                began.elapsed() < ANSWER_LIMIT,
                "the project's containers stay"
            );
            thread::sleep(SETTLE_POLL);
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

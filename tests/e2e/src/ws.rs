//! The npm package `ws`, run in a container beside the server.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::program::{program, run, run_with_input};

const IMAGE: &str = "tose-e2e/ws:8";
const DOCKERFILE: &str =
    "FROM node:22-slim\nWORKDIR /ws\nRUN npm install --no-audit --no-fund ws@8\n";
const SCRIPT: &str = include_str!("ws.js");

/// Opens `url` with the header `X-API-Key`, if a key is given; what happened until it closed: objects
/// with `open`, `message`, `refused` (an HTTP status), `error` or `close` (a code).
pub async fn read_socket(url: &str, key: Option<&str>) -> Vec<Value> {
    let headers = match key {
        Some(key) => json!({"X-API-Key": key}),
        None => json!({}),
    };
    play(url, &headers, "").await
}

/// Opens `url` at the virtual host `host`, sends a text, and closes after the first answer.
pub async fn echo(url: &str, host: &str, text: &str) -> Vec<Value> {
    play(url, &json!({"Host": host}), text).await
}

async fn play(url: &str, headers: &Value, send: &str) -> Vec<Value> {
    static IS_BUILT: OnceCell<()> = OnceCell::const_new();
    IS_BUILT.get_or_init(build).await;
    let headers = headers.to_string();
    let mut command = program("docker");
    // In the environment, since arguments are seen by everyone.
    command
        .args(["run", "--rm", "--network", "host"])
        .args(["--env", "WS_URL", "--env", "WS_HEADERS", "--env", "WS_SEND"])
        .args([IMAGE, "node", "-e", SCRIPT])
        .env("WS_URL", url)
        .env("WS_HEADERS", &headers)
        .env("WS_SEND", send);
    let output = run(command).await.ok();
    let events = output
        .lines()
        .map(|line| serde_json::from_str(line).expect("the script prints JSON"));
    events.collect()
}

/// The image stays in the engine, where the next run finds its layers.
async fn build() {
    let mut command = program("docker");
    command
        .args(["build", "--quiet", "--tag", IMAGE, "-"])
        .env("DOCKER_BUILDKIT", "0");
    run_with_input(command, DOCKERFILE).await.ok();
}

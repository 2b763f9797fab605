//! `tose version`: both ends' versions.

use anyhow::Result;
use serde_json::json;

use crate::context::Context;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    // The server's version is an extra: without a login, or without an answer, it is left out.
    let server = match ctx.client() {
        Ok(client) => client
            .get_version()
            .await
            .ok()
            .map(|answer| (client, answer.version)),
        Err(_) => None,
    };
    let mut text = format!("tose {version}");
    if let Some((client, version)) = &server {
        text.push_str(&format!("\nserver {version} at {}", client.server_url()));
    }
    let server = server.map(|(_, version)| version);
    ctx.output
        .result(&json!({ "version": version, "server": server }), &text)
}

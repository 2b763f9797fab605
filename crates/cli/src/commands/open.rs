//! `tose open`: the project in a browser.

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::process;

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Only print the address
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(ctx: &Context, args: OpenArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let url = client
        .get_project(&target.workspace, &target.project)
        .await?
        .url;
    let is_web_address = url.starts_with("http://") || url.starts_with("https://");
    ensure!(
        is_web_address,
        "the project's address is no web address: {url}"
    );
    if !args.print && process::open_in_browser(&url).await && !ctx.output.is_json() {
        ctx.output.note(&format!("opened {url}"));
        return Ok(());
    }
    ctx.output.result(&json!({ "url": url }), &url)
}

//! `tose login`: checks an API key and keeps it.

use std::io::{self, Read};

use anyhow::{Context as _, Result};
use clap::Args;
use tose_api::client::ApiKey;

use super::whoami::standing;
use crate::config::Login;
use crate::context::Context;
use crate::error::Error;
use crate::prompt;

/// More than this on stdin is no key.
const MAX_INPUT_BYTES: u64 = 1024;

#[derive(Args)]
pub(crate) struct LoginArgs {
    /// The API key; other users of this machine may see it, so prefer to be asked for it
    // A text, since what the parser of the command line refuses is repeated in its error.
    #[arg(long, value_name = "KEY", conflicts_with = "api_key_stdin")]
    api_key: Option<String>,
    /// Read the API key from stdin
    #[arg(long)]
    api_key_stdin: bool,
}

pub(crate) async fn run(ctx: &Context, args: LoginArgs) -> Result<()> {
    let server = ctx.config.server()?;
    if server.is_readable_on_the_way() {
        ctx.output
            .warn(&format!("the key goes to {server} without encryption"));
    }
    let api_key = match args.api_key {
        Some(text) => parse_key(&text)?,
        None if args.api_key_stdin => parse_key(&read_stdin()?)?,
        None if prompt::is_possible(&ctx.output) => parse_key(&prompt::ask_secret(
            &ctx.output,
            &format!("API key for {server}:"),
        )?)?,
        None => {
            let text = "give the API key with --api-key-stdin or --api-key";
            return Err(Error::Usage(text.to_owned()).into());
        }
    };
    let me = ctx
        .client_with(server.clone(), api_key.clone())?
        .get_me()
        .await?;
    let workspace = me.workspace.clone().ok_or(Error::NoWorkspace)?;
    ctx.config.keep(&Login {
        api_url: server.clone(),
        api_key,
        workspace,
    })?;
    let text = format!("logged in to {server} as {}", standing(&me));
    ctx.output.result(&me, &text)
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_INPUT_BYTES);
    stdin
        .read_to_string(&mut text)
        .context("cannot read the API key from stdin")?;
    Ok(text)
}

fn parse_key(text: &str) -> Result<ApiKey> {
    text.trim()
        .parse()
        .map_err(|error| Error::Usage(format!("{error}")).into())
}

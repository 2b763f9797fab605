//! `tose registry`: what the project pulls its image with.

use std::io::{self, Read};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use tose_api::RegistryHost;
use tose_api::client::Client;
use tose_api::registry::{RegistryView, SetRegistry};

use crate::context::{Context, Target};
use crate::prompt;

/// More than this on stdin is no password.
const MAX_INPUT_BYTES: u64 = 64 * 1024;

#[derive(Args)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    command: Option<RegistryCommand>,
}

#[derive(Subcommand)]
enum RegistryCommand {
    /// Show whose credentials are kept; so does `tose registry` alone
    Show,
    /// Keep credentials for the registry; the password is asked for, or read from stdin
    Set(SetArgs),
    /// Forget the credentials
    Remove,
}

#[derive(Args)]
struct SetArgs {
    /// The user name
    #[arg(long, value_name = "NAME")]
    username: String,
    /// The registry, such as ghcr.io; otherwise the one of the project's image
    #[arg(long, value_name = "HOST")]
    registry: Option<RegistryHost>,
}

pub(crate) async fn run(ctx: &Context, args: RegistryArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(RegistryCommand::Show) {
        RegistryCommand::Show => show(ctx, client, target).await,
        RegistryCommand::Set(args) => set(ctx, client, target, args).await,
        RegistryCommand::Remove => remove(ctx, client, target).await,
    }
}

async fn show(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let kept = client
        .get_registry(&target.workspace, &target.project)
        .await?;
    ctx.output.result(&kept, &details(&kept))
}

async fn set(ctx: &Context, client: &Client, target: &Target, args: SetArgs) -> Result<()> {
    let password = if prompt::is_possible(&ctx.output) {
        prompt::ask_secret(&ctx.output, "Password or token:")?
    } else {
        read_stdin()?
    };
    let body = SetRegistry {
        registry: args.registry,
        username: args.username,
        password,
    };
    let kept = client
        .set_registry(&target.workspace, &target.project, &body)
        .await?;
    ctx.output.result(&kept, &details(&kept))?;
    ctx.output.note("the next deployment pulls with them");
    Ok(())
}

async fn remove(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let deleted = client
        .delete_registry(&target.workspace, &target.project)
        .await?;
    let text = format!("{} pulls without credentials", target.project);
    ctx.output.result(&deleted, &text)
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_INPUT_BYTES);
    stdin
        .read_to_string(&mut text)
        .context("cannot read the password from stdin")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn details(kept: &RegistryView) -> String {
    [
        ["registry", kept.registry.as_str()],
        ["user name", &kept.username],
        ["password", "kept sealed"],
    ]
    .map(|[name, value]| format!("{name:<16}{value}\n"))
    .concat()
}

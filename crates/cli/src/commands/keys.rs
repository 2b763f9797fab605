//! `tose keys`: the workspace's API keys.

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::member::{ApiKeyView, CreateApiKey};

use crate::context::Context;
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List the keys; so does `tose keys` alone
    List,
    /// Make a key with your role, and show it this once
    Create(CreateArgs),
    /// End a key
    Revoke(RevokeArgs),
}

#[derive(Args)]
struct CreateArgs {
    /// What people call it
    name: String,
    /// After how many days it ends, 1 to 3650; otherwise never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_in_days: Option<u32>,
}

#[derive(Args)]
struct RevokeArgs {
    /// Its id, how it begins, or its name
    key: String,
}

pub(crate) async fn run(ctx: &Context, args: KeysArgs) -> Result<()> {
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    match args.command.unwrap_or(KeysCommand::List) {
        KeysCommand::List => list(ctx, client, workspace).await,
        KeysCommand::Create(args) => create(ctx, client, workspace, args).await,
        KeysCommand::Revoke(args) => revoke(ctx, client, workspace, &args.key).await,
    }
}

async fn list(ctx: &Context, client: &Client, workspace: &Slug) -> Result<()> {
    let keys = client.list_api_keys(workspace).await?;
    let rows: Vec<_> = keys.iter().map(row).collect();
    let heading = ["ID", "KEY", "NAME", "OWNER", "LAST USED", "EXPIRES"];
    ctx.output.result(&keys, &text::table(heading, &rows))
}

fn row(key: &ApiKeyView) -> [String; 6] {
    [
        key.id.to_string(),
        format!("{}…", key.key_prefix),
        text::first_line(&key.name, 40),
        key.email.clone(),
        text::optional_time(key.last_used_at),
        text::optional_time(key.expires_at),
    ]
}

async fn create(ctx: &Context, client: &Client, workspace: &Slug, args: CreateArgs) -> Result<()> {
    let body = CreateApiKey {
        name: args.name,
        expires_in_days: args.expires_in_days,
    };
    let key = client.create_api_key(workspace, &body).await?;
    ctx.output
        .result(&key, key.key.as_deref().unwrap_or_default())?;
    ctx.output
        .note("keep the key: it is not shown again, and `tose keys revoke` ends it");
    Ok(())
}

async fn revoke(ctx: &Context, client: &Client, workspace: &Slug, wanted: &str) -> Result<()> {
    let keys = client.list_api_keys(workspace).await?;
    let key = find(&keys, wanted)?;
    let deleted = client.delete_api_key(workspace, key.id).await?;
    let text = format!("revoked {}… ({})", key.key_prefix, key.name);
    ctx.output.result(&deleted, &text)
}

/// The key that is meant; what fits several is refused.
fn find<'a>(keys: &'a [ApiKeyView], wanted: &str) -> Result<&'a ApiKeyView, Error> {
    let prefix = wanted.trim_end_matches('…');
    let is_meant = |key: &&ApiKeyView| {
        key.id.to_string() == wanted || key.key_prefix == prefix || key.name == wanted
    };
    let mut fitting = keys.iter().filter(is_meant);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(Error::Usage(format!(
            "`{wanted}` fits several keys: name one by its id, which `tose keys` lists"
        ))),
        (None, _) => Err(Error::Missing {
            what: format!("key `{wanted}`"),
            list: "tose keys",
        }),
    }
}

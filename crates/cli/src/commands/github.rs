//! `tose github`: installations of the server's GitHub App in the workspace.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::github::{ConnectGithub, GithubConnectView, GithubInstallationView};

use crate::context::Context;
use crate::error::Error;
use crate::text;

/// How often it is asked whether somebody has agreed.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct GithubArgs {
    #[command(subcommand)]
    command: Option<GithubCommand>,
}

#[derive(Subcommand)]
enum GithubCommand {
    /// List what is connected; so does `tose github` alone
    List,
    /// Connect an account on GitHub: prints a link, and waits until somebody has agreed there
    Connect(ConnectArgs),
    /// Disconnect an installation; projects that need it cannot be built any more
    Disconnect(DisconnectArgs),
}

#[derive(Args)]
struct ConnectArgs {
    /// An installation that is there already: for this workspace too, or with newer repositories
    #[arg(long, value_name = "ID")]
    installation: Option<u64>,
    /// Print the link without waiting
    #[arg(long)]
    detach: bool,
}

#[derive(Args)]
struct DisconnectArgs {
    /// Its id
    installation: u64,
}

pub(crate) async fn run(ctx: &Context, args: GithubArgs) -> Result<()> {
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    match args.command.unwrap_or(GithubCommand::List) {
        GithubCommand::List => list(ctx, client, workspace).await,
        GithubCommand::Connect(args) => connect(ctx, client, workspace, &args).await,
        GithubCommand::Disconnect(args) => {
            let deleted = client
                .delete_github_installation(workspace, args.installation)
                .await?;
            let text = format!("disconnected installation {}", deleted.deleted);
            ctx.output.result(&deleted, &text)
        }
    }
}

async fn list(ctx: &Context, client: &Client, workspace: &Slug) -> Result<()> {
    let installations = client.list_github_installations(workspace).await?;
    ctx.output.result(&installations, &table(&installations))
}

async fn connect(
    ctx: &Context,
    client: &Client,
    workspace: &Slug,
    args: &ConnectArgs,
) -> Result<()> {
    let body = ConnectGithub {
        installation_id: args.installation,
    };
    let begun = client.connect_github(workspace, &body).await?;
    if args.detach {
        return ctx.output.result(&begun, &begun.install_url);
    }
    if !ctx.output.is_json() {
        ctx.output.line(&begun.install_url)?;
    }
    ctx.output.note(&format!(
        "open this link in a browser that is logged in at GitHub; it works once, until {}",
        text::time(begun.expires_at)
    ));
    let patience = begun.expires_at.since(begun.created_at);
    let wait = find_connected(client, workspace, &begun, args.installation);
    let installation = timeout(patience, wait).await.map_err(|_| {
        Error::Usage("nobody has agreed in time: run the command again".to_owned())
    })??;
    let text = format!(
        "connected {}: `tose init --installation {} --repo URL` builds one of its {} repositories",
        installation.account, installation.id, installation.repositories
    );
    ctx.output.result(&installation, &text)
}

/// Waits until an installation is connected that was not when it was asked for.
async fn find_connected(
    client: &Client,
    workspace: &Slug,
    begun: &GithubConnectView,
    id: Option<u64>,
) -> Result<GithubInstallationView> {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let list = client.list_github_installations(workspace).await?;
        let found = list.into_iter().find(|installation| {
            installation.connected_at >= begun.created_at
                && id.is_none_or(|id| installation.id == id)
        });
        if let Some(found) = found {
            return Ok(found);
        }
    }
}

fn table(installations: &[GithubInstallationView]) -> String {
    let rows: Vec<_> = installations
        .iter()
        .map(|installation| {
            [
                installation.id.to_string(),
                installation.account.clone(),
                installation.repositories.to_string(),
                installation.connected_by.clone(),
                text::time(installation.connected_at),
            ]
        })
        .collect();
    let heading = ["INSTALLATION", "ACCOUNT", "REPOSITORIES", "BY", "CONNECTED"];
    text::table(heading, &rows)
}

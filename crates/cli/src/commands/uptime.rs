//! `tose uptime`: whether a project or a database answers, and how it has been.

mod set;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::client::{self, ChecksQuery, Client, Page, Paging};
use tose_api::uptime::{CheckView, HeartbeatUrl, SetUptime, UptimeView};

use crate::context::Context;
use crate::subject::{Subject, SubjectArgs};

#[derive(Args)]
pub(crate) struct UptimeArgs {
    #[command(subcommand)]
    command: Option<UptimeCommand>,
    #[command(flatten)]
    subject: SubjectArgs,
}

#[derive(Subcommand)]
enum UptimeCommand {
    /// Show how it is and how it has been; so does `tose uptime` alone
    Show,
    /// Have it checked from now on, or change how
    On(Box<set::OnArgs>),
    /// Have it checked no more; what was set is kept
    Off,
    /// Make the address that a job calls when it is done, in place of the one there is
    Heartbeat,
    /// List its checks of the last seven days, newest first
    Checks(show::ChecksArgs),
}

/// What each of these commands needs.
struct Uptime<'a> {
    ctx: &'a Context,
    client: &'a Client,
    subject: &'a Subject,
}

impl Uptime<'_> {
    async fn get(&self) -> client::Result<UptimeView> {
        let (workspace, slug) = (self.subject.workspace(), self.subject.slug());
        match self.subject.is_database() {
            true => self.client.get_database_uptime(workspace, slug).await,
            false => self.client.get_uptime(workspace, slug).await,
        }
    }

    async fn set(&self, body: &SetUptime) -> client::Result<UptimeView> {
        let (workspace, slug) = (self.subject.workspace(), self.subject.slug());
        match self.subject.is_database() {
            true => self.client.set_database_uptime(workspace, slug, body).await,
            false => self.client.set_uptime(workspace, slug, body).await,
        }
    }

    async fn create_heartbeat(&self) -> client::Result<HeartbeatUrl> {
        let (workspace, slug) = (self.subject.workspace(), self.subject.slug());
        match self.subject.is_database() {
            true => self.client.create_database_heartbeat(workspace, slug).await,
            false => self.client.create_heartbeat(workspace, slug).await,
        }
    }

    async fn checks(&self, query: ChecksQuery, paging: Paging) -> client::Result<Page<CheckView>> {
        let (client, workspace, slug) =
            (self.client, self.subject.workspace(), self.subject.slug());
        match self.subject.is_database() {
            true => {
                client
                    .list_database_checks(workspace, slug, query, paging)
                    .await
            }
            false => client.list_checks(workspace, slug, query, paging).await,
        }
    }
}

pub(crate) async fn run(ctx: &Context, args: UptimeArgs) -> Result<()> {
    let client = &ctx.client()?;
    let subject = &args.subject.subject(ctx, client).await?;
    let uptime = &Uptime {
        ctx,
        client,
        subject,
    };
    match args.command.unwrap_or(UptimeCommand::Show) {
        UptimeCommand::Show => show::run(uptime).await,
        UptimeCommand::On(args) => set::on(uptime, *args).await,
        UptimeCommand::Off => set::off(uptime).await,
        UptimeCommand::Heartbeat => set::heartbeat(uptime).await,
        UptimeCommand::Checks(args) => show::checks(uptime, &args).await,
    }
}

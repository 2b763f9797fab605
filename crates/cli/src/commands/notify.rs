//! `tose notify`: whom the workspace tells of what happens.

mod set;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::notification::NotificationView;

use crate::context::Context;
use crate::error::Error;
use crate::prompt;

#[derive(Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    command: Option<NotifyCommand>,
}

#[derive(Subcommand)]
enum NotifyCommand {
    /// List the channels and how their last message fared; so does `tose notify` alone
    List,
    /// Tell somebody of what happens from now on
    Add(Box<set::AddArgs>),
    /// Show a channel
    Show(NameArgs),
    /// Change what a channel is told, and where it is
    Edit(Box<set::EditArgs>),
    /// Send a message now
    Test(NameArgs),
    /// Tell a channel nothing any more, and forget it
    Rm(RmArgs),
    /// List the newest messages to a channel and what became of them
    Deliveries(NameArgs),
}

#[derive(Args)]
struct NameArgs {
    /// Its name or its id, as `tose notify list` has them
    name: String,
}

#[derive(Args)]
struct RmArgs {
    #[command(flatten)]
    channel: NameArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What each of these commands needs.
struct Notify<'a> {
    ctx: &'a Context,
    client: &'a Client,
    workspace: &'a Slug,
}

impl Notify<'_> {
    async fn find(&self, name: &str) -> Result<NotificationView> {
        let channels = self.client.list_notifications(self.workspace).await?;
        let is_meant =
            |channel: &NotificationView| channel.name == name || channel.id.to_string() == name;
        let missing = || Error::Missing {
            what: format!("channel `{name}`"),
            list: "tose notify",
        };
        Ok(channels.into_iter().find(is_meant).ok_or_else(missing)?)
    }
}

pub(crate) async fn run(ctx: &Context, args: NotifyArgs) -> Result<()> {
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    let notify = &Notify {
        ctx,
        client,
        workspace,
    };
    match args.command.unwrap_or(NotifyCommand::List) {
        NotifyCommand::List => show::list(notify).await,
        NotifyCommand::Add(args) => set::add(notify, *args).await,
        NotifyCommand::Show(args) => {
            let channel = notify.find(&args.name).await?;
            show::print(notify, &channel)
        }
        NotifyCommand::Edit(args) => set::edit(notify, *args).await,
        NotifyCommand::Test(args) => test(notify, &args.name).await,
        NotifyCommand::Rm(args) => remove(notify, &args).await,
        NotifyCommand::Deliveries(args) => show::deliveries(notify, &args.name).await,
    }
}

async fn test(notify: &Notify<'_>, name: &str) -> Result<()> {
    let channel = notify.find(name).await?;
    let test = notify
        .client
        .test_notification(notify.workspace, channel.id)
        .await?;
    if !test.delivered {
        let reason = test
            .reason
            .unwrap_or_else(|| "no reason is known".to_owned());
        return Err(Error::Failed {
            what: format!("the message to {}", channel.name),
            reason,
            code: "not_delivered",
        }
        .into());
    }
    let text = format!("{} took a message", channel.name);
    notify.ctx.output.result(&test, &text)
}

async fn remove(notify: &Notify<'_>, args: &RmArgs) -> Result<()> {
    let channel = notify.find(&args.channel.name).await?;
    let (output, name) = (&notify.ctx.output, &channel.name);
    if !args.yes {
        let deed = format!("removing the channel {name}");
        let question = format!("{name} is told nothing any more. Type `{name}` to remove it:");
        prompt::confirm(output, &deed, &question, name)?;
    }
    let deleted = notify
        .client
        .delete_notification(notify.workspace, channel.id)
        .await?;
    output.result(&deleted, &format!("{name} is told nothing any more"))
}

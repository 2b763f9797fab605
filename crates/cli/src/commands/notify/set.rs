//! `tose notify add` and `tose notify edit`.
//!
//! Guarantees: what opens a channel (a webhook's address, a bot's token, a secret) can come from stdin, so that it is in
//! no shell's history; a bot's token and a secret can come in no other way.

use std::str::FromStr;

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::notification::{
    ChannelKind, CreateNotification, EventRule, NoticeEvent, UpdateNotification,
};
use tose_api::{Email, Slug};

use super::{Notify, show};
use crate::error::Error;
use crate::list::List;
use crate::prompt;

/// In place of an address: it is asked for, or read from stdin.
const FROM_STDIN: &str = "-";

#[derive(Args)]
pub(super) struct AddArgs {
    /// Its name, such as 'Team chat'
    name: String,
    #[command(flatten)]
    place: Place,
    /// Sign the messages to the webhook with a secret of your own, which is asked for or read from stdin
    #[arg(long, requires = "webhook")]
    secret: bool,
    #[command(flatten)]
    rules: RuleArgs,
    /// Tell it nothing so far
    #[arg(long)]
    off: bool,
}

/// Where a channel is; each kind has its own option.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Send mails to this address
    #[arg(long, value_name = "EMAIL")]
    email: Option<Email>,
    /// Call a webhook of Discord; - asks for it or reads it from stdin
    #[arg(long, value_name = "URL")]
    discord: Option<String>,
    /// Call an incoming webhook of Slack; - asks for it or reads it from stdin
    #[arg(long, value_name = "URL")]
    slack: Option<String>,
    /// Write to a chat of Telegram, by its number or its @name; the bot's token is asked for or read from stdin
    #[arg(long, value_name = "CHAT", allow_hyphen_values = true)]
    telegram: Option<String>,
    /// Send signed JSON to this address; - asks for it or reads it from stdin
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

/// What a channel is told of.
#[derive(Args)]
struct RuleArgs {
    /// Of what: all, or some such as uptime_down,deploy_failed
    #[arg(long, value_name = "EVENTS")]
    events: Option<List<Rule>>,
    /// Of which projects, instances and databases: their slugs with commas between them, '' for all
    #[arg(long, value_name = "SLUGS")]
    projects: Option<List<Slug>>,
}

#[derive(Args)]
pub(super) struct EditArgs {
    #[command(flatten)]
    channel: super::NameArgs,
    /// Another name
    #[arg(long = "name", value_name = "NAME")]
    new_name: Option<String>,
    /// Tell it what happens, or nothing for the time being
    #[arg(long, value_enum, value_name = "STATE")]
    enabled: Option<Switch>,
    #[command(flatten)]
    rules: RuleArgs,
    /// Another address for mails
    #[arg(long, value_name = "EMAIL")]
    email: Option<Email>,
    /// Another address for a webhook, of Discord or Slack too; - asks for it or reads it from stdin
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Another chat of Telegram
    #[arg(long, value_name = "CHAT", allow_hyphen_values = true)]
    chat: Option<String>,
    /// Another token for the bot of Telegram, which is asked for or read from stdin
    #[arg(long)]
    bot_token: bool,
    /// Another secret for the webhook, which is asked for or read from stdin
    #[arg(long)]
    secret: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// A kind of event, or all of them.
#[derive(Debug, Clone, Copy)]
struct Rule(EventRule);

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = match text {
            "all" => "*".to_owned(),
            text => text.replace('-', "_"),
        };
        let rule = serde_json::from_value(word.into());
        rule.map(Self).map_err(|_| {
            let known: Vec<_> = NoticeEvent::ALL
                .iter()
                .map(|event| event.as_str())
                .collect();
            format!(
                "there is no event `{text}`: there are all, {}",
                known.join(", ")
            )
        })
    }
}

pub(super) async fn add(notify: &Notify<'_>, args: AddArgs) -> Result<()> {
    let Place {
        email,
        discord,
        slack,
        telegram,
        webhook,
    } = args.place;
    if args.secret && webhook.as_deref() == Some(FROM_STDIN) {
        only_one_from_stdin(notify, "--webhook -", "--secret")?;
    }
    let kind = match (&email, &discord, &slack, &telegram) {
        (Some(_), ..) => ChannelKind::Email,
        (_, Some(_), ..) => ChannelKind::Discord,
        (_, _, Some(_), _) => ChannelKind::Slack,
        (_, _, _, Some(_)) => ChannelKind::Telegram,
        _ => ChannelKind::Webhook,
    };
    let mut body = CreateNotification::new(args.name, kind);
    body.enabled = args.off.then_some(false);
    body.events = args.rules.events.map(to_wire);
    body.projects = args.rules.projects.map(|list| list.0);
    body.email = email;
    body.url = read_url(notify, discord.or(slack).or(webhook))?;
    body.chat_id = telegram;
    if body.chat_id.is_some() {
        body.bot_token = Some(read_bot_token(notify)?);
    }
    if args.secret {
        body.secret = Some(read_secret(notify)?);
    }
    let channel = notify
        .client
        .create_notification(notify.workspace, &body)
        .await?;
    show::print(notify, &channel)?;
    let output = &notify.ctx.output;
    if channel.secret.is_some() {
        output.note("the secret is shown this once: keep it where the messages arrive");
    }
    output.note(&format!(
        "try it with: tose notify test {}",
        quoted(&channel.name)
    ));
    Ok(())
}

pub(super) async fn edit(notify: &Notify<'_>, args: EditArgs) -> Result<()> {
    let from_stdin = [
        (args.url.as_deref() == Some(FROM_STDIN), "--url -"),
        (args.bot_token, "--bot-token"),
        (args.secret, "--secret"),
    ];
    let from_stdin: Vec<_> = from_stdin.iter().filter(|(is_read, _)| *is_read).collect();
    if let [(_, one), (_, other), ..] = from_stdin[..] {
        only_one_from_stdin(notify, one, other)?;
    }
    let body = UpdateNotification {
        name: args.new_name,
        enabled: args.enabled.map(|state| state == Switch::On),
        events: args.rules.events.map(to_wire),
        projects: args.rules.projects.map(|list| list.0),
        email: args.email,
        url: read_url(notify, args.url)?,
        chat_id: args.chat,
        bot_token: args.bot_token.then(|| read_bot_token(notify)).transpose()?,
        secret: args.secret.then(|| read_secret(notify)).transpose()?,
    };
    if serde_json::to_value(&body)? == serde_json::json!({}) {
        let problem = "nothing is to be changed: say what, see `tose notify edit --help`";
        return Err(Error::Usage(problem.to_owned()).into());
    }
    let channel = notify.find(&args.channel.name).await?;
    let changed = notify
        .client
        .update_notification(notify.workspace, channel.id, &body)
        .await?;
    show::print(notify, &changed)
}

fn only_one_from_stdin(notify: &Notify<'_>, one: &str, other: &str) -> Result<()> {
    if prompt::is_possible(&notify.ctx.output) {
        return Ok(());
    }
    let problem = format!(
        "{one} and {other} cannot both be read from stdin: set one of them later, with `tose notify edit`"
    );
    Err(Error::Usage(problem).into())
}

fn to_wire(events: List<Rule>) -> Vec<EventRule> {
    events.0.into_iter().map(|rule| rule.0).collect()
}

fn read_url(notify: &Notify<'_>, url: Option<String>) -> Result<Option<String>> {
    match url.as_deref() {
        Some(FROM_STDIN) => {
            let read = prompt::ask_or_read(&notify.ctx.output, "Address:", "the address")?;
            Ok(Some(read))
        }
        _ => Ok(url),
    }
}

fn read_bot_token(notify: &Notify<'_>) -> Result<String> {
    prompt::ask_or_read(&notify.ctx.output, "Token of the bot:", "the bot's token")
}

fn read_secret(notify: &Notify<'_>) -> Result<String> {
    prompt::ask_or_read(&notify.ctx.output, "Secret:", "the secret")
}

/// A name as a shell takes it for one word.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !name.is_empty() && name.bytes().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

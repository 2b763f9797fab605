//! `tose uptime on` and `tose uptime off`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::uptime::{MonitorKind, SetUptime};

use super::{Uptime, show};
use crate::prompt;
use crate::span::{Millis, Seconds};

/// In place of a secret: it is asked for, or read from stdin.
const FROM_STDIN: &str = "-";

#[derive(Args)]
pub(super) struct OnArgs {
    /// How it is checked; otherwise as --url says, or as before
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// How long from one check to the next, 10s to 1d
    #[arg(long, value_name = "DURATION")]
    interval: Option<Seconds>,
    /// What is asked: http://…, https://…, tcp://HOST:PORT or tls://HOST:PORT; '' stands for its own address
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The status codes of a good answer, such as 200 or 2xx,3xx
    #[arg(long, value_name = "CODES")]
    expect: Option<String>,
    /// Text that has to be in the answer; '' takes it away
    #[arg(long, value_name = "TEXT")]
    keyword: Option<String>,
    /// How long an answer may take, 100ms to 30s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
    /// After how many failures in a row it is down, 1 to 10
    #[arg(long, value_name = "N")]
    failures: Option<u32>,
    /// How many days before its certificate ends people are told; 0 for never
    #[arg(long, value_name = "DAYS")]
    warn_days: Option<u32>,
    /// How much later than its interval a heartbeat may come
    #[arg(long, value_name = "DURATION")]
    grace: Option<Seconds>,
    /// Who gets a mail when it goes down and comes back; '' for nobody
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// A webhook of Discord that is told; - asks for it or reads it from stdin, '' takes it away
    #[arg(long, value_name = "URL")]
    discord: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A GET whose answer is looked at
    Http,
    /// A connection
    Tcp,
    /// A handshake of TLS whose certificate is looked at
    Certificate,
    /// Nothing: a job calls the server, see `tose uptime heartbeat`
    Heartbeat,
}

pub(super) async fn on(uptime: &Uptime<'_>, args: OnArgs) -> Result<()> {
    let discord_webhook_url = match args.discord.as_deref() {
        Some(FROM_STDIN) => Some(prompt::ask_or_read(
            &uptime.ctx.output,
            "Webhook of Discord:",
            "the webhook",
        )?),
        _ => args.discord,
    };
    let body = SetUptime {
        enabled: Some(true),
        kind: args.kind.map(to_wire),
        check_interval_sec: args.interval.map(|interval| interval.0),
        check_url: args.url,
        expected_status: args.expect,
        keyword: args.keyword,
        timeout_ms: args.timeout.map(|timeout| timeout.0),
        failures_before_down: args.failures,
        discord_webhook_url,
        notify_email: args.email,
        certificate_warn_days: args.warn_days,
        heartbeat_grace_sec: args.grace.map(|grace| grace.0),
    };
    let set = uptime.set(&body).await?;
    show::print(uptime, &set)?;
    if set.last_checked_at.is_none() {
        let seconds = set.check_interval_sec;
        let option = uptime.subject.option(uptime.ctx);
        uptime.ctx.output.note(&format!(
            "its first check comes within {seconds} s: see with `tose uptime{option}`"
        ));
    }
    Ok(())
}

pub(super) async fn off(uptime: &Uptime<'_>) -> Result<()> {
    let body = SetUptime {
        enabled: Some(false),
        ..SetUptime::default()
    };
    let set = uptime.set(&body).await?;
    let text = format!("{} is checked no more", uptime.subject);
    uptime.ctx.output.result(&set, &text)
}

pub(super) async fn heartbeat(uptime: &Uptime<'_>) -> Result<()> {
    let made = uptime.create_heartbeat().await?;
    let output = &uptime.ctx.output;
    output.result(&made, &made.url)?;
    output.note("it is shown this once; have the job call it when it is done, with /fail after it when it failed");
    Ok(())
}

fn to_wire(kind: Kind) -> MonitorKind {
    match kind {
        Kind::Http => MonitorKind::Http,
        Kind::Tcp => MonitorKind::Tcp,
        Kind::Certificate => MonitorKind::Certificate,
        Kind::Heartbeat => MonitorKind::Heartbeat,
    }
}

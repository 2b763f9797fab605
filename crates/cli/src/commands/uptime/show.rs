//! `tose uptime` and `tose uptime checks`, and how a monitor is shown after a change.

use anyhow::Result;
use clap::Args;
use tose_api::client::{ChecksQuery, Paging};
use tose_api::uptime::{
    CheckView, IncidentView, MonitorKind, UptimeShares, UptimeStatus, UptimeView,
};

use super::Uptime;
use crate::error::Error;
use crate::output::{Output, Style};
use crate::span::Since;
use crate::text;

#[derive(Args)]
pub(super) struct ChecksArgs {
    /// From this time on: 30s, 10m, 2h, 1d or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Before this time, written like that of --since
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
    /// How many rows a page has, 1 to 50
    #[arg(long, default_value_t = Paging::DEFAULT_LIMIT)]
    limit: u32,
}

pub(super) async fn run(uptime: &Uptime<'_>) -> Result<()> {
    let found = uptime.get().await?;
    print(uptime, &found)?;
    if !found.enabled {
        let option = uptime.subject.option(uptime.ctx);
        uptime.ctx.output.note(&format!(
            "nobody checks it: have it checked with `tose uptime on{option}`"
        ));
    }
    Ok(())
}

/// Shows all there is to know of a monitor.
pub(super) fn print(uptime: &Uptime<'_>, found: &UptimeView) -> Result<()> {
    let output = &uptime.ctx.output;
    output.result(found, &details(output, uptime, found))
}

fn details(output: &Output, uptime: &Uptime<'_>, found: &UptimeView) -> String {
    let status = match found.enabled {
        true => output.paint(style(found.status), found.status.as_str()),
        false => output.paint(Style::Faint, "off"),
    };
    let mut head = format!("{}  {status}", uptime.subject);
    if let (true, Some(since)) = (found.enabled, found.since) {
        head.push_str(&format!(" since {}", text::time(since)));
    }
    let mut lines = vec![head];
    let mut tell = |name: &str, value: String| lines.push(format!("{name:<12}{value}"));
    if let Some(reason) = &found.reason {
        tell("reason", reason.clone());
    }
    tell("checked", checked(found));
    tell("good is", good(found));
    tell("told", told(found));
    if let Some(time) = found.last_checked_at {
        let mut last = text::time(time);
        if let Some(millis) = found.last_response_ms {
            last.push_str(&format!(", in {millis} ms"));
        }
        tell("last check", last);
    }
    if let Some(time) = found.last_heartbeat_at {
        tell("heartbeat", text::time(time));
    }
    if let Some(end) = found.certificate_expires_at {
        tell("certificate", format!("until {}", text::time(end)));
    }
    tell("uptime", shares(&found.uptime));
    if !found.incidents.is_empty() {
        let rows: Vec<_> = found.incidents.iter().map(incident).collect();
        let table = text::table(["DOWN FROM", "FOR", "REASON"], &rows);
        lines.push(String::new());
        lines.extend(table.lines().map(str::to_owned));
    }
    lines.join("\n")
}

fn style(status: UptimeStatus) -> Style {
    match status {
        UptimeStatus::Up => Style::Good,
        UptimeStatus::Down => Style::Bad,
        UptimeStatus::Unknown => Style::Busy,
        UptimeStatus::Paused => Style::Faint,
    }
}

fn checked(found: &UptimeView) -> String {
    let kind = text::word(&found.kind);
    let asked = match found.check_url.as_str() {
        "" => kind,
        url => format!("{kind} {url}"),
    };
    format!("{asked}, every {} s", found.check_interval_sec)
}

/// What makes an answer a good one, and how many have to fail.
fn good(found: &UptimeView) -> String {
    let mut parts = Vec::new();
    if found.kind == MonitorKind::Http {
        parts.push(found.expected_status.clone());
        let keyword = found.keyword.iter();
        parts.extend(keyword.map(|keyword| format!("with `{keyword}`")));
    }
    if found.kind == MonitorKind::Heartbeat {
        parts.push(format!("at most {} s late", found.heartbeat_grace_sec));
    } else {
        parts.push(format!("within {} ms", found.timeout_ms));
    }
    let failures = match found.failures_before_down {
        1 => "1 failure".to_owned(),
        failures => format!("{failures} failures"),
    };
    format!("{}; down after {failures}", parts.join(" "))
}

fn told(found: &UptimeView) -> String {
    let email = found.notify_email.clone();
    let told = email.into_iter().chain(found.discord_webhook_url.clone());
    let told: Vec<_> = told.collect();
    match told.is_empty() {
        true => "nobody".to_owned(),
        false => told.join(", "),
    }
}

fn shares(uptime: &UptimeShares) -> String {
    let share = |name: &str, share: &Option<String>| match share {
        Some(percent) => format!("{name} {percent} %"),
        None => format!("{name} -"),
    };
    let shares = [
        share("24 h", &uptime.h24),
        share("7 d", &uptime.d7),
        share("30 d", &uptime.d30),
        share("90 d", &uptime.d90),
    ];
    shares.join("   ")
}

fn incident(incident: &IncidentView) -> [String; 3] {
    let lasted = incident.ended_at.map(|end| end.since(incident.started_at));
    [
        text::time(incident.started_at),
        lasted.map_or_else(|| "goes on".to_owned(), text::span),
        text::first_line(&incident.reason, 60),
    ]
}

pub(super) async fn checks(uptime: &Uptime<'_>, args: &ChecksArgs) -> Result<()> {
    let paging = Paging::new(Some(args.page), Some(args.limit))
        .map_err(|parameter| Error::Usage(format!("--{parameter} is out of range")))?;
    let query = ChecksQuery {
        start: args.since.map(Since::time),
        end: args.until.map(Since::time),
    };
    let page = uptime.checks(query, paging).await?;
    let output = &uptime.ctx.output;
    let rows: Vec<_> = page.items.iter().map(row).collect();
    let heading = ["TIME", "RESULT", "STATUS", "TOOK", "REASON"];
    output.result(&page.items, &text::table(heading, &rows))?;
    if page.meta.has_more {
        let (all, next) = (page.meta.total, page.meta.page + 1);
        output.note(&format!("{all} in all; go on with --page {next}"));
    }
    Ok(())
}

fn row(check: &CheckView) -> [String; 5] {
    let mut result = if check.ok { "good" } else { "failed" }.to_owned();
    if check.maintenance {
        result.push_str(", in maintenance");
    }
    let status = check.status_code.map(|code| code.to_string());
    [
        text::time(check.time),
        result,
        status.unwrap_or_else(|| "-".to_owned()),
        format!("{} ms", check.response_ms),
        check.reason.clone().unwrap_or_default(),
    ]
}

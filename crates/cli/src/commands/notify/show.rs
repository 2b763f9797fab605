//! How channels and their messages are shown.

use anyhow::Result;
use tose_api::notification::{DeliveryState, NoticeDeliveryView, NotificationView};

use super::Notify;
use crate::list;
use crate::text;

pub(super) async fn list(notify: &Notify<'_>) -> Result<()> {
    let channels = notify.client.list_notifications(notify.workspace).await?;
    let rows: Vec<_> = channels.iter().map(row).collect();
    let heading = ["NAME", "KIND", "TO", "EVENTS", "PROJECTS", "LAST MESSAGE"];
    let output = &notify.ctx.output;
    output.result(&channels, &text::table(heading, &rows))?;
    for channel in &channels {
        let last = channel.last_delivery.as_ref();
        if let Some(reason) = last.and_then(|last| last.reason.as_ref()) {
            output.note(&format!("{}: {reason}", channel.name));
        }
    }
    if channels.is_empty() {
        output.note(
            "nobody is told of anything: `tose notify add NAME --email ADDRESS` changes that",
        );
    }
    Ok(())
}

fn row(channel: &NotificationView) -> [String; 6] {
    let count = |number: usize, thing: &str| match number {
        0 => "all".to_owned(),
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    };
    [
        channel.name.clone(),
        channel.kind.as_str().to_owned(),
        to(channel),
        match channel.enabled {
            true => count(channel.events.len(), "kind"),
            false => "off".to_owned(),
        },
        count(channel.projects.len(), "project"),
        last(channel),
    ]
}

/// Where a channel is, as far as that is shown.
fn to(channel: &NotificationView) -> String {
    let to = channel.email.as_ref().or(channel.url.as_ref());
    let to = to.or(channel.chat_id.as_ref());
    to.cloned().unwrap_or_else(|| "-".to_owned())
}

fn last(channel: &NotificationView) -> String {
    match &channel.last_delivery {
        Some(last) if last.ok => format!("taken {}", text::time(last.at)),
        Some(last) => format!("failed {}", text::time(last.at)),
        None => "-".to_owned(),
    }
}

/// Shows all there is to know of a channel.
pub(super) fn print(notify: &Notify<'_>, channel: &NotificationView) -> Result<()> {
    let state = if channel.enabled { "on" } else { "off" };
    let mut lines = vec![format!(
        "{}  {}  {state}",
        channel.name,
        channel.kind.as_str()
    )];
    let mut tell = |name: &str, value: String| lines.push(format!("{name:<10}{value}"));
    let events: Vec<_> = channel.events.iter().map(|event| event.as_str()).collect();
    tell("to", to(channel));
    tell("events", list::written(&events, "all"));
    tell("projects", list::written(&channel.projects, "all"));
    tell("last", last(channel));
    let reason = channel.last_delivery.as_ref();
    if let Some(reason) = reason.and_then(|last| last.reason.clone()) {
        tell("reason", reason);
    }
    if let Some(secret) = &channel.secret {
        tell("secret", secret.clone());
    }
    notify.ctx.output.result(channel, &lines.join("\n"))
}

pub(super) async fn deliveries(notify: &Notify<'_>, name: &str) -> Result<()> {
    let channel = notify.find(name).await?;
    let deliveries = notify
        .client
        .list_notification_deliveries(notify.workspace, channel.id)
        .await?;
    let rows: Vec<_> = deliveries.iter().map(delivery).collect();
    let heading = ["TIME", "EVENT", "OF", "STATE", "TRIES", "WHAT", "REASON"];
    let output = &notify.ctx.output;
    output.result(&deliveries, &text::table(heading, &rows))
}

fn delivery(delivery: &NoticeDeliveryView) -> [String; 7] {
    let project = delivery.project.as_ref().map(ToString::to_string);
    [
        text::time(delivery.at),
        delivery.event.as_str().to_owned(),
        project.unwrap_or_else(|| "-".to_owned()),
        match (delivery.state, delivery.next_at) {
            (DeliveryState::Waiting, Some(next)) => format!("until {}", text::time(next)),
            (state, _) => state.as_str().replace('_', " "),
        },
        delivery.attempts.to_string(),
        text::first_line(&delivery.title, 60),
        text::first_line(delivery.reason.as_deref().unwrap_or_default(), 60),
    ]
}

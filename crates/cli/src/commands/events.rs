//! `tose events`: who did what in the workspace.

use anyhow::Result;
use clap::Args;
use tose_api::client::{Client, Paging};
use tose_api::event::{EventView, Via};
use tose_api::{Slug, Timestamp};

use crate::context::Context;
use crate::error::Error;
use crate::span::Since;
use crate::text;

#[derive(Args)]
pub(crate) struct EventsArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
    /// How many rows a page has, 1 to 50
    #[arg(long, default_value_t = Paging::DEFAULT_LIMIT)]
    limit: u32,
    /// List all from this time on: 30s, 10m, 2h, 1d or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with_all = ["page", "limit"])]
    since: Option<Since>,
}

pub(crate) async fn run(ctx: &Context, args: EventsArgs) -> Result<()> {
    let paging = Paging::new(Some(args.page), Some(args.limit))
        .map_err(|parameter| Error::Usage(format!("--{parameter} is out of range")))?;
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    if let Some(since) = args.since {
        let events = all_since(&client, &workspace, since.time()).await?;
        return print(ctx, &events);
    }
    let page = client.list_events(&workspace, paging).await?;
    print(ctx, &page.items)?;
    if page.meta.has_more {
        let (all, next) = (page.meta.total, page.meta.page + 1);
        let note = format!("{all} in all; go on with --page {next}");
        ctx.output.note(&note);
    }
    Ok(())
}

/// All events from a time on. They come newest first, so the first older one ends the search.
async fn all_since(client: &Client, workspace: &Slug, since: Timestamp) -> Result<Vec<EventView>> {
    let mut found: Vec<EventView> = Vec::new();
    for number in 1..=Paging::MAX_PAGE {
        let paging = Paging::new(Some(number), Some(Paging::MAX_LIMIT)).expect("within the limits");
        let page = client.list_events(workspace, paging).await?;
        let is_last = page.items.iter().any(|event| event.created_at < since);
        for event in page.items {
            // What happens meanwhile pushes events that were seen to the next page.
            let is_new = found.iter().all(|seen| seen.id != event.id);
            if event.created_at >= since && is_new {
                found.push(event);
            }
        }
        if is_last || !page.meta.has_more {
            break;
        }
    }
    Ok(found)
}

fn print(ctx: &Context, events: &[EventView]) -> Result<()> {
    let rows: Vec<_> = events.iter().map(row).collect();
    let heading = ["TIME", "WHO", "WHAT", "OF", "VIA", "FROM"];
    ctx.output.result(&events, &text::table(heading, &rows))
}

fn row(event: &EventView) -> [String; 6] {
    let dash = || "-".to_owned();
    [
        text::time(event.created_at),
        event.actor.clone(),
        event.action.clone(),
        text::first_line(&event.target, 60),
        event.via.map_or_else(dash, |via| via_word(via).to_owned()),
        event.ip.clone().unwrap_or_else(dash),
    ]
}

fn via_word(via: Via) -> &'static str {
    match via {
        Via::ApiKey => "API key",
        Via::Session => "login",
        Via::Hook => "deploy hook",
        Via::System => "the platform",
    }
}

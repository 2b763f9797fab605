//! `tose metrics`: what a project or a database used and served over time.
//!
//! On a terminal these are plots, elsewhere a table with a row for each point.

mod series;
mod show;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::time::{MissedTickBehavior, interval};
use tose_api::client::{self, Client, MetricsQuery};
use tose_api::metrics::MetricsView;

use crate::context::Context;
use crate::error::Error;
use crate::span::{Seconds, Since};
use crate::subject::{Subject, SubjectArgs};
use crate::wait::Patience;
use series::{Metric, Series};

/// What takes a frame's place: to the first cell, and nothing behind it.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

#[derive(Args)]
pub(crate) struct MetricsArgs {
    /// From this time on: 30s, 10m, 2h, 1d or 2026-01-31T08:00:00Z; otherwise the last hour
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Before this time, written like that of --since; otherwise up to now
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// What a point stands for, 10s or more: 30s, 10m, 2h or 1d; otherwise such that there are about 120
    #[arg(long, value_name = "DURATION")]
    step: Option<Seconds>,
    /// Show only these, such as cpu,p99
    #[arg(long, value_enum, value_name = "METRIC", value_delimiter = ',')]
    only: Vec<Metric>,
    /// Show it again every 10 seconds, or as often as said, until Ctrl-C
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10s", conflicts_with = "until")]
    watch: Option<Seconds>,
    #[command(flatten)]
    subject: SubjectArgs,
}

pub(crate) async fn run(ctx: &Context, args: MetricsArgs) -> Result<()> {
    if args.watch.is_some() && !ctx.output.draws() {
        let problem = "--watch needs a terminal: leave it out for a table, or for --json";
        return Err(Error::Usage(problem.to_owned()).into());
    }
    let client = ctx.client()?;
    let subject = args.subject.subject(ctx, &client).await?;
    let series = series::choose(&args.only, subject.is_database());
    if series.is_empty() {
        let problem =
            "a database has cpu, memory, received, sent, disk and restarts: name some of them";
        return Err(Error::Usage(problem.to_owned()).into());
    }
    match args.watch {
        Some(pause) => watch(ctx, &client, &subject, &args, &series, pause).await,
        None => {
            let found = fetch(&client, &subject, &args).await?;
            print(ctx, &subject, &series, &found)
        }
    }
}

async fn fetch(
    client: &Client,
    subject: &Subject,
    args: &MetricsArgs,
) -> client::Result<MetricsView> {
    let query = MetricsQuery {
        start: args.since.map(Since::time),
        end: args.until.map(Since::time),
        step: args.step.map(|step| step.0),
    };
    let (workspace, slug) = (subject.workspace(), subject.slug());
    match subject.is_database() {
        true => client.get_database_metrics(workspace, slug, query).await,
        false => client.get_metrics(workspace, slug, query).await,
    }
}

fn print(ctx: &Context, subject: &Subject, series: &[&Series], found: &MetricsView) -> Result<()> {
    let output = &ctx.output;
    let text = match output.draws() {
        true => show::plots(output, subject, series, found),
        false => show::table(series, found),
    };
    output.result(found, &text)?;
    if found.points.is_empty() {
        output.note(&format!("nothing was measured of {subject} in this time"));
    }
    Ok(())
}

/// Shows it again and again, in the place of what was shown before. Ctrl-C ends the process, as there is nothing to
/// put back.
async fn watch(
    ctx: &Context,
    client: &Client,
    subject: &Subject,
    args: &MetricsArgs,
    series: &[&Series],
    pause: Seconds,
) -> Result<()> {
    let pause = Duration::from_secs(u64::from(pause.0.max(1)));
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut patience = Patience::default();
    loop {
        ticks.tick().await;
        let answer = fetch(client, subject, args).await;
        let Some(found) = patience.pass(&ctx.output, answer)? else {
            continue;
        };
        ctx.output.raw(CLEAR)?;
        print(ctx, subject, series, &found)?;
    }
}

//! `tose autoscale`: how the project gets more or fewer replicas by itself.

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::autoscaling::{AutoscalingLoad, AutoscalingView, SetAutoscaling};
use tose_api::client::Client;
use tose_api::quantity::thousandths;

use crate::context::{Context, Target};
use crate::output::{Output, Style};
use crate::text;

#[derive(Args)]
pub(crate) struct AutoscaleArgs {
    #[command(subcommand)]
    command: Option<AutoscaleCommand>,
}

#[derive(Subcommand)]
enum AutoscaleCommand {
    /// Show what was set, what it sees and what it did last; so does `tose autoscale` alone
    Show,
    /// Have replicas come and go by themselves from now on, or change by what
    On(OnArgs),
    /// Have replicas come and go no more; those that run stay, and what was set is kept
    Off,
}

#[derive(Args)]
struct OnArgs {
    /// The fewest replicas
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// The most replicas
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How much of its CPU limit a replica is to use, 1 to 100; 0 takes the target away
    #[arg(long, value_name = "PERCENT")]
    cpu: Option<u32>,
    /// How many requests a second a replica is to answer; 0 takes the target away
    #[arg(long, value_name = "N")]
    rps: Option<u32>,
}

pub(crate) async fn run(ctx: &Context, args: AutoscaleArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(AutoscaleCommand::Show) {
        AutoscaleCommand::Show => show(ctx, client, target).await,
        AutoscaleCommand::On(args) => on(ctx, client, target, &args).await,
        AutoscaleCommand::Off => off(ctx, client, target).await,
    }
}

async fn show(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let found = client
        .get_autoscaling(&target.workspace, &target.project)
        .await?;
    print(&ctx.output, target, &found)?;
    if !found.enabled {
        let option = ctx.project_option(target);
        ctx.output.note(&format!(
            "switch it on with `tose autoscale on{option} --max 3 --cpu 70`"
        ));
    }
    Ok(())
}

async fn on(ctx: &Context, client: &Client, target: &Target, args: &OnArgs) -> Result<()> {
    // No target of 0 means anything, so that it can stand for none.
    let wanted = |number: u32| Some(number).filter(|number| *number > 0);
    let body = SetAutoscaling {
        enabled: Some(true),
        min_replicas: args.min,
        max_replicas: args.max,
        target_cpu_percent: args.cpu.map(wanted),
        target_requests_per_second: args.rps.map(wanted),
    };
    let set = client
        .set_autoscaling(&target.workspace, &target.project, &body)
        .await?;
    print(&ctx.output, target, &set)
}

async fn off(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let body = SetAutoscaling {
        enabled: Some(false),
        ..SetAutoscaling::default()
    };
    let set = client
        .set_autoscaling(&target.workspace, &target.project, &body)
        .await?;
    let stay = replicas(set.replicas);
    let text = format!("{target} is scaled by hand only, and stays at {stay}");
    ctx.output.result(&set, &text)
}

fn print(output: &Output, target: &Target, found: &AutoscalingView) -> Result<()> {
    output.result(found, &details(output, target, found))
}

fn details(output: &Output, target: &Target, found: &AutoscalingView) -> String {
    let status = match found.enabled {
        true => output.paint(Style::Good, "on"),
        false => output.paint(Style::Faint, "off"),
    };
    let mut lines = vec![format!(
        "{target}  {status}  {}, {} to {}",
        replicas(found.replicas),
        found.min_replicas,
        found.max_replicas
    )];
    let mut tell = |name: &str, value: String| lines.push(format!("{name:<12}{value}"));
    tell("targets", targets(found));
    if let Some(load) = &found.load {
        tell("load", seen(load, found.replicas));
    }
    if let Some(waiting) = &found.waiting {
        tell("waiting", waiting.clone());
    }
    if let Some(refused) = &found.refused {
        let (since, wanted) = (text::time(refused.since), replicas(refused.wanted));
        let problem = format!("{wanted} since {since}: {}", refused.reason);
        tell("cannot have", problem);
    }
    if let Some(last) = &found.last_scaled {
        let (at, reason) = (text::time(last.at), &last.reason);
        tell(
            "last",
            format!("{at}  {} -> {}, {reason}", last.from, last.to),
        );
    }
    lines.join("\n")
}

fn replicas(count: u32) -> String {
    match count {
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    }
}

fn targets(found: &AutoscalingView) -> String {
    let cpu = found.target_cpu_percent;
    let cpu = cpu.map(|percent| format!("{percent} % of the CPU limit"));
    let requests = found.target_requests_per_second;
    let requests = requests.map(|requests| format!("{requests} requests a second"));
    let targets: Vec<_> = cpu.into_iter().chain(requests).collect();
    match targets.is_empty() {
        true => "none".to_owned(),
        false => format!("{} each", targets.join(", ")),
    }
}

fn seen(load: &AutoscalingLoad, there: u32) -> String {
    let cpu = load.cpu_percent;
    let cpu = cpu.map(|percent| format!("{percent} % of the CPU limit"));
    let requests = load.requests_per_second_milli;
    let requests = requests.map(|milli| format!("{} requests a second in all", thousandths(milli)));
    let wanted =
        (load.wanted != there).then(|| format!("which asks for {}", replicas(load.wanted)));
    let parts: Vec<_> = cpu.into_iter().chain(requests).chain(wanted).collect();
    parts.join(", ")
}

//! `tose alert`: rules about what projects use and serve.

use std::str::FromStr;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use tose_api::Slug;
use tose_api::alert::{
    AlertComparison, AlertMetric, AlertProjectState, AlertState, AlertView, CreateAlert,
    MetricValue, UpdateAlert,
};
use tose_api::client::Client;

use crate::context::Context;
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct AlertArgs {
    #[command(subcommand)]
    command: Option<AlertCommand>,
}

#[derive(Subcommand)]
enum AlertCommand {
    /// List the workspace's rules and for what they fire; so does `tose alert` alone
    List,
    /// Have the workspace's channels told when something is too much or too little for a while
    Add(AddArgs),
    /// Show a rule and how it stands for each project
    Show(NameArgs),
    /// Change a rule; what fires is forgotten, unless only the name is changed
    Edit(EditArgs),
    /// Remove a rule
    Remove(NameArgs),
}

#[derive(Args)]
struct AddArgs {
    /// Its name
    name: Slug,
    /// What is looked at: cpu_percent, memory_percent, requests_per_second, error_percent, p95_ms, restarts or disk_bytes
    metric: Metric,
    /// On which side of the threshold there is something to tell
    #[arg(value_enum)]
    comparison: Comparison,
    /// The threshold, in the metric's unit
    threshold: MetricValue,
    /// For how many minutes it has to be so; for restarts, within how many they are counted
    #[arg(long = "for", value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: u32,
    /// Look at everything in the workspace, and not at one project or database
    #[arg(long, conflicts_with = "project")]
    all: bool,
    /// Do not look at it so far
    #[arg(long)]
    off: bool,
}

#[derive(Args)]
struct EditArgs {
    #[command(flatten)]
    alert: NameArgs,
    /// Another name
    #[arg(long = "name", value_name = "NAME")]
    new_name: Option<Slug>,
    /// Look at something else
    #[arg(long, value_name = "METRIC")]
    metric: Option<Metric>,
    /// Another side of the threshold
    #[arg(long, value_enum, value_name = "SIDE")]
    comparison: Option<Comparison>,
    /// Another threshold
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<MetricValue>,
    /// Another number of minutes
    #[arg(long = "for", value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: Option<u32>,
    /// Look at everything in the workspace; --project looks at one project or database
    #[arg(long, conflicts_with = "project")]
    all: bool,
    /// Look at it, or not for the time being
    #[arg(long, value_enum, value_name = "STATE")]
    enabled: Option<Switch>,
}

#[derive(Args)]
struct NameArgs {
    /// Its name or its id, as `tose alert` has them
    alert: String,
}

/// What is looked at, as it is typed: with dashes too.
#[derive(Debug, Clone, Copy)]
struct Metric(AlertMetric);

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.replace('-', "_");
        let mut all = AlertMetric::ALL.iter().copied();
        let found = all.find(|metric| metric.as_str() == word);
        found.map(Self).ok_or_else(|| {
            let known: Vec<_> = AlertMetric::ALL
                .iter()
                .map(|metric| metric.as_str())
                .collect();
            format!("there are {}", known.join(", "))
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Comparison {
    Above,
    Below,
}

impl From<Comparison> for AlertComparison {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Above => Self::Above,
            Comparison::Below => Self::Below,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What each of these commands needs.
struct Alerts<'a> {
    ctx: &'a Context,
    client: &'a Client,
    workspace: &'a Slug,
}

impl Alerts<'_> {
    async fn find(&self, name: &str) -> Result<AlertView> {
        let alerts = self.client.list_alerts(self.workspace).await?;
        let is_meant =
            |alert: &AlertView| alert.name.as_str() == name || alert.id.to_string() == name;
        let missing = || Error::Missing {
            what: format!("alert rule `{name}`"),
            list: "tose alert",
        };
        Ok(alerts.into_iter().find(is_meant).ok_or_else(missing)?)
    }
}

pub(crate) async fn run(ctx: &Context, args: AlertArgs) -> Result<()> {
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    let alerts = &Alerts {
        ctx,
        client,
        workspace,
    };
    match args.command.unwrap_or(AlertCommand::List) {
        AlertCommand::List => list(alerts).await,
        AlertCommand::Add(args) => add(alerts, args).await,
        AlertCommand::Show(args) => show(alerts, &args.alert).await,
        AlertCommand::Edit(args) => edit(alerts, args).await,
        AlertCommand::Remove(args) => remove(alerts, &args.alert).await,
    }
}

async fn list(alerts: &Alerts<'_>) -> Result<()> {
    let listed = alerts.client.list_alerts(alerts.workspace).await?;
    let rows: Vec<_> = listed.iter().map(row).collect();
    let heading = ["NAME", "RULE", "OF", "STATE"];
    let output = &alerts.ctx.output;
    output.result(&listed, &text::table(heading, &rows))?;
    if listed.is_empty() {
        output.note("there is no rule: `tose alert add busy cpu_percent above 90` makes one");
    }
    Ok(())
}

fn row(alert: &AlertView) -> [String; 4] {
    [
        alert.name.to_string(),
        words(alert),
        of(alert),
        match (alert.enabled, alert.firing) {
            (false, _) => "off".to_owned(),
            (true, 0) => "ok".to_owned(),
            (true, 1) if alert.project.is_some() => "firing".to_owned(),
            (true, firing) => format!("firing for {firing}"),
        },
    ]
}

/// What a rule says.
fn words(alert: &AlertView) -> String {
    let during = match alert.metric {
        AlertMetric::Restarts => "within",
        _ => "for",
    };
    format!(
        "{} {} {} {during} {} min",
        alert.metric.as_str(),
        alert.comparison.as_str(),
        alert.threshold,
        alert.window_seconds / 60
    )
}

fn of(alert: &AlertView) -> String {
    let project = alert.project.as_ref().map(ToString::to_string);
    project.unwrap_or_else(|| "all".to_owned())
}

async fn add(alerts: &Alerts<'_>, args: AddArgs) -> Result<()> {
    let project = match args.all {
        true => None,
        false => Some(alerts.ctx.target(alerts.client).await?.project),
    };
    let body = CreateAlert {
        name: args.name,
        metric: args.metric.0,
        comparison: args.comparison.into(),
        threshold: args.threshold,
        window_seconds: args.minutes * 60,
        project,
        enabled: args.off.then_some(false),
    };
    let alert = alerts.client.create_alert(alerts.workspace, &body).await?;
    print(alerts, &alert)
}

async fn show(alerts: &Alerts<'_>, name: &str) -> Result<()> {
    let alert = alerts.find(name).await?;
    print(alerts, &alert)
}

/// Shows all there is to know of a rule.
fn print(alerts: &Alerts<'_>, alert: &AlertView) -> Result<()> {
    let state = if alert.enabled { "on" } else { "off" };
    let mut lines = vec![
        format!("{}  {}  {state}", alert.name, words(alert)),
        format!("of  {}", of(alert)),
    ];
    if !alert.states.is_empty() {
        let rows: Vec<_> = alert.states.iter().map(state_row).collect();
        let heading = ["PROJECT", "STATE", "SINCE", "VALUE"];
        lines.push(text::table(heading, &rows));
    }
    alerts.ctx.output.result(alert, &lines.join("\n"))
}

fn state_row(state: &AlertProjectState) -> [String; 4] {
    let value = state.value.map(|value| value.to_string());
    let word = match state.state {
        AlertState::Ok => "ok",
        AlertState::Firing => "firing",
        AlertState::Unknown => "unknown",
    };
    [
        state.project.to_string(),
        word.to_owned(),
        text::optional_time(state.since),
        value.unwrap_or_else(|| "-".to_owned()),
    ]
}

async fn edit(alerts: &Alerts<'_>, args: EditArgs) -> Result<()> {
    let project = match args.all {
        true => Some(None),
        false => alerts.ctx.project.clone().map(Some),
    };
    let body = UpdateAlert {
        name: args.new_name,
        metric: args.metric.map(|metric| metric.0),
        comparison: args.comparison.map(AlertComparison::from),
        threshold: args.threshold,
        window_seconds: args.minutes.map(|minutes| minutes * 60),
        project,
        enabled: args.enabled.map(|state| state == Switch::On),
    };
    if body == UpdateAlert::default() {
        let problem = "nothing is to be changed: say what, see `tose alert edit --help`";
        return Err(Error::Usage(problem.to_owned()).into());
    }
    let alert = alerts.find(&args.alert.alert).await?;
    let alert = alerts
        .client
        .update_alert(alerts.workspace, alert.id, &body)
        .await?;
    print(alerts, &alert)
}

async fn remove(alerts: &Alerts<'_>, name: &str) -> Result<()> {
    let alert = alerts.find(name).await?;
    let deleted = alerts
        .client
        .delete_alert(alerts.workspace, alert.id)
        .await?;
    let text = format!("nobody is told of {} any more", alert.name);
    alerts.ctx.output.result(&deleted, &text)
}

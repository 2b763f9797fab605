//! `tose maintenance`: times in which failures are expected.

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::maintenance::{
    CreateMaintenance, MaintenanceRepeat, MaintenanceTime, MaintenanceView,
};
use tose_api::{Slug, Timestamp};

use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::list;
use crate::span::{Seconds, When};
use crate::text;

#[derive(Args)]
pub(crate) struct MaintenanceArgs {
    #[command(subcommand)]
    command: Option<MaintenanceCommand>,
}

#[derive(Subcommand)]
enum MaintenanceCommand {
    /// List them: those of each week, then the latest first; so does `tose maintenance` alone
    List,
    /// Say when failures are expected: they count for nothing then, and nobody is told of them
    Add(AddArgs),
    /// Expect no failures any more
    Remove(RemoveArgs),
}

#[derive(Args)]
struct AddArgs {
    /// What it is, such as 'A larger disk'; a public status page shows it
    title: String,
    /// When it begins: 2026-01-31T22:00:00Z, +2h or 'in 2h'; otherwise now
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    #[command(flatten)]
    end: EndArgs,
    /// Have it again each week at the same time in UTC, until it is removed; it takes less than a week
    #[arg(long)]
    weekly: bool,
    /// Of which projects, instances and databases: their slugs with commas between them; otherwise all of the workspace
    #[arg(long, value_name = "SLUGS", value_delimiter = ',')]
    projects: Vec<Slug>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct EndArgs {
    /// When it ends, written like the time of --from
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// How long it takes: 30m, 2h or 1d
    #[arg(long = "for", value_name = "DURATION")]
    span: Option<Seconds>,
}

#[derive(Args)]
struct RemoveArgs {
    /// Its id, or its title where only one has it, as `tose maintenance` lists them
    which: String,
}

pub(crate) async fn run(ctx: &Context, args: MaintenanceArgs) -> Result<()> {
    match args.command.unwrap_or(MaintenanceCommand::List) {
        MaintenanceCommand::List => list(ctx).await,
        MaintenanceCommand::Add(args) => add(ctx, args).await,
        MaintenanceCommand::Remove(args) => remove(ctx, &args.which).await,
    }
}

async fn list(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    let found = client.list_maintenances(&workspace).await?;
    let now = clock::now();
    let rows: Vec<_> = found.iter().map(|one| row(one, now)).collect();
    let heading = ["ID", "STATE", "FROM", "UNTIL", "REPEAT", "OF", "TITLE"];
    ctx.output.result(&found, &text::table(heading, &rows))?;
    if found.is_empty() {
        ctx.output
            .note("none is planned: `tose maintenance add TITLE --for 1h` begins one");
    }
    Ok(())
}

fn row(one: &MaintenanceView, now: Timestamp) -> [String; 7] {
    let time = shown_time(one);
    [
        one.id.to_string(),
        state(time, now).to_owned(),
        text::time(time.starts_at),
        text::time(time.ends_at),
        one.repeat.map_or("-", MaintenanceRepeat::as_str).to_owned(),
        of(one),
        text::first_line(&one.title, 60),
    ]
}

/// The time that is under way or comes next, or the only one that there was.
fn shown_time(one: &MaintenanceView) -> MaintenanceTime {
    one.next.unwrap_or(MaintenanceTime {
        starts_at: one.starts_at,
        ends_at: one.ends_at,
    })
}

fn state(time: MaintenanceTime, now: Timestamp) -> &'static str {
    match (time.starts_at <= now, time.ends_at <= now) {
        (_, true) => "over",
        (true, false) => "under way",
        (false, false) => "planned",
    }
}

fn of(one: &MaintenanceView) -> String {
    match &one.projects {
        None => "all".to_owned(),
        Some(projects) => list::written(projects, "nothing"),
    }
}

async fn add(ctx: &Context, args: AddArgs) -> Result<()> {
    let body = planned(ctx, args, clock::now())?;
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    let made = client.create_maintenance(&workspace, &body).await?;
    let whose = match &made.projects {
        None => format!("all of {workspace}"),
        Some(projects) => list::written(projects, "nothing"),
    };
    let time = shown_time(&made);
    let (from, until) = (text::time(time.starts_at), text::time(time.ends_at));
    let again = match made.repeat {
        Some(MaintenanceRepeat::Weekly) => ", and so each week",
        None => "",
    };
    let text = format!("failures of {whose} count for nothing from {from} to {until}{again}");
    ctx.output.result(&made, &text)?;
    let id = made.id;
    ctx.output
        .note(&format!("end it with: tose maintenance remove {id}"));
    Ok(())
}

/// What is asked for, as seen from now, to the second: so it is what is shown.
fn planned(ctx: &Context, args: AddArgs, now: Timestamp) -> Result<CreateMaintenance> {
    const SECOND: i64 = 1_000_000_000;
    let now = Timestamp::from_nanos(now.as_nanos().div_euclid(SECOND) * SECOND);
    let starts_at = args.from.map_or(now, |from| from.time(now));
    let ends_at = match (args.end.until, args.end.span) {
        (Some(until), _) => until.time(now),
        (None, Some(span)) => starts_at.saturating_add(span.duration()),
        (None, None) => starts_at,
    };
    if ends_at <= starts_at {
        let (from, until) = (text::time(starts_at), text::time(ends_at));
        let problem = format!(
            "it would end at {until}, and begin no earlier than {from}: give a later --until, or how long it takes with --for"
        );
        return Err(Error::Usage(problem).into());
    }
    // Of one that repeats, the first time may be long ago.
    if ends_at <= now && !args.weekly {
        let problem = format!(
            "it would have ended at {} already: give times that are to come",
            text::time(ends_at)
        );
        return Err(Error::Usage(problem).into());
    }
    let mut projects = args.projects;
    // Whoever names one project does not mean all of the workspace.
    projects.extend(ctx.project.clone());
    Ok(CreateMaintenance {
        title: args.title,
        starts_at,
        ends_at,
        repeat: args.weekly.then_some(MaintenanceRepeat::Weekly),
        projects: (!projects.is_empty()).then_some(projects),
    })
}

async fn remove(ctx: &Context, which: &str) -> Result<()> {
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    let known = client.list_maintenances(&workspace).await?;
    let one = find(&known, which)?;
    let deleted = client.delete_maintenance(&workspace, one.id).await?;
    let text = format!("the maintenance `{}` is planned no more", one.title);
    ctx.output.result(&deleted, &text)
}

/// The one that is meant; what fits several is refused.
fn find<'a>(known: &'a [MaintenanceView], which: &str) -> Result<&'a MaintenanceView, Error> {
    let is_meant = |one: &&MaintenanceView| one.id.to_string() == which || one.title == which;
    let mut fitting = known.iter().filter(is_meant);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Error::Usage(format!(
            "`{which}` is the title of several: name one by its id, which `tose maintenance` lists"
        ))),
        (None, _) => Err(Error::Missing {
            what: format!("maintenance `{which}`"),
            list: "tose maintenance",
        }),
    }
}

//! `tose schedules`: commands that run again and again.

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::schedule::{ScheduleView, SetSchedule};

use crate::context::{Context, Target};
use crate::text;

#[derive(Args)]
pub(crate) struct SchedulesArgs {
    #[command(subcommand)]
    command: Option<SchedulesCommand>,
}

#[derive(Subcommand)]
enum SchedulesCommand {
    /// List them with what became of their newest runs; so does `tose schedules` alone
    List,
    /// Run a command at the times that a cron expression names
    Set(SetArgs),
    /// Forget a schedule; its jobs stay
    Remove(RemoveArgs),
}

#[derive(Args)]
struct SetArgs {
    /// Its name; a schedule with this name is replaced
    name: Slug,
    /// Minute, hour, day of the month, month and day of the week, such as '30 3 * * *'
    #[arg(long, value_name = "EXPRESSION")]
    cron: String,
    /// Whose clock that is, such as Asia/Ho_Chi_Minh; otherwise UTC
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// How many seconds a run may take, 1 to 86400; otherwise 3600
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: Option<u32>,
    /// Keep it without running it
    #[arg(long)]
    off: bool,
    /// The program and its arguments; no shell reads them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
struct RemoveArgs {
    /// Its name
    name: Slug,
}

pub(crate) async fn run(ctx: &Context, args: SchedulesArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(SchedulesCommand::List) {
        SchedulesCommand::List => list(ctx, client, target).await,
        SchedulesCommand::Set(args) => set(ctx, client, target, args).await,
        SchedulesCommand::Remove(args) => {
            let deleted = client
                .delete_schedule(&target.workspace, &target.project, &args.name)
                .await?;
            let text = format!("{} does not run any more", args.name);
            ctx.output.result(&deleted, &text)
        }
    }
}

async fn list(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let schedules = client
        .list_schedules(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = schedules.iter().map(row).collect();
    let heading = ["NAME", "CRON", "ZONE", "NEXT", "LAST", "COMMAND"];
    ctx.output
        .result(&schedules, &text::table(heading, &rows))?;
    for schedule in &schedules {
        if let Some(skip) = &schedule.last_skip {
            let due_at = text::time(skip.due_at);
            let text = format!("{} did not run at {due_at}: {}", schedule.name, skip.reason);
            ctx.output.note(&text);
        }
    }
    Ok(())
}

async fn set(ctx: &Context, client: &Client, target: &Target, args: SetArgs) -> Result<()> {
    let body = SetSchedule {
        cron: args.cron,
        timezone: args.timezone,
        command: args.command,
        timeout_seconds: args.timeout,
        enabled: args.off.then_some(false),
    };
    let schedule = client
        .set_schedule(&target.workspace, &target.project, &args.name, &body)
        .await?;
    let text = match schedule.next_at {
        Some(at) => format!("{} runs next at {}", schedule.name, text::time(at)),
        None => format!("{} is kept and does not run", schedule.name),
    };
    ctx.output.result(&schedule, &text)
}

fn row(schedule: &ScheduleView) -> [String; 6] {
    let job = schedule.last_job.as_ref();
    [
        schedule.name.to_string(),
        schedule.cron.clone(),
        schedule.timezone.clone(),
        schedule
            .next_at
            .map_or_else(|| "off".to_owned(), text::time),
        job.map(|job| format!("{} {}", job.status.as_str(), job.id))
            .unwrap_or_default(),
        text::first_line(&schedule.command.join(" "), 60),
    ]
}

//! `tose run` and `tose jobs`: commands that run once, each in a container of its own.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use tokio::time::{MissedTickBehavior, interval};
use tose_api::JobId;
use tose_api::client::{Client, Paging};
use tose_api::job::{CreateJob, JobStatus, JobView};
use tose_api::log::{LogLineView, LogSource};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::text;

/// How often a job is asked how far it is.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The code of a job that did not end by itself.
const NO_EXIT_CODE: i64 = 1;

#[derive(Args)]
pub(crate) struct RunArgs {
    /// How many seconds it may take, 1 to 86400; otherwise 3600
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: Option<u32>,
    /// Return at once instead of following it
    #[arg(long)]
    detach: bool,
    /// The program and its arguments; no shell reads them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    command: Option<JobsCommand>,
}

#[derive(Subcommand)]
enum JobsCommand {
    /// List the newest jobs; so does `tose jobs` alone
    List,
    /// Show what a job wrote
    Logs(JobArgs),
    /// Call a job off
    Stop(JobArgs),
}

#[derive(Args)]
struct JobArgs {
    /// Its id
    job: JobId,
}

/// Runs a command to its end, with its output as it comes and its exit code as ours.
pub(crate) async fn run(ctx: &Context, args: RunArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let body = CreateJob {
        command: args.command,
        timeout_seconds: args.timeout,
    };
    let job = client
        .create_job(&target.workspace, &target.project, &body)
        .await?;
    if args.detach {
        return ctx.output.result(&job, &job.id.to_string());
    }
    ctx.output
        .note(&format!("job {} goes on if this is interrupted", job.id));
    let job = follow(ctx, &client, &target, job.id).await?;
    if ctx.output.is_json() {
        ctx.output.result(&job, "")?;
    }
    if let Some(error) = &job.error {
        ctx.output.warn(error);
    }
    match (job.status, job.exit_code) {
        (JobStatus::Succeeded, _) => Ok(()),
        (_, code) => Err(Error::CommandEnded {
            code: code.unwrap_or(NO_EXIT_CODE),
        }
        .into()),
    }
}

/// Prints what a job writes until it has ended.
async fn follow(ctx: &Context, client: &Client, target: &Target, id: JobId) -> Result<JobView> {
    let (workspace, project) = (&target.workspace, &target.project);
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut after = None;
    loop {
        ticks.tick().await;
        // Asked first: of a job that has ended now all lines are there.
        let job = client.get_job(workspace, project, id).await?;
        loop {
            let log = client.get_job_log(workspace, project, id, after).await?;
            if log.lines.is_empty() {
                break;
            }
            after = log.next;
            if !ctx.output.is_json() {
                pass_on(ctx, &log.lines)?;
            }
        }
        if !job.status.is_open() {
            return Ok(job);
        }
    }
}

fn pass_on(ctx: &Context, lines: &[LogLineView]) -> Result<()> {
    for line in lines {
        let text = format!("{}\n", line.message);
        match line.stream {
            LogSource::Stderr => ctx.output.pass_on("", &text)?,
            _ => ctx.output.pass_on(&text, "")?,
        }
    }
    Ok(())
}

pub(crate) async fn manage(ctx: &Context, args: JobsArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    let (workspace, project) = (&target.workspace, &target.project);
    match args.command.unwrap_or(JobsCommand::List) {
        JobsCommand::List => list(ctx, client, target).await,
        JobsCommand::Logs(args) => {
            let log = client
                .get_job_log(workspace, project, args.job, None)
                .await?;
            match ctx.output.is_json() {
                true => ctx.output.result(&log.lines, ""),
                false => pass_on(ctx, &log.lines),
            }
        }
        JobsCommand::Stop(args) => {
            let job = client.stop_job(workspace, project, args.job).await?;
            let text = format!("job {} was asked to end", job.id);
            ctx.output.result(&job, &text)
        }
    }
}

async fn list(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let paging = Paging::new(None, None).expect("the defaults are within the limits");
    let page = client
        .list_jobs(&target.workspace, &target.project, paging)
        .await?;
    let rows: Vec<_> = page.items.iter().map(row).collect();
    let heading = ["ID", "STATUS", "EXIT CODE", "CREATED", "COMMAND"];
    ctx.output.result(&page.items, &text::table(heading, &rows))
}

fn row(job: &JobView) -> [String; 5] {
    [
        job.id.to_string(),
        job.status.as_str().to_owned(),
        job.exit_code
            .map(|code| code.to_string())
            .unwrap_or_default(),
        text::time(job.created_at),
        text::first_line(&job.command.join(" "), 60),
    ]
}

//! `tose exec`: a command inside a running replica.

mod session;

use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::Args;
use tose_api::client::{Client, ExecQuery, ExecStream};
use tose_api::exec::{Exec, ExecResult};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::terminal;

/// The code of a command that did not end in time, as the tool `timeout` has it.
const TIMED_OUT: i64 = 124;

#[derive(Args)]
pub(crate) struct ExecArgs {
    /// Which replica, by its name; otherwise the first that runs
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
    /// How many seconds to wait for its end, 1 to 50; otherwise 30
    #[arg(
        long,
        value_name = "SECONDS",
        conflicts_with = "tty",
        value_parser = clap::value_parser!(u32).range(1..=50)
    )]
    timeout: Option<u32>,
    /// Run it in this terminal, with what is typed as its input; a shell if nothing is given
    #[arg(long, short)]
    tty: bool,
    /// The program and its arguments; no shell reads them
    #[arg(last = true, required_unless_present = "tty", value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(ctx: &Context, args: ExecArgs) -> Result<()> {
    if args.tty {
        check_terminal(ctx)?;
    }
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let code = match args.tty {
        true => attach(ctx, &client, &target, args).await?,
        false => call(ctx, &client, &target, args).await?,
    };
    end(code)
}

/// Ends as the command did.
fn end(code: i64) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Error::CommandEnded { code }.into()),
    }
}

/// Whether there is a terminal that a command can have.
pub(super) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Gives this terminal to a command until that ends, and ends as it does.
pub(super) async fn hand_over(ctx: &Context, stream: ExecStream) -> Result<()> {
    end(session::run(ctx, stream).await?)
}

fn check_terminal(ctx: &Context) -> Result<()> {
    let problem = if ctx.output.is_json() {
        "--json and --tty do not go together: leave one of them out"
    } else if !has_terminal() {
        "--tty needs a terminal on stdin and stdout: leave it out here"
    } else {
        return Ok(());
    };
    Err(Error::Usage(problem.to_owned()).into())
}

/// Runs the command to its end, then prints what it wrote.
async fn call(ctx: &Context, client: &Client, target: &Target, args: ExecArgs) -> Result<i64> {
    let body = Exec {
        command: args.command,
        stdin: None,
        pod: args.pod,
        timeout_seconds: args.timeout,
    };
    let result = client
        .exec(&target.workspace, &target.project, &body)
        .await?;
    match ctx.output.is_json() {
        true => ctx.output.result(&result, "")?,
        false => print(ctx, &result)?,
    }
    if result.timed_out {
        ctx.output.warn(
            "it was still running when the time was over, and may go on: wait longer with --timeout, or run it with --tty",
        );
    }
    Ok(result.exit_code.unwrap_or(TIMED_OUT))
}

fn print(ctx: &Context, result: &ExecResult) -> Result<()> {
    ctx.output.pass_on(&result.stdout, &result.stderr)?;
    if result.truncated {
        ctx.output
            .warn("it wrote more than 1 MiB; the rest is not shown");
    }
    Ok(())
}

/// Runs the command in this terminal.
async fn attach(ctx: &Context, client: &Client, target: &Target, args: ExecArgs) -> Result<i64> {
    let query = ExecQuery {
        command: args.command,
        pod: args.pod,
        tty: true,
        size: terminal::size(),
    };
    let stream = client
        .stream_exec(&target.workspace, &target.project, &query)
        .await?;
    session::run(ctx, stream).await
}

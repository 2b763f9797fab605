//! The commands, one file each.

pub(crate) mod alert;
pub(crate) mod autoscale;
pub(crate) mod completions;
pub(crate) mod db;
pub(crate) mod deploy;
pub(crate) mod deployments;
mod domain_settings;
pub(crate) mod domains;
pub(crate) mod down;
pub(crate) mod drains;
pub(crate) mod env;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod generate;
pub(crate) mod git;
pub(crate) mod github;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod login;
mod logout;
pub(crate) mod logs;
pub(crate) mod maintenance;
pub(crate) mod members;
pub(crate) mod metrics;
pub(crate) mod notify;
pub(crate) mod open;
mod previews;
pub(crate) mod registry;
mod restart;
pub(crate) mod rollback;
pub(crate) mod scale;
pub(crate) mod schedules;
mod start;
mod status;
pub(crate) mod status_page;
pub(crate) mod template;
pub(crate) mod up;
pub(crate) mod uptime;
pub(crate) mod usage;
mod version;
pub(crate) mod wallet;
mod whoami;

use anyhow::{Context as _, Result};

use crate::cli::Command;
use crate::context::Context;

/// Runs one command to its end.
pub(crate) fn run(ctx: &Context, command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let result = runtime.block_on(dispatch(ctx, command));
    // A name that is still being looked up must not hold the exit up.
    runtime.shutdown_background();
    result
}

async fn dispatch(ctx: &Context, command: Command) -> Result<()> {
    match command {
        Command::Login(args) => login::run(ctx, args).await,
        Command::Logout => logout::run(ctx),
        Command::Whoami => whoami::run(ctx).await,
        Command::Init(args) => init::run(ctx, &args).await,
        Command::Up(args) => up::run(ctx, args).await,
        Command::Deploy(args) => deploy::run(ctx, args).await,
        Command::Deployments(args) => deployments::run(ctx, args).await,
        Command::Rollback(args) => rollback::run(ctx, args).await,
        Command::Status => status::run(ctx).await,
        Command::Logs(args) => logs::run(ctx, args).await,
        Command::Metrics(args) => metrics::run(ctx, args).await,
        Command::Uptime(args) => uptime::run(ctx, args).await,
        Command::Explain(args) => explain::run(ctx, args).await,
        Command::Drains(args) => drains::run(ctx, args).await,
        Command::Exec(args) => exec::run(ctx, args).await,
        Command::Run(args) => jobs::run(ctx, args).await,
        Command::Jobs(args) => jobs::manage(ctx, args).await,
        Command::Schedules(args) => schedules::run(ctx, args).await,
        Command::Db(args) => db::run(ctx, args).await,
        Command::Template(args) => template::run(ctx, args).await,
        Command::Env(command) => env::run(ctx, command).await,
        Command::Domains(args) => domains::run(ctx, args).await,
        Command::Git(args) => git::run(ctx, args).await,
        Command::Github(args) => github::run(ctx, args).await,
        Command::Registry(args) => registry::run(ctx, args).await,
        Command::Previews => previews::run(ctx).await,
        Command::Generate(args) => generate::run(ctx, args),
        Command::Open(args) => open::run(ctx, args).await,
        Command::Down(args) => down::run(ctx, args).await,
        Command::Scale(args) => scale::run(ctx, args).await,
        Command::Autoscale(args) => autoscale::run(ctx, args).await,
        Command::Restart => restart::run(ctx).await,
        Command::Start => start::run(ctx).await,
        Command::Keys(args) => keys::run(ctx, args).await,
        Command::Members(args) => members::run(ctx, args).await,
        Command::Events(args) => events::run(ctx, args).await,
        Command::Alert(args) => alert::run(ctx, args).await,
        Command::Notify(args) => notify::run(ctx, args).await,
        Command::Maintenance(args) => maintenance::run(ctx, args).await,
        Command::StatusPage(args) => status_page::run(ctx, args).await,
        Command::Wallet(args) => wallet::run(ctx, args).await,
        Command::Usage(args) => usage::run(ctx, args).await,
        Command::Completions(args) => completions::run(ctx, args),
        Command::Version => version::run(ctx).await,
    }
}

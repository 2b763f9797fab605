//! `tose db`: managed databases.
//!
//! Guarantees: no command shows a password, as text or as JSON, unless `--show-password` asks for it.
//! (`connect` gives it to the database's own client.)

mod backups;
mod change;
mod connect;
mod create;
mod expose;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;

use super::logs;
use crate::context::{Context, Target};

#[derive(Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    command: Option<DbCommand>,
}

#[derive(Subcommand)]
enum DbCommand {
    /// List the databases; so does `tose db` alone
    List,
    /// Make a database, and wait until it takes logins
    Create(create::CreateArgs),
    /// Show a database, and how apps reach it
    Info(show::InfoArgs),
    /// Change a database's version, size or backups
    Update(change::UpdateArgs),
    /// Start a stopped database
    Start(NameArgs),
    /// Stop a database; its data is kept
    Stop(NameArgs),
    /// End a database's server and start it again
    Restart(NameArgs),
    /// Try a database again that failed
    Retry(NameArgs),
    /// Give a database's account another password
    ResetPassword(NameArgs),
    /// Open the database's own client in this terminal
    Connect(NameArgs),
    /// Let clients outside the workspace reach a database
    Expose(expose::ExposeArgs),
    /// End that
    Hide(NameArgs),
    /// Show what a database's server writes
    Logs(LogsArgs),
    /// List a database's backups, newest first
    Backups(NameArgs),
    /// Make a backup, and wait until it has succeeded
    Backup(NameArgs),
    /// Replace a database's data by a backup
    Restore(backups::RestoreArgs),
    /// Restore a backup into an instance of its own, to see that it is whole
    Prove(backups::ProveArgs),
    /// Write a backup's dump to a file
    Download(backups::DownloadArgs),
    /// Delete a database with its data and its backups
    Delete(change::DeleteArgs),
}

#[derive(Args)]
struct NameArgs {
    /// Its slug, as `tose db list` has it
    name: Slug,
}

#[derive(Args)]
struct LogsArgs {
    #[command(flatten)]
    database: NameArgs,
    #[command(flatten)]
    lines: logs::LinesArgs,
}

/// What each of these commands needs.
struct Db<'a> {
    ctx: &'a Context,
    client: &'a Client,
    workspace: &'a Slug,
}

impl Db<'_> {
    /// A database, as a whole address.
    fn target(&self, name: &Slug) -> Target {
        Target {
            workspace: self.workspace.clone(),
            project: name.clone(),
        }
    }
}

pub(crate) async fn run(ctx: &Context, args: DbArgs) -> Result<()> {
    let command = args.command.unwrap_or(DbCommand::List);
    if let DbCommand::Connect(_) = &command {
        connect::check_terminal(ctx)?;
    }
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    let db = &Db {
        ctx,
        client,
        workspace,
    };
    match command {
        DbCommand::List => show::list(db).await,
        DbCommand::Create(args) => create::run(db, args).await,
        DbCommand::Info(args) => show::info(db, &args).await,
        DbCommand::Update(args) => change::update(db, args).await,
        DbCommand::Start(args) => {
            let database = client.start_database(workspace, &args.name).await?;
            show::state(db, database)
        }
        DbCommand::Stop(args) => {
            let database = client.stop_database(workspace, &args.name).await?;
            show::state(db, database)
        }
        DbCommand::Restart(args) => {
            let database = client.restart_database(workspace, &args.name).await?;
            show::state(db, database)
        }
        DbCommand::Retry(args) => {
            let database = client.retry_database(workspace, &args.name).await?;
            show::state(db, database)
        }
        DbCommand::ResetPassword(args) => change::reset_password(db, &args.name).await,
        DbCommand::Connect(args) => connect::run(db, &args.name).await,
        DbCommand::Expose(args) => expose::run(db, args).await,
        DbCommand::Hide(args) => expose::hide(db, &args.name).await,
        DbCommand::Logs(args) => {
            let target = db.target(&args.database.name);
            logs::show_database(ctx, client, &target, args.lines).await
        }
        DbCommand::Backups(args) => backups::list(db, &args.name).await,
        DbCommand::Backup(args) => backups::create(db, &args.name).await,
        DbCommand::Prove(args) => backups::prove(db, &args).await,
        DbCommand::Restore(args) => backups::restore(db, args).await,
        DbCommand::Download(args) => backups::download(db, &args).await,
        DbCommand::Delete(args) => change::delete(db, &args).await,
    }
}

//! `tose db create`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::database::{CreateDatabase, DatabaseStatus, DatabaseType, DatabaseView};
use tose_api::{Cpu, Ram};

use super::{Db, show};
use crate::error::Error;
use crate::wait;

#[derive(Args)]
pub(super) struct CreateArgs {
    /// What people call it; its slug is made from that
    name: String,
    /// What kind of database
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Kind,
    /// Which version, such as 17; otherwise the server's default
    #[arg(long)]
    version: Option<String>,
    /// Cores, such as 0.5; otherwise 0.5
    #[arg(long, value_name = "CORES")]
    cpu: Option<Cpu>,
    /// GB of memory, such as 0.5; otherwise 0.5
    #[arg(long, value_name = "GB")]
    ram: Option<Ram>,
    /// GB that its data may have; otherwise 10
    #[arg(long, value_name = "GB")]
    storage_gb: Option<u32>,
    /// Return at once instead of waiting until it takes logins
    #[arg(long, visible_alias = "no-wait")]
    detach: bool,
    #[command(flatten)]
    password: show::PasswordArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    #[value(alias = "postgres")]
    Postgresql,
    Mysql,
    Redis,
    #[value(alias = "mongodb")]
    Mongo,
}

pub(super) async fn run(db: &Db<'_>, args: CreateArgs) -> Result<()> {
    let body = CreateDatabase {
        name: args.name,
        kind: match args.kind {
            Kind::Postgresql => DatabaseType::Postgresql,
            Kind::Mysql => DatabaseType::Mysql,
            Kind::Redis => DatabaseType::Redis,
            Kind::Mongo => DatabaseType::Mongo,
        },
        slug: None,
        version: args.version,
        cpu: args.cpu,
        ram: args.ram,
        storage_gb: args.storage_gb,
    };
    let made = db.client.create_database(db.workspace, &body).await?;
    let output = &db.ctx.output;
    if args.detach {
        let name = made.slug.clone();
        show::print(db.ctx, made, &args.password)?;
        output.note(&format!("see how far it is with `tose db info {name}`"));
        return Ok(());
    }
    output.note(&format!(
        "database {} is being started, also if this is interrupted",
        db.target(&made.slug)
    ));
    let database = wait_for_logins(db, &made).await?;
    let reference = show::reference(&database);
    show::print(db.ctx, database, &args.password)?;
    output.note(&format!(
        "an app reaches it after `tose env set 'DATABASE_URL={reference}'` and its next deployment"
    ));
    Ok(())
}

/// Waits until the database takes logins; that it never will is a failure.
async fn wait_for_logins(db: &Db<'_>, made: &DatabaseView) -> Result<DatabaseView> {
    let (output, name) = (&db.ctx.output, &made.slug);
    let ask = async || db.client.get_database(db.workspace, name).await;
    let going_on = |database: &DatabaseView| {
        let status = database.status;
        (status == DatabaseStatus::Provisioning).then_some(status.as_str())
    };
    let database = wait::until(output, ask, going_on).await?;
    let reason = match (database.status, &database.error) {
        (DatabaseStatus::Running, _) => return Ok(database),
        (_, Some(error)) => error.clone(),
        (status, None) => format!("it is {}", status.as_str()),
    };
    output.note(&format!(
        "see what it wrote with `tose db logs {name}`, and try it again with `tose db retry {name}`"
    ));
    Err(Error::Failed {
        what: format!("database {name}"),
        reason,
        code: "database_failed",
    }
    .into())
}

//! `tose db update`, `tose db reset-password` and `tose db delete`.

use std::convert::Infallible;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use tose_api::database::UpdateDatabase;
use tose_api::{Cpu, Ram, Slug};

use super::{Db, NameArgs, show};
use crate::prompt;

#[derive(Args)]
#[group(skip)]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    database: NameArgs,
    #[command(flatten)]
    changes: ChangeArgs,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct ChangeArgs {
    /// Another version of the same major one, from the next restart on
    #[arg(long)]
    version: Option<String>,
    /// Cores, from the next restart on
    #[arg(long, value_name = "CORES")]
    cpu: Option<Cpu>,
    /// GB of memory, from the next restart on
    #[arg(long, value_name = "GB")]
    ram: Option<Ram>,
    /// GB that its data may have
    #[arg(long, value_name = "GB")]
    storage_gb: Option<u32>,
    /// When backups are made, in UTC, such as '30 3 * * *'; off makes none by itself
    #[arg(long, value_name = "CRON|off")]
    backup_schedule: Option<Schedule>,
    /// How many backups are kept
    #[arg(long, value_name = "N")]
    backup_keep: Option<u32>,
}

#[derive(Clone)]
enum Schedule {
    Off,
    Cron(String),
}

impl FromStr for Schedule {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "off" => Self::Off,
            cron => Self::Cron(cron.to_owned()),
        })
    }
}

#[derive(Args)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    database: NameArgs,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
}

pub(super) async fn update(db: &Db<'_>, args: UpdateArgs) -> Result<()> {
    let changes = args.changes;
    let body = UpdateDatabase {
        name: None,
        version: changes.version,
        cpu: changes.cpu,
        ram: changes.ram,
        storage_gb: changes.storage_gb,
        backup_schedule: changes.backup_schedule.map(|schedule| match schedule {
            Schedule::Off => None,
            Schedule::Cron(cron) => Some(cron),
        }),
        backup_keep: changes.backup_keep,
    };
    let needs_restart = body.version.is_some() || body.cpu.is_some() || body.ram.is_some();
    let name = &args.database.name;
    let database = db.client.update_database(db.workspace, name, &body).await?;
    show::print(db.ctx, database, &show::PasswordArgs::default())?;
    if needs_restart {
        let hint = format!("versions and sizes count after `tose db restart {name}`");
        db.ctx.output.note(&hint);
    }
    Ok(())
}

pub(super) async fn reset_password(db: &Db<'_>, name: &Slug) -> Result<()> {
    let database = db
        .client
        .reset_database_password(db.workspace, name)
        .await?;
    let is_pending = database.connection.is_pending;
    let output = &db.ctx.output;
    let text = format!("{name} has another password");
    output.result(&show::without_password(database), &text)?;
    if is_pending {
        output.warn("the password is on its way to the database, and does not open it so far");
    }
    output.note(&format!(
        "deploy the apps again whose variables refer to it, with `tose deploy --redeploy`; `tose db info {name} --show-password` shows it"
    ));
    Ok(())
}

pub(super) async fn delete(db: &Db<'_>, args: &DeleteArgs) -> Result<()> {
    let name = &args.database.name;
    let target = db.target(name);
    if !args.yes {
        let question =
            format!("{target} goes with its data and its backups. Type `{name}` to delete it:");
        let deed = format!("deleting {target}");
        prompt::confirm(&db.ctx.output, &deed, &question, name.as_str())?;
    }
    let deleted = db.client.delete_database(db.workspace, name).await?;
    let text = format!("deleted {target}");
    db.ctx.output.result(&deleted, &text)
}

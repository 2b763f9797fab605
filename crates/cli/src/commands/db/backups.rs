//! Backups of databases: `tose db backups`, `backup`, `restore` and `download`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tose_api::database::{BackupStatus, BackupView, DatabaseView, RestoreBackup, RestoreView};
use tose_api::{BackupId, Slug};

use super::{Db, NameArgs, show};
use crate::download;
use crate::error::Error;
use crate::pages;
use crate::prompt;
use crate::text;
use crate::wait;

#[derive(Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    backup: BackupArgs,
    /// Replace the data of this database, of the same type, instead of its own
    #[arg(long, value_name = "NAME")]
    into: Option<Slug>,
    /// Replace it without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub(super) struct ProveArgs {
    #[command(flatten)]
    backup: BackupArgs,
}

#[derive(Args)]
pub(super) struct DownloadArgs {
    #[command(flatten)]
    backup: BackupArgs,
    /// The file to write, - for stdout; otherwise the server's name for it, in this folder
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct BackupArgs {
    #[command(flatten)]
    database: NameArgs,
    /// The backup's id, or latest for the newest that succeeded
    backup: Which,
}

#[derive(Clone, Copy)]
enum Which {
    Latest,
    Id(BackupId),
}

impl FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "latest" => Ok(Self::Latest),
            id => id
                .parse()
                .map(Self::Id)
                .map_err(|_| "a backup is named by its id, or as latest"),
        }
    }
}

pub(super) async fn list(db: &Db<'_>, name: &Slug) -> Result<()> {
    let backups = all(db, name).await?;
    let rows: Vec<_> = backups.iter().map(row).collect();
    let heading = ["ID", "STATUS", "CREATED", "SIZE", "BY", "PROVEN", "ERROR"];
    db.ctx.output.result(&backups, &text::table(heading, &rows))
}

fn row(backup: &BackupView) -> [String; 7] {
    let error = backup.error.as_ref().or(backup.proof_error.as_ref());
    [
        backup.id.to_string(),
        backup.status.as_str().to_owned(),
        text::time(backup.created_at),
        text::size(backup.size_bytes),
        backup.created_by.clone(),
        text::optional_time(backup.proven_at),
        text::first_line(error.map_or("", String::as_str), 80),
    ]
}

async fn all(db: &Db<'_>, name: &Slug) -> Result<Vec<BackupView>> {
    let page = async |paging| db.client.list_backups(db.workspace, name, paging).await;
    Ok(pages::all(page).await?)
}

/// The backup that is meant.
async fn find(db: &Db<'_>, args: &BackupArgs) -> Result<BackupView> {
    let name = &args.database.name;
    if let Which::Id(id) = args.backup {
        return Ok(db.client.get_backup(db.workspace, name, id).await?);
    }
    let newest_first = all(db, name).await?.into_iter();
    let mut good = newest_first.filter(|backup| backup.status == BackupStatus::Succeeded);
    let missing = || Error::Missing {
        what: format!("backup of {name} that succeeded"),
        list: "tose db backups",
    };
    Ok(good.next().ok_or_else(missing)?)
}

pub(super) async fn create(db: &Db<'_>, name: &Slug) -> Result<()> {
    let output = &db.ctx.output;
    let begun = db.client.create_backup(db.workspace, name).await?;
    let id = begun.id;
    output.note(&format!(
        "backup {id} of {} is being made, also if this is interrupted",
        db.target(name)
    ));
    let ask = async || db.client.get_backup(db.workspace, name, id).await;
    let going_on = |backup: &BackupView| {
        (backup.status == BackupStatus::Running).then_some("making the backup")
    };
    let backup = wait::until(output, ask, going_on).await?;
    if backup.status == BackupStatus::Failed {
        return Err(Error::Failed {
            what: format!("backup {id}"),
            reason: reason(backup.error),
            code: "backup_failed",
        }
        .into());
    }
    output.note(&format!(
        "it has {}, and {} as a dump",
        text::size(backup.size_bytes),
        text::size(backup.dump_bytes)
    ));
    output.result(&backup, &id.to_string())
}

/// Has a backup restored into an instance that is made for that, and waits for how it ends.
pub(super) async fn prove(db: &Db<'_>, args: &ProveArgs) -> Result<()> {
    let output = &db.ctx.output;
    let name = &args.backup.database.name;
    let id = find(db, &args.backup).await?.id;
    db.client.prove_backup(db.workspace, name, id).await?;
    output.note(&format!(
        "backup {id} is being restored into an instance of its own, also if this is interrupted"
    ));
    let ask = async || db.client.get_backup(db.workspace, name, id).await;
    let going_on = |backup: &BackupView| backup.is_being_proven.then_some("proving the backup");
    let backup = wait::until(output, ask, going_on).await?;
    if backup.proof_error.is_some() {
        return Err(Error::Failed {
            what: format!("the proof of backup {id}"),
            reason: reason(backup.proof_error),
            code: "proof_failed",
        }
        .into());
    }
    output.result(&backup, &format!("backup {id} is whole"))
}

pub(super) async fn restore(db: &Db<'_>, args: RestoreArgs) -> Result<()> {
    let output = &db.ctx.output;
    let source = &args.backup.database.name;
    let backup = find(db, &args.backup).await?;
    let name = args.into.as_ref().unwrap_or(source);
    let target = db.target(name);
    let made_at = text::time(backup.created_at);
    if !args.yes {
        let question = format!(
            "all that is in {target} is replaced by the backup of {source} from {made_at}. Type `{name}` to go on:"
        );
        let deed = format!("replacing the data of {target}");
        prompt::confirm(output, &deed, &question, name.as_str())?;
    }
    let body = RestoreBackup {
        into: args.into.clone(),
    };
    db.client
        .restore_backup(db.workspace, source, backup.id, &body)
        .await?;
    output.note(&format!(
        "backup {} is brought back into {target}, also if this is interrupted",
        backup.id
    ));
    let database = wait_for_restore(db, name, backup.id).await?;
    let whose = match name == source {
        true => "its data".to_owned(),
        false => format!("the data of {source}"),
    };
    let text = format!("{name} has {whose} from {made_at}");
    output.result(&show::without_password(database), &text)
}

/// Waits until the backup is in the database; that it will not be is a failure.
async fn wait_for_restore(db: &Db<'_>, name: &Slug, id: BackupId) -> Result<DatabaseView> {
    let ask = async || db.client.get_database(db.workspace, name).await;
    let going_on = |database: &DatabaseView| {
        let is_running = |restore: &RestoreView| {
            restore.backup_id == id && restore.status == BackupStatus::Running
        };
        let restore = database.restore.as_ref();
        restore.is_some_and(is_running).then_some("restoring")
    };
    let database = wait::until(&db.ctx.output, ask, going_on).await?;
    let reason = match &database.restore {
        Some(restore) if restore.backup_id != id => {
            "another backup was restored after it".to_owned()
        }
        Some(restore) if restore.status == BackupStatus::Succeeded => return Ok(database),
        restore => reason(restore.as_ref().and_then(|restore| restore.error.clone())),
    };
    Err(Error::Failed {
        what: format!("restoring backup {id} into {name}"),
        reason,
        code: "restore_failed",
    }
    .into())
}

fn reason(told: Option<String>) -> String {
    told.unwrap_or_else(|| "the server gives no reason".to_owned())
}

pub(super) async fn download(db: &Db<'_>, args: &DownloadArgs) -> Result<()> {
    let output = &db.ctx.output;
    let id = find(db, &args.backup).await?.id;
    let name = &args.backup.database.name;
    let file = db.client.download_backup(db.workspace, name, id).await?;
    let path = match (&args.output, file.file_name()) {
        (Some(path), _) => path.clone(),
        (None, Some(given)) => PathBuf::from(given),
        (None, None) => PathBuf::from(format!("{name}-{id}")),
    };
    let size = download::save(output, file, &path).await?;
    if download::is_stdout(&path) {
        return Ok(());
    }
    report(db, &path, size)
}

fn report(db: &Db<'_>, path: &Path, size: usize) -> Result<()> {
    let data = json!({ "file": path, "size_bytes": size });
    db.ctx.output.note(&text::size(size as u64));
    db.ctx.output.result(&data, &path.display().to_string())
}

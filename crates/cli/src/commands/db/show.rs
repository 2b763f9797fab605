//! `tose db list` and `tose db info`, and how a database is shown by the other commands.

use anyhow::Result;
use clap::Args;
use tose_api::database::{Connection, DatabaseStatus, DatabaseView, ExposeView};

use super::{Db, NameArgs};
use crate::context::Context;
use crate::output::{Output, Style};
use crate::pages;
use crate::text;

#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    database: NameArgs,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Whether the password is shown.
#[derive(Default, Args)]
pub(super) struct PasswordArgs {
    /// Show the password and the address that has it; only admins see them
    #[arg(long = "show-password")]
    is_shown: bool,
}

pub(super) async fn list(db: &Db<'_>) -> Result<()> {
    let databases =
        pages::all(async |paging| db.client.list_databases(db.workspace, paging).await).await?;
    let databases: Vec<_> = databases.into_iter().map(without_password).collect();
    let rows: Vec<_> = databases.iter().map(row).collect();
    let heading = ["NAME", "TYPE", "VERSION", "STATUS", "DATA", "LAST BACKUP"];
    let output = &db.ctx.output;
    output.result(&databases, &text::table(heading, &rows))?;
    for database in &databases {
        let of_backup = |error: &String| format!("the newest backup failed: {error}");
        let told = [
            database.error.clone(),
            database.storage.warning.clone(),
            database.backups.last_error.as_ref().map(of_backup),
        ];
        for problem in told.into_iter().flatten() {
            output.note(&format!("{}: {problem}", database.slug));
        }
    }
    Ok(())
}

fn row(database: &DatabaseView) -> [String; 6] {
    [
        database.slug.to_string(),
        database.kind.as_str().to_owned(),
        database.version.clone(),
        database.status.as_str().to_owned(),
        used(database).unwrap_or_else(|| "-".to_owned()),
        text::optional_time(database.backups.last_succeeded_at),
    ]
}

/// How much its data takes, once that was measured.
fn used(database: &DatabaseView) -> Option<String> {
    database.storage.used_bytes.map(text::size)
}

pub(super) async fn info(db: &Db<'_>, args: &InfoArgs) -> Result<()> {
    let database = db
        .client
        .get_database(db.workspace, &args.database.name)
        .await?;
    print(db.ctx, database, &args.password)
}

/// Shows all there is to know of a database.
pub(super) fn print(ctx: &Context, database: DatabaseView, password: &PasswordArgs) -> Result<()> {
    let database = match password.is_shown {
        true => database,
        false => without_password(database),
    };
    ctx.output
        .result(&database, &details(&ctx.output, &database))?;
    if password.is_shown && database.connection.password.is_none() {
        ctx.output.warn("only admins can see the password");
    }
    if database.connection.is_pending {
        ctx.output
            .warn("the newest password is on its way to the database, and does not open it so far");
    }
    Ok(())
}

/// Shows what a database is doing, in a line.
pub(super) fn state(db: &Db<'_>, database: DatabaseView) -> Result<()> {
    let output = &db.ctx.output;
    let text = summary(output, &database);
    output.result(&without_password(database), &text)
}

/// The database as those see it who are no admins.
pub(super) fn without_password(database: DatabaseView) -> DatabaseView {
    DatabaseView {
        connection: Connection {
            password: None,
            url: None,
            ..database.connection
        },
        expose: database.expose.map(|expose| ExposeView {
            url: None,
            ..expose
        }),
        ..database
    }
}

/// The line that says which database, and what it is doing.
pub(super) fn summary(output: &Output, database: &DatabaseView) -> String {
    let style = match database.status {
        DatabaseStatus::Running => Style::Good,
        DatabaseStatus::Provisioning => Style::Busy,
        DatabaseStatus::Stopped | DatabaseStatus::Deleting => Style::Faint,
        DatabaseStatus::Failed => Style::Bad,
    };
    let status = output.paint(style, database.status.as_str());
    let (kind, version) = (database.kind.as_str(), &database.version);
    format!("{}  {status}  {kind} {version}", database.slug)
}

fn details(output: &Output, database: &DatabaseView) -> String {
    let connection = &database.connection;
    let mut lines = vec![summary(output, database)];
    let mut tell = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<12}{value}")));
    };
    let (cpu, ram) = (database.cpu, database.ram);
    tell("size", Some(format!("{cpu} cores, {ram} GB of memory")));
    let limit = database.storage.limit_gb;
    tell(
        "data",
        Some(match used(database) {
            Some(used) => format!("{used} of {limit} GB"),
            None => format!("{limit} GB at most"),
        }),
    );
    tell("warning", database.storage.warning.clone());
    tell("failed", database.error.clone());
    tell("host", Some(connection.host.clone()));
    tell("port", Some(connection.port.to_string()));
    tell("user", Some(connection.username.clone()));
    tell("database", Some(connection.database.clone()));
    tell("password", connection.password.clone());
    tell("url", connection.url.clone());
    tell("variable", Some(reference(database)));
    let expose = database.expose.as_ref();
    tell(
        "outside",
        expose.map(|expose| match &expose.url {
            Some(url) => url.clone(),
            None => format!("{}:{}", expose.host, expose.port),
        }),
    );
    tell("backups", Some(backups(database)));
    tell("restore", restore(database));
    lines.join("\n")
}

/// What stands for the database's address in an app's variable.
pub(super) fn reference(database: &DatabaseView) -> String {
    format!("${{{{ {}.URL }}}}", database.slug)
}

fn backups(database: &DatabaseView) -> String {
    let policy = &database.backups;
    let when = match &policy.schedule {
        Some(schedule) => format!("at {schedule} (UTC)"),
        None => "only when asked for".to_owned(),
    };
    let mut text = format!("{when}, the last {} are kept", policy.keep);
    if let Some(at) = policy.next_at {
        text.push_str(&format!(", the next at {}", text::time(at)));
    }
    if let Some(at) = policy.last_succeeded_at {
        text.push_str(&format!(", the last at {}", text::time(at)));
    }
    if let Some(error) = &policy.last_error {
        text.push_str(&format!(", and the newest failed: {error}"));
    }
    text
}

fn restore(database: &DatabaseView) -> Option<String> {
    let restore = database.restore.as_ref()?;
    let mut text = format!("{}, backup {}", restore.status.as_str(), restore.backup_id);
    if let Some(error) = &restore.error {
        text.push_str(&format!(": {error}"));
    }
    Some(text)
}

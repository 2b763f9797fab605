//! `tose db connect`: the database's own client, which runs beside its server.

use anyhow::Result;
use tose_api::Slug;
use tose_api::client::ExecQuery;
use tose_api::database::{Connection, DatabaseType, DatabaseView};

use super::Db;
use crate::commands::exec;
use crate::context::Context;
use crate::error::Error;
use crate::terminal;

/// Refuses to go on where there is no terminal for the client.
pub(super) fn check_terminal(ctx: &Context) -> Result<()> {
    let problem = if ctx.output.is_json() {
        "--json and `tose db connect` do not go together: leave one of them out"
    } else if !exec::has_terminal() {
        "`tose db connect` needs a terminal on stdin and stdout"
    } else {
        return Ok(());
    };
    Err(Error::Usage(problem.to_owned()).into())
}

pub(super) async fn run(db: &Db<'_>, name: &Slug) -> Result<()> {
    let database = db.client.get_database(db.workspace, name).await?;
    let query = ExecQuery {
        command: command(&database).ok_or(Error::AdminsOnly)?,
        pod: None,
        tty: true,
        size: terminal::size(),
    };
    let stream = db
        .client
        .stream_exec_in_database(db.workspace, name, &query)
        .await?;
    exec::hand_over(db.ctx, stream).await
}

/// The client that the database's image has, logged in as apps are; none without the password.
fn command(database: &DatabaseView) -> Option<Vec<String>> {
    let Connection {
        host,
        port,
        username,
        password: Some(password),
        database: database_name,
        url: Some(url),
        ..
    } = &database.connection
    else {
        return None;
    };
    let url = || url.clone();
    Some(match database.kind {
        DatabaseType::Postgresql => vec!["psql".to_owned(), url()],
        DatabaseType::Mysql => vec![
            "mysql".to_owned(),
            format!("--host={host}"),
            format!("--port={port}"),
            format!("--user={username}"),
            format!("--password={password}"),
            database_name.clone(),
        ],
        DatabaseType::Redis => {
            let options = ["redis-cli", "--no-auth-warning", "-u"].map(str::to_owned);
            options.into_iter().chain([url()]).collect()
        }
        DatabaseType::Mongo => vec!["mongosh".to_owned(), url()],
    })
}

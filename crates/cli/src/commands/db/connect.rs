//! `tose db connect`: the database's own client, which runs beside its server.

use anyhow::Result;
use tose_api::Slug;
use tose_api::client::ExecQuery;

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
    let query = ExecQuery {
        command: Vec::new(),
        pod: None,
        tty: true,
        size: terminal::size(),
    };
    let stream = db
        .client
        .connect_database(db.workspace, name, &query)
        .await?;
    exec::hand_over(db.ctx, stream).await
}

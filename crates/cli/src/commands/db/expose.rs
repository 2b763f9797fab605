//! `tose db expose` and `tose db hide`: whether a database is reached from the outside.

use anyhow::Result;
use clap::Args;
use tose_api::Slug;
use tose_api::database::{DatabaseView, ExposeDatabase};
use tose_api::domain_settings::IpRange;

use super::{Db, NameArgs, show};

#[derive(Args)]
pub(super) struct ExposeArgs {
    #[command(flatten)]
    database: NameArgs,
    /// From where clients may come, such as 203.0.113.0/24; may come several times. Everybody when absent
    #[arg(long, value_name = "RANGE")]
    allow: Vec<IpRange>,
}

pub(super) async fn run(db: &Db<'_>, args: ExposeArgs) -> Result<()> {
    let output = &db.ctx.output;
    if args.allow.is_empty() {
        output.warn("everybody can try the password from now on; --allow names who may come");
    }
    let body = ExposeDatabase {
        enabled: true,
        allow: args.allow,
    };
    let database = set(db, &args.database.name, &body).await?;
    let place = database.expose.as_ref();
    let place = place.map(|expose| format!("{}:{}", expose.host, expose.port));
    output.result(
        &show::without_password(database),
        &place.unwrap_or_default(),
    )
}

pub(super) async fn hide(db: &Db<'_>, name: &Slug) -> Result<()> {
    let body = ExposeDatabase {
        enabled: false,
        allow: Vec::new(),
    };
    let database = set(db, name, &body).await?;
    show::state(db, database)
}

async fn set(db: &Db<'_>, name: &Slug, body: &ExposeDatabase) -> Result<DatabaseView> {
    Ok(db.client.expose_database(db.workspace, name, body).await?)
}

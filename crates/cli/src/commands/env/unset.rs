//! `tose env unset`.

use anyhow::Result;
use clap::Args;
use tose_api::EnvKey;

use super::note_when_it_applies;
use crate::context::Context;

#[derive(Args)]
pub(crate) struct UnsetArgs {
    /// The variables
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<EnvKey>,
}

pub(super) async fn run(ctx: &Context, args: UnsetArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let mut deleted = Vec::new();
    for key in &args.keys {
        deleted.push(
            client
                .delete_env_var(&target.workspace, &target.project, key)
                .await?,
        );
    }
    let keys: Vec<_> = args.keys.iter().map(EnvKey::as_str).collect();
    ctx.output
        .result(&deleted, &format!("removed {}", keys.join(", ")))?;
    note_when_it_applies(ctx);
    Ok(())
}

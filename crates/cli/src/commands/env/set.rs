//! `tose env set`.

use anyhow::Result;
use clap::Args;
use tose_api::env_var::{SetEnvVar, SetEnvVars};

use super::push::summary;
use super::{note_when_it_applies, parse_assignments};
use crate::context::Context;

#[derive(Args)]
pub(crate) struct SetArgs {
    /// The variables and their values
    // Texts, since what the parser of the command line refuses is repeated in its error.
    #[arg(required = true, value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Mask the values in every answer from now on
    #[arg(long)]
    secret: bool,
}

pub(super) async fn run(ctx: &Context, args: SetArgs) -> Result<()> {
    let variables = parse_assignments(&args.assignments, "argument")?;
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    if !args.secret {
        // One call for all of them, which leaves secret what is secret.
        let body = SetEnvVars {
            variables,
            merge: true,
        };
        let changed = client
            .set_env_vars(&target.workspace, &target.project, &body)
            .await?;
        ctx.output.result(&changed, &summary(changed))?;
        note_when_it_applies(ctx);
        return Ok(());
    }
    let mut secrets = Vec::new();
    for (key, value) in variables {
        let body = SetEnvVar {
            key,
            value,
            is_secret: true,
        };
        secrets.push(
            client
                .set_env_var(&target.workspace, &target.project, &body)
                .await?,
        );
    }
    let keys: Vec<_> = secrets.iter().map(|secret| secret.key.as_str()).collect();
    ctx.output
        .result(&secrets, &format!("set {} as secret", keys.join(", ")))?;
    note_when_it_applies(ctx);
    Ok(())
}

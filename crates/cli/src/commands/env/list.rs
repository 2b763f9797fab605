//! `tose env list`.

use anyhow::Result;

use crate::context::Context;
use crate::text;

pub(super) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let variables = client
        .list_env_vars(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = variables
        .iter()
        .map(|variable| {
            let kind = if variable.is_secret { "secret" } else { "" };
            let value = text::first_line(&variable.value, 80);
            [
                variable.key.to_string(),
                kind.to_owned(),
                text::time(variable.updated_at),
                value,
            ]
        })
        .collect();
    ctx.output.result(
        &variables,
        &text::table(["KEY", "KIND", "UPDATED", "VALUE"], &rows),
    )
}

//! `tose restart`: replaces the project's replicas one after the other.

use anyhow::Result;

use super::status::summary;
use crate::context::Context;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let project = client
        .restart_project(&target.workspace, &target.project)
        .await?;
    ctx.output.result(&project, &summary(&ctx.output, &project))
}

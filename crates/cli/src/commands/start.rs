//! `tose start`: starts a stopped project.

use anyhow::Result;

use super::status::summary;
use crate::context::Context;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let project = client
        .start_project(&target.workspace, &target.project)
        .await?;
    ctx.output.result(&project, &summary(&ctx.output, &project))
}

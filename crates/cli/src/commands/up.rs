//! `tose up`: everything from a folder to a live app.

use anyhow::Result;
use clap::Args;

use super::{deploy, init};
use crate::context::{Context, Target};

#[derive(Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    init: init::InitArgs,
    #[command(flatten)]
    build: deploy::BuildArgs,
}

pub(crate) async fn run(ctx: &Context, args: UpArgs) -> Result<()> {
    let client = ctx.client()?;
    let project = init::ensure_project(ctx, &client, &args.init).await?;
    let target = Target {
        workspace: project.workspace,
        project: project.slug,
    };
    deploy::build(ctx, &client, &target, None, args.build).await
}

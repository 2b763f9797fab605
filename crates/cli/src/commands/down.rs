//! `tose down`: stops the project, or deletes it.

use anyhow::Result;
use clap::Args;
use tose_api::client::Client;

use super::status::summary;
use crate::context::{Context, Target};
use crate::link::remove_link;
use crate::prompt;

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// Delete the project with its deployments, images, variables and domains
    #[arg(long)]
    delete: bool,
    /// Delete without asking
    #[arg(long, requires = "delete")]
    yes: bool,
}

pub(crate) async fn run(ctx: &Context, args: DownArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    if args.delete {
        if !args.yes {
            confirm(ctx, &target)?;
        }
        return delete(ctx, &client, &target).await;
    }
    let project = client
        .stop_project(&target.workspace, &target.project)
        .await?;
    ctx.output.result(&project, &summary(&ctx.output, &project))
}

fn confirm(ctx: &Context, target: &Target) -> Result<()> {
    let (deed, word) = (format!("deleting {target}"), target.project.as_str());
    let question = format!(
        "{target} goes with its deployments, images, variables and domains. Type `{word}` to delete it:"
    );
    prompt::confirm(&ctx.output, &deed, &question, word)
}

async fn delete(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let deleted = client
        .delete_project(&target.workspace, &target.project)
        .await?;
    forget_link(ctx, target)?;
    ctx.output.result(&deleted, &format!("deleted {target}"))
}

/// Takes the link of this folder away if it leads to `target`, which is gone.
pub(super) fn forget_link(ctx: &Context, target: &Target) -> Result<()> {
    let found = ctx.link()?.filter(|found| {
        found.link.workspace == target.workspace && found.link.project == target.project
    });
    if let Some(found) = found {
        remove_link(&found)?;
        let path = found.path.display();
        ctx.output.note(&match found.path.exists() {
            true => format!("took the link out of {path}"),
            false => format!("removed {path}"),
        });
    }
    Ok(())
}

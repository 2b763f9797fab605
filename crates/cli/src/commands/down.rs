//! `tose down`: stops the project, or deletes it.

use anyhow::Result;
use clap::Args;
use tose_api::client::Client;

use super::status::summary;
use crate::context::{Context, Target};
use crate::error::Error;
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
    if !prompt::is_possible(&ctx.output) {
        let text = format!("deleting {target} needs --yes where nobody can be asked");
        return Err(Error::Usage(text).into());
    }
    let question = format!(
        "{target} goes with its deployments, images, variables and domains. Type `{}` to delete it:",
        target.project
    );
    match prompt::ask_line(&ctx.output, &question)? {
        Some(answer) if answer == target.project.as_str() => Ok(()),
        _ => Err(Error::Usage(format!("{target} was not deleted")).into()),
    }
}

async fn delete(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let deleted = client
        .delete_project(&target.workspace, &target.project)
        .await?;
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
    ctx.output.result(&deleted, &format!("deleted {target}"))
}

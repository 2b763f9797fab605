//! `tose rollback`: deploys an earlier version again.

use anyhow::Result;
use clap::Args;
use tose_api::DeploymentId;
use tose_api::client::{Client, Paging};
use tose_api::deployment::DeploymentView;

use super::deploy::{WaitArgs, conclude};
use crate::context::{Context, Target};
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// The deployment to go back to; otherwise the newest before the live one that was live
    #[arg(value_name = "DEPLOYMENT")]
    deployment: Option<DeploymentId>,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(ctx: &Context, args: RollbackArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let id = match args.deployment {
        Some(id) => id,
        None => {
            let earlier = find_earlier(&client, &target)
                .await?
                .ok_or(Error::NoEarlierDeployment)?;
            ctx.output
                .note(&format!("going back to {}", describe(&earlier)));
            earlier.id
        }
    };
    let deployment = client
        .rollback(&target.workspace, &target.project, id)
        .await?;
    conclude(ctx, &client, &target, &deployment, &args.wait).await
}

/// The newest deployment that was live, and was asked for before the one that is.
async fn find_earlier(client: &Client, target: &Target) -> Result<Option<DeploymentView>> {
    let (workspace, project) = (&target.workspace, &target.project);
    let live = client
        .get_project(workspace, project)
        .await?
        .live_deployment;
    let is_earlier = |deployment: &DeploymentView| {
        let is_before = live.as_ref().is_none_or(|live| {
            deployment.id != live.id && deployment.created_at <= live.created_at
        });
        deployment.live_at.is_some() && is_before
    };
    for number in 1..=Paging::MAX_PAGE {
        let paging = Paging::new(Some(number), Some(Paging::MAX_LIMIT)).expect("within the limits");
        let page = client.list_deployments(workspace, project, paging).await?;
        if let Some(earlier) = page.items.into_iter().find(is_earlier) {
            return Ok(Some(earlier));
        }
        if !page.meta.has_more {
            break;
        }
    }
    Ok(None)
}

fn describe(deployment: &DeploymentView) -> String {
    let commit = deployment.commit.as_ref().map(|commit| {
        let sha: String = commit.sha.chars().take(7).collect();
        format!(": {sha} {}", text::first_line(&commit.message, 60))
    });
    format!(
        "{}, live since {}{}",
        deployment.id,
        text::optional_time(deployment.live_at),
        commit.unwrap_or_default()
    )
}

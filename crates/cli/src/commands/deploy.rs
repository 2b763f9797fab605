//! `tose deploy`: deploys the project and follows the deployment to its result.

mod build_log;
mod follow;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tose_api::BranchName;
use tose_api::client::Client;
use tose_api::deployment::{CreateDeployment, DeploymentStatus, DeploymentView};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::output::Style;
use crate::text;

#[derive(Args)]
pub(crate) struct DeployArgs {
    /// Build this branch instead of the connected one
    #[arg(long, value_name = "NAME")]
    branch: Option<BranchName>,
    #[command(flatten)]
    build: BuildArgs,
    /// Deploy the current image again with today's variables, without a build
    #[arg(long, conflicts_with_all = ["commit", "branch", "no_cache"])]
    redeploy: bool,
}

/// How to build, and whether to wait for it.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Build this commit instead of the branch's newest
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Build every layer anew
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Whether to wait.
#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Return at once instead of following the deployment
    #[arg(long, visible_alias = "no-wait")]
    detach: bool,
}

/// What `--json` prints: the deployment, and where it can be reached.
#[derive(Serialize)]
struct Deployed<'a> {
    #[serde(flatten)]
    deployment: &'a DeploymentView,
    url: &'a str,
}

pub(crate) async fn run(ctx: &Context, args: DeployArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    if !args.redeploy {
        return build(ctx, &client, &target, args.branch, args.build).await;
    }
    let deployment = client.redeploy(&target.workspace, &target.project).await?;
    conclude(ctx, &client, &target, &deployment, &args.build.wait).await
}

/// Builds and deploys the project.
pub(crate) async fn build(
    ctx: &Context,
    client: &Client,
    target: &Target,
    branch: Option<BranchName>,
    args: BuildArgs,
) -> Result<()> {
    let body = CreateDeployment {
        commit: args.commit,
        branch,
        no_cache: args.no_cache,
    };
    let deployment = client
        .create_deployment(&target.workspace, &target.project, &body)
        .await?;
    conclude(ctx, client, target, &deployment, &args.wait).await
}

/// Follows a deployment that was asked for to its result, unless nobody wants to wait.
pub(crate) async fn conclude(
    ctx: &Context,
    client: &Client,
    target: &Target,
    deployment: &DeploymentView,
    wait: &WaitArgs,
) -> Result<()> {
    match wait.detach {
        true => detach(ctx, client, target, deployment).await,
        false => follow(ctx, client, target, deployment).await,
    }
}

async fn detach(
    ctx: &Context,
    client: &Client,
    target: &Target,
    deployment: &DeploymentView,
) -> Result<()> {
    let url = &client
        .get_project(&target.workspace, &target.project)
        .await?
        .url;
    let id = deployment.id.to_string();
    ctx.output.result(&Deployed { deployment, url }, &id)?;
    let option = ctx.project_option(target);
    ctx.output.note(&format!(
        "follow it with `tose logs --build -f --deployment {id}{option}`"
    ));
    Ok(())
}

async fn follow(
    ctx: &Context,
    client: &Client,
    target: &Target,
    deployment: &DeploymentView,
) -> Result<()> {
    ctx.output
        .note(&format!("deployment {} of {target}", deployment.id));
    let deployment = &follow::follow(ctx, client, target, deployment).await?;
    if deployment.status != DeploymentStatus::Running {
        return Err(failure(deployment).into());
    }
    let url = &client
        .get_project(&target.workspace, &target.project)
        .await?
        .url;
    let live_at = deployment.live_at.unwrap_or(deployment.created_at);
    let took = text::elapsed(live_at.since(deployment.created_at));
    ctx.output.note(&format!(
        "{} after {took}",
        ctx.output.paint_stderr(Style::Good, "live")
    ));
    ctx.output.result(&Deployed { deployment, url }, url)
}

fn failure(deployment: &DeploymentView) -> Error {
    let default = match deployment.status {
        DeploymentStatus::Superseded => "another deployment took its place",
        DeploymentStatus::Cancelled => "it was called off before it was live",
        DeploymentStatus::Stopped => "the project was stopped",
        _ => "the server gives no reason",
    };
    let reason = deployment
        .error
        .clone()
        .unwrap_or_else(|| default.to_owned());
    let analysis = deployment.analysis.as_ref();
    let cause = analysis.and_then(|analysis| analysis.causes.first());
    Error::Deployment {
        id: deployment.id,
        status: deployment.status,
        reason,
        cause: cause.cloned().map(Box::new),
    }
}

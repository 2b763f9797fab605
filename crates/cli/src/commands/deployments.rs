//! `tose deployments`: the project's history.

use anyhow::Result;
use clap::Args;
use tose_api::client::Paging;
use tose_api::deployment::DeploymentView;

use crate::context::Context;
use crate::error::Error;
use crate::text;

#[derive(Debug, Args)]
pub(crate) struct DeploymentsArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
    /// How many rows a page has, 1 to 50
    #[arg(long, default_value_t = Paging::DEFAULT_LIMIT)]
    limit: u32,
}

pub(crate) async fn run(ctx: &Context, args: DeploymentsArgs) -> Result<()> {
    let paging = Paging::new(Some(args.page), Some(args.limit))
        .map_err(|parameter| Error::Usage(format!("--{parameter} is out of range")))?;
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let page = client
        .list_deployments(&target.workspace, &target.project, paging)
        .await?;
    let rows: Vec<_> = page.items.iter().map(row).collect();
    let heading = ["ID", "STATUS", "TRIGGER", "CREATED", "COMMIT", "MESSAGE"];
    ctx.output
        .result(&page.items, &text::table(heading, &rows))?;
    if page.meta.has_more {
        let (shown, next) = (page.meta.total, page.meta.page + 1);
        ctx.output
            .note(&format!("{shown} in all; go on with --page {next}"));
    }
    Ok(())
}

fn row(deployment: &DeploymentView) -> [String; 6] {
    let (sha, message) = match &deployment.commit {
        Some(commit) => (
            commit.sha.chars().take(7).collect(),
            commit.message.as_str(),
        ),
        None => (String::new(), ""),
    };
    // The likely cause says more than the reason, in less room.
    let analysis = deployment.analysis.as_ref();
    let cause = analysis.and_then(|analysis| analysis.causes.first());
    let cause = cause.map(|cause| cause.title.as_str());
    let message = cause.or(deployment.error.as_deref()).unwrap_or(message);
    [
        deployment.id.to_string(),
        deployment.status.as_str().to_owned(),
        deployment.trigger.as_str().to_owned(),
        text::time(deployment.created_at),
        sha,
        text::first_line(message, 60),
    ]
}

//! `tose scale`: how many replicas run, and with how much.

use anyhow::Result;
use clap::Args;
use tose_api::project::ScaleProject;
use tose_api::{Cpu, Ram};

use super::status::summary;
use crate::context::Context;

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ScaleArgs {
    /// How many replicas run; applies at once
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// Cores a replica, such as 0.5; the replicas are replaced
    #[arg(long, value_name = "CORES")]
    cpu: Option<Cpu>,
    /// GB of memory a replica, such as 0.5; the replicas are replaced
    #[arg(long, value_name = "GB")]
    ram: Option<Ram>,
}

pub(crate) async fn run(ctx: &Context, args: ScaleArgs) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let body = ScaleProject {
        replicas: args.replicas,
        cpu: args.cpu,
        ram: args.ram,
    };
    let project = client
        .scale_project(&target.workspace, &target.project, &body)
        .await?;
    let text = format!(
        "{}\nreplicas  {}\ncpu       {} each\nmemory    {} GB each",
        summary(&ctx.output, &project),
        project.replicas,
        project.cpu,
        project.ram
    );
    ctx.output.result(&project, &text)
}

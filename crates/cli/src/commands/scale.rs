//! `tose scale`: how many replicas run, and with how much.

use anyhow::Result;
use clap::Args;
use tose_api::project::ScaleProject;
use tose_api::{Cpu, Ram, Slug};

use super::status::summary;
use crate::context::Context;

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ScaleArgs {
    /// How many replicas of other processes run, such as worker=2; applies at once
    #[arg(value_name = "PROCESS=N", value_parser = parse_process)]
    processes: Vec<(Slug, u32)>,
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
        processes: (!args.processes.is_empty()).then(|| args.processes.into_iter().collect()),
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

fn parse_process(text: &str) -> Result<(Slug, u32), String> {
    let problem = || "is a process and a number, such as worker=2".to_owned();
    let (name, replicas) = text.split_once('=').ok_or_else(problem)?;
    let name = name.parse().map_err(|_| problem())?;
    Ok((name, replicas.parse().map_err(|_| problem())?))
}

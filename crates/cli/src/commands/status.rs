//! `tose status`: what the project is doing.

use anyhow::Result;
use tose_api::client::Paging;
use tose_api::deployment::DeploymentView;
use tose_api::project::{PodView, ProjectStatus, ProjectView, Source, StatusView};

use crate::context::Context;
use crate::output::{Output, Style};
use crate::text;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let status = client
        .get_status(&target.workspace, &target.project)
        .await?;
    if ctx.output.is_json() {
        return ctx.output.result(&status, "");
    }
    let project = client
        .get_project(&target.workspace, &target.project)
        .await?;
    ctx.output.text(&summary(&ctx.output, &project))?;
    ctx.output.text(&details(&project, &status))?;
    if project.status == ProjectStatus::Failed {
        let paging = Paging::new(Some(1), Some(1)).expect("the first page of one row");
        let newest = client
            .list_deployments(&target.workspace, &target.project, paging)
            .await?;
        let failures = newest.items.iter().map(failure);
        ctx.output.text(&failures.collect::<String>())?;
    }
    if status.pods.items.is_empty() {
        return Ok(());
    }
    ctx.output
        .text(&format!("\n{}", replicas(&status.pods.items)))
}

/// The line that says which project, what it is doing, and where visitors reach it.
pub(crate) fn summary(output: &Output, project: &ProjectView) -> String {
    let style = match project.status {
        ProjectStatus::Running => Style::Good,
        ProjectStatus::Created | ProjectStatus::Deploying => Style::Busy,
        ProjectStatus::Stopped => Style::Faint,
        ProjectStatus::Degraded | ProjectStatus::Failed | ProjectStatus::Suspended => Style::Bad,
    };
    let status = output.paint(style, &text::word(&project.status));
    format!(
        "{}/{}  {status}  {}",
        project.workspace, project.slug, project.url
    )
}

fn details(project: &ProjectView, status: &StatusView) -> String {
    let source = match (project.source, &project.git_connection, &project.image) {
        (Source::Git, Some(git), _) => format!("{} ({})", git.repo_url, git.branch),
        (Source::Git, None, _) => "no repository connected".to_owned(),
        (Source::Image, _, Some(image)) => image.to_string(),
        (Source::Image, _, None) => "no image given".to_owned(),
    };
    let deployment = match &project.live_deployment {
        Some(live) => format!("{} since {}", live.id, text::optional_time(live.live_at)),
        None => "none is live".to_owned(),
    };
    let resources = &status.resources;
    format!(
        "source      {source}\n\
         deployment  {deployment}\n\
         replicas    {} of {} ready\n\
         cpu         {} of {}\n\
         memory      {} of {}\n",
        status.pods.ready,
        status.pods.total,
        resources.cpu.used,
        resources.cpu.limit,
        resources.memory.used,
        resources.memory.limit,
    )
}

/// Why the newest deployment failed.
fn failure(deployment: &DeploymentView) -> String {
    let reason = deployment.error.as_deref().unwrap_or_default();
    let analysis = deployment.analysis.as_ref();
    let told = match analysis.and_then(|analysis| analysis.causes.first()) {
        Some(cause) => format!("cause       {}\nto do       {}\n", cause.title, cause.fix),
        None => String::new(),
    };
    format!("failed      {}\n{told}", text::first_line(reason, 200))
}

fn replicas(pods: &[PodView]) -> String {
    let rows: Vec<_> = pods.iter().map(row).collect();
    text::table(
        [
            "REPLICA", "STATUS", "RESTARTS", "STARTED", "CPU", "MEMORY", "REASON",
        ],
        &rows,
    )
}

fn row(pod: &PodView) -> [String; 7] {
    [
        pod.name.clone(),
        text::word(&pod.status),
        pod.restarts.to_string(),
        text::optional_time(pod.started_at),
        pod.cpu.clone(),
        pod.memory.clone(),
        text::first_line(pod.reason.as_deref().unwrap_or_default(), 80),
    ]
}

//! `tose up`: everything from a folder to a live app.

use anyhow::{Result, ensure};
use clap::Args;
use tose_api::RepoPath;
use tose_api::client::Client;
use tose_api::project::ProjectView;

use super::{deploy, init};
use crate::archive;
use crate::context::{Context, Target};
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Send this folder's files instead of building from a repository
    #[arg(
        long,
        conflicts_with_all = [
            "repo", "branch", "root_directory", "dockerfile", "deploy_key_file", "image", "commit",
            "no_cache",
        ]
    )]
    upload: bool,
    #[command(flatten)]
    init: init::InitArgs,
    #[command(flatten)]
    build: deploy::BuildArgs,
}

pub(crate) async fn run(ctx: &Context, args: UpArgs) -> Result<()> {
    let client = ctx.client()?;
    if args.upload {
        return upload(ctx, &client, args).await;
    }
    let project = init::ensure_project(ctx, &client, &args.init).await?;
    if init::lacks_repository(&project) {
        return Err(Error::NoRepository.into());
    }
    let target = target(project);
    deploy::build(ctx, &client, &target, None, args.build).await
}

/// Sends the folder's files, then deploys what is built from them.
async fn upload(ctx: &Context, client: &Client, args: UpArgs) -> Result<()> {
    let project = init::ensure_linked(ctx, client, &args.init, None).await?;
    let folder = ctx.directory.display();
    ctx.output.status(&format!("packing {folder} …"));
    let archive = archive::pack(&ctx.directory, dockerfile(&project))?;
    let count = archive.file_count;
    ensure!(count > 0, "there is no file to send in {folder}");
    let size = text::size(archive.bytes.len() as u64);
    ctx.output.note(&format!("sending {count} files, {size}"));
    let target = target(project);
    let deployment = client
        .upload(&target.workspace, &target.project, archive.bytes)
        .await?;
    deploy::conclude(ctx, client, &target, &deployment, &args.build.wait).await
}

fn target(project: ProjectView) -> Target {
    Target {
        workspace: project.workspace,
        project: project.slug,
    }
}

/// The project's Dockerfile, where the folder that is sent is the one that is built.
fn dockerfile(project: &ProjectView) -> Option<&str> {
    let (git, build) = (project.git_connection.as_ref(), project.build.as_ref());
    let root = git
        .and_then(|git| git.root_directory.as_ref())
        .or(build.and_then(|build| build.root_directory.as_ref()));
    let dockerfile = git
        .and_then(|git| git.dockerfile_path.as_ref())
        .or(build.and_then(|build| build.dockerfile_path.as_ref()));
    let name = dockerfile.map_or("Dockerfile", RepoPath::as_str);
    root.is_none().then_some(name)
}

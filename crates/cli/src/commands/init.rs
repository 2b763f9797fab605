//! `tose init`: a project for this folder.
//!
//! Running it again changes nothing: what is given is compared with what there is, and only
//! differences are sent. A project that merely has the folder's name is never taken over, unless it
//! has the same repository or image.

mod git;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use tose_api::client::Client;
use tose_api::project::{CreateProject, ProjectView, Source, UpdateProject};
use tose_api::{BranchName, Cpu, ImageRef, Kind, Port, Ram, RepoPath, RepoUrl, Slug};

use super::status::summary;
use crate::context::Context;
use crate::error::Error;
use crate::link::{Link, write_link};
use crate::prompt;
use git::Step;

const DEFAULT_NAME: &str = "app";

#[derive(Default, Args)]
pub(crate) struct InitArgs {
    /// What people call the project; otherwise its slug, or the folder's name
    #[arg(long)]
    name: Option<String>,
    /// Its name in addresses; an existing project's links this folder to it
    #[arg(long)]
    slug: Option<Slug>,
    /// The port that the app listens on
    #[arg(long)]
    port: Option<Port>,
    /// The repository to build; otherwise the remote `origin` of this folder
    #[arg(long, value_name = "URL")]
    repo: Option<RepoUrl>,
    /// The branch to build
    #[arg(long, value_name = "NAME")]
    branch: Option<BranchName>,
    /// The folder of the repository to build
    #[arg(long, value_name = "PATH")]
    root_directory: Option<RepoPath>,
    /// The Dockerfile, relative to the root directory
    #[arg(long, value_name = "PATH")]
    dockerfile: Option<RepoPath>,
    /// A private SSH key that may read the repository
    #[arg(long, value_name = "FILE")]
    deploy_key_file: Option<PathBuf>,
    /// The installation of the server's GitHub App that reads the repository
    #[arg(long, value_name = "ID")]
    installation: Option<u64>,
    /// The image to run instead of building from a repository
    #[arg(
        long,
        conflicts_with_all = ["repo", "branch", "root_directory", "dockerfile", "deploy_key_file", "installation"]
    )]
    image: Option<ImageRef>,
    /// How many replicas run
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// Cores a replica, such as 0.5
    #[arg(long, value_name = "CORES")]
    cpu: Option<Cpu>,
    /// GB of memory a replica, such as 0.5
    #[arg(long, value_name = "GB")]
    ram: Option<Ram>,
    /// The path that answers 2xx or 3xx once a replica is ready; an empty one takes it away
    #[arg(long, value_name = "PATH")]
    health_path: Option<String>,
}

pub(crate) async fn run(ctx: &Context, args: &InitArgs) -> Result<()> {
    let client = ctx.client()?;
    let project = ensure_project(ctx, &client, args).await?;
    if lacks_repository(&project) {
        ctx.output
            .warn("no repository is connected: `tose init --repo URL` connects one");
    }
    ctx.output.result(&project, &summary(&ctx.output, &project))
}

/// Whether there is nothing that the project could be built from.
pub(crate) fn lacks_repository(project: &ProjectView) -> bool {
    project.source == Source::Git && project.git_connection.is_none()
}

/// Makes sure that this folder has a project, and that it is as `args` say.
pub(crate) async fn ensure_project(
    ctx: &Context,
    client: &Client,
    args: &InitArgs,
) -> Result<ProjectView> {
    let deploy_key = read_deploy_key(args)?;
    let origin = match (&args.repo, &args.image) {
        (None, None) => git::origin(&ctx.directory).await,
        _ => None,
    };
    let project = ensure_linked(ctx, client, args, origin.as_ref()).await?;
    if project.source == Source::Image {
        return Ok(project);
    }
    let (workspace, slug) = (&project.workspace, &project.slug);
    match git::plan(args, project.git_connection.as_ref(), origin, deploy_key)? {
        Step::Nothing | Step::Missing => return Ok(project),
        Step::Connect(body) => client.connect_git(workspace, slug, &body).await?,
        Step::Update(body) => client.update_git(workspace, slug, &body).await?,
    };
    let project = client.get_project(workspace, slug).await?;
    note_connection(ctx, &project);
    Ok(project)
}

/// Makes sure that this folder has a project, wherever that project's source is.
pub(crate) async fn ensure_linked(
    ctx: &Context,
    client: &Client,
    args: &InitArgs,
    origin: Option<&RepoUrl>,
) -> Result<ProjectView> {
    let project = find_or_create(ctx, client, args, origin).await?;
    link(ctx, &project)?;
    Ok(project)
}

fn read_deploy_key(args: &InitArgs) -> Result<Option<String>> {
    let Some(path) = &args.deploy_key_file else {
        return Ok(None);
    };
    let key = fs::read_to_string(path);
    key.map(Some)
        .with_context(|| format!("cannot read {}", path.display()))
}

fn note_connection(ctx: &Context, project: &ProjectView) {
    let Some(git) = &project.git_connection else {
        return;
    };
    ctx.output
        .note(&format!("connected to {} ({})", git.repo_url, git.branch));
    if git.repo_url.is_ssh() && !git.has_deploy_key {
        let text = "SSH needs a key that may read the repository: give it with --deploy-key-file";
        ctx.output.warn(text);
    }
}

fn link(ctx: &Context, project: &ProjectView) -> Result<()> {
    let link = Link {
        workspace: project.workspace.clone(),
        project: project.slug.clone(),
    };
    if ctx.link()?.is_some_and(|found| found.link == link) {
        return Ok(());
    }
    write_link(&ctx.directory, &link)?;
    ctx.output.note(&format!(
        "linked this folder to {}/{}",
        link.workspace, link.project
    ));
    Ok(())
}

async fn find_or_create(
    ctx: &Context,
    client: &Client,
    args: &InitArgs,
    origin: Option<&RepoUrl>,
) -> Result<ProjectView> {
    let workspace = ctx.workspace(client).await?;
    if let Some(slug) = args.slug.as_ref().or(ctx.project.as_ref()) {
        return match find(client, &workspace, slug).await? {
            Some(project) => update(client, project, args).await,
            None => create_with_slug(ctx, client, &workspace, args, slug.clone()).await,
        };
    }
    let linked = ctx
        .link()?
        .map(|found| found.link)
        .filter(|link| link.workspace == workspace);
    if let Some(Link { project: slug, .. }) = linked {
        return match find(client, &workspace, &slug).await? {
            Some(project) => {
                check_name(&project, args)?;
                update(client, project, args).await
            }
            None => create_with_slug(ctx, client, &workspace, args, slug).await,
        };
    }
    create_by_name(ctx, client, &workspace, args, origin).await
}

/// A folder keeps its project: another name means that another project is wanted.
fn check_name(project: &ProjectView, args: &InitArgs) -> Result<()> {
    match &args.name {
        Some(name) if *name != project.name => {
            let text = format!(
                "this folder is linked to `{}`, which is called \"{}\": name another project with --slug too, or rename this one with `--slug {} --name`",
                project.slug, project.name, project.slug
            );
            Err(Error::Usage(text).into())
        }
        _ => Ok(()),
    }
}

async fn create_by_name(
    ctx: &Context,
    client: &Client,
    workspace: &Slug,
    args: &InitArgs,
    origin: Option<&RepoUrl>,
) -> Result<ProjectView> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => ask_name(ctx)?,
    };
    // Where the name is no slug by itself, the server makes one, and refuses it if it is taken.
    if let Ok(slug) = name.to_lowercase().replace(' ', "-").parse::<Slug>()
        && let Some(project) = find(client, workspace, &slug).await?
    {
        return match has_same_source(&project, args, origin) {
            true => update(client, project, args).await,
            false => Err(Error::ProjectExists {
                workspace: workspace.clone(),
                slug,
            }
            .into()),
        };
    }
    create(ctx, client, workspace, args, name, None).await
}

fn ask_name(ctx: &Context) -> Result<String> {
    let folder = ctx.directory.file_name().and_then(|name| name.to_str());
    let default = folder.unwrap_or(DEFAULT_NAME).to_owned();
    if !prompt::is_possible(&ctx.output) {
        return Ok(default);
    }
    let answer = prompt::ask_line(&ctx.output, &format!("Name of the project [{default}]:"))?;
    Ok(answer.unwrap_or(default))
}

fn has_same_source(project: &ProjectView, args: &InitArgs, origin: Option<&RepoUrl>) -> bool {
    match (
        &args.image,
        args.repo.as_ref().or(origin),
        &project.git_connection,
    ) {
        (Some(image), _, _) => project.image.as_ref() == Some(image),
        (None, Some(repo), Some(git)) => git.repo_url == *repo,
        _ => false,
    }
}

async fn find(client: &Client, workspace: &Slug, slug: &Slug) -> Result<Option<ProjectView>> {
    match client.get_project(workspace, slug).await {
        Ok(project) => Ok(Some(project)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn create_with_slug(
    ctx: &Context,
    client: &Client,
    workspace: &Slug,
    args: &InitArgs,
    slug: Slug,
) -> Result<ProjectView> {
    let name = args.name.clone().unwrap_or_else(|| slug.to_string());
    create(ctx, client, workspace, args, name, Some(slug)).await
}

async fn create(
    ctx: &Context,
    client: &Client,
    workspace: &Slug,
    args: &InitArgs,
    name: String,
    slug: Option<Slug>,
) -> Result<ProjectView> {
    let port = match args.port {
        Some(port) => Some(port),
        None => ask_port(ctx)?,
    };
    let body = CreateProject {
        name,
        slug,
        port,
        replicas: args.replicas,
        cpu: args.cpu,
        ram: args.ram,
        source: None,
        image: args.image.clone(),
        health_check_path: args.health_path.as_deref().and_then(non_empty),
        start_command: None,
        volumes: None,
        build: None,
        region: None,
    };
    Ok(client.create_project(workspace, &body).await?)
}

fn ask_port(ctx: &Context) -> Result<Option<Port>> {
    if !prompt::is_possible(&ctx.output) {
        return Ok(None);
    }
    let answer = prompt::ask_line(&ctx.output, "Port that the app listens on [3000]:")?;
    let port = answer.map(|text| text.parse::<Port>()).transpose();
    port.map_err(|error| Error::Usage(error.to_string()).into())
}

async fn update(client: &Client, project: ProjectView, args: &InitArgs) -> Result<ProjectView> {
    match changes(&project, args) {
        Some(body) => Ok(client
            .update_project(&project.workspace, &project.slug, &body)
            .await?),
        None => Ok(project),
    }
}

/// What has to change for `project` to be as `args` say.
fn changes(project: &ProjectView, args: &InitArgs) -> Option<UpdateProject> {
    let source = match (&args.image, &args.repo) {
        (Some(_), _) => Some(Source::Image),
        (None, Some(_)) => Some(Source::Git),
        (None, None) => None,
    };
    let health_check_path = args.health_path.as_ref().map(|path| non_empty(path));
    let body = UpdateProject {
        name: differing(&args.name, &project.name),
        port: differing(&args.port, &project.port),
        replicas: differing(&args.replicas, &project.replicas),
        cpu: differing(&args.cpu, &project.cpu),
        ram: differing(&args.ram, &project.ram),
        source: differing(&source, &project.source),
        image: differing(&args.image.clone().map(Some), &project.image),
        health_check_path: differing(&health_check_path, &project.health_check_path),
        ..UpdateProject::default()
    };
    let is_empty = matches!(
        body,
        UpdateProject {
            name: None,
            port: None,
            replicas: None,
            cpu: None,
            ram: None,
            source: None,
            image: None,
            health_check_path: None,
            start_command: None,
            volumes: None,
            build: None,
            region: None,
        }
    );
    (!is_empty).then_some(body)
}

/// What is given, unless there is just that already.
fn differing<T: Clone + PartialEq>(given: &Option<T>, there: &T) -> Option<T> {
    given.as_ref().filter(|given| *given != there).cloned()
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

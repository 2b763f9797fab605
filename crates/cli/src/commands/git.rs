//! `tose git`: the project's repository, and how its pushes deploy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use tose_api::client::{Client, Paging};
use tose_api::git::{ConnectGit, GitConnectionView, GitProvider, GitWebhookView, PushDeliveryView};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct GitArgs {
    #[command(subcommand)]
    command: Option<GitCommand>,
}

#[derive(Subcommand)]
enum GitCommand {
    /// Show the repository; so does `tose git` alone
    Show,
    /// Change what is built, and which pushes deploy it
    Set(SetArgs),
    /// Show what to enter at the Git server so that pushes deploy
    Webhook(WebhookArgs),
    /// Make a deploy key for a private repository over ssh, and show its public half
    DeployKey,
    /// Print the address that `git push` deploys at; the API key is the password
    Url,
    /// List the push events that came, and what each led to
    Deliveries(DeliveriesArgs),
}

#[derive(Args)]
struct SetArgs {
    /// The branch that is built
    #[arg(long, value_name = "NAME")]
    branch: Option<tose_api::BranchName>,
    /// Whether a push deploys by itself
    #[arg(long, value_name = "BOOL")]
    auto_deploy: Option<bool>,
    /// A file with a token that may read the repository over https
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
    /// The installation of the server's GitHub App that reads the repository
    #[arg(long, value_name = "ID")]
    installation: Option<u64>,
    /// What kind of server it is: github, gitlab or gitea; needed for one's own server
    #[arg(long, value_name = "KIND", value_parser = parse_provider)]
    provider: Option<GitProvider>,
    /// Whether pull requests into the branch get previews
    #[arg(long, value_name = "BOOL")]
    previews: Option<bool>,
    /// How many previews there may be at once
    #[arg(long, value_name = "COUNT")]
    preview_limit: Option<u32>,
    /// Only pushes that change such files deploy; may be given several times, an empty one for any
    #[arg(long, value_name = "PATTERN")]
    watch: Vec<String>,
}

#[derive(Args)]
struct WebhookArgs {
    /// Make another secret: the one before is refused from now on
    #[arg(long)]
    renew: bool,
}

#[derive(Args)]
struct DeliveriesArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
}

pub(crate) async fn run(ctx: &Context, args: GitArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(GitCommand::Show) {
        GitCommand::Show => show(ctx, client, target).await,
        GitCommand::Set(args) => set(ctx, client, target, args).await,
        GitCommand::Webhook(args) => webhook(ctx, client, target, &args).await,
        GitCommand::DeployKey => deploy_key(ctx, client, target).await,
        GitCommand::Url => url(ctx, client, target),
        GitCommand::Deliveries(args) => deliveries(ctx, client, target, &args).await,
    }
}

async fn show(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let connection = client.get_git(&target.workspace, &target.project).await?;
    ctx.output.result(&connection, &details(&connection))
}

async fn set(ctx: &Context, client: &Client, target: &Target, args: SetArgs) -> Result<()> {
    let access_token = args
        .access_token_file
        .as_deref()
        .map(read_token)
        .transpose()?;
    let watch_paths = (!args.watch.is_empty()).then(|| {
        args.watch
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect()
    });
    let body = ConnectGit {
        branch: args.branch,
        auto_deploy: args.auto_deploy,
        access_token,
        installation_id: args.installation,
        watch_paths,
        provider: args.provider,
        previews: args.previews,
        preview_limit: args.preview_limit,
        ..ConnectGit::default()
    };
    let connection = client
        .update_git(&target.workspace, &target.project, &body)
        .await?;
    ctx.output.result(&connection, &details(&connection))
}

fn parse_provider(text: &str) -> Result<GitProvider, String> {
    [GitProvider::Github, GitProvider::Gitlab, GitProvider::Gitea]
        .into_iter()
        .find(|provider| provider.as_str() == text)
        .ok_or_else(|| "must be github, gitlab or gitea (also for Forgejo)".to_owned())
}

fn read_token(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

async fn webhook(
    ctx: &Context,
    client: &Client,
    target: &Target,
    args: &WebhookArgs,
) -> Result<()> {
    let (workspace, project) = (&target.workspace, &target.project);
    let webhook: GitWebhookView = if args.renew {
        client.renew_git_webhook(workspace, project).await?
    } else {
        client.get_git_webhook(workspace, project).await?
    };
    let rows = [
        ["GitHub", &webhook.github_url],
        ["GitLab", &webhook.gitlab_url],
        ["Gitea, Forgejo", &webhook.gitea_url],
    ]
    .map(|row| row.map(str::to_owned));
    let table = text::table(["SERVER", "ADDRESS"], &rows);
    let text = format!("secret: {}\n\n{table}", webhook.secret);
    ctx.output.result(&webhook, &text)?;
    ctx.output.note(
        "add a webhook with this address and secret at the repository: content type application/json, push events; pull request events for previews",
    );
    Ok(())
}

async fn deploy_key(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let connection = client
        .create_deploy_key(&target.workspace, &target.project)
        .await?;
    let public = connection.deploy_key_public.clone().unwrap_or_default();
    ctx.output.result(&connection, &public)?;
    ctx.output
        .note("add this key to the repository, with read access");
    Ok(())
}

fn url(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let url = client.push_url(&target.workspace, &target.project);
    ctx.output.result(&url, &url)?;
    ctx.output
        .note("git asks for a user name, which may be any, and a password, which is the API key");
    Ok(())
}

async fn deliveries(
    ctx: &Context,
    client: &Client,
    target: &Target,
    args: &DeliveriesArgs,
) -> Result<()> {
    let paging = Paging::new(Some(args.page), None)
        .map_err(|parameter| Error::Usage(format!("--{parameter} is out of range")))?;
    let page = client
        .list_push_deliveries(&target.workspace, &target.project, paging)
        .await?;
    let rows: Vec<_> = page.items.iter().map(row).collect();
    let heading = ["RECEIVED", "FROM", "REF", "COMMIT", "VERDICT", "DEPLOYMENT"];
    ctx.output
        .result(&page.items, &text::table(heading, &rows))?;
    if page.meta.has_more {
        let (shown, next) = (page.meta.total, page.meta.page + 1);
        ctx.output
            .note(&format!("{shown} in all; go on with --page {next}"));
    }
    Ok(())
}

fn row(delivery: &PushDeliveryView) -> [String; 6] {
    let commit = delivery.commit.as_deref().unwrap_or_default();
    [
        text::time(delivery.received_at),
        delivery.provider.as_str().to_owned(),
        delivery.git_ref.clone().unwrap_or_default(),
        commit.chars().take(7).collect(),
        delivery.verdict.as_str().replace('_', " "),
        delivery
            .deployment_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
    ]
}

fn details(connection: &GitConnectionView) -> String {
    let mut rows = vec![
        ["repository", connection.repo_url.as_str()].map(str::to_owned),
        ["branch", connection.branch.as_str()].map(str::to_owned),
        [
            "pushes deploy",
            if connection.auto_deploy { "yes" } else { "no" },
        ]
        .map(str::to_owned),
    ];
    if !connection.watch_paths.is_empty() {
        rows.push([
            "if they change".to_owned(),
            connection.watch_paths.join(" "),
        ]);
    }
    if let Some(folder) = &connection.root_directory {
        rows.push(["folder".to_owned(), folder.to_string()]);
    }
    if let Some(file) = &connection.dockerfile_path {
        rows.push(["Dockerfile".to_owned(), file.to_string()]);
    }
    if connection.has_access_token {
        rows.push(["access token", "kept sealed"].map(str::to_owned));
    }
    if let Some(id) = connection.installation_id {
        rows.push(["installation".to_owned(), id.to_string()]);
    }
    if connection.previews {
        let limit = format!("yes, {} at most", connection.preview_limit);
        rows.push(["previews".to_owned(), limit]);
    }
    if let Some(report) = &connection.last_commit_status {
        let said = match &report.error {
            Some(error) => format!("not told: {error}"),
            None => format!("told at {}", text::time(report.reported_at)),
        };
        rows.push(["commit status".to_owned(), said]);
    }
    if let Some(key) = &connection.deploy_key_public {
        rows.push(["deploy key".to_owned(), key.clone()]);
    } else if connection.has_deploy_key {
        rows.push(["deploy key", "kept sealed"].map(str::to_owned));
    }
    rows.iter()
        .map(|[name, value]| format!("{name:<16}{value}\n"))
        .collect()
}

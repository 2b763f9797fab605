//! `tose template`: well-known applications that need no set-up.
//!
//! An instance of a template is a project, so every other command takes its slug as `--project`.

mod deploy;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::project::ProjectView;
use tose_api::template::TemplateView;

use super::down;
use crate::context::{Context, Target};
use crate::error::Error;
use crate::pages;
use crate::prompt;
use crate::text;

#[derive(Args)]
pub(crate) struct TemplateArgs {
    #[command(subcommand)]
    command: Option<TemplateCommand>,
}

#[derive(Subcommand)]
enum TemplateCommand {
    /// List the catalogue; so does `tose template` alone
    List(ListArgs),
    /// Make an instance of a template, deploy it, and follow that until it is live
    Deploy(deploy::DeployArgs),
    /// List the workspace's instances
    Instances,
    /// Delete an instance with its folders; its databases stay
    Delete(DeleteArgs),
}

#[derive(Default, Args)]
struct ListArgs {
    /// Only those of this kind, such as cms
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
}

#[derive(Args)]
struct DeleteArgs {
    /// Its slug, as `tose template instances` has it
    #[arg(value_name = "SLUG")]
    instance: Slug,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(ctx: &Context, args: TemplateArgs) -> Result<()> {
    let client = &ctx.client()?;
    let list_all = TemplateCommand::List(ListArgs::default());
    match args.command.unwrap_or(list_all) {
        TemplateCommand::List(args) => list(ctx, client, args.category.as_deref()).await,
        TemplateCommand::Deploy(args) => deploy::run(ctx, client, args).await,
        TemplateCommand::Instances => instances(ctx, client).await,
        TemplateCommand::Delete(args) => delete(ctx, client, args).await,
    }
}

async fn list(ctx: &Context, client: &Client, category: Option<&str>) -> Result<()> {
    let mut templates = client.list_templates().await?;
    if let Some(category) = category {
        templates.retain(|template| template.category.eq_ignore_ascii_case(category));
        if templates.is_empty() {
            return Err(Error::Missing {
                what: format!("template of the category `{category}`"),
                list: "tose template list --json",
            }
            .into());
        }
    }
    let rows: Vec<_> = templates.iter().map(row).collect();
    let heading = ["KEY", "NAME", "DESCRIPTION", "NEEDS"];
    ctx.output.result(&templates, &text::table(heading, &rows))
}

fn row(template: &TemplateView) -> [String; 4] {
    let mut needs: Vec<_> = template
        .databases
        .iter()
        .map(|kind| kind.as_str())
        .collect();
    needs.extend(template.required_envs.iter().map(|env| env.key.as_str()));
    [
        template.key.clone(),
        template.name.clone(),
        text::first_line(&template.description, 80),
        needs.join(", "),
    ]
}

async fn instances(ctx: &Context, client: &Client) -> Result<()> {
    let workspace = &ctx.workspace(client).await?;
    let instances =
        pages::all(async |paging| client.list_instances(workspace, paging).await).await?;
    let row = |instance: &ProjectView| {
        [
            instance.slug.to_string(),
            instance.template.clone().unwrap_or_default(),
            text::word(&instance.status),
            instance.url.clone(),
        ]
    };
    let rows: Vec<_> = instances.iter().map(row).collect();
    let heading = ["SLUG", "TEMPLATE", "STATUS", "ADDRESS"];
    ctx.output.result(&instances, &text::table(heading, &rows))
}

async fn delete(ctx: &Context, client: &Client, args: DeleteArgs) -> Result<()> {
    let target = &Target {
        workspace: ctx.workspace(client).await?,
        project: args.instance,
    };
    let (workspace, slug) = (&target.workspace, &target.project);
    let stay = match databases_of(client, workspace, slug).await?.as_slice() {
        [] => String::new(),
        names => format!(
            "the databases stay that were made with it, by their names {}",
            names.join(", ")
        ),
    };
    if !args.yes {
        let rest = if stay.is_empty() { "" } else { "; " };
        let question = format!(
            "{target} goes with its folders, deployments, variables and domains{rest}{stay}. Type `{slug}` to delete it:"
        );
        let deed = format!("deleting {target}");
        prompt::confirm(&ctx.output, &deed, &question, slug.as_str())?;
    }
    let deleted = client.delete_instance(workspace, slug).await?;
    down::forget_link(ctx, target)?;
    ctx.output.result(&deleted, &format!("deleted {target}"))?;
    if !stay.is_empty() {
        ctx.output
            .note(&format!("{stay}: `tose db delete NAME` deletes one"));
    }
    Ok(())
}

/// The databases whose slugs begin as those do that were made with an instance.
async fn databases_of(client: &Client, workspace: &Slug, instance: &Slug) -> Result<Vec<String>> {
    let databases =
        pages::all(async |paging| client.list_databases(workspace, paging).await).await?;
    let beginning = format!("{instance}-");
    let names = databases.iter().map(|database| database.slug.to_string());
    Ok(names.filter(|name| name.starts_with(&beginning)).collect())
}

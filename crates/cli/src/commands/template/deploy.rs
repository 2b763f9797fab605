//! `tose template deploy`.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::EnvKey;
use tose_api::client::{self, Client};
use tose_api::deployment::DeploymentView;
use tose_api::env_var::SetEnvVar;
use tose_api::template::{CreateInstance, DeployInstance, DeployMode, TemplateView};

use crate::commands::deploy::{self, WaitArgs};
use crate::commands::env::parse_assignments;
use crate::context::{Context, Target};
use crate::error::Error;

#[derive(Args)]
pub(super) struct DeployArgs {
    /// Which template, as `tose template list` has it
    #[arg(value_name = "KEY")]
    template: String,
    /// What people call the instance; its slug is made from that. Otherwise the template's name
    #[arg(long)]
    name: Option<String>,
    /// Set a variable; can be given again
    // Texts, since what the parser of the command line refuses is repeated in its error.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    variables: Vec<String>,
    /// Set a variable whose value every answer masks; can be given again
    #[arg(long = "secret", value_name = "KEY=VALUE")]
    secrets: Vec<String>,
    /// Where its image comes from; otherwise the template's, or a build where that names none
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Image,
    Build,
}

pub(super) async fn run(ctx: &Context, client: &Client, args: DeployArgs) -> Result<()> {
    let variables = variables(&args)?;
    let mode = args.mode.map(|mode| match mode {
        Mode::Image => DeployMode::Image,
        Mode::Build => DeployMode::Build,
    });
    let workspace = ctx.workspace(client).await?;
    let template = find(client, args.template).await?;
    check(&template, &variables, mode)?;
    let body = CreateInstance {
        name: args.name.unwrap_or_else(|| template.name.clone()),
        template_name: template.key,
        slug: None,
        cpu: None,
        ram: None,
    };
    let instance = client.create_instance(&workspace, &body).await?;
    let target = &Target {
        workspace,
        project: instance.slug,
    };
    let variables: Vec<_> = variables.into_values().collect();
    let begun = begin(client, target, &variables, mode).await;
    let deployment = begun.inspect_err(|_| {
        let slug = &target.project;
        ctx.output.warn(&format!(
            "{target} was made, and is not deployed: `tose template delete {slug}` takes it away"
        ));
    })?;
    deploy::conclude(ctx, client, target, &deployment, &args.wait).await
}

/// What is set, by its keys.
fn variables(args: &DeployArgs) -> Result<BTreeMap<EnvKey, SetEnvVar>> {
    let mut variables = BTreeMap::new();
    for (assignments, noun, is_secret) in [
        (&args.variables, "--env", false),
        (&args.secrets, "--secret", true),
    ] {
        for (key, value) in parse_assignments(assignments, noun)? {
            let variable = SetEnvVar {
                key: key.clone(),
                value,
                is_secret,
            };
            if variables.insert(key.clone(), variable).is_some() {
                let text = format!("{key} is given by --env and by --secret: leave one out");
                return Err(Error::Usage(text).into());
            }
        }
    }
    Ok(variables)
}

async fn find(client: &Client, wanted: String) -> Result<TemplateView> {
    let mut templates = client.list_templates().await?.into_iter();
    let found = templates.find(|template| template.key == wanted || template.name == wanted);
    let missing = || Error::Missing {
        what: format!("template `{wanted}`"),
        list: "tose template list",
    };
    Ok(found.ok_or_else(missing)?)
}

/// Refuses what the server would refuse after an instance was made.
fn check(
    template: &TemplateView,
    variables: &BTreeMap<EnvKey, SetEnvVar>,
    mode: Option<DeployMode>,
) -> Result<()> {
    if let Some(mode) = mode.filter(|mode| !template.modes.contains(mode)) {
        let ways: Vec<_> = template.modes.iter().map(|mode| mode.as_str()).collect();
        let (mode, ways) = (mode.as_str(), ways.join(" or "));
        let text = format!("{} has no mode {mode}: it has {ways}", template.key);
        return Err(Error::Usage(text).into());
    }
    let mut missing = template.required_envs.clone();
    missing.retain(|needed| !variables.contains_key(&needed.key));
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::MissingVariables {
        template: template.key.clone(),
        variables: missing,
    }
    .into())
}

/// Gives the instance its variables, and asks for its first deployment.
async fn begin(
    client: &Client,
    target: &Target,
    variables: &[SetEnvVar],
    mode: Option<DeployMode>,
) -> client::Result<DeploymentView> {
    let Target { workspace, project } = target;
    if !variables.is_empty() {
        client
            .set_instance_env_vars(workspace, project, variables)
            .await?;
    }
    client
        .deploy_instance(workspace, project, &DeployInstance { mode })
        .await
}

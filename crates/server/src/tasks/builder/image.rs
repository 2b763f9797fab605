//! From a source to its image: choosing, building, and the log of it.
//!
//! Not here: where the source comes from, and what becomes of the deployment (`tasks/builder.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tose_api::log::LogSource;
use tose_api::{DeploymentId, EnvKey, Port};
use tose_model::access::WorkspaceScope;
use tose_model::build_secret::{Masks, carry};
use tose_model::deployment::Deployment;
use tose_model::dockerfile::{check_sources, declared_args};
use tose_model::driver::{BuildRequest, DriverError, DriverResult};
use tose_model::project::RunSpec;
use tose_model::recipe::manifest::RunWishes;
use tose_model::secret::{ExposeSecret, SecretString};

use super::{BATCH, NoImage, context_failure, engine_failure};
use crate::app::Platform;
use crate::build::choice::{Choice, Options, choose};
use crate::build::log_budget::LogBudget;
use crate::build::source::SourceTree;

/// How often an engine that does not answer is asked again, and how many times.
const ENGINE_PERIOD: Duration = Duration::from_millis(200);
const ENGINE_ATTEMPTS: u32 = 600;

/// An image that was built by a source with a file of its own is run as that file says, also when it is
/// deployed again: by a restart, say.
pub(super) async fn heed_file_again(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
    image: &str,
) -> std::result::Result<(), NoImage> {
    if deployment.run.file.is_some() {
        return Ok(());
    }
    let (project, store) = (deployment.project_id, &platform.store);
    let built = store
        .find_deployment_of_image(scope, project, image)
        .await?;
    let Some(wishes) = built.and_then(|built| built.run.file) else {
        return Ok(());
    };
    heed_file(platform, deployment, scope, &wishes).await?;
    Ok(())
}

/// Makes the deployment run as the source's own file says, where the project says nothing.
async fn heed_file(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
    wishes: &RunWishes,
) -> std::result::Result<RunSpec, NoImage> {
    let run = wishes.apply_to(&deployment.run);
    let most = platform.config.limits.max_replicas;
    if let Some((name, _)) = run
        .processes
        .iter()
        .find(|(_, process)| process.replicas > most)
    {
        return Err(NoImage::Failed(format!(
            "run.processes.{name}.replicas must be between 0 and {most}"
        )));
    }
    if run == deployment.run {
        return Ok(run);
    }
    platform
        .store
        .set_deployment_run(scope, deployment.id, &run)
        .await?;
    let lines = wishes.say(&run);
    platform
        .log_build(deployment.id, LogSource::System, lines)
        .await;
    Ok(run)
}

/// Builds a source by what it has and says; the image's reference.
pub(super) async fn build_source(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
    source: SourceTree,
    options: &Options,
) -> std::result::Result<String, NoImage> {
    let env = platform.open_deployment_env(deployment)?;
    let (secret, plain): (Vec<_>, Vec<_>) =
        env.into_iter().partition(|(_, _, is_secret)| *is_secret);
    let pairs = |list: Vec<(EnvKey, SecretString, bool)>| -> BTreeMap<EnvKey, SecretString> {
        list.into_iter()
            .map(|(key, value, _)| (key, value))
            .collect()
    };
    let (secret, plain) = (pairs(secret), pairs(plain));
    let images = &platform.config.build_images;
    let names = plain.keys().cloned().collect();
    let choice = choose(source, options, names, images).map_err(context_failure)?;
    platform
        .log_build(deployment.id, LogSource::System, choice.lines.clone())
        .await;
    let run = heed_file(platform, deployment, scope, &choice.run).await?;
    let inputs = Inputs {
        args: build_args(&choice, &plain, run.port),
        secrets: pick_secrets(platform, deployment, &choice, &secret).await?,
        masks: Masks::new(secret.values()),
    };
    check_sources(&choice.context.dockerfile_text, &inputs.args)
        .map_err(|error| NoImage::Failed(error.to_string()))?;
    build_twice(platform, deployment, &choice, &inputs).await?;
    platform.say(deployment.id, "image built").await;
    Ok(platform
        .driver
        .built_image(deployment.project_id, deployment.id))
}

/// What a build gets besides its files.
struct Inputs {
    /// Values for `ARG`s.
    args: BTreeMap<String, String>,
    /// What its steps read secrets from.
    secrets: Option<SecretString>,
    /// What its log does not show.
    masks: Masks,
}

/// The secrets that the steps ask for, of those that the project has.
async fn pick_secrets(
    platform: &Platform,
    deployment: &Deployment,
    choice: &Choice,
    secret: &BTreeMap<EnvKey, SecretString>,
) -> std::result::Result<Option<SecretString>, NoImage> {
    let mut found = BTreeMap::new();
    for (key, is_required) in &choice.secrets {
        match secret.get(key) {
            Some(value) => {
                found.insert(key.clone(), value.clone());
            }
            None if *is_required => {
                return Err(NoImage::Failed(format!(
                    "the build asks for the secret {key}, and the project has no secret variable of this name; set it with `tose env set --secret {key}`"
                )));
            }
            None => {
                let text = format!(
                    "note: the project has no secret variable {key}, which the build asks for"
                );
                platform.say(deployment.id, text).await;
            }
        }
    }
    Ok((!choice.secrets.is_empty()).then(|| carry(&found)))
}

/// Waits until the engine answers, for as long as it takes to restart it: whoever deploys meanwhile is
/// not to notice more than that it takes longer. An engine that stays away is the next call's failure.
pub(super) async fn await_engine(platform: &Platform, id: DeploymentId) {
    let mut ticks = tokio::time::interval(ENGINE_PERIOD);
    for attempt in 0..ENGINE_ATTEMPTS {
        ticks.tick().await;
        match platform.driver.info().await {
            Err(DriverError::Unavailable(_)) if attempt == 0 => {
                let text = "the container engine does not answer; waiting for it";
                platform.say(id, text).await;
            }
            Err(DriverError::Unavailable(_)) => {}
            _ => return,
        }
    }
}

/// Builds, and builds once more if the engine broke: one that removes an image may take a layer away
/// that a build has just found in its cache; the next build makes it anew.
async fn build_twice(
    platform: &Platform,
    deployment: &Deployment,
    choice: &Choice,
    inputs: &Inputs,
) -> std::result::Result<(), NoImage> {
    let attempt = build_image(platform, deployment, choice, inputs).await;
    let Err(NoImage::Broken(error)) = &attempt else {
        return attempt;
    };
    tracing::warn!(deployment_id = %deployment.id, error = error as &dyn std::error::Error, "a build broke; it is tried once more");
    let text = "the engine could not finish the build; trying once more";
    platform.say(deployment.id, text).await;
    await_engine(platform, deployment.id).await;
    build_image(platform, deployment, choice, inputs).await
}

async fn build_image(
    platform: &Platform,
    deployment: &Deployment,
    choice: &Choice,
    inputs: &Inputs,
) -> std::result::Result<(), NoImage> {
    let request = BuildRequest {
        project_id: deployment.project_id,
        deployment_id: deployment.id,
        workspace_id: deployment.workspace_id,
        args: inputs.args.clone(),
        secrets: inputs.secrets.clone(),
        target: choice.target.clone(),
        dockerfile: choice.context.dockerfile.clone(),
        context: choice.context.clone().into_stream(),
        no_cache: deployment.no_cache,
        cache: platform.config.layer_cache,
        disk_bytes: platform.config.limits.build_disk_bytes,
        memory_bytes: platform.config.limits.build_memory_bytes,
        cpu: platform.config.limits.max_cpu,
    };
    let lines = platform
        .driver
        .build(request)
        .await
        .map_err(engine_failure)?;
    log_lines(platform, deployment.id, lines, &inputs.masks).await
}

/// Values for what the Dockerfile declares with `ARG`: the port, variables that are no secret (build
/// arguments stay in the image's history), and whatever the project or the source gives for builds.
fn build_args(
    choice: &Choice,
    plain: &BTreeMap<EnvKey, SecretString>,
    port: Port,
) -> BTreeMap<String, String> {
    let declared = declared_args(&choice.context.dockerfile_text);
    let mut args: BTreeMap<String, String> = plain
        .iter()
        .filter(|(key, _)| declared.contains(key.as_str()))
        .map(|(key, value)| (key.to_string(), value.expose_secret().to_owned()))
        .collect();
    if declared.contains("PORT") {
        args.insert("PORT".to_owned(), port.to_string());
    }
    let given = choice.args.iter();
    args.extend(given.map(|(key, value)| (key.to_string(), value.clone())));
    args
}

/// Writes lines to the deployment's log as they come, as many as it may have.
pub(super) async fn log_lines(
    platform: &Platform,
    deployment_id: DeploymentId,
    lines: BoxStream<'static, DriverResult<String>>,
    masks: &Masks,
) -> std::result::Result<(), NoImage> {
    let mut budget = LogBudget::new(platform.config.limits.build_log);
    let mut batches = lines.ready_chunks(BATCH);
    let mut failure = None;
    while failure.is_none()
        && let Some(batch) = batches.next().await
    {
        let mut texts = Vec::with_capacity(batch.len());
        for line in batch {
            match line {
                Ok(text) => texts.push(masks.apply(text)),
                Err(error) => failure = Some(error),
            }
        }
        log_build_output(platform, deployment_id, budget.take(texts)).await;
    }
    log_build_output(platform, deployment_id, budget.finish()).await;
    match failure {
        Some(error) => Err(engine_failure(error)),
        None => Ok(()),
    }
}

async fn log_build_output(platform: &Platform, deployment_id: DeploymentId, lines: Vec<String>) {
    if !lines.is_empty() {
        platform
            .log_build(deployment_id, LogSource::Build, lines)
            .await;
    }
}

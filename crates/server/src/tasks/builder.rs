//! The builder: takes deployments from the queue and gives each its image.
//!
//! Guarantees: of a project one deployment at a time is under way (the store's unique index); builds
//! from Git are bounded per machine; a build that was cut off by the end of the server begins anew
//! under its old deadline; a cancelled one is `cancelled` only when its processes have ended.

mod databases;
mod image;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tose_api::deployment::{CommitView, DeploymentStatus, Trigger};
use tose_api::log::LogSource;
use tose_api::project::Source;
use tose_api::{DeploymentId, ImageRef, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::build_secret::Masks;
use tose_model::deployment::Deployment;
use tose_model::deployment::state::Event;
use tose_model::driver::{DriverError, PrivatePull};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::push::RepoKey;
use tose_model::secret::SecretString;
use tose_store::{GitConnection, Lease, Transition};

use crate::app::github::NoToken;
use crate::app::quota::Room;
use crate::app::{Platform, vault_error};
use crate::build::choice::Options;
use crate::build::context::ContextError;
use crate::build::git::{self, Checkout, GitError};
use crate::build::size;
use crate::build::source::SourceTree;
use crate::build::ssh;
use crate::secrets::Place;
use crate::tasks::builder::databases::wait_for_databases;
use crate::tasks::{Spawner, disk};
use image::{await_engine, build_source, heed_file_again, log_lines};

/// How often the queue is looked at when nobody signals: while a deployment is under way, and
/// while none is.
const PERIOD: Duration = Duration::from_secs(1);
const IDLE_PERIOD: Duration = Duration::from_secs(10);
/// How long a claim on a build holds; it is renewed on each look at the queue.
const LEASE: Duration = Duration::from_secs(60);
/// With this much memory a machine builds two at a time.
const MEMORY_FOR_TWO_BUILDS: u64 = 4 << 30;
/// How many lines are written at once when many are waiting.
const BATCH: usize = 256;

/// Builds that run in this process.
#[derive(Default)]
struct Running {
    builds: HashMap<DeploymentId, Build>,
}

struct Build {
    cancel: CancellationToken,
    uses_permit: bool,
}

pub(crate) async fn run(platform: Arc<Platform>, spawner: Spawner) {
    clear_scratch(&platform);
    platform.clear_half_uploads();
    let permits = permits(&platform);
    let (ended_sender, mut ended) = mpsc::unbounded_channel();
    let mut running = Running::default();
    loop {
        let period = match look(&platform, &spawner, &mut running, permits, &ended_sender).await {
            Ok(false) => IDLE_PERIOD,
            Ok(true) => PERIOD,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the queue could not be read; it is tried again"
                );
                PERIOD
            }
        };
        tokio::select! {
            () = platform.signals.builder_called() => {}
            () = tokio::time::sleep(period) => {}
            Some(id) = ended.recv() => {
                running.builds.remove(&id);
            }
        }
    }
}

/// One look at everything that is under way: starts, resumes, cancels, and fails what is overdue.
/// Answers whether there was anything.
async fn look(
    platform: &Arc<Platform>,
    spawner: &Spawner,
    running: &mut Running,
    permits: usize,
    ended: &mpsc::UnboundedSender<DeploymentId>,
) -> Result<bool> {
    let now = platform.now();
    let under_way = platform
        .store
        .list_in_progress_deployments_for_task()
        .await?;
    let is_anything_under_way = !under_way.is_empty();
    for deployment in under_way {
        match deployment.status {
            DeploymentStatus::Queued if deployment.deadline_at <= now => {
                let reason = "it waited too long for its turn; deploy again";
                platform
                    .settle(&deployment, Event::Failure, Some(reason))
                    .await?;
            }
            DeploymentStatus::Building => match running.builds.get(&deployment.id) {
                Some(build) => {
                    if deployment.cancel_requested || deployment.deadline_at <= now {
                        build.cancel.cancel();
                    }
                    renew(platform, deployment.id, now).await?;
                }
                None => begin(platform, spawner, running, deployment, ended).await?,
            },
            DeploymentStatus::Deploying => platform.signals.project(deployment.project_id),
            _ => {}
        }
    }
    // A build whose deployment was ended by somebody else (its project was deleted) has no purpose.
    end_orphans(platform, running).await?;
    for deployment in platform.store.list_startable_deployments_for_task().await? {
        let uses_permit = deployment.image.is_none();
        let busy = running
            .builds
            .values()
            .filter(|build| build.uses_permit)
            .count();
        if uses_permit && busy >= permits {
            continue;
        }
        let deadline_at = now.saturating_add(platform.config.limits.build_timeout);
        let with = Transition {
            deadline_at: Some(deadline_at),
            ..Transition::default()
        };
        let scope = WorkspaceScope::for_task(deployment.workspace_id);
        let (id, from) = (deployment.id, DeploymentStatus::Queued);
        let started = platform
            .store
            .transition_deployment(&scope, id, from, Event::BuildStarted, &with, now)
            .await;
        match started {
            Ok(status) => {
                let deployment = Deployment {
                    status,
                    deadline_at,
                    ..deployment
                };
                begin(platform, spawner, running, deployment, ended).await?;
            }
            // Somebody cancelled or replaced it in this moment.
            Err(tose_store::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(is_anything_under_way)
}

async fn end_orphans(platform: &Platform, running: &Running) -> Result<()> {
    let in_progress = platform
        .store
        .list_in_progress_deployments_for_task()
        .await?;
    for (id, build) in &running.builds {
        let is_building = in_progress
            .iter()
            .any(|other| other.id == *id && other.status == DeploymentStatus::Building);
        if !is_building {
            build.cancel.cancel();
        }
    }
    Ok(())
}

fn lease_name(id: DeploymentId) -> String {
    format!("build/{id}")
}

async fn renew(platform: &Platform, id: DeploymentId, now: Timestamp) -> Result<bool> {
    let lease = Lease {
        name: lease_name(id),
        owner: platform.boot_id.clone(),
        expires_at: now.saturating_add(LEASE),
    };
    Ok(platform.store.take_lease(&lease, now).await?)
}

/// Starts the build of a deployment that is `building`, or starts it again.
async fn begin(
    platform: &Arc<Platform>,
    spawner: &Spawner,
    running: &mut Running,
    deployment: Deployment,
    ended: &mpsc::UnboundedSender<DeploymentId>,
) -> Result<()> {
    if !renew(platform, deployment.id, platform.now()).await? {
        return Ok(());
    }
    let cancel = CancellationToken::new();
    let build = Build {
        cancel: cancel.clone(),
        uses_permit: deployment.image.is_none(),
    };
    running.builds.insert(deployment.id, build);
    let (platform, ended) = (Arc::clone(platform), ended.clone());
    spawner.spawn(async move {
        let id = deployment.id;
        if let Err(error) = build_and_settle(&platform, &deployment, &cancel).await {
            // The deployment stays `building` without a build: the next look begins it again.
            tracing::error!(deployment_id = %id, error = &error as &dyn std::error::Error, "a build could not be settled");
        } else if deployment.trigger == Trigger::Upload {
            platform.remove_upload(id);
        }
        if let Err(error) = platform.store.release_lease(&lease_name(id), &platform.boot_id).await {
            tracing::warn!(deployment_id = %id, error = &error as &dyn std::error::Error, "a lease was not given back");
        }
        // The receiver is gone only when the server is shutting down.
        let _ = ended.send(id);
        platform.signals.builder();
    });
    Ok(())
}

/// What a build leads to.
struct Built {
    image: String,
    commit: Option<CommitView>,
}

/// Why there is no image.
enum NoImage {
    /// The author (or the operator) has to change something.
    Failed(String),
    /// A fault of ours or of the machine.
    Broken(Error),
}

impl From<Error> for NoImage {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<tose_store::Error> for NoImage {
    fn from(error: tose_store::Error) -> Self {
        Self::Broken(error.into())
    }
}

async fn build_and_settle(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    cancel: &CancellationToken,
) -> Result<()> {
    let scratch = scratch_dir(platform, deployment.id);
    let outcome = tokio::select! {
        // Dropping the build ends its processes and the engine's build.
        () = cancel.cancelled() => None,
        outcome = build_and_wait(platform, deployment, &scratch) => Some(outcome),
    };
    remove_scratch(&scratch);
    let scope = WorkspaceScope::for_task(deployment.workspace_id);
    let now = platform.now();
    match outcome {
        Some(Ok(built)) => hand_over(platform, deployment, &scope, built).await?,
        Some(Err(NoImage::Failed(reason))) => {
            settle_unless_ended(platform, deployment, Event::Failure, &reason).await?;
        }
        Some(Err(NoImage::Broken(error))) => {
            tracing::error!(deployment_id = %deployment.id, error = &error as &dyn std::error::Error, "a build broke");
            let reason = match &error {
                Error::Internal { .. } => {
                    "the platform could not build this; the operator's log says why".to_owned()
                }
                other => other.to_string(),
            };
            settle_unless_ended(platform, deployment, Event::Failure, &reason).await?;
        }
        None if deployment.deadline_at <= now => {
            let minutes = platform.config.limits.build_timeout.as_secs().div_ceil(60);
            let reason = format!(
                "the build took longer than {minutes} min and was ended; make it smaller, or ask the operator for more time"
            );
            settle_unless_ended(platform, deployment, Event::Failure, &reason).await?;
        }
        None => {
            settle_unless_ended(platform, deployment, Event::Cancel, "cancelled on request").await?
        }
    }
    Ok(())
}

/// Builds, and waits for what the version needs besides.
async fn build_and_wait(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    scratch: &PathBuf,
) -> std::result::Result<Built, NoImage> {
    let built = build(platform, deployment, scratch).await?;
    let scope = WorkspaceScope::for_task(deployment.workspace_id);
    wait_for_databases(platform, deployment, &scope).await?;
    Ok(built)
}

/// Gives a deployment that has its image to the reconciler, with the room that there is for it.
async fn hand_over(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
    built: Built,
) -> Result<()> {
    let (project_id, id) = (deployment.project_id, deployment.id);
    let _decided = platform.rollouts.lock().await;
    let found = platform.store.find_project(scope, project_id).await?;
    let Some((project, facts)) = found else {
        return settle_unless_ended(
            platform,
            deployment,
            Event::Failure,
            "the project was deleted",
        )
        .await;
    };
    // What the source's file says of running it may have changed what was asked for.
    let current = platform.store.get_deployment(scope, project_id, id).await?;
    let replicas = project.replicas_of(&current.run);
    let in_place = match platform.find_room(scope, &current, replicas).await? {
        Room::None(reason) => {
            return settle_unless_ended(platform, deployment, Event::Failure, &reason).await;
        }
        Room::InPlace(reason) if facts.live => {
            let text = format!("the version before ends first: {reason}");
            platform.say(id, text).await;
            true
        }
        Room::InPlace(_) | Room::Beside => false,
    };
    let now = platform.now();
    let time = platform.time_to_start(&project.kind, in_place || !current.run.volumes.is_empty());
    let deadline = now.saturating_add(time);
    let with = Transition {
        commit: built.commit,
        image: Some(built.image),
        deadline_at: Some(deadline),
        in_place,
        ..Transition::default()
    };
    let from = DeploymentStatus::Building;
    let moved = platform
        .store
        .transition_deployment(scope, id, from, Event::ImageReady, &with, now)
        .await;
    match moved {
        Ok(_) | Err(tose_store::Error::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    platform.signals.project(project_id);
    Ok(())
}

/// A deployment that somebody else ended in the meantime stays as it is; its log is completed.
async fn settle_unless_ended(
    platform: &Platform,
    deployment: &Deployment,
    event: Event,
    reason: &str,
) -> Result<()> {
    match platform.settle(deployment, event, Some(reason)).await {
        Ok(_) => {}
        Err(Error::Conflict { .. } | Error::NotFound(_)) => {
            platform.finish_build_log(deployment.id).await;
        }
        Err(error) => return Err(error),
    }
    platform.signals.project(deployment.project_id);
    Ok(())
}

async fn build(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    scratch: &PathBuf,
) -> std::result::Result<Built, NoImage> {
    let scope = WorkspaceScope::for_task(deployment.workspace_id);
    let found = platform
        .store
        .find_project(&scope, deployment.project_id)
        .await?;
    let (project, _) =
        found.ok_or_else(|| NoImage::Failed("the project was deleted".to_owned()))?;
    await_engine(platform, deployment.id).await;
    if let Some(image) = &deployment.image {
        platform
            .say(
                deployment.id,
                format!("deploying {image} again, without a build"),
            )
            .await;
        heed_file_again(platform, deployment, &scope, image).await?;
        fetch_image(platform, deployment, image).await?;
        return Ok(Built {
            image: image.clone(),
            commit: None,
        });
    }
    if deployment.trigger != Trigger::Upload && project.source == Source::Image {
        let image = project.image.as_ref().ok_or_else(|| {
            NoImage::Failed("the project has no image; set one and deploy again".to_owned())
        })?;
        let image = fetch_own_image(platform, deployment, &project, &scope, image).await?;
        return Ok(Built {
            image,
            commit: None,
        });
    }
    if let Some(reason) = disk::find_shortage(platform).await? {
        return Err(NoImage::Failed(reason));
    }
    if deployment.trigger == Trigger::Upload {
        return build_from_upload(platform, deployment, &project, &scope).await;
    }
    build_from_git(platform, deployment, &project, &scope, scratch).await
}

/// Pulls the image that the project names, with its credentials if it has some for that registry; the
/// reference to run.
async fn fetch_own_image(
    platform: &Platform,
    deployment: &Deployment,
    project: &Project,
    scope: &WorkspaceScope,
    image: &ImageRef,
) -> std::result::Result<String, NoImage> {
    let Some(credentials) = platform.open_registry(scope, project, image).await? else {
        platform
            .say(deployment.id, format!("fetching image {image}"))
            .await;
        fetch_image(platform, deployment, image.as_str()).await?;
        return Ok(image.to_string());
    };
    let text = format!("fetching image {image} as {}", credentials.username);
    platform.say(deployment.id, text).await;
    let pull = PrivatePull {
        project_id: project.id,
        deployment_id: deployment.id,
        image: image.clone(),
        credentials,
    };
    let lines = platform.driver.pull_private_image(pull).await;
    let lines = lines.map_err(engine_failure)?;
    log_lines(platform, deployment.id, lines, &Masks::default()).await?;
    Ok(platform.driver.built_image(project.id, deployment.id))
}

async fn fetch_image(
    platform: &Platform,
    deployment: &Deployment,
    image: &str,
) -> std::result::Result<(), NoImage> {
    let lines = platform
        .driver
        .ensure_image(image)
        .await
        .map_err(engine_failure)?;
    log_lines(platform, deployment.id, lines, &Masks::default()).await
}

async fn build_from_git(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    project: &Project,
    scope: &WorkspaceScope,
    scratch: &PathBuf,
) -> std::result::Result<Built, NoImage> {
    let connection = platform.find_source(scope, project, deployment).await?;
    let connection = connection.ok_or_else(|| {
        NoImage::Failed("the project has no repository; connect one and deploy again".to_owned())
    })?;
    let limit = platform.config.limits.max_source_bytes;
    let commit = tokio::select! {
        commit = clone(platform, deployment, project, &connection, scratch) => commit?,
        // Dropping the clone ends its processes.
        () = size::exceeds(scratch, limit) => return Err(too_large(limit)),
    };
    if size::is_larger(scratch, limit).await {
        return Err(too_large(limit));
    }
    platform
        .store
        .set_deployment_commit(
            scope,
            deployment.id,
            &commit,
            &RepoKey::new(&connection.repo_url),
        )
        .await?;
    let text = format!(
        "building commit {} by {}: {}",
        short(&commit.sha),
        commit.author,
        commit.message
    );
    platform.say(deployment.id, text).await;
    let tree = git::tree_dir(scratch);
    let origin = platform.find_origin(scope, project).await?;
    let options = build_options(origin.as_ref().unwrap_or(project), Some(&connection));
    let source = SourceTree::open(&tree, options.root()).map_err(context_failure)?;
    let image = build_source(platform, deployment, scope, source, &options).await?;
    Ok(Built {
        image,
        commit: Some(commit),
    })
}

fn too_large(limit: u64) -> NoImage {
    let mib = limit >> 20;
    NoImage::Failed(format!(
        "the source tree has more than {mib} MiB; make it smaller, or ask the operator for more"
    ))
}

async fn build_from_upload(
    platform: &Platform,
    deployment: &Deployment,
    project: &Project,
    scope: &WorkspaceScope,
) -> std::result::Result<Built, NoImage> {
    platform
        .say(deployment.id, "building the source tree that was sent")
        .await;
    let archive = platform.upload_path(deployment.id);
    let options = build_options(project, None);
    let source = SourceTree::open_archive(&archive, options.root()).map_err(context_failure)?;
    let image = build_source(platform, deployment, scope, source, &options).await?;
    Ok(Built {
        image,
        commit: None,
    })
}

fn build_options(project: &Project, connection: Option<&GitConnection>) -> Options {
    let build = project.build.clone().unwrap_or_default();
    Options {
        root_directory: connection
            .and_then(|connection| connection.root_directory.clone())
            .or(build.root_directory),
        dockerfile_path: connection
            .and_then(|connection| connection.dockerfile_path.clone())
            .or(build.dockerfile_path),
        target: build.target.map(|target| target.to_string()),
        args: build.args,
    }
}

fn short(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}

async fn clone(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    project: &Project,
    connection: &GitConnection,
    scratch: &PathBuf,
) -> std::result::Result<CommitView, NoImage> {
    let branch = deployment.branch.as_ref().unwrap_or(&connection.branch);
    let is_hosted = connection.repo_url.as_str() == platform.hosted(project).url();
    let text = if is_hosted {
        format!("taking what was pushed to {branch}")
    } else {
        format!("cloning {} ({branch})", connection.repo_url)
    };
    platform.say(deployment.id, text).await;
    remove_scratch(scratch);
    std::fs::create_dir_all(scratch)
        .map_err(|error| Error::internal("a scratch directory could not be made", error))?;
    let place = Place::DeployKey {
        workspace_id: project.workspace_id,
        project_id: project.connected_id(),
    };
    let deploy_key = connection
        .deploy_key
        .as_ref()
        .map(|sealed| platform.vault.open(place, sealed).map_err(vault_error))
        .transpose()?;
    let place = Place::AccessToken {
        workspace_id: project.workspace_id,
        project_id: project.connected_id(),
    };
    let access_token = connection
        .access_token
        .as_ref()
        .map(|sealed| platform.vault.open(place, sealed).map_err(vault_error))
        .transpose()?;
    let access_token = match connection.installation_id {
        Some(id) => Some(installation_token(platform, project, connection, id).await?),
        None => access_token,
    };
    let checkout = Checkout {
        access_token: access_token.as_ref(),
        url: &connection.repo_url,
        branch,
        commit: deployment.commit.as_ref().map(|commit| commit.sha.as_str()),
        deploy_key: deploy_key.as_ref(),
        allow_file_urls: platform.config.git.allow_file_urls || is_hosted,
        scratch,
    };
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let fetch = async move {
        let mut say = |line: String| {
            // The receiver lives until this future has ended.
            let _ = sender.send(line);
        };
        git::fetch(&checkout, &mut say).await
    };
    let write = async {
        let mut lines = Vec::new();
        while receiver.recv_many(&mut lines, BATCH).await > 0 {
            platform
                .log_build(deployment.id, LogSource::Build, std::mem::take(&mut lines))
                .await;
        }
    };
    let (fetched, ()) = tokio::join!(fetch, write);
    if let Some(host) = connection.repo_url.ssh_host() {
        say_host_keys(platform, deployment.id, scratch, &host).await;
    }
    fetched.map_err(|error| match error {
        GitError::Refused(reason) => NoImage::Failed(reason),
        other => NoImage::Broken(Error::internal("git failed", other)),
    })
}

/// What opens a repository that is read through the server's GitHub App.
async fn installation_token(
    platform: &Platform,
    project: &Project,
    connection: &GitConnection,
    id: u64,
) -> std::result::Result<SecretString, NoImage> {
    let scope = WorkspaceScope::for_task(project.workspace_id);
    let token = platform.github_token(&scope, id, &connection.repo_url);
    token.await.map_err(|error| match error {
        NoToken::Missing(reason) => NoImage::Failed(reason),
        NoToken::Refused(answer) => NoImage::Failed(format!(
            "GitHub gave no token for the repository: {}; deploy again in a moment",
            answer.problem().unwrap_or_default()
        )),
        NoToken::Broken(error) => NoImage::Broken(error),
    })
}

/// Shows by which keys the Git server is known: pinned when it was first seen, so that its owner can
/// compare them.
async fn say_host_keys(platform: &Platform, id: DeploymentId, scratch: &Path, host: &str) {
    match ssh::fingerprints(&git::known_hosts_path(scratch), host).await {
        Ok(keys) => {
            for key in keys {
                let text =
                    format!("the host key of {host} is {key}, pinned when it was first seen");
                platform.say(id, text).await;
            }
        }
        Err(error) => tracing::warn!(%error, "the known host keys could not be read"),
    }
}

fn engine_failure(error: DriverError) -> NoImage {
    match error {
        DriverError::BuildFailed(reason) => NoImage::Failed(format!("the build failed: {reason}")),
        DriverError::ImageUnavailable { .. } | DriverError::CannotStart(_) => {
            NoImage::Failed(error.to_string())
        }
        DriverError::NotFound(what) => {
            NoImage::Failed(format!("{what} does not exist any more; deploy anew"))
        }
        other => NoImage::Broken(other.into()),
    }
}

fn context_failure(error: ContextError) -> NoImage {
    match error {
        ContextError::Refused(_) | ContextError::TooLarge(_) => NoImage::Failed(error.to_string()),
        ContextError::Io(_) => {
            NoImage::Broken(Error::internal("a source tree could not be read", error))
        }
    }
}

fn scratch_dir(platform: &Platform, id: DeploymentId) -> PathBuf {
    platform.config.data_path("scratch").join(id.to_string())
}

fn remove_scratch(path: &PathBuf) {
    match std::fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a scratch directory stays behind")
        }
    }
}

/// What an earlier process left: no build of this one has begun.
fn clear_scratch(platform: &Platform) {
    let Ok(entries) = std::fs::read_dir(platform.config.data_path("scratch")) else {
        return;
    };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_scratch(&entry.path());
    }
}

fn permits(platform: &Platform) -> usize {
    match platform.config.limits.builds {
        0 if total_memory() >= MEMORY_FOR_TWO_BUILDS => 2,
        0 => 1,
        builds => usize::try_from(builds).unwrap_or(1),
    }
}

/// The machine's memory in bytes; 0 if it cannot be read.
fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) << 10
}

//! What nobody signalled: events of the engine, signals that got lost, objects without an owner.
//!
//! Guarantee: a project is looked at if the engine shows another state of it than at the sweep before, or if anything
//! of its workspace was changed through this process; one that runs and is as it was, every tenth minute.
//! Invariant: an object is removed only when the engine shows it and the store, asked after that,
//! has no row for it. A listing that failed leads to nothing.

mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tose_api::{ProjectId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::driver::{EngineStep, ObservedReplica, Scope};
use tose_model::error::Result;

use crate::app::Platform;
use crate::app::log::log_error;
use crate::tasks::capture::Capture;
use crate::tasks::disk;
use seen::Seen;

/// How long a log has to be quiet until its last lines are packed.
const LOG_REST: Duration = Duration::from_secs(600);
/// How often everything is looked at.
const PERIOD: Duration = Duration::from_secs(30);
/// How long to wait before the engine is asked for its events again.
const RECONNECT: Duration = Duration::from_secs(2);

pub(crate) async fn run(platform: Arc<Platform>, capture: Arc<Capture>) {
    let mut seen = Seen::default();
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = sweep(&platform, &capture, &mut seen).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "sweep failed; it is tried again"
            );
        }
    }
}

/// Passes the engine's events on to the reconciler.
pub(crate) async fn listen(platform: Arc<Platform>) {
    loop {
        if let Ok(mut events) = platform.driver.events().await {
            // Something may have happened before the stream began.
            if let Err(error) = wake_all(&platform).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "projects could not be listed"
                );
            }
            while let Some(Ok(event)) = events.next().await {
                platform.signals.project(event.project_id);
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn wake_all(platform: &Platform) -> Result<()> {
    for project in platform.store.list_projects_for_task().await? {
        if project.is_active || project.is_deleted {
            platform.signals.project(project.id);
        }
    }
    Ok(())
}

async fn sweep(platform: &Platform, capture: &Arc<Capture>, seen: &mut Seen) -> Result<()> {
    platform.driver.guard_networks().await?;
    let mut replicas: HashMap<ProjectId, Vec<ObservedReplica>> = HashMap::new();
    for replica in platform.driver.observe(Scope::Installation).await? {
        replicas
            .entry(replica.key.project_id)
            .or_default()
            .push(replica);
    }
    let networks = platform.driver.list_networks().await?;
    let projects = platform.store.list_projects_for_task().await?;
    let known: HashSet<ProjectId> = projects.iter().map(|project| project.id).collect();
    let routed: HashSet<ProjectId> = platform.routes.projects().await.into_iter().collect();
    seen.begin();
    for project in &projects {
        let scope = WorkspaceScope::for_task(project.workspace_id);
        let revision = platform.store.revision(&scope);
        let observed = replicas.get(&project.id).map_or(&[][..], Vec::as_slice);
        let is_at_rest = !project.is_active
            && !project.is_deleted
            && observed.is_empty()
            && routed.contains(&project.id);
        if is_at_rest {
            continue;
        }
        if !seen.runs_as_before(project, revision, observed) {
            platform.signals.project(project.id);
            continue;
        }
        // A pass would see to it that their output is followed.
        for replica in observed {
            capture.ensure(replica);
        }
    }
    seen.keep_only(&known);
    for orphan in replicas
        .iter()
        .filter(|(id, _)| !known.contains(id))
        .flat_map(|(_, all)| all)
    {
        remove_orphan(platform, orphan).await?;
    }
    for id in platform.store.list_projects_with_jobs_for_task().await? {
        platform.signals.project(id);
    }
    for id in routed.difference(&known) {
        platform.signals.project(*id);
    }
    let workspaces = projects.iter().map(|project| project.workspace_id);
    sweep_networks(platform, networks, &workspaces.collect()).await?;
    disk::clean(platform).await?;
    sweep_volumes(platform, &known).await?;
    sweep_uploads(platform).await?;
    platform.sweep_hosted().await?;
    sweep_metrics(platform, &known).await?;
    platform
        .store
        .forget_old_checks_for_task(platform.now())
        .await?;
    platform
        .store
        .forget_old_maintenances_for_task(platform.now())
        .await?;
    sweep_logs(platform).await
}

async fn remove_orphan(platform: &Platform, replica: &ObservedReplica) -> Result<()> {
    let owner = platform
        .store
        .find_project_ref_for_task(replica.key.project_id)
        .await?;
    if owner.is_none() {
        tracing::warn!(replica = %replica.name, "removing a replica: no project owns it");
        platform
            .driver
            .apply(&EngineStep::RemoveReplica {
                name: replica.name.clone(),
            })
            .await?;
    }
    Ok(())
}

/// Removes the volumes of projects that the store does not know. A deleted project's go with it.
async fn sweep_volumes(platform: &Platform, known: &HashSet<ProjectId>) -> Result<()> {
    let volumes = platform.driver.list_volumes().await?;
    for project_id in volumes.into_iter().filter(|id| !known.contains(id)) {
        let owner = platform.store.find_project_ref_for_task(project_id).await?;
        if owner.is_none() {
            tracing::warn!(%project_id, "removing volumes: no project owns them");
            platform
                .driver
                .apply(&EngineStep::RemoveVolumes { project_id })
                .await?;
        }
    }
    Ok(())
}

async fn sweep_uploads(platform: &Platform) -> Result<()> {
    let waiting: Vec<_> = platform
        .store
        .list_in_progress_deployments_for_task()
        .await?
        .iter()
        .map(|deployment| deployment.id)
        .collect();
    platform.remove_uploads_except(&waiting);
    Ok(())
}

/// Removes the metrics of projects that the store does not know.
async fn sweep_metrics(platform: &Platform, known: &HashSet<ProjectId>) -> Result<()> {
    let measured = platform.metrics.list_projects().await?;
    for id in measured.into_iter().filter(|id| !known.contains(id)) {
        if platform
            .store
            .find_project_ref_for_task(id)
            .await?
            .is_none()
        {
            platform.metrics.remove(id).await?;
        }
    }
    Ok(())
}

async fn sweep_networks(
    platform: &Platform,
    networks: Vec<WorkspaceId>,
    known: &HashSet<WorkspaceId>,
) -> Result<()> {
    for workspace_id in networks.into_iter().filter(|id| !known.contains(id)) {
        if !platform.store.has_workspace_for_task(workspace_id).await? {
            tracing::warn!(%workspace_id, "removing a network: no workspace owns it");
            platform
                .driver
                .apply(&EngineStep::RemoveNetwork { workspace_id })
                .await?;
        }
    }
    for workspace_id in platform
        .store
        .list_empty_deleted_workspaces_for_task()
        .await?
    {
        platform
            .driver
            .apply(&EngineStep::RemoveNetwork { workspace_id })
            .await?;
        platform
            .store
            .purge_workspace_for_task(workspace_id)
            .await?;
        tracing::info!(%workspace_id, "workspace removed");
    }
    Ok(())
}

async fn sweep_logs(platform: &Platform) -> Result<()> {
    let retention = platform.config.log_retention;
    let older_than = platform.now().saturating_sub(retention.age);
    let idle_since = platform.now().saturating_sub(LOG_REST);
    for stream in platform.logs.list_streams().await.map_err(log_error)? {
        platform
            .logs
            .enforce_retention(stream, retention.bytes, older_than)
            .await
            .map_err(log_error)?;
        platform
            .logs
            .compact(stream, idle_since)
            .await
            .map_err(log_error)?;
    }
    Ok(())
}

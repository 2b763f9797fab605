//! What goes: replicas, and all that a deleted project had.

use std::sync::Arc;

use tose_api::{ProjectId, Timestamp};
use tose_logs::StreamId;
use tose_model::access::WorkspaceScope;
use tose_model::driver::{EngineStep, ObservedReplica, ReplicaName};
use tose_model::error::{Error, Result};
use tose_model::plan::{Desired, Health, Patience, Replica, Rollout, Step, plan};
use tose_model::route::ProjectRoutes;
use tose_store::ProjectRef;

use crate::app::Platform;
use crate::app::log::log_error;
use crate::tasks::capture::Capture;
use crate::tasks::project_pass::{Memory, replace_routes};

/// Ends a replica, stores its last lines, and takes it away.
pub(super) async fn remove(
    platform: &Platform,
    capture: &Capture,
    project_id: ProjectId,
    name: &ReplicaName,
) -> Result<()> {
    let step = EngineStep::TerminateReplica { name: name.clone() };
    platform.driver.apply(&step).await?;
    capture.finish(name).await;
    platform.meter_end(project_id, name).await?;
    platform
        .driver
        .apply(&EngineStep::RemoveReplica { name: name.clone() })
        .await?;
    tracing::info!(replica = %name, "replica removed");
    Ok(())
}

/// Takes away all that the engine holds of a deleted project, then its logs and metrics, then its row.
pub(super) async fn tear_down(
    platform: &Platform,
    capture: &Arc<Capture>,
    reference: &ProjectRef,
    scope: &WorkspaceScope,
    observed: Vec<ObservedReplica>,
    memory: &mut Memory,
) -> Result<Option<Timestamp>> {
    replace_routes(platform, reference.id, ProjectRoutes::default()).await?;
    let now = platform.now();
    if !observed.is_empty() {
        let nothing = Desired {
            replicas: 0,
            live: None,
            target: None,
            live_workers: Vec::new(),
            target_workers: Vec::new(),
            rollout: Rollout::Beside,
            watched_until: None,
        };
        let replicas: Vec<Replica> = observed
            .into_iter()
            .map(|observed| Replica {
                health: Health::Unknown,
                routed: false,
                retiring_since: None,
                terminated_at: memory.terminated_at.get(&observed.name).copied(),
                is_busy: false,
                observed,
            })
            .collect();
        let plan = plan(&nothing, &replicas, now, &Patience::default());
        for step in plan.steps {
            match step {
                Step::Terminate { name } => {
                    platform
                        .driver
                        .apply(&EngineStep::TerminateReplica { name: name.clone() })
                        .await?;
                    memory.terminated_at.insert(name, now);
                }
                Step::Remove { name } => {
                    remove(platform, capture, reference.id, &name).await?;
                    memory.forget(&name);
                }
                _ => {}
            }
        }
        return Ok(Some(plan.wake_at.unwrap_or(now)));
    }
    for image in platform.driver.list_images(reference.id).await? {
        let deployment_id = image.deployment_id;
        let step = EngineStep::RemoveImage {
            project_id: reference.id,
            deployment_id,
        };
        platform.driver.apply(&step).await?;
    }
    platform
        .driver
        .apply(&EngineStep::RemoveVolumes {
            project_id: reference.id,
        })
        .await?;
    for deployment_id in platform
        .store
        .list_deployment_ids(scope, reference.id)
        .await?
    {
        platform
            .logs
            .remove(StreamId::Build(deployment_id))
            .await
            .map_err(log_error)?;
    }
    for stream in platform.logs.list_streams().await.map_err(log_error)? {
        let is_ours = match stream {
            StreamId::Project(id) | StreamId::Job(id, _) => id == reference.id,
            StreamId::Build(_) => false,
        };
        if is_ours {
            platform.logs.remove(stream).await.map_err(log_error)?;
        }
    }
    platform.metrics.remove(reference.id).await?;
    platform.telemetry.forget_project(reference.id);
    platform.remove_hosted(reference.id)?;
    platform
        .backups
        .remove_all(reference.id)
        .await
        .map_err(|error| Error::internal("backups could not be removed", error))?;
    platform.store.purge_project(scope, reference.id).await?;
    tracing::info!(project_id = %reference.id, "project removed");
    Ok(None)
}

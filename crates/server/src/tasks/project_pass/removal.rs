//! What goes: replicas, images that are not kept, and all that a deleted project had.

use std::collections::BTreeMap;
use std::sync::Arc;

use tose_api::{ProjectId, Timestamp};
use tose_logs::StreamId;
use tose_model::access::WorkspaceScope;
use tose_model::driver::{BuiltImage, EngineStep, ObservedReplica, ReplicaName};
use tose_model::error::{Error, Result};
use tose_model::plan::{Desired, Health, Patience, Replica, Rollout, Step, plan};
use tose_store::ProjectRef;

use crate::app::Platform;
use crate::tasks::capture::Capture;
use crate::tasks::project_pass::{Memory, replace_routes};

/// Ends a replica, stores its last lines, and takes it away.
pub(super) async fn remove(
    platform: &Platform,
    capture: &Capture,
    name: &ReplicaName,
) -> Result<()> {
    let step = EngineStep::TerminateReplica { name: name.clone() };
    platform.driver.apply(&step).await?;
    capture.finish(name).await;
    platform
        .driver
        .apply(&EngineStep::RemoveReplica { name: name.clone() })
        .await?;
    tracing::info!(replica = %name, "replica removed");
    Ok(())
}

/// Removes the project's built images but the newest of those that were live, and those that current
/// versions run. One that never came to life is of no use: nothing can go back to it.
pub(crate) async fn collect_images(
    platform: &Platform,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    keep: usize,
) -> Result<()> {
    let mut images = platform.driver.list_images(project_id).await?;
    if images.len() <= 1 {
        return Ok(());
    }
    images.sort_by_key(|image| std::cmp::Reverse(image.deployment_id));
    // Asked after the engine: what is built from now on is not among the images.
    let current = platform
        .store
        .list_current_deployments(scope, project_id)
        .await?;
    let were_live = platform.store.list_live_ids(scope, project_id).await?;
    let is_current = |image: &BuiltImage| {
        current.iter().any(|deployment| {
            deployment.id == image.deployment_id || deployment.image.as_ref() == Some(&image.image)
        })
    };
    let mut kept = 0;
    for image in images {
        let was_live = were_live.contains(&image.deployment_id);
        if was_live && kept < keep {
            kept += 1;
            continue;
        }
        if is_current(&image) {
            continue;
        }
        let reason = if was_live {
            "newer ones are kept"
        } else {
            "its deployment never came to life"
        };
        tracing::info!(image = image.image, reason, "removing an image");
        let step = EngineStep::RemoveImage {
            project_id,
            deployment_id: image.deployment_id,
        };
        platform.driver.apply(&step).await?;
    }
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
    replace_routes(platform, reference.id, BTreeMap::new()).await?;
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
                    remove(platform, capture, &name).await?;
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
    let failed = |error| Error::internal("the log store failed", error);
    for deployment_id in platform
        .store
        .list_deployment_ids(scope, reference.id)
        .await?
    {
        platform
            .logs
            .remove(StreamId::Build(deployment_id))
            .await
            .map_err(failed)?;
    }
    for stream in platform.logs.list_streams().await.map_err(failed)? {
        let is_ours = match stream {
            StreamId::Project(id) | StreamId::Job(id, _) => id == reference.id,
            StreamId::Build(_) => false,
        };
        if is_ours {
            platform.logs.remove(stream).await.map_err(failed)?;
        }
    }
    platform.metrics.remove(reference.id).await?;
    platform.remove_hosted(reference.id)?;
    platform.store.purge_project(scope, reference.id).await?;
    tracing::info!(project_id = %reference.id, "project removed");
    Ok(None)
}

//! Images that are not kept: removed once a version is live, beside the passes, because an engine with
//! many images takes long to list them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tose_api::ProjectId;
use tose_model::access::WorkspaceScope;
use tose_model::driver::{BuiltImage, EngineStep};
use tose_model::error::Result;

use crate::app::Platform;

/// Removes what is not kept of each project that it is told of. What fails is done when the project's
/// next version is live, or when the disk gets full.
pub(crate) async fn run(platform: Arc<Platform>, mut told: mpsc::UnboundedReceiver<ProjectId>) {
    while let Some(id) = told.recv().await {
        if let Err(error) = collect_of(&platform, id).await {
            tracing::warn!(project_id = %id, error = &error as &dyn std::error::Error, "images could not be removed");
        }
    }
}

async fn collect_of(platform: &Platform, id: ProjectId) -> Result<()> {
    let Some(reference) = platform.store.find_project_ref_for_task(id).await? else {
        return Ok(());
    };
    let scope = WorkspaceScope::for_task(reference.workspace_id);
    collect(platform, &scope, id, platform.kept_images()).await
}

/// Removes the project's built images but the newest of those that were live, and those that current
/// versions run. One that never came to life is of no use: nothing can go back to it.
pub(super) async fn collect(
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

//! The disk guard: room on the disk where the engine keeps images.
//!
//! Only images that this installation built are removed, and each with its reason in the log.

use tose_api::notification::NoticeEvent;
use tose_model::access::WorkspaceScope;
use tose_model::driver::Disk;
use tose_model::error::Result;

use crate::app::Platform;
use crate::tasks::images;

/// The live version and the one to go back to.
const KEPT_WHEN_SHORT: usize = 2;
const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// Removes older images of all projects when the disk gets full.
pub(crate) async fn clean(platform: &Platform) -> Result<()> {
    let Some(percent) = used_percent(platform, platform.config.disk.clean_percent).await? else {
        return Ok(());
    };
    tracing::warn!(
        percent,
        "the engine's disk gets full: fewer images are kept"
    );
    let title = format!("The engine's disk is {percent} % full");
    let text = "Older images of all projects are removed to make room. Nothing is built when it is full: make room, or give it another disk.";
    tell_operators(platform, "clean", title, text).await?;
    let keep = KEPT_WHEN_SHORT.min(platform.kept_images());
    for project in platform.store.list_projects_for_task().await? {
        let scope = WorkspaceScope::for_task(project.workspace_id);
        images::collect(platform, &scope, project.id, keep).await?;
    }
    Ok(())
}

/// Why nothing can be built in this moment, if that is so.
pub(crate) async fn find_shortage(platform: &Platform) -> Result<Option<String>> {
    let percent = used_percent(platform, platform.config.disk.full_percent).await?;
    if let Some(percent) = percent {
        let title = format!("The engine's disk is {percent} % full: nothing is built");
        let text = "What runs goes on. Make room, or give the engine another disk.";
        tell_operators(platform, "full", title, text).await?;
    }
    Ok(percent.map(|percent| {
        tracing::error!(percent, "the engine's disk is full: nothing is built");
        format!(
            "the machine's disk is {percent} % full, and nothing is built until there is room; ask the operator"
        )
    }))
}

/// How full the disk is, if that is as much as `limit`.
async fn used_percent(platform: &Platform, limit: u64) -> Result<Option<u64>> {
    let disk = platform.driver.spare().await?.disk;
    let percent = disk.map(Disk::used_percent);
    Ok(percent.filter(|percent| *percent >= limit))
}

/// Mails operators, once a day for each level.
async fn tell_operators(platform: &Platform, level: &str, title: String, text: &str) -> Result<()> {
    let day = platform.now().as_nanos().div_euclid(DAY);
    let key = format!("disk/{level}/{day}");
    let event = NoticeEvent::DiskFull;
    let told = platform.notify_operators(event, key, title, text.to_owned());
    told.await
}

//! How much the data of databases takes, measured now and then inside their replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::database::{self, Database};
use tose_model::error::Result;

use crate::app::Platform;
use crate::database_client;

/// How often it is looked for databases whose turn has come.
const PERIOD: Duration = Duration::from_secs(3);
/// How long what was measured counts.
const MEASURED_FOR: Duration = Duration::from_secs(300);
/// How long measuring may take.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut measured_at: HashMap<ProjectId, Timestamp> = HashMap::new();
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = look(&platform, &mut measured_at).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "databases could not be measured; it is tried again"
            );
        }
    }
}

async fn look(platform: &Platform, measured_at: &mut HashMap<ProjectId, Timestamp>) -> Result<()> {
    let databases = platform.store.list_databases_for_task().await?;
    measured_at.retain(|id, _| databases.iter().any(|one| one.project_id == *id));
    for database in &databases {
        let now = platform.now();
        let id = database.project_id;
        let is_fresh = |at: &Timestamp| at.saturating_add(MEASURED_FOR) > now;
        // Nothing is in one that nobody logged in to so far.
        if database.applied_revision == 0 || measured_at.get(&id).is_some_and(is_fresh) {
            continue;
        }
        let scope = WorkspaceScope::for_task(database.workspace_id);
        let Some(replica) = platform.find_database_replica(&scope, id).await? else {
            continue;
        };
        let program = database::measure(database.kind, &database.version);
        let driver = platform.driver.as_ref();
        let said = database_client::run(driver, &replica.name, &program, TIMEOUT).await;
        // A file that goes while it is looked at makes it end badly; the next time is better.
        if let Some(bytes) = said.ok().as_deref().and_then(bytes) {
            measured_at.insert(id, now);
            note(platform, database, bytes).await?;
        }
    }
    Ok(())
}

/// The bytes that `du` tells as kibibytes.
fn bytes(said: &str) -> Option<u64> {
    let kibibytes: u64 = said.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

async fn note(platform: &Platform, database: &Database, bytes: u64) -> Result<()> {
    let warning = |bytes| database::storage_warning(bytes, database.storage_gb);
    let is_new = database.used_bytes.and_then(warning).is_none();
    if let Some(warning) = warning(bytes).filter(|_| is_new) {
        platform.tell_project(database.project_id, warning).await;
    }
    if database.used_bytes == Some(bytes) {
        return Ok(());
    }
    let scope = WorkspaceScope::for_task(database.workspace_id);
    Ok(platform
        .store
        .note_used_bytes(&scope, database.project_id, bytes)
        .await?)
}

//! Proofs of backups: each is restored into an instance that is made for that, and looked at.
//!
//! Guarantees: an instance goes when its proof has ended, however that was; one that the end of the server
//! left behind is used again, or goes if nobody wants its proof any more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tose_api::database::DatabaseStatus;
use tose_api::{BackupId, ProjectId};
use tose_model::access::WorkspaceScope;
use tose_model::database::{self, Database};
use tose_model::error::Result;
use tose_model::project::Project;
use tose_store::Backup;

use crate::app::Platform;
use crate::app::project::status_facts;
use crate::database_client::{self, Target};
use crate::tasks::Spawner;
use crate::tasks::backups::{explain, find, internal, restore_into};

/// How long a proof may take.
const TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// How often it is looked whether the instance has come up.
const PERIOD: Duration = Duration::from_millis(500);

/// Which proofs go on, so that none is begun twice.
#[derive(Clone, Default)]
pub(super) struct Proofs(Arc<Mutex<HashSet<BackupId>>>);

impl Proofs {
    /// Begins what is wanted, and removes what is left of what is not.
    pub(super) async fn look(&self, platform: &Arc<Platform>, spawner: &Spawner) -> Result<()> {
        let wanted = platform.store.list_wanted_proofs_for_task().await?;
        for (workspace_id, project_id, backup_id) in platform.store.list_proofs_for_task().await? {
            if !wanted.iter().any(|backup| backup.id == backup_id) {
                let scope = WorkspaceScope::for_task(workspace_id);
                remove(platform, &scope, project_id).await?;
            }
        }
        for backup in wanted {
            if !self.lock().insert(backup.id) {
                continue;
            }
            let (this, platform) = (self.clone(), Arc::clone(platform));
            spawner.spawn(async move {
                if let Err(error) = prove(&platform, &backup).await {
                    tracing::warn!(backup_id = %backup.id, error = &error as &dyn std::error::Error, "a proof could not be noted; it is begun anew");
                }
                this.lock().remove(&backup.id);
            });
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<BackupId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn remove(platform: &Platform, scope: &WorkspaceScope, id: ProjectId) -> Result<()> {
    match platform.store.find_project(scope, id).await? {
        Some((project, _)) => platform.delete_proof(&project).await,
        None => Ok(()),
    }
}

/// Proves a backup, and notes how that ended.
async fn prove(platform: &Platform, backup: &Backup) -> Result<()> {
    let scope = WorkspaceScope::for_task(backup.workspace_id);
    let proven = tokio::time::timeout(TIMEOUT, try_prove(platform, &scope, backup)).await;
    let proven = proven.unwrap_or_else(|_| Err("it was not done within six hours".to_owned()));
    if let Err(reason) = &proven {
        tracing::warn!(project_id = %backup.project_id, backup_id = %backup.id, reason, "a backup could not be proven");
        let text = format!(
            "backup {} could not be restored for a proof: {reason}",
            backup.id
        );
        platform
            .warn_of_backup(&scope, backup.project_id, &text)
            .await?;
    }
    let error = proven.as_ref().err().map(String::as_str);
    platform
        .store
        .finish_proof(&scope, backup.id, error, platform.now())
        .await?;
    for (_, project_id, of) in platform.store.list_proofs_for_task().await? {
        if of == backup.id {
            remove(platform, &scope, project_id).await?;
        }
    }
    Ok(())
}

async fn try_prove(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
) -> std::result::Result<(), String> {
    let id = instance(platform, scope, backup).await?;
    comes_up(platform, scope, id).await?;
    restore_into(platform, scope, id, backup).await?;
    let (database, replica) = find(platform, scope, id).await?;
    let account = platform.open_account(&database).map_err(internal)?;
    let program = database::dump(database.kind, &account);
    let mut count = Count(0);
    database_client::dump(
        platform.driver.as_ref(),
        &replica.name,
        &program,
        &mut count,
    )
    .await
    .map_err(|error| explain(&error))?;
    // Dumps of the same data differ in times and numbers of objects, and hardly in size.
    match count.0 >= backup.dump_bytes / 10 * 9 {
        true => Ok(()),
        false => Err(format!(
            "what was restored has {} bytes as a dump, and the backup has {}",
            count.0, backup.dump_bytes
        )),
    }
}

/// The instance of a proof, made if it is not there.
async fn instance(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
) -> std::result::Result<ProjectId, String> {
    let store = |error: tose_store::Error| internal(error.into());
    let proofs = platform.store.list_proofs_for_task().await.map_err(store)?;
    if let Some((_, id, _)) = proofs.into_iter().find(|(_, _, of)| *of == backup.id) {
        return Ok(id);
    }
    let (source, database) = read_source(platform, scope, backup).await?;
    platform
        .create_proof(&source, &database, backup)
        .await
        .map_err(|error| format!("an instance for it could not be made: {error}"))
}

async fn read_source(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
) -> std::result::Result<(Project, Database), String> {
    let store = |error: tose_store::Error| internal(error.into());
    let id = backup.project_id;
    let project = platform
        .store
        .find_project(scope, id)
        .await
        .map_err(store)?;
    let database = platform
        .store
        .find_database(scope, id)
        .await
        .map_err(store)?;
    match (project, database) {
        (Some((project, _)), Some(database)) => Ok((project, database)),
        _ => Err("the database is gone".to_owned()),
    }
}

/// Waits until an instance takes logins.
async fn comes_up(
    platform: &Platform,
    scope: &WorkspaceScope,
    id: ProjectId,
) -> std::result::Result<(), String> {
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tick.tick().await;
        let found = platform.store.find_project(scope, id).await;
        let (project, facts) = found
            .map_err(|error| internal(error.into()))?
            .ok_or_else(|| "its instance was deleted".to_owned())?;
        match database::status(&status_facts(&project, facts)) {
            DatabaseStatus::Running => return Ok(()),
            DatabaseStatus::Provisioning => {}
            other => return Err(format!("its instance is {}", other.as_str())),
        }
    }
}

/// How many bytes a dump has.
struct Count(u64);

impl Target for Count {
    async fn write(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

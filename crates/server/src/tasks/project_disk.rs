//! How much projects keep on the disk, measured every five minutes while they run.
//!
//! Counted are what each replica wrote beside its volumes, the folders of the volumes, and what a database's data
//! takes. Caveats: volumes are measured by `du` of the project's own image, so those of an image without it are left
//! out; images and logs are not counted. What is known is lost with the process, and measured anew after its start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tose_api::{ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::database::Program;
use tose_model::driver::{ExecRequest, ObservedReplica, ReplicaState, Scope};
use tose_model::error::Result;
use tose_model::project::ProjectKind;

use crate::app::Platform;
use crate::database_client;

/// How often it is looked for projects whose turn has come.
const PERIOD: Duration = Duration::from_secs(3);
/// How long what was measured counts.
const MEASURED_FOR: Duration = Duration::from_secs(300);
/// How long the folders of one project may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is known of projects' disks.
#[derive(Default)]
pub(crate) struct ProjectDisks(Mutex<HashMap<ProjectId, u64>>);

impl ProjectDisks {
    /// The bytes of a project; 0 where they are not known.
    pub(crate) fn bytes(&self, id: ProjectId) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).copied().unwrap_or(0)
    }

    fn set(&self, id: ProjectId, bytes: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, bytes);
    }

    fn retain(&self, is_there: impl Fn(&ProjectId) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| is_there(id));
    }
}

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut measured_at = HashMap::new();
    let mut looked_at: Option<Timestamp> = None;
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // The listing is the sampler's, so that the engine is asked for none of its own.
        let round = platform.rounds.newest();
        if round.at.is_none() || round.at == looked_at {
            continue;
        }
        looked_at = round.at;
        if let Err(error) = look(&platform, &mut measured_at).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "projects' disks could not be measured; it is tried again"
            );
        }
    }
}

async fn look(platform: &Platform, measured_at: &mut HashMap<ProjectId, Timestamp>) -> Result<()> {
    let now = platform.now();
    let round = platform.rounds.newest();
    let runs = |id: &ProjectId| {
        round
            .projects
            .get(id)
            .is_some_and(|one| one.sample.samples > 0)
    };
    measured_at.retain(|id, _| runs(id));
    platform.disks.retain(runs);
    let is_fresh = |at: &Timestamp| at.saturating_add(MEASURED_FOR) > now && *at <= now;
    let due: Vec<ProjectId> = round
        .projects
        .keys()
        .filter(|id| runs(id) && !measured_at.get(id).is_some_and(is_fresh))
        .copied()
        .collect();
    let mut workspaces: BTreeMap<WorkspaceId, Vec<ProjectId>> = BTreeMap::new();
    for id in due {
        let found = platform.store.find_project_ref_for_task(id).await?;
        if let Some(found) = found {
            workspaces.entry(found.workspace_id).or_default().push(id);
        }
    }
    for (workspace_id, ids) in workspaces {
        let scope = WorkspaceScope::for_task(workspace_id);
        for id in ids {
            if let Some(bytes) = measure(platform, &scope, id).await? {
                platform.disks.set(id, bytes);
            }
            measured_at.insert(id, platform.now());
        }
    }
    Ok(())
}

/// `None` while nothing of it runs, or nothing can be told.
async fn measure(
    platform: &Platform,
    scope: &WorkspaceScope,
    id: ProjectId,
) -> Result<Option<u64>> {
    let Some((project, _)) = platform.store.find_project(scope, id).await? else {
        return Ok(None);
    };
    let mut replicas = platform.driver.observe(Scope::Project(id)).await?;
    replicas.retain(|replica| replica.state == ReplicaState::Running);
    let mut sum: Option<u64> = None;
    let mut add = |bytes: Option<u64>| {
        if let Some(bytes) = bytes {
            sum = Some(sum.unwrap_or(0).saturating_add(bytes));
        }
    };
    for replica in &replicas {
        // One that has ended meanwhile says nothing.
        add(platform.driver.written_bytes(&replica.name).await.ok());
    }
    if project.kind == ProjectKind::Database {
        let database = platform.store.find_database(scope, id).await?;
        add(database.and_then(|database| database.used_bytes));
        return Ok(sum);
    }
    let folders = project.run.volumes.iter().map(|volume| volume.path.clone());
    let folders: Vec<String> = folders.collect();
    let newest = replicas
        .iter()
        .filter(|replica| replica.key.job_number().is_none())
        .max_by_key(|replica| replica.generation);
    if let Some(replica) = newest.filter(|_| !folders.is_empty()) {
        add(measure_folders(platform, replica, folders).await);
    }
    Ok(sum)
}

/// What `du` of the replica's image says of folders in it, all together.
async fn measure_folders(
    platform: &Platform,
    replica: &ObservedReplica,
    folders: Vec<String>,
) -> Option<u64> {
    let words = ["du", "-sk", "--"].map(str::to_owned);
    let program = Program {
        request: ExecRequest {
            command: words.into_iter().chain(folders).collect(),
            env: Vec::new(),
            tty: None,
        },
        input: None,
        expects: None,
    };
    let driver = platform.driver.as_ref();
    let said = database_client::run(driver, &replica.name, &program, TIMEOUT).await;
    sum_of(&said.ok()?)
}

/// The bytes of the lines that `du` prints, each with its kibibytes first.
fn sum_of(said: &str) -> Option<u64> {
    said.lines().try_fold(0_u64, |sum, line| {
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        sum.checked_add(kibibytes.checked_mul(1024)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_are_added_up() {
        assert_eq!(sum_of("12\t/data\n4\t/more files"), Some(16 << 10));
        assert_eq!(sum_of("12 /data"), Some(12 << 10));
        assert_eq!(sum_of(""), Some(0));
        for said in [
            "sh: du: not found",
            "12\t/data\nx",
            "99999999999999999999 /",
            "-1 /",
        ] {
            assert_eq!(sum_of(said), None, "{said}");
        }
    }
}

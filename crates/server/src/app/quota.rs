//! Room: whether a workspace may run what it asks for, and whether two versions fit at once.

use std::collections::HashMap;
use std::time::Duration;

use tose_api::deployment::Trigger;
use tose_api::{ProjectId, Ram};
use tose_model::access::WorkspaceScope;
use tose_model::deployment::Deployment;
use tose_model::driver::{Scope, TERMINATION_GRACE};
use tose_model::error::{Error, Result};
use tose_model::project::ProjectKind;
use tose_model::quota::Load;
use tose_store::RunningVersion;

use crate::app::Platform;

/// What an instance of a template may take at least: many set a database up when they first start.
const INSTANCE_START: Duration = Duration::from_secs(300);
/// What the engine may take to start the replicas, beyond the time that each has to get ready.
const ENGINE_ALLOWANCE: Duration = Duration::from_secs(30);

/// How a version that has its image comes to life.
pub(crate) enum Room {
    /// Beside the one before it.
    Beside,
    /// In its place, for this reason.
    InPlace(String),
    /// Not at all, for this reason.
    None(String),
}

impl Platform {
    /// Refuses what is too much for the workspace even when nothing else of the project runs.
    pub(crate) async fn check_quota(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        load: Load,
    ) -> Result<()> {
        let quota = self.config.limits.workspace;
        if quota.is_unlimited() {
            return Ok(());
        }
        let versions = self.store.list_running_versions(scope).await?;
        match quota.find_excess(settled_load(&versions, Some(project_id)) + load) {
            Some(excess) => Err(Error::conflict("quota_exceeded", advice(&excess))),
            None => Ok(()),
        }
    }

    /// How long a replica may take from its start until it is ready.
    pub(crate) fn start_timeout(&self, kind: &ProjectKind) -> Duration {
        let timeout = self.config.limits.start_timeout;
        match kind {
            ProjectKind::Database => self.config.databases.start_timeout,
            ProjectKind::App => timeout,
            ProjectKind::Template(_) => timeout.max(INSTANCE_START),
        }
    }

    /// How long a version may take from its turn until it is ready; longer where the version before has
    /// to be gone first.
    pub(crate) fn time_to_start(&self, kind: &ProjectKind, is_in_place: bool) -> Duration {
        let limits = &self.config.limits;
        let handover = match is_in_place {
            true => limits.drain + TERMINATION_GRACE,
            false => Duration::ZERO,
        };
        self.start_timeout(kind) + ENGINE_ALLOWANCE + handover
    }

    /// Decides how a deployment that has its image takes over. Whoever calls this notes the outcome
    /// before another one is decided.
    pub(crate) async fn find_room(
        &self,
        scope: &WorkspaceScope,
        deployment: &Deployment,
        replicas: u32,
    ) -> Result<Room> {
        let quota = self.config.limits.workspace;
        let new = Load::of(&deployment.run, replicas);
        let funds = match deployment.trigger {
            // Nobody was there to be told when it came.
            Trigger::Push => self.require_funds(scope).await,
            _ => self.require_no_suspension(scope).await,
        };
        if let Err(Error::PaymentRequired { message, .. }) = funds {
            return Ok(Room::None(message));
        }
        if !quota.is_unlimited() {
            let versions = self.store.list_running_versions(scope).await?;
            let settled = settled_load(&versions, Some(deployment.project_id)) + new;
            if let Some(excess) = quota.find_excess(settled) {
                return Ok(Room::None(advice(&excess)));
            }
            let both: Load = versions.iter().map(load_of).sum();
            if let Some(excess) = quota.find_excess(both + new) {
                return Ok(Room::InPlace(format!(
                    "{excess} with both versions at once"
                )));
            }
        }
        Ok(match self.find_lack_of_memory(deployment).await? {
            Some(lack) => Room::InPlace(lack),
            None => Room::Beside,
        })
    }

    /// A new version is expected to use what the one before it does. That is asked for only where it
    /// matters: the engine takes its time to tell.
    async fn find_lack_of_memory(&self, deployment: &Deployment) -> Result<Option<String>> {
        let Some(free) = self.driver.spare().await?.memory_bytes else {
            return Ok(None);
        };
        let replicas = self
            .driver
            .observe(Scope::Project(deployment.project_id))
            .await?;
        let most = bytes(deployment.run.ram) * replicas.len() as u64;
        if most <= free {
            return Ok(None);
        }
        let mut used = 0;
        for replica in replicas {
            // One that has ended uses nothing.
            if let Ok(usage) = self.driver.usage(&replica.name).await {
                used += usage.memory_bytes;
            }
        }
        Ok((used > free).then(|| {
            format!(
                "the machine has {} MiB of memory left, and the version before uses {}",
                free >> 20,
                used >> 20
            )
        }))
    }
}

fn bytes(ram: Ram) -> u64 {
    (u64::from(ram.milli()) << 30) / 1000
}

fn advice(excess: &str) -> String {
    format!("{excess}; stop or scale down something, or ask the operator for more")
}

fn load_of(version: &RunningVersion) -> Load {
    Load::of(&version.run, version.replicas)
}

/// What all other projects take once what is on its way there has come to life: of a project that has
/// two versions, the larger one.
pub(crate) fn settled_load(versions: &[RunningVersion], except: Option<ProjectId>) -> Load {
    let mut loads: HashMap<ProjectId, Load> = HashMap::new();
    for version in versions
        .iter()
        .filter(|version| Some(version.project_id) != except)
    {
        let load = loads.entry(version.project_id).or_default();
        *load = load.max(load_of(version));
    }
    loads.into_values().sum()
}

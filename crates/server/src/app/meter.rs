//! The meter's looks: what ran since the one before, into the store, with the charges of hours that are over.
//!
//! Guarantees: one look at a time, and none beside the end of a replica that is metered before it is
//! removed; what was metered to its end is not metered again.
//! Caveat: a container that somebody else removes is metered up to the look before.

use std::collections::HashSet;

use tokio::sync::Mutex;
use tose_api::{ProjectId, TransactionId, WorkspaceId};
use tose_model::driver::{ObservedReplica, ReplicaName, ReplicaState, Scope};
use tose_model::error::Result;
use tose_model::meter::{Known, Look, Mark, Usages};
use tose_model::pricing::Metered;
use tose_store::{MeterLook, MeterMemory, MeteredEnd};

use crate::app::Platform;

/// What the looks so far have seen. Nothing in it is needed to be right: without it, what runs is known by
/// its start alone.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    known: Known,
    /// What the store needs not read again; `None` before the first look, and after one that failed.
    stored: Option<MeterMemory>,
    /// The workspaces in which something that costs was there at the last look.
    active: Option<HashSet<WorkspaceId>>,
}

impl Platform {
    /// Looks at everything that runs.
    pub(crate) async fn meter(&self) -> Result<()> {
        if !self.config.billing.enabled {
            return Ok(());
        }
        let mut memory = self.meter.0.lock().await;
        let (mark, before) = self.marks().await?;
        let ends = self.store.list_metered_ends_for_task().await?;
        // The mark is older than what is seen: what starts in between is the next look's.
        let observed = self.driver.observe(Scope::Installation).await?;
        let look = look(&mark, before.as_ref(), &memory.known);
        let is_ended = |replica: &ObservedReplica| {
            ends.iter()
                .any(|end| end.replica == replica.name && end.started_at == replica.started_at)
        };
        let mut usages = Usages::default();
        for replica in observed.iter().filter(|replica| !is_ended(replica)) {
            add_runs(&mut usages, &look, replica);
        }
        let storages = self.store.list_metered_storage_for_task().await?;
        for storage in &storages {
            let span = look.since(storage.made_at);
            usages.add(storage.project_id, storage.workspace_id, span, |millis| {
                Metered::of_storage(storage.storage_gb, millis)
            });
        }
        let running = |replica: &&ObservedReplica| replica.state == ReplicaState::Running;
        let known: Known = observed
            .iter()
            .filter(running)
            .map(|replica| (replica.name.clone(), replica.started_at))
            .collect();
        let ended: Vec<ReplicaName> = observed
            .iter()
            .filter(|replica| is_ended(replica))
            .map(|replica| replica.name.clone())
            .collect();
        let ids = || TransactionId::from_uuid(self.ids.uuid());
        let found = MeterLook {
            mark: &mark,
            usages: &usages,
            ended: &ended,
            prices: &self.config.billing.prices,
            ids: &ids,
        };
        let mut stored = self.stored(&mut memory).await?;
        self.store.meter_for_task(&found, &mut stored).await?;
        // Only now: what a failed look had in hand may not be in the store.
        memory.stored = Some(stored);
        memory.known = known;
        let running = observed.iter().filter(running);
        let active = running.map(|replica| replica.workspace_id);
        let stored = storages.iter().map(|storage| storage.workspace_id);
        memory.active = Some(active.chain(stored).collect());
        Ok(())
    }

    /// The same ahead of a change that would make it miss something. A look that fails holds nothing up: what is
    /// missed then is the time since the look before.
    pub(crate) async fn try_meter(&self) {
        if let Err(error) = self.meter().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what runs could not be metered before a change"
            );
        }
    }

    /// Meters a replica that is about to be removed.
    pub(crate) async fn meter_end(&self, project_id: ProjectId, name: &ReplicaName) -> Result<()> {
        if !self.config.billing.enabled {
            return Ok(());
        }
        let mut memory = self.meter.0.lock().await;
        let (mark, before) = self.marks().await?;
        let observed = self.driver.observe(Scope::Project(project_id)).await?;
        let Some(replica) = observed.iter().find(|replica| replica.name == *name) else {
            return Ok(());
        };
        let mut usages = Usages::default();
        add_runs(
            &mut usages,
            &look(&mark, before.as_ref(), &memory.known),
            replica,
        );
        let end = MeteredEnd {
            replica: name.clone(),
            started_at: replica.started_at,
        };
        let mut stored = self.stored(&mut memory).await?;
        self.store
            .meter_end_for_task(&end, &usages, &mut stored)
            .await?;
        memory.stored = Some(stored);
        memory.known.remove(name);
        Ok(())
    }

    /// The workspaces in which something that costs was there at the last look; `None` before the first one.
    pub(crate) async fn active_workspaces(&self) -> Option<HashSet<WorkspaceId>> {
        self.meter.0.lock().await.active.clone()
    }

    /// Takes it out, so that whatever becomes of the look, only one that succeeded puts it back.
    async fn stored(&self, memory: &mut Memory) -> Result<MeterMemory> {
        match memory.stored.take() {
            Some(stored) => Ok(stored),
            None => Ok(self.store.read_meter_memory_for_task().await?),
        }
    }

    /// Now, and up to when everything was metered.
    async fn marks(&self) -> Result<(Mark, Option<Mark>)> {
        let now = Mark {
            uptime: self.clock.uptime(),
            at: self.now(),
        };
        Ok((now, self.store.find_meter_mark_for_task().await?))
    }
}

/// A look that is the first one sees nothing that is to be paid.
fn look<'a>(mark: &Mark, before: Option<&Mark>, known: &'a Known) -> Look<'a> {
    Look {
        now: mark.at,
        elapsed: before.map(|before| mark.since(before)).unwrap_or_default(),
        known,
    }
}

fn add_runs(usages: &mut Usages, look: &Look<'_>, replica: &ObservedReplica) {
    for span in look.runs(replica) {
        let key = &replica.key;
        usages.add(key.project_id, replica.workspace_id, span, |millis| {
            Metered::of(replica.load, millis)
        });
    }
}

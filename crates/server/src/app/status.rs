//! What a project's replicas do at this moment, asked of the engine.

use futures_util::future::join_all;
use tose_api::Slug;
use tose_api::deployment::DeploymentStatus;
use tose_api::project::{
    PodStatus, PodView, PodsView, ResourcesView, StatusProject, StatusView, UsageView,
};
use tose_model::access::Access;
use tose_model::deployment::Deployment;
use tose_model::driver::{ObservedReplica, ReplicaState, Scope, Usage};
use tose_model::error::Result;
use tose_model::plan::Health;
use tose_model::process::counts;
use tose_model::project::{DesiredState, Project, status};

use crate::app::Platform;
use crate::app::project::status_facts;
use crate::liveness::worker_health;

impl Platform {
    pub(crate) async fn project_status(&self, access: &Access, slug: &str) -> Result<StatusView> {
        let (project, mut facts) = self.find_project_facts(access, slug).await?;
        let mut replicas = self.driver.observe(Scope::Project(project.id)).await?;
        replicas.retain(|replica| replica.key.job_number().is_none());
        let routed = self.routes.backends_of(project.id).await;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        let pods = join_all(replicas.iter().map(|replica| {
            let place = find_place(&project, &current, replica);
            self.pod(replica, place, &routed)
        }))
        .await;
        let ready = count(pods.iter().filter(|(pod, _)| pod.ready));
        let staying = pods
            .iter()
            .filter(|(pod, _)| pod.status != PodStatus::Stopping);
        let total = count(staying);
        let workers = current
            .iter()
            .find(|deployment| deployment.status == DeploymentStatus::Running)
            .map_or(0, |live| project.replicas_of(&live.run) - project.replicas);
        facts.ready = ready.saturating_sub(workers);
        let wanted = match project.desired {
            DesiredState::Running => u64::from(project.replicas + workers),
            DesiredState::Stopped => 0,
        };
        let used = pods.iter().fold(Usage::default(), |sum, (_, usage)| Usage {
            cpu_milli: sum.cpu_milli + usage.cpu_milli,
            memory_bytes: sum.memory_bytes + usage.memory_bytes,
            received_bytes: sum.received_bytes + usage.received_bytes,
            sent_bytes: sum.sent_bytes + usage.sent_bytes,
        });
        let resources = ResourcesView {
            cpu: UsageView {
                used: cpu_quantity(used.cpu_milli),
                limit: cpu_quantity(u64::from(project.run.cpu.milli()) * wanted),
            },
            memory: UsageView {
                used: memory_quantity(used.memory_bytes),
                limit: memory_quantity(project.run.ram.bytes() * wanted),
            },
        };
        Ok(StatusView {
            project: StatusProject {
                slug: project.slug.clone(),
                status: status(&status_facts(&project, facts)),
            },
            pods: PodsView {
                ready,
                total,
                items: pods.into_iter().map(|(pod, _)| pod).collect(),
            },
            resources,
        })
    }

    async fn pod(
        &self,
        replica: &ObservedReplica,
        place: Option<Place>,
        routed: &[String],
    ) -> (PodView, Usage) {
        let verdict = self.liveness.verdict(&replica.name, replica.started_at);
        let is_routed = routed.iter().any(|name| name == replica.name.as_str());
        let process = place.as_ref().and_then(|place| place.process.clone());
        let is_settled = process.is_some() && worker_health(replica, self.now()) == Health::Ready;
        let (status, reason) = match replica.state {
            _ if place.is_none() => (PodStatus::Stopping, None),
            ReplicaState::Created => (PodStatus::Pending, None),
            ReplicaState::Running if verdict.is_some() => (PodStatus::Unhealthy, verdict),
            ReplicaState::Running if is_routed || is_settled => (PodStatus::Running, None),
            ReplicaState::Running => (PodStatus::Starting, None),
            ReplicaState::Restarting {
                exit_code,
                out_of_memory,
            }
            | ReplicaState::Exited {
                exit_code,
                out_of_memory,
            } => (
                PodStatus::Crashed,
                Some(exit_reason(exit_code, out_of_memory)),
            ),
        };
        // A replica that ends in this moment uses nothing.
        let usage = match replica.state {
            ReplicaState::Running => self.driver.usage(&replica.name).await.unwrap_or_default(),
            _ => Usage::default(),
        };
        let pod = PodView {
            name: replica.name.to_string(),
            status,
            ready: status == PodStatus::Running,
            restarts: replica.restarts,
            started_at: replica.started_at,
            process,
            deployment_id: replica.key.deployment_id,
            cpu: cpu_quantity(usage.cpu_milli),
            memory: memory_quantity(usage.memory_bytes),
            reason,
        };
        (pod, usage)
    }
}

/// The place of a replica that is to be there.
struct Place {
    /// The process, if it answers no visitors.
    process: Option<Slug>,
}

fn find_place(
    project: &Project,
    current: &[Deployment],
    replica: &ObservedReplica,
) -> Option<Place> {
    let key = &replica.key;
    let version = current
        .iter()
        .find(|deployment| deployment.id == key.deployment_id)?;
    let Some((slot, place)) = key.worker() else {
        return (key.index < project.replicas).then_some(Place { process: None });
    };
    let (name, wanted) = counts(&version.run.processes, &project.scale).nth(slot as usize)?;
    (place < wanted).then(|| Place {
        process: Some(name.clone()),
    })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

fn exit_reason(exit_code: i64, out_of_memory: bool) -> String {
    if out_of_memory {
        "killed because it used more than its memory".to_owned()
    } else {
        format!("exited with code {exit_code}")
    }
}

fn cpu_quantity(milli: u64) -> String {
    format!("{milli}m")
}

fn memory_quantity(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

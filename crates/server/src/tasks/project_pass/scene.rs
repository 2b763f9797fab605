//! What a pass works with: everything that was read of a project, and what is wanted of it.

use std::net::SocketAddr;

use tose_api::deployment::{DeploymentStatus, Trigger};
use tose_api::{DeploymentId, EnvKey, Slug, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::database::Database;
use tose_model::deployment::Deployment;
use tose_model::driver::{ObservedReplica, ReplicaKey, ReplicaState};
use tose_model::error::Result;
use tose_model::plan::{Desired, Rollout, Target};
use tose_model::process::{Process, counts};
use tose_model::project::{DesiredState, Project, ProjectKind};
use tose_model::secret::ExposeSecret;
use tose_store::ProjectFacts;

use crate::app::Platform;
use crate::app::project::is_reserved;
use crate::tasks::project_pass::release::Release;

/// Everything that was read of a project.
pub(super) struct Scene {
    pub(super) scope: WorkspaceScope,
    pub(super) project: Project,
    pub(super) facts: ProjectFacts,
    /// What it has besides, if it is a database.
    pub(super) database: Option<Database>,
    pub(super) live: Option<Deployment>,
    pub(super) target: Option<Deployment>,
    /// The version to go back to, while the live one is watched.
    pub(super) previous: Option<Deployment>,
    pub(super) observed: Vec<ObservedReplica>,
}

impl Scene {
    /// Reads what is current of a project.
    pub(super) async fn read(
        platform: &Platform,
        scope: WorkspaceScope,
        mut project: Project,
        facts: ProjectFacts,
        observed: Vec<ObservedReplica>,
    ) -> Result<Self> {
        if facts.suspended.is_some() {
            // What is wanted stays so in the store, and comes back with the money.
            project.desired = DesiredState::Stopped;
        }
        let current = platform
            .store
            .list_current_deployments(&scope, project.id)
            .await?;
        let database = match project.kind {
            ProjectKind::Database => platform.store.find_database(&scope, project.id).await?,
            ProjectKind::App | ProjectKind::Template(_) => None,
        };
        let mut scene = Self {
            database,
            scope,
            project,
            facts,
            live: None,
            target: None,
            previous: None,
            observed,
        };
        for deployment in current {
            match deployment.status {
                DeploymentStatus::Running => scene.live = Some(deployment),
                DeploymentStatus::Deploying => scene.target = Some(deployment),
                _ => {}
            }
        }
        scene.previous = find_previous(platform, &scene).await?;
        Ok(scene)
    }

    pub(super) fn is_database(&self) -> bool {
        self.project.kind == ProjectKind::Database
    }

    /// What is wanted of the project.
    pub(super) fn desired(&self, platform: &Platform, release: Release) -> Desired {
        let watched = self.live.as_ref().filter(|_| self.previous.is_some());
        Desired {
            watched_until: watched.and_then(|live| watched_until(platform, live)),
            live_workers: self.workers(self.live.as_ref()),
            target_workers: self.workers(self.target.as_ref()),
            replicas: match self.project.desired {
                DesiredState::Running => self.project.replicas,
                DesiredState::Stopped => 0,
            },
            live: self.live.as_ref().map(|deployment| deployment.id),
            target: self.startable(platform, release),
            rollout: rollout(self),
        }
    }

    /// The places of the workers that a version is to have.
    fn workers(&self, version: Option<&Deployment>) -> Vec<u32> {
        let Some(version) = version.filter(|_| self.project.desired == DesiredState::Running)
        else {
            return Vec::new();
        };
        let counts = counts(&version.run.processes, &self.project.scale);
        (0..)
            .zip(counts)
            .flat_map(|(slot, (_, wanted))| {
                (0..wanted).map(move |place| ReplicaKey::worker_index(slot, place))
            })
            .collect()
    }

    /// The process that a replica of a current version runs, if it answers no visitors.
    pub(super) fn process(&self, key: &ReplicaKey) -> Option<(&Slug, &Process)> {
        let (slot, _) = key.worker()?;
        let version = self.deployment(key.deployment_id)?;
        version.run.processes.iter().nth(slot as usize)
    }

    /// The version that is to take over, once it may start. Its time begins with that.
    fn startable(&self, platform: &Platform, release: Release) -> Option<Target> {
        let target = self.target.as_ref()?;
        let Release::Done(released_at) = release else {
            return None;
        };
        let time = platform.time_to_start(&self.project.kind, rollout(self) == Rollout::InPlace);
        let after_release = released_at.map(|at| at.saturating_add(time));
        Some(Target {
            deployment_id: target.id,
            deadline: after_release
                .into_iter()
                .fold(target.deadline_at, Timestamp::max),
        })
    }

    pub(super) fn deployment(&self, id: DeploymentId) -> Option<&Deployment> {
        self.live
            .iter()
            .chain(&self.target)
            .find(|deployment| deployment.id == id)
    }

    /// Where a replica listens, if it runs and its deployment is a current one.
    pub(super) fn addr(&self, replica: &ObservedReplica) -> Option<SocketAddr> {
        let deployment = self.deployment(replica.key.deployment_id)?;
        let ip = replica
            .ip
            .filter(|_| replica.state == ReplicaState::Running)?;
        Some(SocketAddr::new(ip, deployment.run.port.get()))
    }
}

/// The version before the live one, if that is watched and nobody has asked for another since. One
/// that the platform brought back itself is not watched: where that breaks too, a person has to look.
async fn find_previous(platform: &Platform, scene: &Scene) -> Result<Option<Deployment>> {
    let Some(live) = scene.live.as_ref().filter(|live| {
        live.trigger != Trigger::AutoRollback
            && !scene.facts.in_progress
            && watched_until(platform, live) > Some(platform.now())
    }) else {
        return Ok(None);
    };
    let project_id = scene.project.id;
    let previous = platform
        .store
        .find_previous_version(&scene.scope, project_id, live.generation)
        .await?;
    let Some(previous) = previous else {
        return Ok(None);
    };
    if is_same(platform, &previous, live)? {
        return Ok(None);
    }
    let image = previous.image.as_deref().unwrap_or_default();
    let is_kept = !is_reserved(image) || platform.driver.has_image(image).await?;
    Ok(is_kept.then_some(previous))
}

/// Whether two versions have the same image, settings and variables: one would break as the other did.
fn is_same(platform: &Platform, one: &Deployment, other: &Deployment) -> Result<bool> {
    let env = |deployment: &Deployment| -> Result<Vec<(EnvKey, String)>> {
        let env = platform.open_deployment_env(deployment)?;
        let pairs = env.into_iter();
        Ok(pairs
            .map(|(key, value, _)| (key, value.expose_secret().to_owned()))
            .collect())
    };
    Ok(one.image == other.image && one.run == other.run && env(one)? == env(other)?)
}

fn watched_until(platform: &Platform, live: &Deployment) -> Option<Timestamp> {
    let live_at = live.live_at?;
    Some(live_at.saturating_add(platform.config.limits.watch))
}

/// Two versions never write to the same volume, and never run where there is room for one.
fn rollout(scene: &Scene) -> Rollout {
    if scene.target.as_ref().is_some_and(|target| target.in_place) {
        return Rollout::InPlace;
    }
    let mut versions = scene.live.iter().chain(&scene.target).peekable();
    let is_there = versions.peek().is_some();
    if is_there && versions.all(|version| !version.run.volumes.is_empty()) {
        Rollout::InPlace
    } else {
        Rollout::Beside
    }
}

//! One pass over one project: read, look, plan, act, write back.

mod crash_loop;
mod database;
mod exposure;
mod jobs;
mod release;
mod removal;
mod scene;
mod suspension;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tose_api::deployment::DeploymentStatus;
use tose_api::domain::DomainStatus;
use tose_api::project::Volume;
use tose_api::{DeploymentId, ProjectId, Timestamp};
use tose_logs::StreamId;
use tose_model::access::WorkspaceScope;
use tose_model::command;
use tose_model::deployment::Deployment;
use tose_model::deployment::failure::{Cause, Circumstances, explain};
use tose_model::deployment::state::Event;
use tose_model::driver::{
    DriverError, EngineStep, ObservedReplica, ReplicaKey, ReplicaName, ReplicaSpec, ReplicaState,
    Scope, VolumeMount,
};
use tose_model::error::{Error, Result};
use tose_model::plan::{Desired, Health, Patience, Plan, Replica, Step, plan};
use tose_model::project::DesiredState;
use tose_model::route::{Backend, ProjectRoutes, Route};
use tose_model::secret::SecretString;
use tose_store::Lease;

use crate::app::Platform;
use crate::app::log::log_error;
use crate::liveness::{Watched, worker_health};
use crate::tasks::capture::Capture;
use crate::tasks::probe;
use crate::tasks::project_pass::removal::{remove, tear_down};
use crate::tasks::project_pass::scene::Scene;

/// How long a pass may act before another process may take the project over.
const LEASE: Duration = Duration::from_secs(120);
/// How many of an app's last lines go into the reason for a failure.
const LAST_LINES: usize = 3;
/// How many stored lines are looked through for them.
const LOOK_BACK: usize = 200;
/// How soon a live replica that could not be started is tried again.
const START_RETRY: Duration = Duration::from_secs(10);

/// What one pass knows from the ones before. None of it has to survive: probes are asked again, drains begin anew.
#[derive(Default)]
pub(crate) struct Memory {
    health: HashMap<ReplicaName, (Option<Timestamp>, Health)>,
    retiring_since: HashMap<ReplicaName, Timestamp>,
    terminated_at: HashMap<ReplicaName, Timestamp>,
    start_failed_at: Option<Timestamp>,
    /// The replicas of a database that take logins. What visitors' routes are for apps.
    serving: Vec<ReplicaName>,
}

impl Memory {
    pub(crate) fn is_empty(&self) -> bool {
        self.health.is_empty() && self.retiring_since.is_empty() && self.terminated_at.is_empty()
    }

    fn forget(&mut self, name: &ReplicaName) {
        self.health.remove(name);
        self.retiring_since.remove(name);
        self.terminated_at.remove(name);
        self.serving.retain(|serving| serving != name);
    }

    fn keep_only(&mut self, observed: &[ObservedReplica]) {
        let is_there = |name: &ReplicaName| observed.iter().any(|replica| replica.name == *name);
        self.health.retain(|name, _| is_there(name));
        self.retiring_since.retain(|name, _| is_there(name));
        self.terminated_at.retain(|name, _| is_there(name));
        self.serving.retain(is_there);
    }
}

/// Looks at a project once; answers when it wants to be looked at again.
pub(crate) async fn run(
    platform: &Platform,
    capture: &Arc<Capture>,
    id: ProjectId,
    memory: &mut Memory,
) -> Result<Option<Timestamp>> {
    let Some(reference) = platform.store.find_project_ref_for_task(id).await? else {
        // No row any more: its routes must not outlive it.
        replace_routes(platform, id, ProjectRoutes::default()).await?;
        return Ok(None);
    };
    let scope = WorkspaceScope::for_task(reference.workspace_id);
    let observed = platform.driver.observe(Scope::Project(id)).await?;
    memory.keep_only(&observed);
    for replica in &observed {
        capture.ensure(replica);
    }
    if reference.is_deleted {
        return tear_down(platform, capture, &reference, &scope, observed, memory).await;
    }
    let Some((project, facts)) = platform.store.find_project(&scope, id).await? else {
        return Ok(Some(platform.now()));
    };
    let (jobs, observed): (Vec<_>, Vec<_>) = observed
        .into_iter()
        .partition(|replica| replica.key.job_number().is_some());
    let scene = Scene::read(platform, scope, project, facts, observed).await?;
    let pass = Pass {
        platform,
        capture,
        scene: &scene,
    };
    // Neither waits for the other to go well.
    let jobs = pass.run_jobs(&jobs, memory).await;
    let next = pass.run(memory).await?;
    Ok(next.into_iter().chain(jobs?).min())
}

struct Pass<'a> {
    platform: &'a Platform,
    capture: &'a Arc<Capture>,
    scene: &'a Scene,
}

impl Pass<'_> {
    async fn run(&self, memory: &mut Memory) -> Result<Option<Timestamp>> {
        if self.give_up_if_suspended().await? {
            return Ok(Some(self.platform.now()));
        }
        let release = self.release().await?;
        let desired = self.scene.desired(self.platform, release);
        let replicas = self.examine(&desired, memory).await;
        let now = self.platform.now();
        let plan = plan(&desired, &replicas, now, &self.patience());
        let acted = !plan.steps.is_empty();
        if acted && !self.take_lease(now).await? {
            return Ok(Some(now.saturating_add(LEASE)));
        }
        let outcome = self.act(&plan, memory).await;
        if acted {
            self.release_lease().await?;
        }
        outcome?;
        let wake_at = self.settle_credentials(memory, plan.wake_at).await;
        if !acted && self.scene.is_database() {
            self.route_port().await?;
        } else if !acted {
            // Hosts, addresses and reasons may have changed though no replica came or went.
            let routed = replicas.iter().filter(|replica| replica.routed);
            self.route(
                routed
                    .map(|replica| replica.observed.name.clone())
                    .collect(),
            )
            .await?;
        }
        self.write_back(&desired, &replicas).await?;
        Ok(if acted { Some(now) } else { wake_at })
    }

    fn patience(&self) -> Patience {
        if self.scene.is_database() {
            return self.database_patience();
        }
        let limits = &self.platform.config.limits;
        Patience {
            drain: limits.drain,
            start: self.platform.start_timeout(&self.scene.project.kind),
            ..Patience::default()
        }
    }

    fn lease_name(&self) -> String {
        format!("project/{}", self.scene.project.id)
    }

    async fn take_lease(&self, now: Timestamp) -> Result<bool> {
        let lease = Lease {
            name: self.lease_name(),
            owner: self.platform.boot_id.clone(),
            expires_at: now.saturating_add(LEASE),
        };
        Ok(self.platform.store.take_lease(&lease, now).await?)
    }

    async fn release_lease(&self) -> Result<()> {
        Ok(self
            .platform
            .store
            .release_lease(&self.lease_name(), &self.platform.boot_id)
            .await?)
    }

    /// Adds what the engine does not know: health, routes, drain.
    async fn examine(&self, desired: &Desired, memory: &mut Memory) -> Vec<Replica> {
        let routed = self.routed(memory).await;
        let looks = self.scene.observed.iter().map(|observed| {
            let is_routed = routed.iter().any(|name| name == observed.name.as_str());
            self.look_at(desired, observed, is_routed, memory)
        });
        let replicas = join_all(looks).await;
        self.watch(&replicas);
        self.tell_of_crashes(&replicas).await;
        for replica in &replicas {
            let state = (replica.observed.started_at, replica.health.clone());
            memory.health.insert(replica.observed.name.clone(), state);
        }
        replicas
    }

    /// The replicas that visitors are sent to, or that a database's clients find.
    async fn routed(&self, memory: &Memory) -> Vec<String> {
        if self.scene.is_database() {
            return memory.serving.iter().map(ReplicaName::to_string).collect();
        }
        let id = self.scene.project.id;
        self.platform.routes.backends_of(id).await
    }

    /// Has those that serve asked further on, where there is a path to ask.
    fn watch(&self, replicas: &[Replica]) {
        let liveness = &self.platform.liveness;
        let serves = |replica: &Replica| {
            replica.routed && matches!(replica.health, Health::Ready | Health::Unhealthy(_))
        };
        let is_leaving = |replica: &Replica| matches!(replica.health, Health::Unhealthy(_));
        liveness.retain(self.scene.project.id, |name| {
            let found = replicas
                .iter()
                .find(|replica| replica.observed.name == *name);
            found.is_some_and(|replica| serves(replica) || is_leaving(replica))
        });
        for replica in replicas.iter().filter(|replica| serves(replica)) {
            let observed = &replica.observed;
            let path = self
                .scene
                .deployment(observed.key.deployment_id)
                .and_then(|deployment| deployment.run.health_check_path.clone());
            if let (Some(health_path), Some(addr)) = (path, self.scene.addr(observed)) {
                let watched = Watched {
                    project_id: self.scene.project.id,
                    addr,
                    health_path,
                    started_at: observed.started_at,
                };
                liveness.watch(&observed.name, watched);
            }
        }
    }

    async fn look_at(
        &self,
        desired: &Desired,
        observed: &ObservedReplica,
        is_routed: bool,
        memory: &Memory,
    ) -> Replica {
        let name = &observed.name;
        let is_current = self.scene.deployment(observed.key.deployment_id).is_some()
            && desired.has_place(observed.key.deployment_id, observed.key.index);
        let terminated_at = memory.terminated_at.get(name).copied();
        let verdict = self
            .platform
            .liveness
            .verdict(name, observed.started_at)
            .filter(|_| is_current);
        let health = match verdict {
            Some(reason) => Health::Unhealthy(reason),
            None if is_current => self.health(observed, is_routed, memory).await,
            None => Health::Unknown,
        };
        let may_be_draining = !is_current && !is_routed && terminated_at.is_none();
        let is_busy =
            may_be_draining && !matches!(self.platform.data_plane.in_flight(name).await, Ok(0));
        Replica {
            observed: observed.clone(),
            health,
            routed: is_routed,
            retiring_since: memory.retiring_since.get(name).copied(),
            terminated_at,
            is_busy,
        }
    }

    /// What its probe says about this run of its process. A replica that is routed from before a
    /// restart of the server keeps its route until it is seen to fail.
    async fn health(&self, observed: &ObservedReplica, is_routed: bool, memory: &Memory) -> Health {
        let Some(addr) = self.scene.addr(observed) else {
            return Health::NotReady("it is not running".to_owned());
        };
        if !observed.key.is_web() {
            return worker_health(observed, self.platform.now());
        }
        let known = memory.health.get(&observed.name);
        if let Some((started_at, Health::Ready)) = known
            && *started_at == observed.started_at
        {
            return Health::Ready;
        }
        if let Some(database) = &self.scene.database {
            return self.database_health(database, observed).await;
        }
        let path = self
            .scene
            .deployment(observed.key.deployment_id)
            .and_then(|deployment| deployment.run.health_check_path.as_deref());
        let asked = probe::probe(addr, path).await;
        let is_inherited = is_routed
            && known.is_none_or(|(_, health)| *health == Health::Unknown)
            && self.has_route_to(observed, addr).await;
        match asked {
            Health::NotReady(_) if is_inherited => Health::Unknown,
            asked => asked,
        }
    }

    async fn has_route_to(&self, observed: &ObservedReplica, addr: SocketAddr) -> bool {
        let id = self.scene.project.id;
        let backend = self
            .platform
            .routes
            .find_backend(id, observed.name.as_str())
            .await;
        backend.is_some_and(|backend| backend.addr == addr)
    }

    async fn act(&self, plan: &Plan, memory: &mut Memory) -> Result<()> {
        let mut has_network = false;
        for step in &plan.steps {
            match step {
                Step::Start {
                    deployment_id,
                    index,
                } => {
                    if !has_network {
                        self.clear_unused_data().await?;
                        self.ensure_network().await?;
                        has_network = true;
                    }
                    if self.start(*deployment_id, *index, memory).await? == Started::Failed {
                        // What follows was planned for a version that is given up now.
                        return Ok(());
                    }
                }
                Step::Route { replicas } if self.scene.is_database() => {
                    memory.serving.clone_from(replicas);
                }
                Step::Route { replicas } => self.route_or_give_up(replicas.clone()).await?,
                Step::Promote { deployment_id } => self.promote(*deployment_id).await?,
                Step::Fail {
                    deployment_id,
                    replica,
                    cause,
                } => {
                    self.fail(*deployment_id, replica.as_ref(), cause).await?;
                }
                Step::RollBack { replica, cause } => self.roll_back(replica, cause).await?,
                Step::Retire { name } => {
                    memory
                        .retiring_since
                        .insert(name.clone(), self.platform.now());
                }
                Step::Terminate { name } => {
                    self.say_why(name).await;
                    self.apply(&EngineStep::TerminateReplica { name: name.clone() })
                        .await?;
                    memory
                        .terminated_at
                        .insert(name.clone(), self.platform.now());
                }
                Step::Remove { name } => {
                    remove(self.platform, self.capture, self.scene.project.id, name).await?;
                    memory.forget(name);
                }
            }
        }
        Ok(())
    }

    async fn apply(&self, step: &EngineStep) -> Result<()> {
        Ok(self.platform.driver.apply(step).await?)
    }

    pub(super) async fn ensure_network(&self) -> Result<()> {
        let workspace_id = self.scene.project.workspace_id;
        let workspace = self.scene.project.workspace.clone();
        self.apply(&EngineStep::EnsureNetwork {
            workspace_id,
            workspace,
        })
        .await
    }

    async fn start(
        &self,
        deployment_id: DeploymentId,
        index: u32,
        memory: &mut Memory,
    ) -> Result<Started> {
        let Some(deployment) = self.scene.deployment(deployment_id) else {
            return Ok(Started::Later);
        };
        let now = self.platform.now();
        let is_target = deployment.status == DeploymentStatus::Deploying;
        let retry_at = memory
            .start_failed_at
            .map(|at| at.saturating_add(START_RETRY));
        if !is_target && retry_at.is_some_and(|at| at > now) {
            return Ok(Started::Later);
        }
        let spec = self.spec(deployment, index)?;
        let name = spec.name.clone();
        if is_target {
            self.platform
                .say(deployment.id, format!("starting replica {name}"))
                .await;
        }
        match self
            .platform
            .driver
            .apply(&EngineStep::StartReplica(Box::new(spec)))
            .await
        {
            Ok(()) => {
                tracing::info!(replica = %name, "replica started");
                memory.start_failed_at = None;
                memory.forget(&name);
                Ok(Started::Running)
            }
            Err(error) if is_target && is_authors_fault(&error) => {
                let cause = Cause::CannotStart {
                    reason: error.to_string(),
                };
                self.fail(deployment_id, None, &cause).await?;
                Ok(Started::Failed)
            }
            Err(error) if !is_target && is_authors_fault(&error) => {
                tracing::warn!(replica = %name, %error, "a live replica could not be started; it is tried again");
                memory.start_failed_at = Some(now);
                Ok(Started::Later)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn spec(&self, deployment: &Deployment, index: u32) -> Result<ReplicaSpec> {
        let key = ReplicaKey {
            project_id: self.scene.project.id,
            deployment_id: deployment.id,
            index,
        };
        let Some((slot, place)) = key.worker() else {
            let command = deployment.run.start_command.as_deref();
            return self.spec_of(deployment, key, command.map(command::split).transpose()?);
        };
        let (process, wanted) = self.scene.process(&key).ok_or_else(|| {
            let missing = format!("slot {slot} of deployment {}", deployment.id);
            Error::internal(
                "a version lacks a process that it was planned with",
                missing,
            )
        })?;
        let command = command::split(&wanted.command)?;
        let spec = self.spec_of(deployment, key, Some(command))?;
        Ok(ReplicaSpec {
            name: ReplicaName::of_process(&self.scene.project.slug, &key, process, place),
            ..spec
        })
    }

    /// A replica of this version that runs `command` in place of the image's own.
    fn spec_of(
        &self,
        deployment: &Deployment,
        key: ReplicaKey,
        command: Option<Vec<String>>,
    ) -> Result<ReplicaSpec> {
        let project = &self.scene.project;
        let mut env: Vec<_> = self
            .platform
            .open_deployment_env(deployment)?
            .into_iter()
            .filter(|(key, _, _)| key.as_str() != "PORT")
            .map(|(key, value, _)| (key, value))
            .collect();
        let port = deployment.run.port;
        env.push((port_key(), SecretString::from(port.to_string())));
        let image = deployment.image.clone().ok_or_else(|| {
            Error::internal("a deployment has no image", "it was rolled out unbuilt")
        })?;
        Ok(ReplicaSpec {
            name: ReplicaName::new(&project.slug, &key),
            key,
            generation: deployment.generation,
            known_generation: project.generation,
            workspace_id: project.workspace_id,
            workspace: project.workspace.clone(),
            project: project.slug.clone(),
            image,
            command,
            volumes: deployment.run.volumes.iter().map(mount).collect(),
            env,
            port,
            cpu: deployment.run.cpu,
            ram: deployment.run.ram,
        })
    }

    /// Routes, and gives a version up whose time is over while the data plane does not answer: a
    /// deployment has to end one way or the other.
    async fn route_or_give_up(&self, replicas: Vec<ReplicaName>) -> Result<()> {
        let Err(error) = self.route(replicas).await else {
            return Ok(());
        };
        let overdue = self
            .scene
            .target
            .as_ref()
            .filter(|target| target.deadline_at <= self.platform.now());
        if let Some(target) = overdue {
            let reason = "the proxy did not take the new route; deploy again, and ask the operator to look at the proxy if that does not help";
            self.platform
                .settle(target, Event::Failure, Some(reason))
                .await?;
        }
        Err(error)
    }

    /// Sends visitors of all the project's hosts to exactly these replicas.
    async fn route(&self, names: Vec<ReplicaName>) -> Result<()> {
        let backends: Vec<Backend> = self
            .scene
            .observed
            .iter()
            .filter(|observed| names.contains(&observed.name))
            .filter_map(|observed| {
                let addr = self.scene.addr(observed)?;
                Some(Backend {
                    replica: observed.name.to_string(),
                    addr,
                })
            })
            .collect();
        let project = &self.scene.project;
        let reason = backends.is_empty().then(|| self.idle_reason());
        let domains = self
            .platform
            .store
            .list_domains(&self.scene.scope, project.id)
            .await?;
        let https = self
            .platform
            .hosts_with_https(&self.scene.scope, project)
            .await?;
        let targets = self
            .platform
            .path_targets(&self.scene.scope, &domains)
            .await?;
        let hosts = domains
            .into_iter()
            .filter(|domain| domain.status == DomainStatus::Active)
            .map(|domain| {
                let route = Route {
                    project_id: project.id,
                    workspace: project.workspace.clone(),
                    project: project.slug.clone(),
                    backends: backends.clone(),
                    reason: reason.clone(),
                    https_port: https.port_of(&domain),
                    rules: self.platform.rules(&domain, &targets)?,
                };
                Ok((domain.hostname, route))
            })
            .collect::<Result<_>>()?;
        let routes = ProjectRoutes {
            hosts,
            ..ProjectRoutes::default()
        };
        replace_routes(self.platform, project.id, routes).await
    }

    /// Why nothing serves the project, for the page that visitors get.
    fn idle_reason(&self) -> String {
        let text = match (&self.scene.project.desired, &self.scene.live) {
            _ if let Some(reason) = self.scene.facts.suspended => reason.reason(),
            (DesiredState::Stopped, _) => "it was stopped",
            (_, Some(_)) => "none of its replicas is ready at the moment",
            _ if self.scene.facts.in_progress => "its first deployment is on its way",
            _ if self.scene.facts.newest_failed => "its last deployment failed",
            _ => "nothing was deployed so far",
        };
        text.to_owned()
    }

    async fn promote(&self, deployment_id: DeploymentId) -> Result<()> {
        let Some(target) = self.scene.deployment(deployment_id) else {
            return Ok(());
        };
        let text = if self.scene.is_database() {
            "it takes logins".to_owned()
        } else {
            let url = self
                .platform
                .project_url(&self.scene.project, self.scene.facts);
            format!("live at {url}")
        };
        // All of its replicas are ready, or it would not take over: nobody is to see it live and without.
        let (id, replicas) = (self.scene.project.id, self.scene.project.replicas);
        self.platform
            .store
            .set_ready_replicas(&self.scene.scope, id, replicas)
            .await?;
        self.platform
            .settle(target, Event::Promoted, Some(&text))
            .await?;
        self.platform.signals.images(self.scene.project.id);
        Ok(())
    }

    async fn fail(
        &self,
        deployment_id: DeploymentId,
        replica: Option<&ReplicaName>,
        cause: &Cause,
    ) -> Result<()> {
        let Some(target) = self.scene.deployment(deployment_id) else {
            return Ok(());
        };
        let reason = self.reason(target, replica, cause).await?;
        self.platform
            .settle(target, Event::Failure, Some(&reason))
            .await?;
        Ok(())
    }

    /// Why a version does not run, in words for its author.
    async fn reason(
        &self,
        deployment: &Deployment,
        replica: Option<&ReplicaName>,
        cause: &Cause,
    ) -> Result<String> {
        let mut facts = Circumstances {
            waited: self.platform.start_timeout(&self.scene.project.kind),
            ..Circumstances::default()
        };
        if let Some(name) = replica {
            let observed = self.scene.observed.iter().find(|one| one.name == *name);
            let process = observed.and_then(|observed| self.scene.process(&observed.key));
            facts.process = process.map(|(name, _)| name.clone());
            // Asked while it still runs; an engine that cannot tell leaves the reason shorter.
            facts.listening = self.platform.driver.listening(name).await.unwrap_or(None);
            if !matches!(cause, Cause::NotReady { .. }) {
                self.capture.catch_up(name).await;
            }
            facts.last_lines = self.last_lines(name).await?;
        }
        let memory = deployment.run.ram.to_string();
        Ok(explain(cause, deployment.run.port, &memory, &facts))
    }

    /// Tells the project's log why a replica that was live is replaced.
    async fn say_why(&self, name: &ReplicaName) {
        let observed = self.scene.observed.iter().find(|one| one.name == *name);
        let verdict =
            observed.and_then(|observed| self.platform.liveness.verdict(name, observed.started_at));
        if let Some(reason) = verdict {
            tracing::warn!(replica = %name, reason, "replacing a replica: it is unhealthy");
            let text = format!("replica {name} is replaced: {reason}, three times in a row");
            self.platform
                .tell_project(self.scene.project.id, text)
                .await;
        }
    }

    /// Brings the version before back, and keeps why on the one that broke.
    async fn roll_back(&self, replica: &ReplicaName, cause: &Cause) -> Result<()> {
        let (Some(live), Some(previous)) = (&self.scene.live, &self.scene.previous) else {
            return Ok(());
        };
        let why = self.reason(live, Some(replica), cause).await?;
        let reason = format!(
            "it broke soon after it went live, and deployment {} was brought back: {why}",
            previous.id
        );
        self.platform
            .store
            .set_deployment_error(&self.scene.scope, live.id, &reason)
            .await?;
        let project = &self.scene.project;
        let made = self
            .platform
            .roll_back_by_itself(project, previous.clone())
            .await?;
        let text = format!(
            "going back to the version of deployment {}, because {} broke soon after it went live: {why}",
            previous.id, live.id
        );
        tracing::warn!(project_id = %project.id, "{text}");
        self.platform.say(made.id, text.clone()).await;
        self.platform.tell_project(project.id, text).await;
        Ok(())
    }

    async fn last_lines(&self, name: &ReplicaName) -> Result<Vec<String>> {
        let stream = StreamId::Project(self.scene.project.id);
        let records = self
            .platform
            .logs
            .tail(stream, LOOK_BACK)
            .await
            .map_err(log_error)?;
        let mut lines: Vec<String> = records
            .iter()
            .rev()
            .filter(|record| &*record.line.pod == name.as_str())
            .map(|record| String::from_utf8_lossy(&record.line.text).trim().to_owned())
            .filter(|line| !line.is_empty())
            .take(LAST_LINES)
            .collect();
        lines.reverse();
        Ok(lines)
    }

    async fn write_back(&self, desired: &Desired, replicas: &[Replica]) -> Result<()> {
        let is_ready = |replica: &&Replica| {
            Some(replica.observed.key.deployment_id) == desired.live
                && replica.routed
                && replica.observed.state == ReplicaState::Running
        };
        let is_working = |index: &u32| {
            replicas.iter().any(|replica| {
                Some(replica.observed.key.deployment_id) == desired.live
                    && replica.observed.key.index == *index
                    && replica.health == Health::Ready
            })
        };
        let idle = desired
            .live_workers
            .iter()
            .filter(|index| !is_working(index));
        let ready = replicas.iter().filter(is_ready).count();
        let ready = u32::try_from(ready.saturating_sub(idle.count())).unwrap_or(u32::MAX);
        if ready != self.scene.facts.ready {
            let id = self.scene.project.id;
            self.platform
                .store
                .set_ready_replicas(&self.scene.scope, id, ready)
                .await?;
        }
        Ok(())
    }
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Started {
    /// It runs.
    Running,
    /// It is tried again in a later pass.
    Later,
    /// Its version was given up.
    Failed,
}

fn mount(volume: &Volume) -> VolumeMount {
    VolumeMount {
        name: volume.name.clone(),
        path: volume.path.clone(),
    }
}

fn port_key() -> tose_api::EnvKey {
    "PORT".parse().expect("PORT is a variable name")
}

fn is_authors_fault(error: &DriverError) -> bool {
    matches!(
        error,
        DriverError::CannotStart(_)
            | DriverError::ImageUnavailable { .. }
            | DriverError::NotFound(_)
    )
}

async fn replace_routes(platform: &Platform, id: ProjectId, routes: ProjectRoutes) -> Result<()> {
    platform
        .routes
        .replace(platform.data_plane.as_ref(), id, routes)
        .await
        .map_err(|error| Error::internal("the routes could not be changed", error))
}

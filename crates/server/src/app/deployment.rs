//! Deployments: asking for one, looking at them, calling one off.

use std::collections::BTreeMap;
use std::time::Duration;

use tose_api::deployment::{
    CommitView, CreateDeployment, DeploymentLogView, DeploymentStatus, DeploymentView, Trigger,
};
use tose_api::envelope::{Meta, Paging};
use tose_api::log::LogSource;
use tose_api::project::Source;
use tose_api::workspace::Role;
use tose_api::{BranchName, DeploymentId};
use tose_logs::StreamId;
use tose_model::access::{Access, Membership, WorkspaceScope};
use tose_model::deployment::Deployment;
use tose_model::deployment::state::Event;
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project, ProjectKind};
use tose_model::quota::Load;
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{NewDeployment, NewPushDelivery, Transition};

use crate::app::analysis::told;
use crate::app::project::is_reserved;
use crate::app::{Platform, vault_error};
use crate::secrets::Place;

/// How long a deployment may wait for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// What a new deployment is made from.
pub(super) struct Recipe {
    /// A fresh id, unless something was kept under one already.
    pub(super) id: Option<DeploymentId>,
    pub(super) trigger: Trigger,
    pub(super) commit: Option<CommitView>,
    pub(super) branch: Option<BranchName>,
    pub(super) no_cache: bool,
    pub(super) image: Option<String>,
    /// The settings and variables of an earlier deployment; today's when absent.
    pub(super) like: Option<Box<Deployment>>,
    /// The push event that asks for it.
    pub(super) delivery: Option<NewPushDelivery>,
}

impl Recipe {
    /// Today's source, settings and variables.
    pub(super) fn new(trigger: Trigger) -> Self {
        Self {
            id: None,
            trigger,
            commit: None,
            branch: None,
            no_cache: false,
            image: None,
            like: None,
            delivery: None,
        }
    }
}

/// The most lines of a log in one answer, and how many when the caller does not say.
pub(crate) const MAX_LOG_LINES: usize = 5000;
pub(crate) const DEFAULT_LOG_LINES: usize = 1000;

impl Platform {
    /// Builds the connected repository, or deploys the project's image.
    pub(crate) async fn create_deployment(
        &self,
        access: &Access,
        slug: &str,
        input: CreateDeployment,
    ) -> Result<DeploymentView> {
        self.deploy(access, slug, input, Trigger::Manual).await
    }

    pub(crate) async fn deploy(
        &self,
        access: &Access,
        slug: &str,
        input: CreateDeployment,
        trigger: Trigger,
    ) -> Result<DeploymentView> {
        let project = self.find_project(access, slug).await?;
        let asked_commit = input.commit.map(check_commit).transpose()?;
        match project.source {
            Source::Git => {
                let connection = self
                    .store
                    .find_git_connection(access.scope(), project.connected_id())
                    .await?;
                if connection.is_none() && !self.hosted(&project).has_branches() {
                    return Err(Error::conflict(
                        "no_source",
                        "the project has no repository; connect one with POST …/git, push to this server, or set its image",
                    ));
                }
            }
            Source::Image if asked_commit.is_some() || input.branch.is_some() => {
                return Err(Error::conflict(
                    "not_git",
                    "commit and branch are for projects that are built from Git",
                ));
            }
            Source::Image => {}
        }
        let recipe = Recipe {
            commit: asked_commit,
            branch: input.branch,
            no_cache: input.no_cache,
            ..Recipe::new(trigger)
        };
        self.queue(access, &project, recipe, "deployment.create")
            .await
    }

    /// The current image again, without a build, with today's variables.
    pub(crate) async fn redeploy(&self, access: &Access, slug: &str) -> Result<DeploymentView> {
        let project = self.find_project(access, slug).await?;
        self.queue_current(access, &project, Trigger::Redeploy, "deployment.redeploy")
            .await
    }

    /// Starts a stopped project with its current image; a project that runs is left alone.
    pub(crate) async fn start_project(&self, access: &Access, slug: &str) -> Result<()> {
        let project = self.find_project(access, slug).await?;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        if project.desired == DesiredState::Running && !current.is_empty() {
            return self.require_no_suspension(access.scope()).await;
        }
        self.queue_current(access, &project, Trigger::Start, "project.start")
            .await?;
        Ok(())
    }

    /// Replaces the running replicas by fresh ones, one version beside the other.
    pub(crate) async fn restart_project(&self, access: &Access, slug: &str) -> Result<()> {
        let project = self.find_project(access, slug).await?;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        if current
            .iter()
            .any(|deployment| deployment.status.is_in_progress())
        {
            return Err(Error::conflict(
                "deployment_in_progress",
                "a deployment is on its way and will restart the app; wait for it, or stop it first",
            ));
        }
        self.queue_current(access, &project, Trigger::Restart, "project.restart")
            .await?;
        Ok(())
    }

    /// An earlier deployment's image, settings and variables again: what worked then.
    pub(crate) async fn rollback(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DeploymentView> {
        let (project, earlier) = self.find_deployment(access, slug, id).await?;
        if earlier.live_at.is_none() {
            return Err(Error::conflict(
                "never_live",
                "this deployment was never live; roll back to one that was",
            ));
        }
        let image = earlier
            .image
            .clone()
            .ok_or_else(|| Error::internal("a deployment was live without an image", "a bug"))?;
        if is_reserved(&image) && !self.driver.has_image(&image).await? {
            return Err(Error::conflict(
                "image_gone",
                "the image of this deployment was removed to save space; deploy its commit again",
            ));
        }
        let recipe = Recipe {
            commit: earlier.commit.clone(),
            branch: earlier.branch.clone(),
            image: Some(image),
            like: Some(Box::new(earlier)),
            ..Recipe::new(Trigger::Rollback)
        };
        self.queue(access, &project, recipe, "deployment.rollback")
            .await
    }

    /// Brings `earlier` back, because the version that replaced it broke soon after it went live.
    pub(crate) async fn roll_back_by_itself(
        &self,
        project: &Project,
        earlier: Deployment,
    ) -> Result<DeploymentView> {
        let access = Access::for_rollback(Membership {
            workspace_id: project.workspace_id,
            workspace: project.workspace.clone(),
            role: Role::Member,
        });
        let recipe = Recipe {
            commit: earlier.commit.clone(),
            branch: earlier.branch.clone(),
            image: earlier.image.clone(),
            like: Some(Box::new(earlier)),
            ..Recipe::new(Trigger::AutoRollback)
        };
        self.queue(&access, project, recipe, "deployment.auto_rollback")
            .await
    }

    /// Builds a source tree that was sent along: it lies in the archive of the deployment `id`.
    pub(crate) async fn deploy_upload(
        &self,
        access: &Access,
        project: &Project,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        let recipe = Recipe {
            id: Some(id),
            ..Recipe::new(Trigger::Upload)
        };
        self.queue(access, project, recipe, "deployment.upload")
            .await
    }

    /// Builds the newest commit of the connected branch, because somebody pushed. Pushes are not
    /// counted against the project's limit: of many, only one waits.
    pub(crate) async fn queue_push(
        &self,
        access: &Access,
        project: &Project,
        delivery: NewPushDelivery,
    ) -> Result<DeploymentView> {
        let recipe = Recipe {
            delivery: Some(delivery),
            ..Recipe::new(Trigger::Push)
        };
        self.queue(access, project, recipe, "deployment.push").await
    }

    /// A part of what was said about a deployment.
    pub(crate) async fn deployment_log(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeploymentLogView> {
        let (_, deployment) = self.find_deployment(access, slug, id).await?;
        self.read_log(StreamId::Build(deployment.id), after, limit)
            .await
    }

    /// Up to `limit` lines of a log that has an end.
    pub(super) async fn read_log(
        &self,
        stream: StreamId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeploymentLogView> {
        // Asked first: a log that is complete now has all its lines.
        let is_finished = self
            .logs
            .is_finished(stream)
            .await
            .map_err(crate::app::log::log_error)?;
        let records = self
            .logs
            .read(stream, after, limit)
            .await
            .map_err(crate::app::log::log_error)?;
        let is_whole = records.len() < limit;
        Ok(DeploymentLogView {
            next: records.last().map(|record| record.seq).or(after),
            complete: is_finished && is_whole,
            lines: records.iter().map(crate::app::log::line_view).collect(),
        })
    }

    pub(crate) async fn get_deployment(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DeploymentView> {
        let (_, deployment) = self.find_deployment(access, slug, id).await?;
        Ok(view(&deployment))
    }

    pub(crate) async fn list_deployments(
        &self,
        access: &Access,
        slug: &str,
        paging: Paging,
    ) -> Result<(Vec<DeploymentView>, Meta)> {
        let project = self.find_project(access, slug).await?;
        let (deployments, total) = self
            .store
            .list_deployments(access.scope(), project.id, paging)
            .await?;
        Ok((deployments.iter().map(view).collect(), paging.meta(total)))
    }

    /// Calls a deployment off, or stops the project if it is the live one.
    pub(crate) async fn stop_deployment(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DeploymentView> {
        let (project, deployment) = self.find_deployment(access, slug, id).await?;
        if deployment.status.is_in_progress() {
            let event = self.event(
                access,
                "deployment.stop",
                format!("{slug}/{}", deployment.id),
            );
            self.store.add_event(access.scope(), &event).await?;
        }
        match deployment.status {
            DeploymentStatus::Running => {
                self.stop_project(access, slug).await?;
            }
            DeploymentStatus::Building => {
                self.store
                    .request_cancel(access.scope(), deployment.id)
                    .await?;
                self.signals.builder();
            }
            DeploymentStatus::Queued | DeploymentStatus::Deploying => {
                self.settle(&deployment, Event::Cancel, Some("cancelled on request"))
                    .await?;
                self.signals.project(project.id);
            }
            ended => {
                let message = format!("the deployment is {} already", ended.as_str());
                return Err(Error::conflict("deployment_ended", message));
            }
        }
        self.get_deployment(access, slug, id).await
    }

    pub(crate) async fn find_deployment(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<(Project, Deployment)> {
        let project = self.find_project(access, slug).await?;
        let id: DeploymentId = id.parse().map_err(|_| Error::NotFound("deployment"))?;
        let deployment = self
            .store
            .get_deployment(access.scope(), project.id, id)
            .await?;
        Ok((project, deployment))
    }

    /// Brings a deployment to an end (or to life), says so in its log, and completes that.
    pub(crate) async fn settle(
        &self,
        deployment: &Deployment,
        event: Event,
        reason: Option<&str>,
    ) -> Result<DeploymentStatus> {
        let scope = WorkspaceScope::for_task(deployment.workspace_id);
        let error = reason.filter(|_| event == Event::Failure);
        // Looked for first, so that the record has it as soon as it says that it failed.
        let analysis = match error {
            Some(reason) => self.explain_failure(deployment, reason).await,
            None => None,
        };
        let mut lines: Vec<String> = reason.map(str::to_owned).into_iter().collect();
        lines.extend(analysis.iter().flat_map(told));
        let with = Transition {
            error: error.map(str::to_owned),
            analysis,
            ..Transition::default()
        };
        let status = self
            .store
            .transition_deployment(
                &scope,
                deployment.id,
                deployment.status,
                event,
                &with,
                self.now(),
            )
            .await?;
        tracing::info!(deployment_id = %deployment.id, status = status.as_str(), reason, "deployment settled");
        self.tell_of_deployment(&scope, deployment, event, error)
            .await;
        self.log_build(deployment.id, LogSource::System, lines)
            .await;
        self.finish_build_log(deployment.id).await;
        self.release_funds(&scope, deployment.project_id).await?;
        self.signals.builder();
        Ok(status)
    }

    /// The version that is live, or was last: it has an image.
    pub(super) async fn find_current_version(
        &self,
        access: &Access,
        project: &Project,
    ) -> Result<Deployment> {
        let last = self
            .store
            .find_last_live_deployment(access.scope(), project.id)
            .await?;
        last.filter(|deployment| deployment.image.is_some())
            .ok_or_else(|| {
                Error::conflict(
                    "nothing_deployed",
                    "the project has no image to run; deploy it first",
                )
            })
    }

    async fn queue_current(
        &self,
        access: &Access,
        project: &Project,
        trigger: Trigger,
        action: &'static str,
    ) -> Result<DeploymentView> {
        let last = self.find_current_version(access, project).await?;
        let recipe = Recipe {
            commit: last.commit,
            branch: last.branch,
            image: last.image,
            ..Recipe::new(trigger)
        };
        self.queue(access, project, recipe, action).await
    }

    pub(super) async fn queue(
        &self,
        access: &Access,
        project: &Project,
        recipe: Recipe,
        action: &'static str,
    ) -> Result<DeploymentView> {
        let is_our_own = matches!(recipe.trigger, Trigger::Push | Trigger::AutoRollback);
        if !is_our_own {
            self.limits.deployments.count(&project.id)?;
        }
        let id = recipe
            .id
            .unwrap_or_else(|| DeploymentId::from_uuid(self.ids.uuid()));
        let now = self.now();
        let (run, env, references) = match recipe.like {
            Some(earlier) => {
                let references = self
                    .store
                    .list_references(access.scope(), earlier.id)
                    .await?;
                let env = self.open_deployment_env(&earlier)?;
                let env = env
                    .into_iter()
                    .map(|(key, value, is_secret)| (key, (value, is_secret)))
                    .collect();
                (earlier.run, env, references)
            }
            None => {
                let origin = self.find_origin(access.scope(), project).await?;
                let own = self.todays_env(access, project).await?;
                let (run, mut env) = match &origin {
                    Some(origin) => {
                        let env = self.open_env(origin, access.scope()).await?;
                        (origin.run.clone(), env)
                    }
                    None => (project.run.clone(), BTreeMap::new()),
                };
                env.extend(own);
                let (env, references) = self
                    .resolve_references(access.scope(), project, env)
                    .await?;
                (run, env, references)
            }
        };
        let waiting = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        // Nobody is there who could be told: those fail when they have their image.
        if !is_our_own {
            let load = Load::of(&run, project.replicas_of(&run));
            self.check_quota(access.scope(), project.id, load).await?;
            let is_live = |one: &Deployment| one.status == DeploymentStatus::Running;
            if waiting.iter().any(is_live) {
                // It is paid for as it runs; another version of it costs no more.
                self.require_funds(access.scope()).await?;
            } else {
                self.hold_funds(access.scope(), project.id, load, 0).await?;
            }
        }
        let new = NewDeployment {
            id,
            project_id: project.id,
            trigger: recipe.trigger,
            commit: recipe.commit,
            branch: recipe.branch.or_else(|| {
                let preview = project.preview.as_ref()?;
                Some(preview.branch.clone())
            }),
            no_cache: recipe.no_cache,
            image: recipe.image,
            run,
            env: self.seal_env(project, id, env)?,
            references,
            deadline_at: now.saturating_add(QUEUE_TIMEOUT),
            created_by: access.actor().name.clone(),
            delivery: recipe.delivery,
            now,
        };
        let event = self.event(access, action, format!("{}/{id}", project.slug));
        self.store
            .create_deployment(access.scope(), &new, &event)
            .await?;
        for replaced in waiting
            .iter()
            .filter(|other| other.status == DeploymentStatus::Queued)
        {
            self.say(
                replaced.id,
                "superseded by a newer deployment before its turn came",
            )
            .await;
            self.finish_build_log(replaced.id).await;
        }
        self.signals.builder();
        self.signals.project(project.id);
        Ok(view(
            &self
                .store
                .get_deployment(access.scope(), project.id, id)
                .await?,
        ))
    }

    /// What a new version of a project gets besides what it is a preview of gives.
    async fn todays_env(
        &self,
        access: &Access,
        project: &Project,
    ) -> Result<BTreeMap<tose_api::EnvKey, (SecretString, bool)>> {
        if project.kind != ProjectKind::Database {
            return self.open_env(project, access.scope()).await;
        }
        let env = self.database_env(access.scope(), project).await?;
        Ok(env
            .into_iter()
            .map(|(key, value)| (key, (value, true)))
            .collect())
    }

    fn seal_env(
        &self,
        project: &Project,
        deployment_id: DeploymentId,
        env: BTreeMap<tose_api::EnvKey, (SecretString, bool)>,
    ) -> Result<tose_model::secret::Sealed> {
        let plain: BTreeMap<String, (String, bool)> = env
            .into_iter()
            .map(|(key, (value, is_secret))| {
                (
                    key.to_string(),
                    (value.expose_secret().to_owned(), is_secret),
                )
            })
            .collect();
        let json = serde_json::to_string(&plain)
            .map_err(|error| Error::internal("an environment could not be written", error))?;
        let json = SecretString::from(json);
        let place = Place::DeploymentEnv {
            workspace_id: project.workspace_id,
            deployment_id,
        };
        Ok(self
            .vault
            .seal(place, json.expose_secret(), self.ids.as_ref()))
    }

    /// A deployment's environment in plain text, with whether each value is secret.
    pub(crate) fn open_deployment_env(
        &self,
        deployment: &Deployment,
    ) -> Result<Vec<(tose_api::EnvKey, SecretString, bool)>> {
        let place = Place::DeploymentEnv {
            workspace_id: deployment.workspace_id,
            deployment_id: deployment.id,
        };
        let json = self
            .vault
            .open(place, &deployment.env)
            .map_err(vault_error)?;
        let plain: BTreeMap<tose_api::EnvKey, (String, bool)> =
            serde_json::from_str(json.expose_secret()).map_err(|_| {
                Error::internal("an environment could not be read", "it is no JSON object")
            })?;
        Ok(plain
            .into_iter()
            .map(|(key, (value, is_secret))| (key, SecretString::from(value), is_secret))
            .collect())
    }
}

fn check_commit(sha: String) -> Result<CommitView> {
    let is_sha = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_sha {
        return Err(Error::invalid_field(
            "commit",
            "must be a full commit id of 40 hex digits",
        ));
    }
    Ok(CommitView {
        sha: sha.to_ascii_lowercase(),
        message: String::new(),
        author: String::new(),
    })
}

/// How a deployment is shown.
pub(crate) fn view(deployment: &Deployment) -> DeploymentView {
    DeploymentView {
        id: deployment.id,
        status: deployment.status,
        trigger: deployment.trigger,
        commit: deployment.commit.clone(),
        image: deployment.image.clone(),
        error: deployment.error.clone(),
        analysis: deployment.analysis.clone(),
        created_at: deployment.created_at,
        build_started_at: deployment.build_started_at,
        build_finished_at: deployment.build_finished_at,
        live_at: deployment.live_at,
        finished_at: deployment.finished_at,
        created_by: deployment.created_by.clone(),
    }
}

//! Deployments: their queue and their way through the states.
//!
//! Guarantees: a change of status is a compare-and-swap, so of two that race one loses and is told
//! so; the unique indexes keep at most one deployment of a project waiting, one under way, one live.

use std::collections::HashSet;

use tose_api::analysis::AnalysisView;
use tose_api::deployment::{CommitView, DeploymentStatus, Trigger};
use tose_api::envelope::Paging;
use tose_api::{BranchName, DeploymentId, ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::deployment::Deployment;
use tose_model::deployment::state::{Event, next};
use tose_model::process::total;
use tose_model::project::RunSpec;
use tose_model::push::RepoKey;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::project::to_i64;
use crate::push::{self, NewPushDelivery};
use crate::row;

/// A deployment to be queued.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    /// A fresh id.
    pub id: DeploymentId,
    /// The project.
    pub project_id: ProjectId,
    /// What made it start.
    pub trigger: Trigger,
    /// The commit that was asked for, or that the image was built from.
    pub commit: Option<CommitView>,
    /// The branch, where it is not the connection's.
    pub branch: Option<BranchName>,
    /// Whether every layer is built anew.
    pub no_cache: bool,
    /// The image, where none has to be built.
    pub image: Option<String>,
    /// What it runs with.
    pub run: RunSpec,
    /// Its environment.
    pub env: Sealed,
    /// The databases that its environment names, with the revision of the password that it got.
    pub references: Vec<(ProjectId, u64)>,
    /// When it must have left the queue.
    pub deadline_at: Timestamp,
    /// The e-mail address of who asked for it.
    pub created_by: String,
    /// The push event that it answers: one event makes one deployment.
    pub delivery: Option<NewPushDelivery>,
    /// When.
    pub now: Timestamp,
}

/// What changes with a deployment's status.
#[derive(Debug, Clone, Default)]
pub struct Transition {
    /// The commit that is built.
    pub commit: Option<CommitView>,
    /// The image that was built or fetched.
    pub image: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// What its output says of that.
    pub analysis: Option<AnalysisView>,
    /// When the phase that begins must be over.
    pub deadline_at: Option<Timestamp>,
    /// Whether the version before it has to go first.
    pub in_place: bool,
}

/// A version that visitors get or are about to get, of a project that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningVersion {
    /// The project.
    pub project_id: ProjectId,
    /// How many replicas it has, all its processes together.
    pub replicas: u32,
    /// What each of them runs with.
    pub run: RunSpec,
}

#[derive(sqlx::FromRow)]
struct DeploymentRow {
    id: String,
    project_id: String,
    workspace_id: String,
    generation: i64,
    status: String,
    trigger: String,
    commit_sha: Option<String>,
    commit_message: Option<String>,
    commit_author: Option<String>,
    branch: Option<String>,
    no_cache: i64,
    image: Option<String>,
    run: String,
    env: Vec<u8>,
    error: Option<String>,
    analysis: Option<String>,
    cancel_requested: i64,
    deadline_at: i64,
    in_place: i64,
    created_by: String,
    created_at: i64,
    build_started_at: Option<i64>,
    build_finished_at: Option<i64>,
    live_at: Option<i64>,
    finished_at: Option<i64>,
}

macro_rules! select_deployment {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, workspace_id, generation, status, trigger, commit_sha,
                    commit_message, commit_author, branch, no_cache, image, run, env, error, analysis,
                    cancel_requested, deadline_at, created_by, created_at, build_started_at,
                    build_finished_at, live_at, finished_at, in_place
             FROM deployments ",
            $rest
        )
    };
}

impl DeploymentRow {
    fn into_deployment(self) -> Result<Deployment> {
        let commit = self.commit_sha.map(|sha| CommitView {
            sha,
            message: self.commit_message.unwrap_or_default(),
            author: self.commit_author.unwrap_or_default(),
        });
        let run = row::parse_json("deployments.run", &self.run)?;
        let analysis = self.analysis.as_deref();
        let analysis = analysis.map(|text| row::parse_json("deployments.analysis", text));
        Ok(Deployment {
            id: row::parse("deployments.id", &self.id)?,
            project_id: row::parse("deployments.project_id", &self.project_id)?,
            workspace_id: row::parse("deployments.workspace_id", &self.workspace_id)?,
            generation: row::to_u64("deployments.generation", self.generation)?,
            status: row::parse_enum("deployments.status", self.status)?,
            trigger: row::parse_enum("deployments.trigger", self.trigger)?,
            commit,
            branch: row::parse_optional("deployments.branch", self.branch.as_deref())?,
            no_cache: self.no_cache != 0,
            image: self.image,
            run,
            env: Sealed::from_bytes(self.env),
            error: self.error,
            analysis: analysis.transpose()?,
            cancel_requested: self.cancel_requested != 0,
            deadline_at: row::to_time(self.deadline_at),
            in_place: self.in_place != 0,
            created_at: row::to_time(self.created_at),
            build_started_at: self.build_started_at.map(row::to_time),
            build_finished_at: self.build_finished_at.map(row::to_time),
            live_at: self.live_at.map(row::to_time),
            finished_at: self.finished_at.map(row::to_time),
            created_by: self.created_by,
        })
    }
}

fn into_deployments(rows: Vec<DeploymentRow>) -> Result<Vec<Deployment>> {
    rows.into_iter()
        .map(DeploymentRow::into_deployment)
        .collect()
}

impl Store {
    /// Queues a deployment in place of the one that waits, if any, and wants the project to run.
    ///
    /// # Errors
    /// `Taken` when its push event was received before.
    pub async fn create_deployment(
        &self,
        scope: &WorkspaceScope,
        new: &NewDeployment,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let generation: Option<i64> = sqlx::query_scalar(
            "UPDATE projects SET generation = generation + 1, desired = 'running'
             WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING generation",
        )
        .bind(scope.id().to_string())
        .bind(new.project_id.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("raise a project's generation"))?;
        let generation = generation.ok_or(Error::NotFound("project"))?;
        supersede(&mut tx, new.project_id, DeploymentStatus::Queued, new.now).await?;
        insert(&mut tx, scope, new, generation).await?;
        if let Some(delivery) = &new.delivery {
            push::insert(
                &mut tx,
                scope,
                new.project_id,
                delivery,
                Some(new.id),
                new.now,
            )
            .await?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// One deployment of a project.
    pub async fn get_deployment(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DeploymentId,
    ) -> Result<Deployment> {
        let found: Option<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2 AND id = $3"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a deployment"))?;
        found
            .ok_or(Error::NotFound("deployment"))?
            .into_deployment()
    }

    /// One page of a project's deployments, newest first, and how many there are.
    pub async fn list_deployments(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        paging: Paging,
    ) -> Result<(Vec<Deployment>, u64)> {
        let rows: Vec<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2
             ORDER BY generation DESC LIMIT $3 OFFSET $4"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list deployments"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM deployments WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count deployments"))?;
        Ok((into_deployments(rows)?, row::to_u64("count", total)?))
    }

    /// The project's deployments that wait, are under way or are live, oldest first.
    pub async fn list_current_deployments(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Deployment>> {
        let rows: Vec<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2
               AND status IN ('queued', 'building', 'deploying', 'running')
             ORDER BY generation"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list current deployments"))?;
        into_deployments(rows)
    }

    /// The versions that run in the workspace, or are about to.
    pub async fn list_running_versions(
        &self,
        scope: &WorkspaceScope,
    ) -> Result<Vec<RunningVersion>> {
        let rows: Vec<(String, i64, String, String)> = sqlx::query_as(
            "SELECT p.id, p.replicas, p.process_scale, d.run FROM projects p JOIN deployments d ON d.project_id = p.id
             WHERE p.workspace_id = $1 AND d.workspace_id = $1 AND p.deleted_at IS NULL
               AND p.desired = 'running' AND d.status IN ('deploying', 'running')",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the versions that run"))?;
        let versions = rows.into_iter().map(|(project_id, replicas, scale, run)| {
            let run: RunSpec = row::parse_json("deployments.run", &run)?;
            let scale = row::parse_json("projects.process_scale", &scale)?;
            let replicas = row::to_u32("projects.replicas", replicas)?;
            Ok(RunningVersion {
                project_id: row::parse("projects.id", &project_id)?,
                replicas: replicas.saturating_add(total(&run.processes, &scale)),
                run,
            })
        });
        versions.collect()
    }

    /// The newest deployment that was ever live: what "the current image" means.
    pub async fn find_last_live_deployment(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<Deployment>> {
        let found: Option<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2 AND live_at IS NOT NULL
             ORDER BY generation DESC LIMIT 1"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find the last live deployment"))?;
        found.map(DeploymentRow::into_deployment).transpose()
    }

    /// Whether the version before this one was tried in vain: of the project's earlier deployments that came to a verdict,
    /// the newest failed.
    pub async fn follows_failure(
        &self,
        scope: &WorkspaceScope,
        deployment: &Deployment,
    ) -> Result<bool> {
        let before: Option<String> = sqlx::query_scalar(
            "SELECT status FROM deployments
             WHERE workspace_id = $1 AND project_id = $2 AND generation < $3
               AND (status = 'failed' OR live_at IS NOT NULL)
             ORDER BY generation DESC LIMIT 1",
        )
        .bind(scope.id().to_string())
        .bind(deployment.project_id.to_string())
        .bind(i64::try_from(deployment.generation).unwrap_or(i64::MAX))
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("look at the deployment before"))?;
        Ok(before.as_deref() == Some("failed"))
    }

    /// The ids of the project's deployments that were ever live.
    pub async fn list_live_ids(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<HashSet<DeploymentId>> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM deployments
             WHERE workspace_id = $1 AND project_id = $2 AND live_at IS NOT NULL",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list versions that were live"))?;
        rows.iter()
            .map(|id| row::parse("deployments.id", id))
            .collect()
    }

    /// The version that was live before the deployment of this generation, if its image is known.
    pub async fn find_previous_version(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        generation: u64,
    ) -> Result<Option<Deployment>> {
        let found: Option<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2 AND generation < $3
               AND live_at IS NOT NULL AND image IS NOT NULL
             ORDER BY generation DESC LIMIT 1"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(crate::project::to_i64(generation))
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find the version before"))?;
        found.map(DeploymentRow::into_deployment).transpose()
    }

    /// Notes why a version that is live is given up.
    pub async fn set_deployment_error(
        &self,
        scope: &WorkspaceScope,
        id: DeploymentId,
        reason: &str,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE deployments SET error = $3
             WHERE workspace_id = $1 AND id = $2 AND status = 'running'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(reason)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note why a version is given up"))?;
        commit(tx).await
    }

    /// The ids of all deployments that a project ever had.
    pub async fn list_deployment_ids(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<DeploymentId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM deployments WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list deployment ids"))?;
        ids.iter()
            .map(|id| row::parse("deployments.id", id))
            .collect()
    }

    /// Deployments that wait for their turn and whose project has none under way, oldest first.
    pub async fn list_startable_deployments_for_task(&self) -> Result<Vec<Deployment>> {
        let rows: Vec<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE status = 'queued' AND NOT EXISTS (
                 SELECT 1 FROM deployments other WHERE other.project_id = deployments.project_id
                 AND other.status IN ('building', 'deploying'))
             ORDER BY created_at, id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list waiting deployments"))?;
        into_deployments(rows)
    }

    /// Every deployment that is on its way to a result.
    pub async fn list_in_progress_deployments_for_task(&self) -> Result<Vec<Deployment>> {
        let rows: Vec<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE status IN ('queued', 'building', 'deploying') ORDER BY created_at, id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list deployments in progress"))?;
        into_deployments(rows)
    }

    /// Asks the build of a deployment to end.
    pub async fn request_cancel(&self, scope: &WorkspaceScope, id: DeploymentId) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE deployments SET cancel_requested = 1
             WHERE workspace_id = $1 AND id = $2 AND status = 'building'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("ask a build to end"))?;
        commit(tx).await
    }

    /// Applies `event` to a deployment that is in `from`. Promotion also supersedes the version that
    /// was live.
    ///
    /// # Errors
    /// `Conflict` when the deployment is not in `from` any more or the event cannot happen there.
    pub async fn transition_deployment(
        &self,
        scope: &WorkspaceScope,
        id: DeploymentId,
        from: DeploymentStatus,
        what: Event,
        with: &Transition,
        now: Timestamp,
    ) -> Result<DeploymentStatus> {
        let to = next(from, what).ok_or(Error::Conflict("the deployment cannot do that now"))?;
        let mut tx = self.begin_in(scope).await?;
        if what == Event::Promoted {
            let project_id: Option<String> = sqlx::query_scalar(
                "SELECT project_id FROM deployments WHERE workspace_id = $1 AND id = $2",
            )
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .fetch_optional(&mut *tx)
            .await
            .map_err(Error::query("read a deployment"))?;
            let project_id = project_id.ok_or(Error::NotFound("deployment"))?;
            let project_id = row::parse("deployments.project_id", &project_id)?;
            supersede(&mut tx, project_id, DeploymentStatus::Running, now).await?;
        }
        let analysis = with.analysis.as_ref();
        let analysis = analysis.map(|view| row::to_json("deployments.analysis", view));
        let stamp = |happened: bool| happened.then(|| now.as_nanos());
        let is_final = !to.is_in_progress() && to != DeploymentStatus::Running;
        let done = sqlx::query(
            "UPDATE deployments SET status = $4,
                 build_started_at = COALESCE($5, build_started_at),
                 build_finished_at = COALESCE($6, build_finished_at),
                 live_at = COALESCE($7, live_at),
                 finished_at = COALESCE($8, finished_at),
                 error = COALESCE($9, error),
                 image = COALESCE($10, image),
                 commit_sha = COALESCE($11, commit_sha),
                 commit_message = COALESCE($12, commit_message),
                 commit_author = COALESCE($13, commit_author),
                 deadline_at = COALESCE($14, deadline_at),
                 in_place = MAX($15, in_place),
                 analysis = COALESCE($16, analysis)
             WHERE workspace_id = $1 AND id = $2 AND status = $3",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(from.as_str())
        .bind(to.as_str())
        .bind(stamp(what == Event::BuildStarted))
        .bind(stamp(from == DeploymentStatus::Building))
        .bind(stamp(what == Event::Promoted))
        .bind(stamp(is_final))
        .bind(&with.error)
        .bind(&with.image)
        .bind(with.commit.as_ref().map(|commit| &commit.sha))
        .bind(with.commit.as_ref().map(|commit| &commit.message))
        .bind(with.commit.as_ref().map(|commit| &commit.author))
        .bind(with.deadline_at.map(Timestamp::as_nanos))
        .bind(i64::from(with.in_place))
        .bind(analysis.transpose()?)
        .execute(&mut *tx)
        .await
        .map_err(|error| {
            match Error::insert("change a deployment's status", "the turn")(error) {
                Error::Taken(_) => {
                    Error::Conflict("another deployment of the project is under way")
                }
                other => other,
            }
        })?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the deployment is in another state by now"));
        }
        commit(tx).await?;
        Ok(to)
    }

    /// Changes what a deployment that is being built will run with.
    ///
    /// # Errors
    /// `Conflict` when it is not being built any more.
    pub async fn set_deployment_run(
        &self,
        scope: &WorkspaceScope,
        id: DeploymentId,
        run: &RunSpec,
    ) -> Result<()> {
        let text = serde_json::to_string(run).map_err(|_| Error::Corrupt {
            column: "deployments.run",
        })?;
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE deployments SET run = $3
             WHERE workspace_id = $1 AND id = $2 AND status = 'building'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(text)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change what a deployment runs with"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the deployment is in another state by now"));
        }
        commit(tx).await
    }

    /// The project's oldest deployment of an image: the one that it was built for.
    pub async fn find_deployment_of_image(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        image: &str,
    ) -> Result<Option<Deployment>> {
        let found: Option<DeploymentRow> = sqlx::query_as(select_deployment!(
            "WHERE workspace_id = $1 AND project_id = $2 AND image = $3
             ORDER BY generation LIMIT 1"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(image)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find the deployment of an image"))?;
        found.map(DeploymentRow::into_deployment).transpose()
    }

    /// Notes the commit that is being built, and the repository that has it.
    pub async fn set_deployment_commit(
        &self,
        scope: &WorkspaceScope,
        id: DeploymentId,
        commit_view: &CommitView,
        repository: &RepoKey,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE deployments SET commit_sha = $3, commit_message = $4, commit_author = $5,
                 commit_repo = $6, report_at = 0
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(&commit_view.sha)
        .bind(&commit_view.message)
        .bind(&commit_view.author)
        .bind(repository.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a commit"))?;
        commit(tx).await
    }
}

/// Supersedes the project's deployment in `from`, of which there is one at most.
async fn supersede(
    tx: &mut Tx,
    project_id: ProjectId,
    from: DeploymentStatus,
    now: Timestamp,
) -> Result<()> {
    let to =
        next(from, Event::Replaced).ok_or(Error::Conflict("the deployment cannot be replaced"))?;
    sqlx::query(
        "UPDATE deployments SET status = $3, finished_at = $4 WHERE project_id = $1 AND status = $2",
    )
    .bind(project_id.to_string())
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("supersede a deployment"))?;
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    new: &NewDeployment,
    generation: i64,
) -> Result<()> {
    let run = serde_json::to_string(&new.run).map_err(|_| Error::Corrupt {
        column: "deployments.run",
    })?;
    sqlx::query(
        "INSERT INTO deployments (id, project_id, workspace_id, generation, status, trigger,
             commit_sha, commit_message, commit_author, branch, no_cache, image, run, env,
             deadline_at, created_by, created_at)
         VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(new.id.to_string())
    .bind(new.project_id.to_string())
    .bind(scope.id().to_string())
    .bind(generation)
    .bind(new.trigger.as_str())
    .bind(new.commit.as_ref().map(|commit| &commit.sha))
    .bind(new.commit.as_ref().map(|commit| &commit.message))
    .bind(new.commit.as_ref().map(|commit| &commit.author))
    .bind(new.branch.as_ref().map(BranchName::as_str))
    .bind(i64::from(new.no_cache))
    .bind(&new.image)
    .bind(run)
    .bind(new.env.as_bytes())
    .bind(new.deadline_at.as_nanos())
    .bind(&new.created_by)
    .bind(new.now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::insert(
        "write a deployment",
        "the deployment's place in the queue",
    ))?;
    for (project_id, revision) in &new.references {
        // One that was deleted this moment is referred to by nobody any more.
        sqlx::query(
            "INSERT INTO deployment_references (deployment_id, project_id, workspace_id, revision)
             SELECT $1, id, workspace_id, $4 FROM projects WHERE id = $2 AND workspace_id = $3",
        )
        .bind(new.id.to_string())
        .bind(project_id.to_string())
        .bind(scope.id().to_string())
        .bind(to_i64(*revision))
        .execute(&mut **tx)
        .await
        .map_err(Error::query("write what a deployment refers to"))?;
    }
    Ok(())
}

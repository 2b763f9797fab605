//! Autoscaling: by what projects get more or fewer replicas, and what came of it.
//!
//! Guarantee: who decided changes the number of replicas, and notes it, only while settings and project are as they
//! were when it was decided ([`Autoscaling::revision`], and the project's generation).

use tose_api::{ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::autoscale::Rules;
use tose_model::project::Project;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::project::{
    ProjectChanges, ProjectFacts, ProjectRow, fact_columns, project_columns, write_changes,
};
use crate::row;

/// What somebody set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoscalingSettings {
    /// Whether replicas come and go by themselves.
    pub is_enabled: bool,
    /// By what. Enabled, there is at least one target.
    pub rules: Rules,
}

/// A change of the number of replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaled {
    /// When.
    pub at: Timestamp,
    /// How many there were.
    pub from: u32,
    /// How many there were to be.
    pub to: u32,
    /// Why.
    pub reason: String,
}

/// Replicas that are needed and cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Since when.
    pub since: Timestamp,
    /// How many would be needed.
    pub wanted: u32,
    /// Why there cannot be so many.
    pub reason: String,
}

/// How a project is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaling {
    /// The project.
    pub project_id: ProjectId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// What was set.
    pub settings: AutoscalingSettings,
    /// Grows with each change of the settings; 0 before the first.
    pub revision: u64,
    /// The last change of the number of replicas.
    pub scaled: Option<Scaled>,
    /// What cannot be had.
    pub refusal: Option<Refusal>,
}

#[derive(sqlx::FromRow)]
struct AutoscalingRow {
    project_id: String,
    workspace_id: String,
    enabled: bool,
    min_replicas: i64,
    max_replicas: i64,
    target_cpu_percent: Option<i64>,
    target_requests_per_second: Option<i64>,
    revision: i64,
    scaled_at: Option<i64>,
    scaled_from: Option<i64>,
    scaled_to: Option<i64>,
    scaled_reason: Option<String>,
    refused_since: Option<i64>,
    refused_wanted: Option<i64>,
    refused_reason: Option<String>,
}

/// Everything that a project's autoscaling is read from; a `WHERE` clause follows.
macro_rules! select_autoscaling {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, workspace_id, enabled, min_replicas, max_replicas, target_cpu_percent,
                    target_requests_per_second, revision, scaled_at, scaled_from, scaled_to, scaled_reason,
                    refused_since, refused_wanted, refused_reason
             FROM autoscaling ",
            $rest
        )
    };
}

impl AutoscalingRow {
    fn into_autoscaling(self) -> Result<Autoscaling> {
        let number = row::to_u32;
        let optional =
            |column, value: Option<i64>| value.map(|value| number(column, value)).transpose();
        let needed =
            |column, value: Option<i64>| number(column, value.ok_or(Error::Corrupt { column })?);
        let rules = Rules {
            min_replicas: number("autoscaling.min_replicas", self.min_replicas)?,
            max_replicas: number("autoscaling.max_replicas", self.max_replicas)?,
            cpu_percent: optional("autoscaling.target_cpu_percent", self.target_cpu_percent)?,
            requests_per_second: optional(
                "autoscaling.target_requests_per_second",
                self.target_requests_per_second,
            )?,
        };
        let scaled = match (self.scaled_at, self.scaled_reason) {
            (Some(at), Some(reason)) => Some(Scaled {
                at: row::to_time(at),
                from: needed("autoscaling.scaled_from", self.scaled_from)?,
                to: needed("autoscaling.scaled_to", self.scaled_to)?,
                reason,
            }),
            _ => None,
        };
        let refusal = match (self.refused_since, self.refused_reason) {
            (Some(since), Some(reason)) => Some(Refusal {
                since: row::to_time(since),
                wanted: needed("autoscaling.refused_wanted", self.refused_wanted)?,
                reason,
            }),
            _ => None,
        };
        Ok(Autoscaling {
            project_id: row::parse("autoscaling.project_id", &self.project_id)?,
            workspace_id: row::parse("autoscaling.workspace_id", &self.workspace_id)?,
            settings: AutoscalingSettings {
                is_enabled: self.enabled,
                rules,
            },
            revision: row::to_u64("autoscaling.revision", self.revision)?,
            scaled,
            refusal,
        })
    }
}

impl Store {
    /// How a project is scaled, if anybody ever set it.
    pub async fn find_autoscaling(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<Autoscaling>> {
        let found: Option<AutoscalingRow> = sqlx::query_as(select_autoscaling!(
            "WHERE workspace_id = $1 AND project_id = $2"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read autoscaling"))?;
        found.map(AutoscalingRow::into_autoscaling).transpose()
    }

    /// How projects are scaled for which that is enabled, of every workspace.
    pub async fn list_autoscaling_for_task(&self) -> Result<Vec<Autoscaling>> {
        let rows: Vec<AutoscalingRow> = sqlx::query_as(select_autoscaling!("WHERE enabled = 1"))
            .fetch_all(self.readers())
            .await
            .map_err(Error::query("list autoscaling"))?;
        rows.into_iter()
            .map(AutoscalingRow::into_autoscaling)
            .collect()
    }

    /// The projects for which it is enabled, of every workspace.
    pub async fn list_autoscaled_projects_for_task(&self) -> Result<Vec<(Project, ProjectFacts)>> {
        let rows: Vec<ProjectRow> = sqlx::query_as(concat!(
            "SELECT ",
            project_columns!(),
            " FROM autoscaling a
             JOIN projects p ON p.id = a.project_id
             JOIN workspaces w ON w.id = p.workspace_id
             LEFT JOIN domains d ON d.project_id = p.id AND d.is_default = 1
             WHERE a.enabled = 1 AND p.deleted_at IS NULL"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list projects that are scaled"))?;
        rows.into_iter().map(ProjectRow::into_parts).collect()
    }

    /// Keeps what was set in place of that with which it was read, if that still stands. What could not be had by the
    /// settings before counts no more.
    ///
    /// # Errors
    /// `NotFound` when there is no such project, `Conflict` when it was changed meanwhile.
    pub async fn set_autoscaling(
        &self,
        scope: &WorkspaceScope,
        autoscaling: &Autoscaling,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let AutoscalingSettings { is_enabled, rules } = autoscaling.settings;
        let done = sqlx::query(
            "INSERT INTO autoscaling (project_id, workspace_id, enabled, min_replicas, max_replicas,
                 target_cpu_percent, target_requests_per_second, revision, created_at, updated_at)
             SELECT id, workspace_id, $3, $4, $5, $6, $7, 1, $8, $8
             FROM projects WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
             ON CONFLICT (project_id) DO UPDATE SET enabled = $3, min_replicas = $4, max_replicas = $5,
                 target_cpu_percent = $6, target_requests_per_second = $7,
                 revision = autoscaling.revision + 1, updated_at = $8,
                 refused_since = NULL, refused_wanted = NULL, refused_reason = NULL
             WHERE autoscaling.revision = $9",
        )
        .bind(autoscaling.project_id.to_string())
        .bind(scope.id().to_string())
        .bind(is_enabled)
        .bind(i64::from(rules.min_replicas))
        .bind(i64::from(rules.max_replicas))
        .bind(rules.cpu_percent.map(i64::from))
        .bind(rules.requests_per_second.map(i64::from))
        .bind(now.as_nanos())
        .bind(i64::try_from(autoscaling.revision).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("set autoscaling"))?;
        if done.rows_affected() == 0 {
            return Err(refusal(&mut tx, scope, autoscaling.project_id).await?);
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Forgets what was set for a project.
    ///
    /// # Errors
    /// `NotFound` when nothing was.
    pub async fn delete_autoscaling(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done =
            sqlx::query("DELETE FROM autoscaling WHERE workspace_id = $1 AND project_id = $2")
                .bind(scope.id().to_string())
                .bind(project_id.to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("delete autoscaling"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("autoscaling"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Changes a project to the replicas that were decided, and notes it.
    ///
    /// # Errors
    /// `Conflict` when somebody changed the project or what is set meanwhile.
    pub async fn autoscale_project(
        &self,
        scope: &WorkspaceScope,
        autoscaling: &Autoscaling,
        generation: u64,
        changes: &ProjectChanges,
        scaled: &Scaled,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let id = autoscaling.project_id;
        write_changes(&mut tx, scope, id, generation, changes, scaled.at).await?;
        let done = sqlx::query(
            "UPDATE autoscaling SET scaled_at = $4, scaled_from = $5, scaled_to = $6, scaled_reason = $7,
                 refused_since = NULL, refused_wanted = NULL, refused_reason = NULL
             WHERE workspace_id = $1 AND project_id = $2 AND revision = $3 AND enabled = 1",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(i64::try_from(autoscaling.revision).unwrap_or(i64::MAX))
        .bind(scaled.at.as_nanos())
        .bind(i64::from(scaled.from))
        .bind(i64::from(scaled.to))
        .bind(&scaled.reason)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note autoscaling"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("autoscaling was changed meanwhile"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes what cannot be had; `None` says that nothing is lacking any more. Nothing is noted by who decided by
    /// older settings.
    pub async fn note_refusal(
        &self,
        scope: &WorkspaceScope,
        autoscaling: &Autoscaling,
        refusal: Option<&Refusal>,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE autoscaling SET refused_since = $4, refused_wanted = $5, refused_reason = $6
             WHERE workspace_id = $1 AND project_id = $2 AND revision = $3",
        )
        .bind(scope.id().to_string())
        .bind(autoscaling.project_id.to_string())
        .bind(i64::try_from(autoscaling.revision).unwrap_or(i64::MAX))
        .bind(refusal.map(|refusal| refusal.since.as_nanos()))
        .bind(refusal.map(|refusal| i64::from(refusal.wanted)))
        .bind(refusal.map(|refusal| refusal.reason.as_str()))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note what autoscaling lacks"))?;
        commit(tx).await
    }
}

/// Why nothing was written.
async fn refusal(tx: &mut Tx, scope: &WorkspaceScope, project_id: ProjectId) -> Result<Error> {
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM autoscaling WHERE project_id = $1 AND workspace_id = $2)",
    )
    .bind(project_id.to_string())
    .bind(scope.id().to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("look for autoscaling"))?;
    Ok(match exists {
        true => Error::Conflict("autoscaling was changed meanwhile"),
        false => Error::NotFound("project"),
    })
}

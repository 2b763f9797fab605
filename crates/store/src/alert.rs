//! Alert rules, and for which projects they fire.
//!
//! Guarantees: who judged by a rule notes it only while the rule is as it was then ([`Alert::revision`]). That a rule
//! fires, or does not any more, is noted together with the notice of it, once.
//! Not here: when a rule fires (`tose-model`).

use std::time::Duration;

use tose_api::alert::MetricValue;
use tose_api::{AlertId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::alert::AlertRule;
use tose_model::project::DesiredState;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::notice::{Notice, insert_notice};
use crate::project::parse_desired;
use crate::row;

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: Slug,
    /// What it says.
    pub rule: AlertRule,
    /// The project that it is about; all of the workspace without one.
    pub project_id: Option<ProjectId>,
    /// Whether it is looked at.
    pub is_enabled: bool,
    /// Grows with each change.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Alert {
    /// Whether it is about a project of its workspace.
    pub fn is_about(&self, project_id: ProjectId) -> bool {
        self.project_id.is_none_or(|id| id == project_id)
    }
}

/// A project that rules may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertProject {
    /// Its id.
    pub id: ProjectId,
    /// Its workspace, and that one's slug.
    pub workspace_id: WorkspaceId,
    /// See `workspace_id`.
    pub workspace: Slug,
    /// Its slug.
    pub slug: Slug,
    /// Whether anything of it is to run.
    pub is_to_run: bool,
}

/// A rule that fires for a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertFiring {
    /// The rule.
    pub alert_id: AlertId,
    /// The project.
    pub project_id: ProjectId,
    /// Since when.
    pub since: Timestamp,
}

/// Everything that rules are judged with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertBoard {
    /// The rules that are looked at, of every workspace.
    pub alerts: Vec<Alert>,
    /// The projects of their workspaces.
    pub projects: Vec<AlertProject>,
    /// What fires.
    pub firings: Vec<AlertFiring>,
}

#[derive(sqlx::FromRow)]
struct AlertRow {
    id: String,
    workspace_id: String,
    project_id: Option<String>,
    name: String,
    metric: String,
    comparison: String,
    threshold_milli: i64,
    window_seconds: i64,
    enabled: bool,
    revision: i64,
    created_at: i64,
    updated_at: i64,
}

/// Everything that a rule is read from; a `WHERE` clause follows.
macro_rules! select_alert {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, project_id, name, metric, comparison, threshold_milli, window_seconds, enabled,
                    revision, created_at, updated_at
             FROM alerts ",
            $rest
        )
    };
}

impl AlertRow {
    fn into_alert(self) -> Result<Alert> {
        let threshold = row::to_u64("alerts.threshold_milli", self.threshold_milli)?;
        Ok(Alert {
            id: row::parse("alerts.id", &self.id)?,
            workspace_id: row::parse("alerts.workspace_id", &self.workspace_id)?,
            name: row::parse("alerts.name", &self.name)?,
            rule: AlertRule {
                metric: row::parse_enum("alerts.metric", self.metric)?,
                comparison: row::parse_enum("alerts.comparison", self.comparison)?,
                threshold: MetricValue::from_milli(threshold),
                window_seconds: row::to_u32("alerts.window_seconds", self.window_seconds)?,
            },
            project_id: row::parse_optional("alerts.project_id", self.project_id.as_deref())?,
            is_enabled: self.enabled,
            revision: row::to_u64("alerts.revision", self.revision)?,
            created_at: row::to_time(self.created_at),
            updated_at: row::to_time(self.updated_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct FiringRow {
    alert_id: String,
    project_id: String,
    since: i64,
}

impl FiringRow {
    fn into_firing(self) -> Result<AlertFiring> {
        Ok(AlertFiring {
            alert_id: row::parse("alert_firings.alert_id", &self.alert_id)?,
            project_id: row::parse("alert_firings.project_id", &self.project_id)?,
            since: row::to_time(self.since),
        })
    }
}

#[derive(sqlx::FromRow)]
struct AlertProjectRow {
    id: String,
    workspace_id: String,
    workspace: String,
    slug: String,
    desired: String,
    suspended: Option<String>,
}

macro_rules! select_alert_project {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.workspace_id, w.slug AS workspace, p.slug, p.desired,
                    (SELECT suspended FROM wallets WHERE workspace_id = p.workspace_id) AS suspended
             FROM projects p JOIN workspaces w ON w.id = p.workspace_id
             WHERE p.deleted_at IS NULL AND ",
            $rest
        )
    };
}

impl AlertProjectRow {
    fn into_project(self) -> Result<AlertProject> {
        let desired = parse_desired(&self.desired)?;
        Ok(AlertProject {
            id: row::parse("projects.id", &self.id)?,
            workspace_id: row::parse("projects.workspace_id", &self.workspace_id)?,
            workspace: row::parse("workspaces.slug", &self.workspace)?,
            slug: row::parse("projects.slug", &self.slug)?,
            is_to_run: desired == DesiredState::Running && self.suspended.is_none(),
        })
    }
}

impl Store {
    /// Makes a rule.
    ///
    /// # Errors
    /// `Taken` when the workspace has one with this name, `Conflict` when it has `most` already, `NotFound` when there
    /// is no such project.
    pub async fn create_alert(
        &self,
        scope: &WorkspaceScope,
        alert: &Alert,
        most: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        check_project(&mut tx, scope, alert).await?;
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts WHERE workspace_id = $1")
            .bind(scope.id().to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::query("count alert rules"))?;
        if count >= i64::from(most) {
            return Err(Error::Conflict("the workspace has too many alert rules"));
        }
        let rule = &alert.rule;
        sqlx::query(
            "INSERT INTO alerts (id, workspace_id, project_id, name, metric, comparison, threshold_milli,
                 window_seconds, enabled, revision, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $10)",
        )
        .bind(alert.id.to_string())
        .bind(scope.id().to_string())
        .bind(alert.project_id.map(|id| id.to_string()))
        .bind(alert.name.as_str())
        .bind(rule.metric.as_str())
        .bind(rule.comparison.as_str())
        .bind(to_i64(rule.threshold.milli()))
        .bind(i64::from(rule.window_seconds))
        .bind(alert.is_enabled)
        .bind(alert.created_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write an alert rule", "the rule's name"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Puts what `alert` says in place of what there is, if that is still what it was when it was read. What fires
    /// is forgotten, unless only the name changed.
    ///
    /// # Errors
    /// `Taken` when another one of the workspace has its name, `Conflict` when it was changed meanwhile, `NotFound` when
    /// there is no such project.
    pub async fn update_alert(
        &self,
        scope: &WorkspaceScope,
        alert: &Alert,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        check_project(&mut tx, scope, alert).await?;
        let before: Option<AlertRow> =
            sqlx::query_as(select_alert!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(alert.id.to_string())
                .fetch_optional(&mut *tx)
                .await
                .map_err(Error::query("read an alert rule"))?;
        let before = before.ok_or(Error::NotFound("alert"))?.into_alert()?;
        if before.revision != alert.revision {
            return Err(Error::Conflict("the alert was changed meanwhile"));
        }
        let rule = &alert.rule;
        sqlx::query(
            "UPDATE alerts SET project_id = $3, name = $4, metric = $5, comparison = $6, threshold_milli = $7,
                 window_seconds = $8, enabled = $9, updated_at = $10, revision = revision + 1
             WHERE id = $1 AND workspace_id = $2",
        )
        .bind(alert.id.to_string())
        .bind(scope.id().to_string())
        .bind(alert.project_id.map(|id| id.to_string()))
        .bind(alert.name.as_str())
        .bind(rule.metric.as_str())
        .bind(rule.comparison.as_str())
        .bind(to_i64(rule.threshold.milli()))
        .bind(i64::from(rule.window_seconds))
        .bind(alert.is_enabled)
        .bind(alert.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("change an alert rule", "the rule's name"))?;
        let meaning = |alert: &Alert| (alert.rule, alert.project_id, alert.is_enabled);
        if meaning(&before) != meaning(alert) {
            sqlx::query("DELETE FROM alert_firings WHERE alert_id = $1")
                .bind(alert.id.to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("forget what fires"))?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_alert(
        &self,
        scope: &WorkspaceScope,
        id: AlertId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query("DELETE FROM alerts WHERE workspace_id = $1 AND id = $2")
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("delete an alert rule"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("alert"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The rules of a workspace, by their names.
    pub async fn list_alerts(&self, scope: &WorkspaceScope) -> Result<Vec<Alert>> {
        let rows: Vec<AlertRow> =
            sqlx::query_as(select_alert!("WHERE workspace_id = $1 ORDER BY name"))
                .bind(scope.id().to_string())
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list alert rules"))?;
        rows.into_iter().map(AlertRow::into_alert).collect()
    }

    /// A rule of a workspace.
    pub async fn find_alert(&self, scope: &WorkspaceScope, id: AlertId) -> Result<Option<Alert>> {
        let found: Option<AlertRow> =
            sqlx::query_as(select_alert!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read an alert rule"))?;
        found.map(AlertRow::into_alert).transpose()
    }

    /// What fires in a workspace.
    pub async fn list_alert_firings(&self, scope: &WorkspaceScope) -> Result<Vec<AlertFiring>> {
        let rows: Vec<FiringRow> = sqlx::query_as(
            "SELECT f.alert_id, f.project_id, f.since FROM alert_firings f
             JOIN alerts a ON a.id = f.alert_id WHERE a.workspace_id = $1",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list what fires"))?;
        rows.into_iter().map(FiringRow::into_firing).collect()
    }

    /// The projects of a workspace, by their slugs.
    pub async fn list_alert_projects(&self, scope: &WorkspaceScope) -> Result<Vec<AlertProject>> {
        let rows: Vec<AlertProjectRow> =
            sqlx::query_as(select_alert_project!("p.workspace_id = $1 ORDER BY p.slug"))
                .bind(scope.id().to_string())
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list the projects of alert rules"))?;
        rows.into_iter()
            .map(AlertProjectRow::into_project)
            .collect()
    }

    /// Everything that rules are judged with. Without rules it is one small look.
    pub async fn read_alert_board_for_task(&self) -> Result<AlertBoard> {
        let alerts: Vec<AlertRow> = sqlx::query_as(select_alert!("WHERE enabled = 1 ORDER BY id"))
            .fetch_all(self.readers())
            .await
            .map_err(Error::query("list all alert rules"))?;
        if alerts.is_empty() {
            return Ok(AlertBoard::default());
        }
        let projects: Vec<AlertProjectRow> = sqlx::query_as(select_alert_project!(
            "p.workspace_id IN (SELECT workspace_id FROM alerts WHERE enabled = 1) ORDER BY p.id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the projects of all alert rules"))?;
        let firings: Vec<FiringRow> =
            sqlx::query_as("SELECT alert_id, project_id, since FROM alert_firings")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list all that fires"))?;
        Ok(AlertBoard {
            alerts: alerts
                .into_iter()
                .map(AlertRow::into_alert)
                .collect::<Result<_>>()?,
            projects: projects
                .into_iter()
                .map(AlertProjectRow::into_project)
                .collect::<Result<_>>()?,
            firings: firings
                .into_iter()
                .map(FiringRow::into_firing)
                .collect::<Result<_>>()?,
        })
    }

    /// Notes that a rule fires from now on, and tells of it. `false` when it fired already, or when it or its project was
    /// changed or deleted meanwhile: nothing is noted.
    pub async fn open_alert_firing(
        &self,
        scope: &WorkspaceScope,
        alert: &Alert,
        firing: &AlertFiring,
        notice: &Notice,
        pace: Duration,
    ) -> Result<bool> {
        // Nothing that is kept of answers tells of it, so this moves no revision of the workspace.
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO alert_firings (alert_id, project_id, since)
             SELECT a.id, p.id, $5 FROM alerts a JOIN projects p ON p.workspace_id = a.workspace_id
             WHERE a.id = $1 AND a.workspace_id = $2 AND a.revision = $3 AND a.enabled = 1
                 AND p.id = $4 AND p.deleted_at IS NULL
             ON CONFLICT DO NOTHING",
        )
        .bind(alert.id.to_string())
        .bind(scope.id().to_string())
        .bind(to_i64(alert.revision))
        .bind(firing.project_id.to_string())
        .bind(firing.since.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note that an alert fires"))?;
        tell_if_changed(tx, done.rows_affected(), notice, pace).await
    }

    /// Notes that a rule does not fire any more, and tells of it. `false` when it did not fire since then, or when it was
    /// changed meanwhile: nothing is noted.
    pub async fn close_alert_firing(
        &self,
        scope: &WorkspaceScope,
        alert: &Alert,
        firing: &AlertFiring,
        notice: &Notice,
        pace: Duration,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "DELETE FROM alert_firings WHERE alert_id = $1 AND project_id = $4 AND since = $5
             AND EXISTS (SELECT 1 FROM alerts WHERE id = $1 AND workspace_id = $2 AND revision = $3)",
        )
        .bind(alert.id.to_string())
        .bind(scope.id().to_string())
        .bind(to_i64(alert.revision))
        .bind(firing.project_id.to_string())
        .bind(firing.since.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note that an alert fires no more"))?;
        tell_if_changed(tx, done.rows_affected(), notice, pace).await
    }
}

/// Looks whether the project of a rule is there.
async fn check_project(tx: &mut Tx, scope: &WorkspaceScope, alert: &Alert) -> Result<()> {
    let Some(id) = alert.project_id else {
        return Ok(());
    };
    let found: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM projects WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL",
    )
    .bind(id.to_string())
    .bind(scope.id().to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("look for an alert rule's project"))?;
    match found {
        0 => Err(Error::NotFound("project")),
        _ => Ok(()),
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Puts word of a change into the outbox along with it. `false` when nothing changed: nothing is noted then.
async fn tell_if_changed(
    mut tx: Tx,
    changed: u64,
    notice: &Notice,
    pace: Duration,
) -> Result<bool> {
    if changed == 0 {
        return Ok(false);
    }
    insert_notice(&mut tx, notice, &[], pace).await?;
    commit(tx).await?;
    Ok(true)
}

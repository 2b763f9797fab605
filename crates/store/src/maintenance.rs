//! Maintenances: times in which failures of projects are expected.
//!
//! Not here: what that means for checks (`uptime_history`, which is told).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tose_api::maintenance::{MaintenanceRepeat, MaintenanceTime};
use tose_api::{MaintenanceId, ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::maintenance::MaintenanceTimes;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// For how long maintenances that ended are kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// A maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Its id.
    pub id: MaintenanceId,
    /// What people call it.
    pub title: String,
    /// When it is.
    pub times: MaintenanceTimes,
    /// Of which projects it is, by their slugs; `None` is all of the workspace.
    pub projects: Option<Vec<(ProjectId, Slug)>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// When checks of which projects count for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whose.
    pub workspace_id: WorkspaceId,
    times: MaintenanceTimes,
    /// `None` is all of the workspace.
    projects: Option<HashSet<ProjectId>>,
}

impl Window {
    /// Whether a check of a project of the workspace counts for nothing at this time.
    pub fn covers(&self, project_id: ProjectId, at: Timestamp) -> bool {
        let projects = self.projects.as_ref();
        self.times.covers(at) && projects.is_none_or(|projects| projects.contains(&project_id))
    }
}

#[derive(sqlx::FromRow)]
struct MaintenanceRow {
    id: String,
    workspace_id: String,
    title: String,
    starts_at: i64,
    ends_at: i64,
    repeats: Option<String>,
    is_of_all: bool,
    created_at: i64,
}

impl MaintenanceRow {
    fn times(&self) -> Result<MaintenanceTimes> {
        Ok(MaintenanceTimes {
            first: MaintenanceTime {
                starts_at: row::to_time(self.starts_at),
                ends_at: row::to_time(self.ends_at),
            },
            repeat: row::parse_optional_enum("maintenance.repeats", self.repeats.clone())?,
        })
    }
}

impl Store {
    /// Makes a maintenance.
    ///
    /// # Errors
    /// `Conflict` when the workspace has `most` that have not ended; those that repeat never do.
    pub async fn create_maintenance(
        &self,
        scope: &WorkspaceScope,
        new: &Maintenance,
        most: u32,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM maintenance
             WHERE workspace_id = $1 AND (ends_at > $2 OR repeats IS NOT NULL)",
        )
        .bind(scope.id().to_string())
        .bind(new.created_at.as_nanos())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::query("count maintenances"))?;
        if count >= i64::from(most) {
            return Err(Error::Conflict("the workspace has too many maintenances"));
        }
        sqlx::query(
            "INSERT INTO maintenance (id, workspace_id, title, starts_at, ends_at, repeats, is_of_all, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new.id.to_string())
        .bind(scope.id().to_string())
        .bind(&new.title)
        .bind(new.times.first.starts_at.as_nanos())
        .bind(new.times.first.ends_at.as_nanos())
        .bind(new.times.repeat.map(MaintenanceRepeat::as_str))
        .bind(new.projects.is_none())
        .bind(new.created_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a maintenance"))?;
        for (project_id, _) in new.projects.iter().flatten() {
            sqlx::query(
                "INSERT INTO maintenance_projects (maintenance_id, project_id)
                 SELECT $1, id FROM projects WHERE id = $2 AND workspace_id = $3 AND deleted_at IS NULL
                 ON CONFLICT (maintenance_id, project_id) DO NOTHING",
            )
            .bind(new.id.to_string())
            .bind(project_id.to_string())
            .bind(scope.id().to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("write a maintenance's project"))?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The workspace's maintenances that have not ended before `since`: those that repeat, then the latest first.
    pub async fn list_maintenances(
        &self,
        scope: &WorkspaceScope,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<Maintenance>> {
        let rows: Vec<MaintenanceRow> = sqlx::query_as(
            "SELECT id, workspace_id, title, starts_at, ends_at, repeats, is_of_all, created_at FROM maintenance
             WHERE workspace_id = $1 AND (ends_at > $2 OR repeats IS NOT NULL)
             ORDER BY repeats IS NULL, starts_at DESC, id DESC LIMIT $3",
        )
        .bind(scope.id().to_string())
        .bind(since.as_nanos())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list maintenances"))?;
        let named: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT m.id, p.id, p.slug FROM maintenance m
             JOIN maintenance_projects mp ON mp.maintenance_id = m.id
             JOIN projects p ON p.id = mp.project_id
             WHERE m.workspace_id = $1 AND (m.ends_at > $2 OR m.repeats IS NOT NULL) ORDER BY p.slug",
        )
        .bind(scope.id().to_string())
        .bind(since.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list maintenances' projects"))?;
        let mut projects: HashMap<String, Vec<(ProjectId, Slug)>> = HashMap::new();
        for (id, project_id, slug) in named {
            let project_id = row::parse("projects.id", &project_id)?;
            let slug = row::parse("projects.slug", &slug)?;
            projects.entry(id).or_default().push((project_id, slug));
        }
        rows.into_iter()
            .map(|row| {
                Ok(Maintenance {
                    id: row::parse("maintenance.id", &row.id)?,
                    times: row.times()?,
                    title: row.title,
                    projects: match row.is_of_all {
                        true => None,
                        false => Some(projects.remove(&row.id).unwrap_or_default()),
                    },
                    created_at: row::to_time(row.created_at),
                })
            })
            .collect()
    }

    /// Takes a maintenance away, as if it had never been planned; what was left out of the sums stays so.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_maintenance(
        &self,
        scope: &WorkspaceScope,
        id: MaintenanceId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query("DELETE FROM maintenance WHERE workspace_id = $1 AND id = $2")
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("delete a maintenance"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("maintenance"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The windows of all workspaces that have not ended.
    pub async fn list_windows_for_task(&self, now: Timestamp) -> Result<Vec<Window>> {
        let rows: Vec<MaintenanceRow> = sqlx::query_as(
            "SELECT id, workspace_id, title, starts_at, ends_at, repeats, is_of_all, created_at FROM maintenance
             WHERE ends_at > $1 OR repeats IS NOT NULL",
        )
        .bind(now.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list windows"))?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let named: Vec<(String, String)> = sqlx::query_as(
            "SELECT m.id, mp.project_id FROM maintenance m
             JOIN maintenance_projects mp ON mp.maintenance_id = m.id
             WHERE m.ends_at > $1 OR m.repeats IS NOT NULL",
        )
        .bind(now.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list windows' projects"))?;
        let mut projects: HashMap<String, HashSet<ProjectId>> = HashMap::new();
        for (id, project_id) in named {
            let project_id = row::parse("projects.id", &project_id)?;
            projects.entry(id).or_default().insert(project_id);
        }
        rows.into_iter()
            .map(|row| {
                Ok(Window {
                    workspace_id: row::parse("maintenance.workspace_id", &row.workspace_id)?,
                    times: row.times()?,
                    projects: match row.is_of_all {
                        true => None,
                        false => Some(projects.remove(&row.id).unwrap_or_default()),
                    },
                })
            })
            .collect()
    }

    /// Forgets maintenances that ended long ago.
    pub async fn forget_old_maintenances_for_task(&self, now: Timestamp) -> Result<()> {
        let before = now.saturating_sub(KEPT).as_nanos();
        let is_old: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM maintenance WHERE ends_at < $1 AND repeats IS NULL)",
        )
        .bind(before)
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("look for old maintenances"))?;
        if !is_old {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM maintenance WHERE ends_at < $1 AND repeats IS NULL")
            .bind(before)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget old maintenances"))?;
        commit(tx).await
    }
}

//! Status pages: what a workspace shows everybody, and what of it there is to show.
//!
//! Guarantee: what is read for a page is of the projects that the page names, and of no other.

use std::collections::HashMap;

use tose_api::uptime::UptimeStatus;
use tose_api::{ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;
use crate::uptime_history::CheckSum;

/// A workspace's status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPage {
    /// Whether everybody can see it.
    pub is_enabled: bool,
    /// What stands above it.
    pub title: String,
    /// What it shows, in this order.
    pub projects: Vec<ShownProject>,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A project on a status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownProject {
    /// The project.
    pub id: ProjectId,
    /// Its slug.
    pub slug: Slug,
    /// What it is called there, if not by its slug.
    pub name: Option<String>,
}

/// A time in which a shown project was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownIncident {
    /// The project.
    pub project_id: ProjectId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
}

impl Store {
    /// A workspace's status page, if anybody ever set it.
    pub async fn find_status_page(&self, scope: &WorkspaceScope) -> Result<Option<StatusPage>> {
        let found: Option<(bool, String, i64)> = sqlx::query_as(
            "SELECT enabled, title, updated_at FROM status_pages WHERE workspace_id = $1",
        )
        .bind(scope.id().to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a status page"))?;
        let Some((is_enabled, title, updated_at)) = found else {
            return Ok(None);
        };
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT p.id, p.slug, s.name FROM status_page_projects s
             JOIN projects p ON p.id = s.project_id AND p.deleted_at IS NULL
             WHERE s.workspace_id = $1 AND p.workspace_id = $1 ORDER BY s.position",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("read a status page's projects"))?;
        let shown = |(id, slug, name): (String, String, Option<String>)| {
            Ok(ShownProject {
                id: row::parse("projects.id", &id)?,
                slug: row::parse("projects.slug", &slug)?,
                name,
            })
        };
        Ok(Some(StatusPage {
            is_enabled,
            title,
            projects: rows.into_iter().map(shown).collect::<Result<_>>()?,
            updated_at: row::to_time(updated_at),
        }))
    }

    /// Keeps a status page in place of the one there is.
    pub async fn set_status_page(
        &self,
        scope: &WorkspaceScope,
        page: &StatusPage,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "INSERT INTO status_pages (workspace_id, enabled, title, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id) DO UPDATE SET enabled = $2, title = $3, updated_at = $4",
        )
        .bind(scope.id().to_string())
        .bind(page.is_enabled)
        .bind(&page.title)
        .bind(page.updated_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a status page"))?;
        sqlx::query("DELETE FROM status_page_projects WHERE workspace_id = $1")
            .bind(scope.id().to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("clear a status page"))?;
        for (position, shown) in (0_i64..).zip(&page.projects) {
            sqlx::query(
                "INSERT INTO status_page_projects (workspace_id, project_id, position, name)
                 SELECT $1, id, $3, $4 FROM projects
                 WHERE id = $2 AND workspace_id = $1 AND deleted_at IS NULL",
            )
            .bind(scope.id().to_string())
            .bind(shown.id.to_string())
            .bind(position)
            .bind(shown.name.as_deref())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("write a status page's project"))?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The workspace of this slug, if everybody can see its status page.
    pub async fn find_public_page(&self, slug: &str) -> Result<Option<WorkspaceId>> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT w.id FROM workspaces w JOIN status_pages s ON s.workspace_id = w.id AND s.enabled = 1
             WHERE w.slug = $1 AND w.deleted_at IS NULL",
        )
        .bind(slug)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a status page"))?;
        found.map(|id| row::parse("workspaces.id", &id)).transpose()
    }

    /// How the projects of the page are; one that was never to be checked is left out.
    pub async fn list_shown_statuses(
        &self,
        scope: &WorkspaceScope,
    ) -> Result<HashMap<ProjectId, UptimeStatus>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT m.project_id, m.status FROM status_page_projects s
             JOIN monitors m ON m.project_id = s.project_id AND m.workspace_id = $1
             WHERE s.workspace_id = $1",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list statuses of a page"))?;
        rows.into_iter()
            .map(|(id, status)| {
                Ok((
                    row::parse("monitors.project_id", &id)?,
                    row::parse_enum("monitors.status", status)?,
                ))
            })
            .collect()
    }

    /// The sums of the checks of the page's projects since a time, by project and day since 1970.
    pub async fn sum_shown_days(
        &self,
        scope: &WorkspaceScope,
        since: Timestamp,
    ) -> Result<HashMap<(ProjectId, i64), CheckSum>> {
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT h.project_id, h.hour / 24, SUM(h.total), SUM(h.good) FROM status_page_projects s
             JOIN monitors m ON m.project_id = s.project_id AND m.workspace_id = $1
             JOIN check_hours h ON h.project_id = m.project_id AND h.hour >= $2
             WHERE s.workspace_id = $1 GROUP BY h.project_id, h.hour / 24",
        )
        .bind(scope.id().to_string())
        .bind(crate::uptime_history::hour_of(since))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("sum days of a page"))?;
        rows.into_iter()
            .map(|(id, day, total, good)| {
                let sum = CheckSum {
                    total: row::to_u64("check_hours.total", total)?,
                    good: row::to_u64("check_hours.good", good)?,
                };
                Ok(((row::parse("check_hours.project_id", &id)?, day), sum))
            })
            .collect()
    }

    /// The newest incidents of the page's projects that have not ended before `since`.
    pub async fn list_shown_incidents(
        &self,
        scope: &WorkspaceScope,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<ShownIncident>> {
        let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "SELECT i.project_id, i.started_at, i.ended_at FROM status_page_projects s
             JOIN monitors m ON m.project_id = s.project_id AND m.workspace_id = $1
             JOIN incidents i ON i.project_id = m.project_id
             WHERE s.workspace_id = $1 AND COALESCE(i.ended_at, $2) >= $2
             ORDER BY i.started_at DESC LIMIT $3",
        )
        .bind(scope.id().to_string())
        .bind(since.as_nanos())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list incidents of a page"))?;
        let shown = |(id, started_at, ended_at): (String, i64, Option<i64>)| {
            Ok(ShownIncident {
                project_id: row::parse("incidents.project_id", &id)?,
                started_at: row::to_time(started_at),
                ended_at: ended_at.map(row::to_time),
            })
        };
        rows.into_iter().map(shown).collect()
    }
}

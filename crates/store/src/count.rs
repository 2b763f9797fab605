//! Counts and names over all workspaces, for operators.

use tose_api::deployment::DeploymentStatus;
use tose_api::{ProjectId, Slug};
use tose_model::project::{DesiredState, ProjectKind};

use crate::database::Store;
use crate::error::{Error, Result};
use crate::project::{ProjectFacts, fact_columns, parse_desired, parse_kind};
use crate::row;
use crate::wallet::parse_suspension;

/// Projects that are alike in everything that their status is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectGroup {
    /// Whether they are to run.
    pub desired: DesiredState,
    /// Replicas that are wanted of each.
    pub replicas: u32,
    /// The rest.
    pub facts: ProjectFacts,
    /// How many there are.
    pub count: u64,
}

/// How a project is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectName {
    /// The project.
    pub id: ProjectId,
    /// Its workspace's slug.
    pub workspace: Slug,
    /// Its own.
    pub project: Slug,
    /// What it is.
    pub kind: ProjectKind,
}

#[derive(sqlx::FromRow)]
struct NameRow {
    id: String,
    workspace: String,
    project: String,
    kind: String,
    template: Option<String>,
}

impl NameRow {
    fn into_name(self) -> Result<ProjectName> {
        Ok(ProjectName {
            id: row::parse("projects.id", &self.id)?,
            workspace: row::parse("workspaces.slug", &self.workspace)?,
            project: row::parse("projects.slug", &self.project)?,
            kind: parse_kind(&self.kind, self.template)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct GroupRow {
    desired: String,
    replicas: i64,
    ready_replicas: i64,
    in_progress: i64,
    live: i64,
    newest_failed: i64,
    suspended: Option<String>,
    count: i64,
}

impl GroupRow {
    fn to_group(&self) -> Result<ProjectGroup> {
        Ok(ProjectGroup {
            desired: parse_desired(&self.desired)?,
            replicas: row::to_u32("projects.replicas", self.replicas)?,
            facts: ProjectFacts {
                in_progress: self.in_progress > 0,
                live: self.live > 0,
                newest_failed: self.newest_failed > 0,
                has_https: false,
                ready: row::to_u32("projects.ready_replicas", self.ready_replicas)?,
                suspended: parse_suspension("wallets.suspended", self.suspended.as_deref())?,
            },
            count: row::to_u64("count", self.count)?,
        })
    }
}

impl Store {
    /// How many projects there are of each kind that has a status of its own, in all workspaces.
    pub async fn count_all_projects(&self) -> Result<Vec<ProjectGroup>> {
        let rows: Vec<GroupRow> = sqlx::query_as(concat!(
            "SELECT p.desired, p.replicas, p.ready_replicas, ",
            fact_columns!(),
            ", COUNT(*) AS count FROM projects p WHERE p.deleted_at IS NULL
             GROUP BY p.desired, p.replicas, p.ready_replicas, in_progress, live, newest_failed,
                      suspended"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("count projects"))?;
        rows.iter().map(GroupRow::to_group).collect()
    }

    /// How many deployments there are in each status, in all workspaces.
    pub async fn count_all_deployments(&self) -> Result<Vec<(DeploymentStatus, u64)>> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT status, COUNT(*) FROM deployments GROUP BY status")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("count deployments"))?;
        rows.into_iter()
            .map(|(status, count)| {
                let status = row::parse_enum("deployments.status", status)?;
                Ok((status, row::to_u64("count", count)?))
            })
            .collect()
    }

    /// How all projects are called that are not deleted, in the order of their names: one query, whose answer has
    /// about 200 bytes for each. For what is told to operators of all workspaces.
    pub async fn list_project_names_for_task(&self) -> Result<Vec<ProjectName>> {
        let rows: Vec<NameRow> = sqlx::query_as(
            "SELECT p.id, w.slug AS workspace, p.slug AS project, p.kind, p.template
             FROM projects p JOIN workspaces w ON w.id = p.workspace_id
             WHERE p.deleted_at IS NULL AND w.deleted_at IS NULL ORDER BY w.slug, p.slug",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the projects' names"))?;
        rows.into_iter().map(NameRow::into_name).collect()
    }
}

//! Host names that lead to a project.
//!
//! Invariant: a host name is claimed once. A claim that was never proved gives way to one that is.

use tose_api::domain::DomainStatus;
use tose_api::{DomainId, Hostname, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, commit};
use crate::domain_settings::StoredSettings;
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// A host name that leads to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The host name.
    pub hostname: Hostname,
    /// How far it is.
    pub status: DomainStatus,
    /// Why it is not active.
    pub reason: Option<String>,
    /// Whether the platform gave it.
    pub is_default: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When DNS was last asked for it.
    pub checked_at: Option<Timestamp>,
    /// What visitors meet; a new domain has none, see [`Store::set_domain_settings`].
    pub settings: StoredSettings,
}

/// What DNS said about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How far it is now.
    pub status: DomainStatus,
    /// Why it is not active.
    pub reason: Option<String>,
    /// When DNS was asked.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DomainRow {
    id: String,
    workspace_id: String,
    project_id: String,
    hostname: String,
    status: String,
    reason: Option<String>,
    is_default: i64,
    created_at: i64,
    checked_at: Option<i64>,
    settings: Option<String>,
    sealed_users: Option<Vec<u8>>,
}

macro_rules! select_domain {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, project_id, hostname, status, reason, is_default, created_at,
                    checked_at, settings, sealed_users FROM domains ",
            $rest
        )
    };
}

impl DomainRow {
    fn into_domain(self) -> Result<Domain> {
        Ok(Domain {
            id: row::parse("domains.id", &self.id)?,
            workspace_id: row::parse("domains.workspace_id", &self.workspace_id)?,
            project_id: row::parse("domains.project_id", &self.project_id)?,
            hostname: row::parse("domains.hostname", &self.hostname)?,
            status: row::parse_enum("domains.status", self.status)?,
            reason: self.reason,
            is_default: self.is_default != 0,
            created_at: row::to_time(self.created_at),
            checked_at: self.checked_at.map(row::to_time),
            settings: StoredSettings::from_columns(self.settings.as_deref(), self.sealed_users)?,
        })
    }
}

const fn status_text(status: DomainStatus) -> &'static str {
    match status {
        DomainStatus::Pending => "pending",
        DomainStatus::Active => "active",
        DomainStatus::Failed => "failed",
    }
}

impl Store {
    /// The domains of a project, the platform's own first.
    pub async fn list_domains(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Domain>> {
        let rows: Vec<DomainRow> = sqlx::query_as(select_domain!(
            "WHERE workspace_id = $1 AND project_id = $2 ORDER BY is_default DESC, created_at, id"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list domains"))?;
        rows.into_iter().map(DomainRow::into_domain).collect()
    }

    /// One domain of a project.
    pub async fn get_domain(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DomainId,
    ) -> Result<Domain> {
        let found: Option<DomainRow> = sqlx::query_as(select_domain!(
            "WHERE workspace_id = $1 AND project_id = $2 AND id = $3"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a domain"))?;
        found.ok_or(Error::NotFound("domain"))?.into_domain()
    }

    /// Whose the host name is, and how far: for a task that has to decide between two claims.
    pub async fn find_domain_for_task(&self, hostname: &Hostname) -> Result<Option<Domain>> {
        let found: Option<DomainRow> = sqlx::query_as(select_domain!("WHERE hostname = $1"))
            .bind(hostname.as_str())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("find a domain"))?;
        found.map(DomainRow::into_domain).transpose()
    }

    /// Domains whose DNS was last asked for before `before`, and that wait for it.
    pub async fn list_pending_domains_for_task(&self, before: Timestamp) -> Result<Vec<Domain>> {
        let rows: Vec<DomainRow> = sqlx::query_as(select_domain!(
            "WHERE status = 'pending' AND (checked_at IS NULL OR checked_at < $1)
             ORDER BY checked_at LIMIT 100"
        ))
        .bind(before.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list pending domains"))?;
        rows.into_iter().map(DomainRow::into_domain).collect()
    }

    /// Claims a host name for a project. To a claim that is `Active`, so that DNS names this
    /// workspace, another workspace's that never was proved gives way.
    ///
    /// # Errors
    /// `Taken` when the name is claimed, `NotFound` when there is no such project.
    pub async fn create_domain(
        &self,
        scope: &WorkspaceScope,
        new: &Domain,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        if new.status == DomainStatus::Active {
            sqlx::query("DELETE FROM domains WHERE hostname = $1 AND workspace_id <> $2 AND status <> 'active'")
                .bind(new.hostname.as_str())
                .bind(scope.id().to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("drop an unproved claim"))?;
        }
        let done = sqlx::query(
            "INSERT INTO domains (id, workspace_id, project_id, hostname, status, reason,
                 is_default, created_at, checked_at)
             SELECT $3, $1, id, $4, $5, $6, 0, $7, $8 FROM projects
             WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .bind(new.project_id.to_string())
        .bind(new.id.to_string())
        .bind(new.hostname.as_str())
        .bind(status_text(new.status))
        .bind(&new.reason)
        .bind(new.created_at.as_nanos())
        .bind(new.checked_at.map(Timestamp::as_nanos))
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a domain", "the host name"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("project"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes what DNS said.
    pub async fn set_domain_verdict(
        &self,
        scope: &WorkspaceScope,
        id: DomainId,
        verdict: &Verdict,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE domains SET status = $3, reason = $4, checked_at = $5
             WHERE workspace_id = $1 AND id = $2 AND is_default = 0",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(status_text(verdict.status))
        .bind(&verdict.reason)
        .bind(verdict.at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note what DNS said"))?;
        commit(tx).await
    }

    /// Gives a host name up.
    ///
    /// # Errors
    /// `Conflict` for the one that the platform gave.
    pub async fn delete_domain(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DomainId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let is_default: Option<i64> = sqlx::query_scalar(
            "SELECT is_default FROM domains
             WHERE workspace_id = $1 AND project_id = $2 AND id = $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("read a domain"))?;
        if is_default.ok_or(Error::NotFound("domain"))? != 0 {
            return Err(Error::Conflict(
                "the host name that the platform gave stays with the project",
            ));
        }
        sqlx::query("DELETE FROM domains WHERE workspace_id = $1 AND project_id = $2 AND id = $3")
            .bind(scope.id().to_string())
            .bind(project_id.to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("delete a domain"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

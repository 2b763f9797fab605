//! Host names that lead to a project.

use tose_api::domain::DomainStatus;
use tose_api::{DomainId, Hostname, ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;

use crate::database::Store;
use crate::error::{Error, Result};
use crate::row;

/// A host name that leads to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// The host name.
    pub hostname: Hostname,
    /// How far it is.
    pub status: DomainStatus,
    /// Whether the platform gave it.
    pub is_default: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

impl Store {
    /// The domains of a project, the platform's own first.
    pub async fn list_domains(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Domain>> {
        let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT id, hostname, status, is_default, created_at FROM domains
             WHERE workspace_id = $1 AND project_id = $2 ORDER BY is_default DESC, created_at, id",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list domains"))?;
        rows.into_iter()
            .map(|(id, hostname, status, is_default, created_at)| {
                Ok(Domain {
                    id: row::parse("domains.id", &id)?,
                    hostname: row::parse("domains.hostname", &hostname)?,
                    status: row::parse_enum("domains.status", status)?,
                    is_default: is_default != 0,
                    created_at: row::to_time(created_at),
                })
            })
            .collect()
    }
}

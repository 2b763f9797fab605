//! What visitors of a domain meet on their way to the app.
//!
//! Invariant: a path names its project by id, so a new project with an old slug gets nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tose_api::domain_settings::DomainSettings;
use tose_api::{DomainId, Hostname, ProjectId, Slug};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// A domain's settings as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSettings {
    /// Without passwords and paths.
    pub settings: DomainSettings,
    /// The paths that lead to other projects.
    pub paths: Vec<StoredPath>,
    /// By what the users are known, sealed with workspace and domain.
    #[serde(skip)]
    pub sealed_users: Option<Sealed>,
}

/// A path that leads to another project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPath {
    /// How the path begins.
    pub prefix: String,
    /// The other project, which may be gone.
    pub project_id: ProjectId,
    /// Whether the prefix is cut off.
    pub strip_prefix: bool,
}

/// A project, and the host name that the platform gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectHost {
    /// Its id.
    pub project_id: ProjectId,
    /// Its slug.
    pub slug: Slug,
    /// The host name.
    pub hostname: Hostname,
}

impl StoredSettings {
    pub(crate) fn from_columns(
        settings: Option<&str>,
        sealed_users: Option<Vec<u8>>,
    ) -> Result<Self> {
        let Some(text) = settings else {
            return Ok(Self::default());
        };
        Ok(Self {
            sealed_users: sealed_users.map(Sealed::from_bytes),
            ..row::parse_json("domains.settings", text)?
        })
    }
}

impl Store {
    /// Puts settings in place of the domain's.
    ///
    /// # Errors
    /// `NotFound` when the project has no such domain.
    pub async fn set_domain_settings(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: DomainId,
        new: &StoredSettings,
        event: &NewEvent,
    ) -> Result<()> {
        let text = (*new != StoredSettings::default())
            .then(|| row::to_json("domains.settings", new))
            .transpose()?;
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE domains SET settings = $4, sealed_users = $5
             WHERE workspace_id = $1 AND project_id = $2 AND id = $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .bind(text)
        .bind(new.sealed_users.as_ref().map(Sealed::as_bytes))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a domain's settings"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("domain"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Where the workspace's domains send their visitors, of those that send them elsewhere.
    pub async fn list_redirects(
        &self,
        scope: &WorkspaceScope,
    ) -> Result<BTreeMap<Hostname, Hostname>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT hostname, settings FROM domains
             WHERE workspace_id = $1 AND settings IS NOT NULL",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list redirects"))?;
        let mut redirects = BTreeMap::new();
        for (hostname, text) in rows {
            let stored = StoredSettings::from_columns(Some(&text), None)?;
            if let Some(to) = stored.settings.redirect_to {
                redirects.insert(row::parse("domains.hostname", &hostname)?, to);
            }
        }
        Ok(redirects)
    }

    /// The workspace's projects with the host names that the platform gave them.
    pub async fn list_project_hosts(&self, scope: &WorkspaceScope) -> Result<Vec<ProjectHost>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT p.id, p.slug, d.hostname FROM projects p
             JOIN domains d ON d.project_id = p.id AND d.is_default = 1
             WHERE p.workspace_id = $1 AND p.deleted_at IS NULL AND p.kind <> 'database'",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list the hosts of projects"))?;
        rows.into_iter()
            .map(|(id, slug, hostname)| {
                Ok(ProjectHost {
                    project_id: row::parse("projects.id", &id)?,
                    slug: row::parse("projects.slug", &slug)?,
                    hostname: row::parse("domains.hostname", &hostname)?,
                })
            })
            .collect()
    }
}

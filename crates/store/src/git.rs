//! Links to Git repositories.

use sqlx::SqliteConnection;
use tose_api::git::GitProvider;
use tose_api::{BranchName, ProjectId, RepoPath, RepoUrl, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::push::RepoKey;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::github::to_number;
use crate::row;

/// A project's link to a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitConnection {
    /// `owner/name`, where it was given so.
    pub repo_full_name: Option<String>,
    /// The address that is cloned.
    pub repo_url: RepoUrl,
    /// The branch that is built.
    pub branch: BranchName,
    /// Whether a push deploys by itself.
    pub auto_deploy: bool,
    /// The folder that is built.
    pub root_directory: Option<RepoPath>,
    /// The Dockerfile, relative to it.
    pub dockerfile_path: Option<RepoPath>,
    /// A private SSH key.
    pub deploy_key: Option<Sealed>,
    /// Its public half.
    pub deploy_key_public: Option<String>,
    /// A token for https.
    pub access_token: Option<Sealed>,
    /// The installation of the server's GitHub App that makes such tokens.
    pub installation_id: Option<u64>,
    /// What push events are signed with.
    pub webhook_secret: Option<Sealed>,
    /// Which files a push must change to deploy.
    pub watch_paths: Vec<String>,
    /// What kind of server it is, where that is known.
    pub provider: Option<GitProvider>,
    /// Whether pull requests get previews.
    pub previews: bool,
    /// How many there may be at once.
    pub preview_limit: u32,
    /// What became of the last attempt to tell it of a commit.
    pub last_report: Option<LastReport>,
    /// When it was connected.
    pub created_at: Timestamp,
}

/// What became of an attempt to tell a Git server of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReport {
    /// When.
    pub at: Timestamp,
    /// Why it was not told, if it was not.
    pub error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct GitRow {
    repo_full_name: Option<String>,
    repo_url: String,
    branch: String,
    auto_deploy: i64,
    root_directory: Option<String>,
    dockerfile_path: Option<String>,
    deploy_key: Option<Vec<u8>>,
    deploy_key_public: Option<String>,
    access_token: Option<Vec<u8>>,
    installation_id: Option<i64>,
    webhook_secret: Option<Vec<u8>>,
    watch_paths: String,
    provider: Option<String>,
    previews: i64,
    preview_limit: i64,
    status_at: Option<i64>,
    status_error: Option<String>,
    created_at: i64,
}

impl Store {
    /// Connects a project to a repository, in place of the one before. What became of the last report
    /// is forgotten.
    pub async fn put_git_connection(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        connection: &GitConnection,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "INSERT INTO git_connections (project_id, workspace_id, repo_full_name, repo_url, branch,
                 auto_deploy, root_directory, dockerfile_path, deploy_key, created_at,
                 deploy_key_public, access_token, webhook_secret, watch_paths, repo_key, provider,
                 previews, preview_limit, installation_id)
             SELECT id, workspace_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                 $17, $18, $19
             FROM projects
             WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
             ON CONFLICT (project_id) DO UPDATE SET repo_full_name = excluded.repo_full_name,
                 repo_url = excluded.repo_url, branch = excluded.branch,
                 auto_deploy = excluded.auto_deploy, root_directory = excluded.root_directory,
                 dockerfile_path = excluded.dockerfile_path, deploy_key = excluded.deploy_key,
                 created_at = excluded.created_at,
                 deploy_key_public = excluded.deploy_key_public,
                 access_token = excluded.access_token, webhook_secret = excluded.webhook_secret,
                 watch_paths = excluded.watch_paths, repo_key = excluded.repo_key,
                 provider = excluded.provider, previews = excluded.previews,
                 preview_limit = excluded.preview_limit,
                 installation_id = excluded.installation_id, status_at = NULL, status_error = NULL",
        )
        .bind(project_id.to_string())
        .bind(scope.id().to_string())
        .bind(&connection.repo_full_name)
        .bind(connection.repo_url.as_str())
        .bind(connection.branch.as_str())
        .bind(i64::from(connection.auto_deploy))
        .bind(connection.root_directory.as_ref().map(RepoPath::as_str))
        .bind(connection.dockerfile_path.as_ref().map(RepoPath::as_str))
        .bind(connection.deploy_key.as_ref().map(Sealed::as_bytes))
        .bind(connection.created_at.as_nanos())
        .bind(&connection.deploy_key_public)
        .bind(connection.access_token.as_ref().map(Sealed::as_bytes))
        .bind(connection.webhook_secret.as_ref().map(Sealed::as_bytes))
        .bind(row::to_json(
            "git_connections.watch_paths",
            &connection.watch_paths,
        )?)
        .bind(RepoKey::new(&connection.repo_url).as_str())
        .bind(connection.provider.map(GitProvider::as_str))
        .bind(i64::from(connection.previews))
        .bind(i64::from(connection.preview_limit))
        .bind(connection.installation_id.map(to_number))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a git connection"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("project"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The project's link, if it has one.
    pub async fn find_git_connection(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<GitConnection>> {
        let found: Option<GitRow> = sqlx::query_as(
            "SELECT repo_full_name, repo_url, branch, auto_deploy, root_directory, dockerfile_path,
                    deploy_key, deploy_key_public, access_token, installation_id, webhook_secret,
                    watch_paths, provider, previews, preview_limit, status_at, status_error, created_at
             FROM git_connections WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a git connection"))?;
        found.map(GitRow::into_connection).transpose()
    }

    /// Takes the link away; `NotFound` if there is none.
    pub async fn delete_git_connection(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done =
            sqlx::query("DELETE FROM git_connections WHERE workspace_id = $1 AND project_id = $2")
                .bind(scope.id().to_string())
                .bind(project_id.to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("delete a git connection"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("git connection"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

/// Gives rows that an earlier version wrote the key by which push events find them.
pub(crate) async fn fill_repo_keys(sqlite: &mut SqliteConnection) -> Result<()> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT project_id, repo_url FROM git_connections WHERE repo_key IS NULL")
            .fetch_all(&mut *sqlite)
            .await
            .map_err(Error::query("list repositories without a key"))?;
    for (project_id, repo_url) in rows {
        let repo_url: RepoUrl = row::parse("git_connections.repo_url", &repo_url)?;
        sqlx::query("UPDATE git_connections SET repo_key = $2 WHERE project_id = $1")
            .bind(project_id)
            .bind(RepoKey::new(&repo_url).as_str())
            .execute(&mut *sqlite)
            .await
            .map_err(Error::query("write a repository's key"))?;
    }
    Ok(())
}

impl GitRow {
    fn into_connection(self) -> Result<GitConnection> {
        Ok(GitConnection {
            repo_full_name: self.repo_full_name,
            repo_url: row::parse("git_connections.repo_url", &self.repo_url)?,
            branch: row::parse("git_connections.branch", &self.branch)?,
            auto_deploy: self.auto_deploy != 0,
            root_directory: row::parse_optional(
                "git_connections.root_directory",
                self.root_directory.as_deref(),
            )?,
            dockerfile_path: row::parse_optional(
                "git_connections.dockerfile_path",
                self.dockerfile_path.as_deref(),
            )?,
            deploy_key: self.deploy_key.map(Sealed::from_bytes),
            deploy_key_public: self.deploy_key_public,
            access_token: self.access_token.map(Sealed::from_bytes),
            installation_id: self
                .installation_id
                .map(|id| row::to_u64("git_connections.installation_id", id))
                .transpose()?,
            webhook_secret: self.webhook_secret.map(Sealed::from_bytes),
            watch_paths: row::parse_json("git_connections.watch_paths", &self.watch_paths)?,
            provider: row::parse_optional_enum("git_connections.provider", self.provider)?,
            previews: self.previews != 0,
            preview_limit: row::to_u32("git_connections.preview_limit", self.preview_limit)?,
            last_report: self.status_at.map(|at| LastReport {
                at: row::to_time(at),
                error: self.status_error,
            }),
            created_at: row::to_time(self.created_at),
        })
    }
}

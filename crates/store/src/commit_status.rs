//! What Git servers have to be told of deployments' commits.
//!
//! A change of status makes a deployment due (a trigger of the migration does that); it stays so until the
//! server was told, or that was given up.

use tose_api::deployment::DeploymentStatus;
use tose_api::git::GitProvider;
use tose_api::{DeploymentId, Hostname, ProjectId, RepoUrl, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::commit_status::CommitState;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::row;

/// A deployment whose commit a Git server may have to be told about.
#[derive(Debug)]
pub struct DueReport {
    /// The deployment.
    pub id: DeploymentId,
    /// Its project.
    pub project_id: ProjectId,
    /// The project that is connected to the repository: a preview's own is not.
    pub connected_id: ProjectId,
    /// The project's workspace.
    pub workspace_id: WorkspaceId,
    /// The workspace's slug.
    pub workspace: Slug,
    /// The project's slug.
    pub project: Slug,
    /// The project's own host name.
    pub hostname: Option<Hostname>,
    /// What becomes of it.
    pub status: DeploymentStatus,
    /// How its commit fares.
    pub state: CommitState,
    /// Why it failed.
    pub error: Option<String>,
    /// The commit.
    pub sha: String,
    /// Whether this state was told or given up already.
    pub is_told: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// Where and how; absent when the project is not connected to that repository with a token.
    pub way: Option<ReportWay>,
}

/// How a Git server is told.
#[derive(Debug)]
pub struct ReportWay {
    /// The repository.
    pub repo_url: RepoUrl,
    /// The kind of server, where it is known.
    pub provider: Option<GitProvider>,
    /// What opens it.
    pub access: ReportAccess,
}

/// What opens a Git server's API.
#[derive(Debug)]
pub enum ReportAccess {
    /// A token that is kept.
    Token(Sealed),
    /// A token that this installation of the server's GitHub App makes.
    Installation(u64),
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported<'a> {
    /// There was nothing to tell, or nobody.
    Nothing,
    /// The server was told.
    Told,
    /// It was not, and is told no more.
    GivenUp(&'a str),
    /// It was not, and is told again from then on.
    Later(&'a str, Timestamp),
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: String,
    project_id: String,
    connected_id: String,
    workspace_id: String,
    workspace: String,
    project: String,
    hostname: Option<String>,
    status: String,
    live_at: Option<i64>,
    error: Option<String>,
    commit_sha: String,
    reported: Option<String>,
    report_attempts: i64,
    repo_url: Option<String>,
    provider: Option<String>,
    access_token: Option<Vec<u8>>,
    installation_id: Option<i64>,
}

impl Store {
    /// What is due, the longest waiting first; `limit` at most.
    pub async fn list_due_reports_for_task(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueReport>> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "SELECT x.id, x.project_id, COALESCE(p.preview_of, p.id) AS connected_id, x.workspace_id, w.slug AS workspace, p.slug AS project,
                    d.hostname, x.status, x.live_at, x.error, x.commit_sha, x.reported,
                    x.report_attempts, g.repo_url, g.provider, g.access_token,
                    g.installation_id
             FROM deployments x
             JOIN projects p ON p.id = x.project_id
             JOIN workspaces w ON w.id = x.workspace_id
             LEFT JOIN domains d ON d.project_id = p.id AND d.is_default = 1
             LEFT JOIN git_connections g ON g.project_id = COALESCE(p.preview_of, p.id)
                  AND g.repo_key = x.commit_repo
                  AND (g.access_token IS NOT NULL OR g.installation_id IS NOT NULL)
             WHERE x.report_at <= $1 AND x.commit_sha IS NOT NULL
             ORDER BY x.report_at, x.id LIMIT $2",
        )
        .bind(now.as_nanos())
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list commits to be told about"))?;
        rows.into_iter().map(DueRow::into_report).collect()
    }

    /// Notes what became of an attempt; a deployment whose status has changed meanwhile stays due.
    pub async fn note_report(
        &self,
        scope: &WorkspaceScope,
        report: &DueReport,
        outcome: Reported<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let (is_over, attempts, at) = match outcome {
            Reported::Later(_, at) => (false, i64::from(report.attempts) + 1, Some(at.as_nanos())),
            _ => (true, 0, None),
        };
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE deployments SET report_at = $4, report_attempts = $5,
                 reported = CASE WHEN $6 THEN $7 ELSE reported END
             WHERE workspace_id = $1 AND id = $2 AND status = $3",
        )
        .bind(scope.id().to_string())
        .bind(report.id.to_string())
        .bind(report.status.as_str())
        .bind(at)
        .bind(attempts)
        .bind(is_over)
        .bind(report.state.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note what a Git server was told"))?;
        let problem = match outcome {
            Reported::Nothing => return commit(tx).await,
            Reported::Told => None,
            Reported::GivenUp(problem) | Reported::Later(problem, _) => Some(problem),
        };
        sqlx::query(
            "UPDATE git_connections SET status_at = $3, status_error = $4
             WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(report.connected_id.to_string())
        .bind(now.as_nanos())
        .bind(problem)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note what a Git server answered"))?;
        commit(tx).await
    }
}

/// How the commit of a deployment fares: one that was live is a success whatever replaced it.
fn state(status: DeploymentStatus, was_live: bool) -> CommitState {
    match status {
        DeploymentStatus::Failed => CommitState::Failure,
        _ if was_live => CommitState::Success,
        status if status.is_in_progress() => CommitState::Pending,
        _ => CommitState::Error,
    }
}

impl DueRow {
    fn into_report(self) -> Result<DueReport> {
        let status = row::parse_enum("deployments.status", self.status)?;
        let state = state(status, self.live_at.is_some());
        let access = match (self.installation_id, self.access_token) {
            (Some(id), _) => Some(ReportAccess::Installation(row::to_u64(
                "git_connections.installation_id",
                id,
            )?)),
            (None, Some(token)) => Some(ReportAccess::Token(Sealed::from_bytes(token))),
            (None, None) => None,
        };
        let way = match (self.repo_url, access) {
            (Some(repo_url), Some(access)) => Some(ReportWay {
                repo_url: row::parse("git_connections.repo_url", &repo_url)?,
                provider: row::parse_optional_enum("git_connections.provider", self.provider)?,
                access,
            }),
            _ => None,
        };
        Ok(DueReport {
            id: row::parse("deployments.id", &self.id)?,
            project_id: row::parse("projects.id", &self.project_id)?,
            connected_id: row::parse("projects.id", &self.connected_id)?,
            workspace_id: row::parse("workspaces.id", &self.workspace_id)?,
            workspace: row::parse("workspaces.slug", &self.workspace)?,
            project: row::parse("projects.slug", &self.project)?,
            hostname: row::parse_optional("domains.hostname", self.hostname.as_deref())?,
            status,
            is_told: self.reported.as_deref() == Some(state.as_str()),
            state,
            error: self.error,
            sha: self.commit_sha,
            attempts: row::to_u32("deployments.report_attempts", self.report_attempts)?,
            way,
        })
    }
}

//! Projects with all that their views show.

use tose_api::deployment::{CommitView, DeploymentStatus, DeploymentView};
use tose_api::envelope::Paging;
use tose_api::git::{CommitReportView, GitConnectionView};
use tose_model::access::WorkspaceScope;
use tose_model::project::Project;

use crate::database::Store;
use crate::error::{Error, Result};
use crate::project::{ProjectFacts, ProjectRow, fact_columns, project_columns};
use crate::row;

/// Which projects a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Apps.
    Apps,
    /// Instances of templates.
    Templates,
}

impl Listed {
    const fn kind(self) -> &'static str {
        match self {
            Self::Apps => "app",
            Self::Templates => "template",
        }
    }
}

/// A project with all that its view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// The project.
    pub project: Project,
    /// What its status is read from.
    pub facts: ProjectFacts,
    /// Its repository.
    pub git: Option<GitConnectionView>,
    /// The version that visitors get.
    pub live: Option<DeploymentView>,
    /// Whether that has a password which was changed since.
    pub is_outdated: bool,
}

/// What [`ProjectRecord`] has besides.
#[derive(sqlx::FromRow)]
pub(crate) struct RecordRow {
    #[sqlx(flatten)]
    project: ProjectRow,
    repo_full_name: Option<String>,
    repo_url: Option<String>,
    git_branch: Option<String>,
    auto_deploy: Option<i64>,
    root_directory: Option<String>,
    dockerfile_path: Option<String>,
    has_deploy_key: i64,
    deploy_key_public: Option<String>,
    has_access_token: i64,
    installation_id: Option<i64>,
    watch_paths: Option<String>,
    git_provider: Option<String>,
    previews: Option<i64>,
    preview_limit: Option<i64>,
    status_at: Option<i64>,
    status_error: Option<String>,
    git_created_at: Option<i64>,
    live_id: Option<String>,
    live_trigger: Option<String>,
    commit_sha: Option<String>,
    commit_message: Option<String>,
    commit_author: Option<String>,
    live_image: Option<String>,
    live_created_by: Option<String>,
    live_created_at: Option<i64>,
    build_started_at: Option<i64>,
    build_finished_at: Option<i64>,
    live_at: Option<i64>,
    is_outdated: i64,
}

/// Everything that a project's view is read from; a `WHERE` clause follows.
macro_rules! select_record {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            project_columns!(),
            ", g.repo_full_name, g.repo_url, g.branch AS git_branch, g.auto_deploy,
               g.root_directory, g.dockerfile_path, g.deploy_key IS NOT NULL AS has_deploy_key,
               g.deploy_key_public, g.access_token IS NOT NULL AS has_access_token,
               g.installation_id, g.watch_paths,
               g.provider AS git_provider, g.previews, g.preview_limit, g.status_at, g.status_error,
               g.created_at AS git_created_at, l.id AS live_id, l.trigger AS live_trigger,
               l.commit_sha, l.commit_message, l.commit_author, l.image AS live_image,
               l.created_by AS live_created_by, l.created_at AS live_created_at,
               l.build_started_at, l.build_finished_at, l.live_at,
               EXISTS (SELECT 1 FROM deployment_references f
                       JOIN databases b ON b.project_id = f.project_id
                       WHERE f.deployment_id = l.id AND f.revision < b.credentials_revision)
                   AS is_outdated
             FROM projects p
             JOIN workspaces w ON w.id = p.workspace_id
             LEFT JOIN domains d ON d.project_id = p.id AND d.is_default = 1
             LEFT JOIN git_connections g ON g.project_id = p.id
             LEFT JOIN deployments l ON l.project_id = p.id AND l.status = 'running' ",
            $rest
        )
    };
}

pub(crate) use select_record;

impl Store {
    /// The project with this slug and all that its view shows, unless it is a database.
    pub async fn get_project_record(
        &self,
        scope: &WorkspaceScope,
        slug: &str,
    ) -> Result<ProjectRecord> {
        let found: Option<RecordRow> = sqlx::query_as(select_record!(
            "WHERE p.workspace_id = $1 AND p.slug = $2 AND p.deleted_at IS NULL
             AND p.kind <> 'database'"
        ))
        .bind(scope.id().to_string())
        .bind(slug)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a project's record"))?;
        found.ok_or(Error::NotFound("project"))?.into_record()
    }

    /// One page of the workspace's apps, or of its instances of templates, newest first, and how many
    /// there are.
    pub async fn list_project_records(
        &self,
        scope: &WorkspaceScope,
        listed: Listed,
        paging: Paging,
    ) -> Result<(Vec<ProjectRecord>, u64)> {
        let rows: Vec<RecordRow> = sqlx::query_as(select_record!(
            "WHERE p.workspace_id = $1 AND p.kind = $4 AND p.deleted_at IS NULL
             ORDER BY p.created_at DESC, p.id DESC LIMIT $2 OFFSET $3"
        ))
        .bind(scope.id().to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .bind(listed.kind())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list projects"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM projects
             WHERE workspace_id = $1 AND kind = $2 AND deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .bind(listed.kind())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count projects"))?;
        let records = rows
            .into_iter()
            .map(RecordRow::into_record)
            .collect::<Result<_>>()?;
        Ok((records, row::to_u64("count", total)?))
    }
}

impl RecordRow {
    pub(crate) fn into_record(self) -> Result<ProjectRecord> {
        let git = match (self.repo_url, self.git_branch, self.git_created_at) {
            (Some(repo_url), Some(branch), Some(created_at)) => Some(GitConnectionView {
                repo_full_name: self.repo_full_name,
                repo_url: row::parse("git_connections.repo_url", &repo_url)?,
                branch: row::parse("git_connections.branch", &branch)?,
                auto_deploy: self.auto_deploy == Some(1),
                root_directory: row::parse_optional(
                    "git_connections.root_directory",
                    self.root_directory.as_deref(),
                )?,
                dockerfile_path: row::parse_optional(
                    "git_connections.dockerfile_path",
                    self.dockerfile_path.as_deref(),
                )?,
                has_deploy_key: self.has_deploy_key != 0,
                deploy_key_public: self.deploy_key_public,
                has_access_token: self.has_access_token != 0,
                installation_id: self
                    .installation_id
                    .map(|id| row::to_u64("git_connections.installation_id", id))
                    .transpose()?,
                watch_paths: row::parse_json(
                    "git_connections.watch_paths",
                    self.watch_paths.as_deref().unwrap_or("[]"),
                )?,
                provider: row::parse_optional_enum("git_connections.provider", self.git_provider)?,
                previews: self.previews == Some(1),
                preview_limit: row::to_u32(
                    "git_connections.preview_limit",
                    self.preview_limit.unwrap_or(0),
                )?,
                last_commit_status: self.status_at.map(|at| CommitReportView {
                    reported_at: row::to_time(at),
                    error: self.status_error,
                }),
                created_at: row::to_time(created_at),
            }),
            _ => None,
        };
        let live = match (self.live_id, self.live_trigger, self.live_created_at) {
            (Some(id), Some(trigger), Some(created_at)) => Some(DeploymentView {
                id: row::parse("deployments.id", &id)?,
                status: DeploymentStatus::Running,
                trigger: row::parse_enum("deployments.trigger", trigger)?,
                commit: self.commit_sha.map(|sha| CommitView {
                    sha,
                    message: self.commit_message.unwrap_or_default(),
                    author: self.commit_author.unwrap_or_default(),
                }),
                image: self.live_image,
                error: None,
                analysis: None,
                created_at: row::to_time(created_at),
                build_started_at: self.build_started_at.map(row::to_time),
                build_finished_at: self.build_finished_at.map(row::to_time),
                live_at: self.live_at.map(row::to_time),
                finished_at: None,
                created_by: self.live_created_by.unwrap_or_default(),
            }),
            _ => None,
        };
        let is_outdated = self.is_outdated != 0;
        let (project, facts) = self.project.into_parts()?;
        Ok(ProjectRecord {
            project,
            facts,
            git,
            live,
            is_outdated,
        })
    }
}

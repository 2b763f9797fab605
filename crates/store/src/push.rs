//! Push events that were received, each with what it led to.
//!
//! Guarantee: an event is received once: neither its id nor what it signed can come a second time.

use tose_api::envelope::Paging;
use tose_api::git::{GitProvider, PushDeliveryView, PushVerdict};
use tose_api::{BranchName, DeploymentId, ProjectId, PushDeliveryId, Slug, Timestamp};
use tose_model::access::{Membership, WorkspaceScope};
use tose_model::push::RepoKey;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;
use crate::session::into_membership;

/// How many events of a project are kept.
const KEPT: i64 = 200;

/// A push event to be noted.
#[derive(Debug, Clone)]
pub struct NewPushDelivery {
    /// A fresh id.
    pub id: PushDeliveryId,
    /// Who sent it.
    pub provider: GitProvider,
    /// The sender's own id of it.
    pub delivery: String,
    /// The digest of what was signed, where something was.
    pub digest: Option<[u8; 32]>,
    /// What was pushed to.
    pub git_ref: Option<String>,
    /// The commit that it is at now.
    pub commit: Option<String>,
    /// What it led to.
    pub verdict: PushVerdict,
}

/// A project that a push event may be for: whose secret has to have signed it.
#[derive(Debug)]
pub struct PushCandidate {
    /// Its workspace, with what the event may do there.
    pub membership: Membership,
    /// The project.
    pub project_id: ProjectId,
    /// Its slug.
    pub project: Slug,
    /// What its own events are signed with.
    pub webhook_secret: Option<Sealed>,
    /// The installation whose events are for it: one that the workspace has bound.
    pub installation_id: Option<u64>,
    /// The branch that it builds.
    pub branch: BranchName,
    /// Whether a push deploys it.
    pub auto_deploy: bool,
    /// Which files a push must change to deploy it.
    pub watch_paths: Vec<String>,
    /// Whether pull requests get previews.
    pub previews: bool,
}

#[derive(sqlx::FromRow)]
struct CandidateRow {
    workspace_id: String,
    workspace: String,
    project_id: String,
    slug: String,
    webhook_secret: Option<Vec<u8>>,
    installation_id: Option<i64>,
    branch: String,
    auto_deploy: i64,
    watch_paths: String,
    previews: i64,
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: String,
    provider: String,
    git_ref: Option<String>,
    commit_sha: Option<String>,
    verdict: String,
    deployment_id: Option<String>,
    received_at: i64,
}

impl Store {
    /// The projects of all workspaces that are connected to this repository, and whose events can be
    /// checked.
    pub async fn list_push_candidates_for_task(&self, key: &RepoKey) -> Result<Vec<PushCandidate>> {
        let rows: Vec<CandidateRow> = sqlx::query_as(
            "SELECT w.id AS workspace_id, w.slug AS workspace, p.id AS project_id, p.slug,
                    g.webhook_secret, i.installation_id, g.branch, g.auto_deploy, g.watch_paths, g.previews
             FROM git_connections g
             JOIN projects p ON p.id = g.project_id AND p.deleted_at IS NULL
             JOIN workspaces w ON w.id = p.workspace_id AND w.deleted_at IS NULL
             LEFT JOIN github_installations i ON i.workspace_id = p.workspace_id
                  AND i.installation_id = g.installation_id
             WHERE g.repo_key = $1
               AND (g.webhook_secret IS NOT NULL OR i.installation_id IS NOT NULL)
             ORDER BY p.id",
        )
        .bind(key.as_str())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("find the projects of a repository"))?;
        rows.into_iter().map(CandidateRow::into_candidate).collect()
    }

    /// Notes an event that led to no deployment of its own.
    ///
    /// # Errors
    /// `Taken` when it was received before.
    pub async fn add_push_delivery(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        new: &NewPushDelivery,
        deployment_id: Option<DeploymentId>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        insert(&mut tx, scope, project_id, new, deployment_id, now).await?;
        commit(tx).await
    }

    /// The event with this id of the sender's, or with this digest, if it was received.
    pub async fn find_push_delivery(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        delivery: &str,
        digest: Option<&[u8; 32]>,
    ) -> Result<Option<PushDeliveryView>> {
        let found: Option<DeliveryRow> = sqlx::query_as(
            "SELECT id, provider, git_ref, commit_sha, verdict, deployment_id, received_at
             FROM push_deliveries
             WHERE workspace_id = $1 AND project_id = $2 AND (delivery = $3 OR digest = $4) LIMIT 1",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(delivery)
        .bind(digest.map(<[u8; 32]>::as_slice))
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a push event"))?;
        found.map(DeliveryRow::into_view).transpose()
    }

    /// One page of a project's push events, newest first, and how many there are.
    pub async fn list_push_deliveries(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        paging: Paging,
    ) -> Result<(Vec<PushDeliveryView>, u64)> {
        let rows: Vec<DeliveryRow> = sqlx::query_as(
            "SELECT id, provider, git_ref, commit_sha, verdict, deployment_id, received_at
             FROM push_deliveries WHERE workspace_id = $1 AND project_id = $2
             ORDER BY received_at DESC, id DESC LIMIT $3 OFFSET $4",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list push events"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM push_deliveries WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count push events"))?;
        let views: Result<Vec<_>> = rows.into_iter().map(DeliveryRow::into_view).collect();
        Ok((views?, row::to_u64("count", total)?))
    }
}

/// Writes an event, and forgets the project's oldest.
pub(crate) async fn insert(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    new: &NewPushDelivery,
    deployment_id: Option<DeploymentId>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO push_deliveries (id, project_id, workspace_id, provider, delivery, digest,
             git_ref, commit_sha, verdict, deployment_id, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(new.id.to_string())
    .bind(project_id.to_string())
    .bind(scope.id().to_string())
    .bind(new.provider.as_str())
    .bind(&new.delivery)
    .bind(new.digest.as_ref().map(<[u8; 32]>::as_slice))
    .bind(&new.git_ref)
    .bind(&new.commit)
    .bind(new.verdict.as_str())
    .bind(deployment_id.map(|id| id.to_string()))
    .bind(now.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::insert("write a push event", "the push event"))?;
    sqlx::query(
        "DELETE FROM push_deliveries WHERE project_id = $1 AND id IN
             (SELECT id FROM push_deliveries WHERE project_id = $1
              ORDER BY received_at DESC, id DESC LIMIT -1 OFFSET $2)",
    )
    .bind(project_id.to_string())
    .bind(KEPT)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("forget old push events"))?;
    // Who sent it is what kind of server it is, unless the connection says so itself.
    sqlx::query(
        "UPDATE git_connections SET provider = $2 WHERE project_id = $1 AND provider IS NULL",
    )
    .bind(project_id.to_string())
    .bind(new.provider.as_str())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note the kind of a Git server"))?;
    Ok(())
}

impl CandidateRow {
    fn into_candidate(self) -> Result<PushCandidate> {
        Ok(PushCandidate {
            membership: into_membership((self.workspace_id, self.workspace, "member".to_owned()))?,
            project_id: row::parse("projects.id", &self.project_id)?,
            project: row::parse("projects.slug", &self.slug)?,
            webhook_secret: self.webhook_secret.map(Sealed::from_bytes),
            installation_id: self
                .installation_id
                .map(|id| row::to_u64("github_installations.installation_id", id))
                .transpose()?,
            branch: row::parse("git_connections.branch", &self.branch)?,
            auto_deploy: self.auto_deploy != 0,
            watch_paths: row::parse_json("git_connections.watch_paths", &self.watch_paths)?,
            previews: self.previews != 0,
        })
    }
}

impl DeliveryRow {
    fn into_view(self) -> Result<PushDeliveryView> {
        Ok(PushDeliveryView {
            id: row::parse("push_deliveries.id", &self.id)?,
            provider: row::parse_enum("push_deliveries.provider", self.provider)?,
            git_ref: self.git_ref,
            commit: self.commit_sha,
            verdict: row::parse_enum("push_deliveries.verdict", self.verdict)?,
            deployment_id: row::parse_optional(
                "push_deliveries.deployment_id",
                self.deployment_id.as_deref(),
            )?,
            received_at: row::to_time(self.received_at),
        })
    }
}

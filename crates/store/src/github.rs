//! Installations of the server's GitHub App: which workspace has proven which, and the proofs that are
//! under way.
//!
//! Guarantee: a token of a proof works once, also when two calls bring it at the same moment.

use serde::{Deserialize, Serialize};
use tose_api::envelope::Paging;
use tose_api::github::{GithubInstallationView, GithubRepositoryView};
use tose_api::{Timestamp, UserId};
use tose_model::access::{Membership, WorkspaceScope};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;
use crate::session::into_membership;

/// A proof that begins, or goes on.
#[derive(Debug)]
pub struct NewGithubState<'a> {
    /// The hash of its token.
    pub token_hash: [u8; 32],
    /// Who proves.
    pub user_id: UserId,
    /// The installation that was asked for, if it was said which.
    pub installation_id: Option<u64>,
    /// What GitHub said, once it was asked.
    pub found: Option<&'a GithubFound>,
    /// From then on the token is worth nothing.
    pub expires_at: Timestamp,
}

/// A proof whose token was brought.
#[derive(Debug)]
pub struct GithubState {
    /// Who proves, with their place in the workspace at this moment.
    pub membership: Membership,
    /// Their account.
    pub user_id: UserId,
    /// Its address.
    pub email: String,
    /// The installation that was asked for.
    pub installation_id: Option<u64>,
    /// What GitHub said.
    pub found: Option<GithubFound>,
}

/// An installation as GitHub shows it to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubFound {
    /// Its id.
    pub installation_id: u64,
    /// The login of the account that it is installed in.
    pub account: String,
    /// What they can read there.
    pub repositories: Vec<GithubRepositoryView>,
}

#[derive(sqlx::FromRow)]
struct StateRow {
    workspace_id: String,
    workspace: String,
    role: String,
    user_id: String,
    email: String,
    installation_id: Option<i64>,
    found: Option<String>,
}

impl Store {
    /// Keeps a proof, and forgets those whose time is over.
    pub async fn create_github_state(
        &self,
        scope: &WorkspaceScope,
        new: &NewGithubState<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let found = new
            .found
            .map(|found| row::to_json("github_states.found", found))
            .transpose()?;
        let mut tx = self.begin_in(scope).await?;
        sqlx::query("DELETE FROM github_states WHERE expires_at <= $1")
            .bind(now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget old proofs"))?;
        sqlx::query(
            "INSERT INTO github_states (token_hash, workspace_id, user_id, installation_id, found,
                 expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.token_hash.as_slice())
        .bind(scope.id().to_string())
        .bind(new.user_id.to_string())
        .bind(new.installation_id.map(to_number))
        .bind(found)
        .bind(new.expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a proof"))?;
        commit(tx).await
    }

    /// Takes the proof with this token, which is worth nothing from then on. `None` for one that is
    /// unknown, used or too old, or whose owner is no member any more.
    pub async fn take_github_state(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<GithubState>> {
        let mut tx = self.begin().await?;
        let found: Option<StateRow> = sqlx::query_as(
            "SELECT w.id AS workspace_id, w.slug AS workspace, m.role, u.id AS user_id, u.email,
                    s.installation_id, s.found
             FROM github_states s
             JOIN workspaces w ON w.id = s.workspace_id AND w.deleted_at IS NULL
             JOIN members m ON m.workspace_id = w.id AND m.user_id = s.user_id
             JOIN users u ON u.id = s.user_id
             WHERE s.token_hash = $1 AND s.expires_at > $2",
        )
        .bind(token_hash.as_slice())
        .bind(now.as_nanos())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("read a proof"))?;
        sqlx::query("DELETE FROM github_states WHERE token_hash = $1")
            .bind(token_hash.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("take a proof"))?;
        commit(tx).await?;
        found.map(StateRow::into_state).transpose()
    }

    /// Binds an installation to the workspace, with what can be read there in place of what was known.
    pub async fn put_github_installation(
        &self,
        scope: &WorkspaceScope,
        found: &GithubFound,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        delete(&mut tx, scope, found.installation_id).await?;
        let id = to_number(found.installation_id);
        sqlx::query(
            "INSERT INTO github_installations (workspace_id, installation_id, account,
                 connected_by, created_at)
             SELECT id, $2, $3, $4, $5 FROM workspaces WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .bind(id)
        .bind(&found.account)
        .bind(&event.actor.name)
        .bind(event.at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write an installation"))?;
        for repository in &found.repositories {
            sqlx::query(
                "INSERT INTO github_repositories (workspace_id, installation_id, repository_id,
                     full_name, is_private, default_branch)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(scope.id().to_string())
            .bind(id)
            .bind(to_number(repository.id))
            .bind(&repository.full_name)
            .bind(i64::from(repository.private))
            .bind(&repository.default_branch)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("write an installation's repository"))?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The workspace's installations.
    pub async fn list_github_installations(
        &self,
        scope: &WorkspaceScope,
    ) -> Result<Vec<GithubInstallationView>> {
        let rows: Vec<(i64, String, String, i64, i64)> = sqlx::query_as(
            "SELECT i.installation_id, i.account, i.connected_by, i.created_at,
                    (SELECT COUNT(*) FROM github_repositories r
                     WHERE r.workspace_id = i.workspace_id
                       AND r.installation_id = i.installation_id)
             FROM github_installations i WHERE i.workspace_id = $1
             ORDER BY i.account, i.installation_id",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list installations"))?;
        rows.into_iter()
            .map(|(id, account, connected_by, created_at, repositories)| {
                Ok(GithubInstallationView {
                    id: row::to_u64("github_installations.installation_id", id)?,
                    account,
                    repositories: row::to_u64("count", repositories)?,
                    connected_by,
                    connected_at: row::to_time(created_at),
                })
            })
            .collect()
    }

    /// Takes an installation from the workspace.
    pub async fn delete_github_installation(
        &self,
        scope: &WorkspaceScope,
        id: u64,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        if !delete(&mut tx, scope, id).await? {
            return Err(Error::NotFound("GitHub installation"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The workspaces that have bound an installation.
    pub async fn list_github_workspaces_for_task(&self, id: u64) -> Result<Vec<Membership>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT w.id, w.slug FROM github_installations i
             JOIN workspaces w ON w.id = i.workspace_id WHERE i.installation_id = $1",
        )
        .bind(to_number(id))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list an installation's workspaces"))?;
        rows.into_iter()
            .map(|(id, slug)| into_membership((id, slug, "member".to_owned())))
            .collect()
    }

    /// One page of the repositories that can be connected, by name, and how many there are.
    ///
    /// # Errors
    /// `NotFound` when the workspace has not bound the installation.
    pub async fn list_github_repositories(
        &self,
        scope: &WorkspaceScope,
        id: u64,
        paging: Paging,
    ) -> Result<(Vec<GithubRepositoryView>, u64)> {
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM github_repositories r
                     WHERE r.workspace_id = i.workspace_id
                       AND r.installation_id = i.installation_id)
             FROM github_installations i WHERE i.workspace_id = $1 AND i.installation_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(to_number(id))
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("count repositories"))?;
        let total = known.ok_or(Error::NotFound("GitHub installation"))?;
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT repository_id, full_name, is_private, default_branch FROM github_repositories
             WHERE workspace_id = $1 AND installation_id = $2
             ORDER BY full_name LIMIT $3 OFFSET $4",
        )
        .bind(scope.id().to_string())
        .bind(to_number(id))
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list repositories"))?;
        let views: Result<Vec<_>> = rows.into_iter().map(repository).collect();
        Ok((views?, row::to_u64("count", total)?))
    }

    /// A repository of an installation that the workspace has bound, by its name in any case.
    pub async fn find_github_repository(
        &self,
        scope: &WorkspaceScope,
        id: u64,
        full_name: &str,
    ) -> Result<Option<GithubRepositoryView>> {
        let found: Option<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT repository_id, full_name, is_private, default_branch FROM github_repositories
             WHERE workspace_id = $1 AND installation_id = $2 AND LOWER(full_name) = LOWER($3)",
        )
        .bind(scope.id().to_string())
        .bind(to_number(id))
        .bind(full_name)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a repository"))?;
        found.map(repository).transpose()
    }
}

async fn delete(tx: &mut Tx, scope: &WorkspaceScope, id: u64) -> Result<bool> {
    // The repositories first: what refers goes before what it refers to.
    sqlx::query("DELETE FROM github_repositories WHERE workspace_id = $1 AND installation_id = $2")
        .bind(scope.id().to_string())
        .bind(to_number(id))
        .execute(&mut **tx)
        .await
        .map_err(Error::query("delete an installation's repositories"))?;
    let done = sqlx::query(
        "DELETE FROM github_installations WHERE workspace_id = $1 AND installation_id = $2",
    )
    .bind(scope.id().to_string())
    .bind(to_number(id))
    .execute(&mut **tx)
    .await
    .map_err(Error::query("delete an installation"))?;
    Ok(done.rows_affected() > 0)
}

/// An id of GitHub's as it is stored. None of theirs is larger; one that is belongs to nobody.
pub(crate) fn to_number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(-1)
}

fn repository(
    (id, full_name, is_private, default_branch): (i64, String, i64, String),
) -> Result<GithubRepositoryView> {
    Ok(GithubRepositoryView {
        id: row::to_u64("github_repositories.repository_id", id)?,
        full_name,
        private: is_private != 0,
        default_branch,
    })
}

impl StateRow {
    fn into_state(self) -> Result<GithubState> {
        Ok(GithubState {
            membership: into_membership((self.workspace_id, self.workspace, self.role))?,
            user_id: row::parse("users.id", &self.user_id)?,
            email: self.email,
            installation_id: self
                .installation_id
                .map(|id| row::to_u64("github_states.installation_id", id))
                .transpose()?,
            found: self
                .found
                .map(|found| row::parse_json("github_states.found", &found))
                .transpose()?,
        })
    }
}

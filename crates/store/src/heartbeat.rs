//! Heartbeats: the tokens that jobs call this server with, and when each called last.
//!
//! Guarantee: a token is kept as its hash, and belongs to one monitor, which waits for heartbeats.
//! Not here: what follows from a heartbeat, or from none (`uptime_history`).

use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

impl Store {
    /// Keeps the hash of a monitor's token in place of the one that it had.
    ///
    /// # Errors
    /// `Conflict` when the monitor waits for no heartbeats.
    pub async fn set_heartbeat_token(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        hash: &[u8; 32],
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE monitors SET heartbeat_hash = $3
             WHERE workspace_id = $1 AND project_id = $2 AND kind = 'heartbeat'",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(hash.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change a heartbeat's token"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the monitor is not of the kind heartbeat"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The project whose monitor has this token.
    pub async fn find_heartbeat(&self, hash: &[u8; 32]) -> Result<Option<ProjectId>> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT m.project_id FROM monitors m
             JOIN projects p ON p.id = m.project_id AND p.deleted_at IS NULL
             JOIN workspaces w ON w.id = m.workspace_id AND w.deleted_at IS NULL
             WHERE m.heartbeat_hash = $1",
        )
        .bind(hash.as_slice())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a heartbeat"))?;
        found
            .map(|id| row::parse("monitors.project_id", &id))
            .transpose()
    }

    /// Takes down when a heartbeat came. Answers whether the token still was the monitor's.
    pub async fn note_heartbeat(&self, hash: &[u8; 32], at: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE monitors SET heartbeat_at = CASE WHEN heartbeat_at > $2 THEN heartbeat_at ELSE $2 END
             WHERE heartbeat_hash = $1",
        )
        .bind(hash.as_slice())
        .bind(at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a heartbeat"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }
}

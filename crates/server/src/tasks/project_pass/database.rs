//! What a pass does differently for a database: its probe is a login, and no visitor is sent to it.

use std::time::Duration;

use tose_api::Timestamp;
use tose_model::database::Database;
use tose_model::driver::{EngineStep, ObservedReplica};
use tose_model::error::Result;
use tose_model::plan::{Health, Patience};

use crate::database_client::ClientError;
use crate::tasks::project_pass::{Memory, Pass};

/// How long a server has to write everything down when it is asked to end.
const TERMINATION: Duration = Duration::from_secs(60);
/// How soon one is told again of a password that it did not take.
const CREDENTIALS_RETRY: Duration = Duration::from_secs(10);
/// How soon a server that has just started is asked again: each question is a program that is run.
const PROBE: Duration = Duration::from_millis(100);

impl Pass<'_> {
    pub(super) fn database_patience(&self) -> Patience {
        Patience {
            drain: Duration::ZERO,
            start: self.platform.config.databases.start_timeout,
            termination: TERMINATION,
            probe: PROBE,
            ..Patience::default()
        }
    }

    /// Whether its account can log in. A server that has never heard of the account, or of its newest
    /// password, is told.
    pub(super) async fn database_health(
        &self,
        database: &Database,
        observed: &ObservedReplica,
    ) -> Health {
        match self.log_in(database, observed).await {
            Ok(()) => Health::Ready,
            Err(error) => Health::NotReady(format!("nobody can log in: {error}")),
        }
    }

    async fn log_in(
        &self,
        database: &Database,
        observed: &ObservedReplica,
    ) -> std::result::Result<(), ClientError> {
        let platform = self.platform;
        let account = platform
            .open_account(database)
            .map_err(|error| ClientError::Failed(error.to_string()))?;
        let has_password = database.applied_revision == database.credentials_revision;
        if has_password && platform.log_in(database, &account, observed).await.is_ok() {
            return Ok(());
        }
        platform
            .apply_credentials(&self.scene.scope, database, observed)
            .await
    }

    /// Has a server that serves take a password that it was not given so far. Answers when the project is to be looked
    /// at again, which is sooner than `wake_at` if one did not take it.
    pub(super) async fn settle_credentials(
        &self,
        memory: &Memory,
        mut wake_at: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let Some(database) = &self.scene.database else {
            return wake_at;
        };
        if database.applied_revision == database.credentials_revision {
            return wake_at;
        }
        let serving = |observed: &&ObservedReplica| memory.serving.contains(&observed.name);
        for observed in self.scene.observed.iter().filter(serving) {
            if let Err(error) = self
                .platform
                .apply_credentials(&self.scene.scope, database, observed)
                .await
            {
                tracing::warn!(replica = %observed.name, error = &error as &dyn std::error::Error, "a database did not take its password; it is tried again");
                let retry_at = self.platform.now().saturating_add(CREDENTIALS_RETRY);
                wake_at = wake_at.into_iter().chain([retry_at]).min();
            }
        }
        wake_at
    }

    /// A database that nobody ever logged in to begins with nothing: a folder that was half made would
    /// keep its server from starting.
    pub(super) async fn clear_unused_data(&self) -> Result<()> {
        let scene = self.scene;
        let is_first = scene
            .database
            .as_ref()
            .is_some_and(|database| database.applied_revision == 0);
        if is_first && scene.observed.is_empty() {
            let project_id = scene.project.id;
            self.apply(&EngineStep::RemoveVolumes { project_id })
                .await?;
        }
        Ok(())
    }
}

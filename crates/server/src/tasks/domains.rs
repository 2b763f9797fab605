//! Domains that wait for their DNS: each is looked at once a minute.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tose_model::access::WorkspaceScope;
use tose_model::error::Result;
use tose_store::Domain;

use crate::app::Platform;

/// How often a domain's DNS is asked.
const PERIOD: Duration = Duration::from_secs(60);
/// How many are asked at the same time.
const AT_ONCE: usize = 64;

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = look(&platform).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "domains could not be listed; it is tried again"
            );
        }
    }
}

/// One name whose DNS does not answer takes seconds, and keeps no other waiting.
async fn look(platform: &Platform) -> Result<()> {
    let before = platform.now().saturating_sub(PERIOD / 2);
    let pending = platform.store.list_pending_domains_for_task(before).await?;
    futures_util::stream::iter(pending)
        .for_each_concurrent(AT_ONCE, async |domain| {
            if let Err(error) = check(platform, &domain).await {
                tracing::warn!(
                    domain = %domain.hostname,
                    error = &error as &dyn std::error::Error,
                    "a domain could not be checked; it is tried again"
                );
            }
        })
        .await;
    Ok(())
}

async fn check(platform: &Platform, domain: &Domain) -> Result<()> {
    let scope = WorkspaceScope::for_task(domain.workspace_id);
    let found = platform
        .store
        .find_project(&scope, domain.project_id)
        .await?;
    match found {
        Some((project, _)) => platform.check_domain(&scope, domain, &project).await,
        None => Ok(()),
    }
}

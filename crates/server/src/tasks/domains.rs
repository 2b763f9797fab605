//! Domains that wait for their DNS: each is looked at once a minute.

use std::sync::Arc;
use std::time::Duration;

use tose_model::access::WorkspaceScope;
use tose_model::error::Result;

use crate::app::Platform;

/// How often a domain's DNS is asked.
const PERIOD: Duration = Duration::from_secs(60);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = look(&platform).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "domains could not be checked; it is tried again"
            );
        }
    }
}

async fn look(platform: &Platform) -> Result<()> {
    let before = platform.now().saturating_sub(PERIOD / 2);
    for domain in platform.store.list_pending_domains_for_task(before).await? {
        let scope = WorkspaceScope::for_task(domain.workspace_id);
        let found = platform
            .store
            .find_project(&scope, domain.project_id)
            .await?;
        if let Some((project, _)) = found {
            platform.check_domain(&scope, &domain, &project).await?;
        }
    }
    Ok(())
}

//! A version starts when the databases that its variables name take logins: made together, the app would
//! crash until they do.

use std::time::Duration;

use tose_api::database::DatabaseStatus;
use tose_model::access::WorkspaceScope;
use tose_model::database;
use tose_model::deployment::Deployment;

use super::NoImage;
use crate::app::Platform;
use crate::app::project::status_facts;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_millis(200);
/// What a database may take beyond the start of its server: its image has to come.
const ALLOWANCE: Duration = Duration::from_secs(300);

/// Waits while one of them is on its way. One that is stopped, or failed, is not waited for: the app may do
/// without, and says so itself if it does not.
pub(super) async fn wait_for_databases(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
) -> std::result::Result<(), NoImage> {
    let wait = wait(platform, deployment, scope);
    let timeout = platform.config.databases.start_timeout + ALLOWANCE;
    match tokio::time::timeout(timeout, wait).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NoImage::Failed(
            "a database that its variables name does not come up; look at its log, and deploy again"
                .to_owned(),
        )),
    }
}

async fn wait(
    platform: &Platform,
    deployment: &Deployment,
    scope: &WorkspaceScope,
) -> std::result::Result<(), NoImage> {
    let references = platform.store.list_references(scope, deployment.id).await?;
    let mut tick = tokio::time::interval(PERIOD);
    for (id, _) in references {
        let mut was_said = false;
        loop {
            tick.tick().await;
            let Some((project, facts)) = platform.store.find_project(scope, id).await? else {
                break;
            };
            let status = database::status(&status_facts(&project, facts));
            if status != DatabaseStatus::Provisioning {
                break;
            }
            if !was_said {
                let text = format!("waiting for the database {}", project.slug);
                platform.say(deployment.id, text).await;
                was_said = true;
            }
        }
    }
    Ok(())
}

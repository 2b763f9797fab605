//! Tells Git servers how the commits fare that are deployed.
//!
//! Guarantees: no deployment waits for it; one server that does not answer keeps no other waiting; what
//! cannot be told is tried a few times, later and later, and then given up. What became of the last
//! attempt is with the project's connection.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tose_api::git::GitProvider;
use tose_model::access::WorkspaceScope;
use tose_model::commit_status::{
    CommitState, CommitStatus, StatusCall, known_provider, pause_after, plan_call,
};
use tose_model::error::Result;
use tose_model::secret::SecretString;
use tose_store::{DueReport, ReportAccess, ReportWay, Reported};

use crate::app::github::NoToken;
use crate::app::{Platform, vault_error};
use crate::git_api::Answer;
use crate::secrets::Place;

/// How often it is looked for what is due.
const PERIOD: Duration = Duration::from_secs(2);
/// How many calls there are at the same time.
const AT_ONCE: usize = 8;
/// How many are taken up in one look.
const BATCH: u32 = 64;

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = look(&platform).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "commits to be told about could not be listed; it is tried again"
            );
        }
    }
}

async fn look(platform: &Platform) -> Result<()> {
    let now = platform.now();
    let due = platform.store.list_due_reports_for_task(now, BATCH).await?;
    futures_util::stream::iter(due)
        .for_each_concurrent(AT_ONCE, async |report| {
            if let Err(error) = tell(platform, &report).await {
                tracing::warn!(
                    deployment_id = %report.id,
                    error = &error as &dyn std::error::Error,
                    "a commit's status could not be told; it is tried again"
                );
            }
        })
        .await;
    Ok(())
}

async fn tell(platform: &Platform, report: &DueReport) -> Result<()> {
    let scope = WorkspaceScope::for_task(report.workspace_id);
    let note = async |outcome: Reported<'_>| {
        let now = platform.now();
        let noted = platform.store.note_report(&scope, report, outcome, now);
        Ok(noted.await?)
    };
    let way = report.way.as_ref().filter(|_| !report.is_told);
    let call = match way {
        Some(way) => match find_token(platform, report, way).await {
            Ok(token) => plan(platform, report, way, &token),
            Err(NoToken::Missing(reason)) => return note(Reported::GivenUp(&reason)).await,
            Err(NoToken::Broken(error)) => return Err(error),
            Err(NoToken::Refused(answer)) => Err(answer),
        },
        None => Ok(None),
    };
    let answer = match call {
        Ok(None) => return note(Reported::Nothing).await,
        Ok(Some(call)) => platform.git_api.post(&call).await,
        Err(answer) => answer,
    };
    let Some(problem) = answer.problem() else {
        return note(Reported::Told).await;
    };
    let pause = pause_after(report.attempts + 1).filter(|_| answer.is_worth_another());
    match pause {
        Some(pause) => {
            let again = platform.now().saturating_add(pause);
            note(Reported::Later(&problem, again)).await
        }
        None => note(Reported::GivenUp(&problem)).await,
    }
}

/// What opens the server's API.
async fn find_token(
    platform: &Platform,
    report: &DueReport,
    way: &ReportWay,
) -> std::result::Result<SecretString, NoToken> {
    match &way.access {
        ReportAccess::Token(sealed) => {
            let place = Place::AccessToken {
                workspace_id: report.workspace_id,
                project_id: report.connected_id,
            };
            let opened = platform.vault.open(place, sealed).map_err(vault_error);
            opened.map_err(NoToken::Broken)
        }
        ReportAccess::Installation(id) => {
            let scope = WorkspaceScope::for_task(report.workspace_id);
            platform.github_token(&scope, *id, &way.repo_url).await
        }
    }
}

/// The call that tells it; `None` if the kind of server is not known.
fn plan(
    platform: &Platform,
    report: &DueReport,
    way: &ReportWay,
    token: &SecretString,
) -> std::result::Result<Option<StatusCall>, Answer> {
    let app = match way.access {
        ReportAccess::Installation(_) => platform.github.as_ref(),
        ReportAccess::Token(_) => None,
    };
    let known = || way.provider.or_else(|| known_provider(&way.repo_url));
    let Some(provider) = app.map(|_| GitProvider::Github).or_else(known) else {
        return Ok(None);
    };
    let api_url = app.map(|app| app.config.api_url.as_str());
    let url = report.hostname.as_ref();
    let url = url.map(|hostname| platform.config.app_url(hostname, false));
    let status = CommitStatus {
        sha: report.sha.clone(),
        state: report.state,
        target_url: url.filter(|_| report.state == CommitState::Success),
        description: describe(report),
        context: format!("tose/{}/{}", report.workspace, report.project),
    };
    Ok(plan_call(provider, &way.repo_url, api_url, token, &status))
}

fn describe(report: &DueReport) -> String {
    match report.state {
        CommitState::Pending => "being deployed".to_owned(),
        CommitState::Success => "live".to_owned(),
        CommitState::Failure => {
            let reason = report.error.as_deref().unwrap_or("it failed");
            reason.lines().next().unwrap_or_default().to_owned()
        }
        CommitState::Error => "called off".to_owned(),
    }
}

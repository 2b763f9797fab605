//! More or fewer replicas by themselves: each round of the sampler, every project for which that is enabled is looked
//! at, and what is decided is done.
//!
//! Guarantees: nothing is decided for a project that is stopped, suspended, being deployed, or of which not every
//! replica is ready, nor by what was not measured. People are told of each change once, and once of what cannot be
//! had, until it was not needed for five minutes.
//! Caveat: the looks are lost with the process, so fewer replicas come five minutes after a start at the earliest.
//! Not here: what is decided (`tose_model::autoscale`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tose_api::notification::NoticeEvent;
use tose_api::project::ProjectStatus;
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::autoscale::{Cpu, Decision, Load, Look, Looks, Requests, Rules, decide};
use tose_model::error::{Error, Result};
use tose_model::project::{Project, status};
use tose_store::{Autoscaling, ProjectFacts, Refusal};

use crate::app::Platform;
use crate::app::autoscale::Seen;
use crate::app::notice::NewNotice;
use crate::app::project::status_facts;
use crate::metrics::Round;

/// How long something must not be needed before people are told again that it cannot be had.
const CALM: Duration = Duration::from_secs(300);
/// Requests that came in less are no measurement.
const SHORTEST: Duration = Duration::from_secs(1);

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut memory = HashMap::new();
    let mut rounds = platform.rounds.follow();
    while let Some((round, at)) = rounds.next().await {
        if let Err(error) = look(&platform, &mut memory, &round, at).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "it could not be seen which projects need more or fewer replicas"
            );
        }
    }
}

/// What is known of a project from the looks before.
#[derive(Default)]
struct Known {
    /// The settings and the project that the looks are of: their revision and generation.
    of: (u64, u64),
    looks: Looks,
    /// Since when no more replicas are needed than there are.
    calm_since: Option<Timestamp>,
}

async fn look(
    platform: &Platform,
    memory: &mut HashMap<ProjectId, Known>,
    round: &Round,
    at: Timestamp,
) -> Result<()> {
    let mut seen = HashMap::new();
    let settings = platform.store.list_autoscaling_for_task().await?;
    if settings.is_empty() {
        memory.clear();
        platform.autoscaler.publish(seen);
        return Ok(());
    }
    let mut settings: HashMap<_, _> = settings
        .into_iter()
        .map(|one| (one.project_id, one))
        .collect();
    let projects = platform.store.list_autoscaled_projects_for_task().await?;
    memory.retain(|id, _| projects.iter().any(|(project, _)| project.id == *id));
    for (project, facts) in projects {
        // One that was switched on between the two reads has its turn at the next look.
        let Some(autoscaling) = settings.remove(&project.id) else {
            continue;
        };
        let known = memory.entry(project.id).or_default();
        let load = match look_at(platform, known, &project, facts, &autoscaling, round, at).await {
            Ok(load) => load,
            Err(error) => {
                tracing::warn!(
                    workspace = %project.workspace,
                    project = %project.slug,
                    error = &error as &dyn std::error::Error,
                    "a project could not get the replicas that it needs; it is tried again"
                );
                continue;
            }
        };
        let revision = autoscaling.revision;
        seen.insert(project.id, Seen { at, revision, load });
    }
    platform.autoscaler.publish(seen);
    Ok(())
}

/// Looks at a project and does what is decided. What it saw: the load, or why nothing can be decided.
async fn look_at(
    platform: &Platform,
    known: &mut Known,
    project: &Project,
    facts: ProjectFacts,
    autoscaling: &Autoscaling,
    round: &Round,
    at: Timestamp,
) -> Result<std::result::Result<Load, &'static str>> {
    let of = (autoscaling.revision, project.generation);
    if known.of != of {
        known.of = of;
        known.looks.clear();
    }
    if let Some(reason) = obstacle(project, facts) {
        known.looks.clear();
        return Ok(Err(reason));
    }
    let rules = &autoscaling.settings.rules;
    let look = measured(project, round, at);
    known.looks.add(look);
    match decide(rules, project.replicas, &known.looks) {
        Decision::Scale { to, reason, load } => {
            known.calm_since = None;
            scale(platform, project, autoscaling, to, &reason).await?;
            Ok(load.ok_or("the number of replicas is being changed"))
        }
        Decision::Stay(None) => Ok(Err(lack(rules, &look))),
        Decision::Stay(Some(load)) => {
            if load.wanted > project.replicas {
                known.calm_since = None;
            } else {
                let since = *known.calm_since.get_or_insert(at);
                if autoscaling.refusal.is_some() && at.since(since) >= CALM {
                    let scope = WorkspaceScope::for_task(project.workspace_id);
                    platform
                        .store
                        .note_refusal(&scope, autoscaling, None)
                        .await?;
                }
            }
            Ok(Ok(load))
        }
    }
}

/// Why nothing is decided for a project, whatever is measured of it.
fn obstacle(project: &Project, facts: ProjectFacts) -> Option<&'static str> {
    match status(&status_facts(project, facts)) {
        ProjectStatus::Running => None,
        ProjectStatus::Stopped => Some("the project is stopped"),
        ProjectStatus::Suspended => Some("the workspace is suspended"),
        ProjectStatus::Deploying => Some("a deployment is on its way"),
        ProjectStatus::Created | ProjectStatus::Failed => Some("no version of it is live"),
        ProjectStatus::Degraded => Some("not all of its replicas are ready"),
    }
}

fn measured(project: &Project, round: &Round, at: Timestamp) -> Look {
    let latest = round.projects.get(&project.id);
    let web = latest.map(|latest| latest.web).unwrap_or_default();
    // One that could not be measured, and one that is about to end, make the sum another one.
    let is_whole = web.replicas > 0 && web.replicas == project.replicas;
    let within = round.counted_since.map(|since| at.since(since));
    Look {
        at,
        cpu: is_whole.then(|| Cpu {
            used_milli: web.cpu_milli,
            limit_milli: web.cpu_limit_milli / u64::from(web.replicas),
        }),
        requests: within
            .filter(|within| *within >= SHORTEST)
            .map(|within| Requests {
                count: latest.map_or(0, |latest| latest.sample.requests),
                within,
            }),
    }
}

/// Why there is no load.
fn lack(rules: &Rules, look: &Look) -> &'static str {
    if rules.cpu_percent.is_some() && look.cpu.is_none() {
        return "what its replicas use could not be measured";
    }
    if rules.requests_per_second.is_some() && look.requests.is_none() {
        return "the requests of visitors could not be counted";
    }
    "it is measured for thirty seconds first"
}

/// Changes the number of replicas, or notes why that cannot be.
async fn scale(
    platform: &Platform,
    project: &Project,
    autoscaling: &Autoscaling,
    to: u32,
    reason: &str,
) -> Result<()> {
    let refused = match change(platform, project, autoscaling, to, reason.to_owned()).await? {
        None => return Ok(()),
        Some(refused) => refused,
    };
    let one_more = project.replicas + 1;
    if to > one_more {
        let reason = format!("{reason}; there is no room for {to} at once");
        if change(platform, project, autoscaling, one_more, reason)
            .await?
            .is_none()
        {
            return Ok(());
        }
    }
    refuse(platform, project, autoscaling, to, refused).await
}

/// Changes the number of replicas. Answers why it was refused, if it was.
async fn change(
    platform: &Platform,
    project: &Project,
    autoscaling: &Autoscaling,
    to: u32,
    reason: String,
) -> Result<Option<String>> {
    let scaled = match platform
        .autoscale_project(project, autoscaling, to, reason)
        .await
    {
        Ok(scaled) => scaled,
        // Somebody changed something meanwhile; the next look begins with that.
        Err(Error::Conflict {
            code: "conflict", ..
        }) => return Ok(None),
        Err(
            Error::Conflict { message, .. }
            | Error::PaymentRequired { message, .. }
            | Error::Invalid { message, .. },
        ) => return Ok(Some(message)),
        Err(error) => return Err(error),
    };
    tracing::info!(
        workspace = %project.workspace,
        project = %project.slug,
        from = scaled.from,
        to,
        "a project gets another number of replicas"
    );
    let id = project.id;
    let replicas = match to {
        1 => "1 replica".to_owned(),
        to => format!("{to} replicas"),
    };
    let notice = NewNotice {
        workspace_id: project.workspace_id,
        project_id: Some(id),
        event: NoticeEvent::Autoscaled,
        key: format!("autoscaled/{id}/{}", scaled.at.as_nanos()),
        title: format!(
            "{}/{}: {replicas} instead of {}",
            project.workspace, project.slug, scaled.from
        ),
        text: format!("{}.", scaled.reason),
    };
    platform.notify(notice).await;
    Ok(None)
}

/// Notes that the replicas that are needed cannot be had, and has people told.
async fn refuse(
    platform: &Platform,
    project: &Project,
    autoscaling: &Autoscaling,
    wanted: u32,
    reason: String,
) -> Result<()> {
    let scope = WorkspaceScope::for_task(project.workspace_id);
    let before = autoscaling.refusal.as_ref();
    let refusal = Refusal {
        since: before.map_or(platform.now(), |before| before.since),
        wanted,
        reason,
    };
    if before != Some(&refusal) {
        platform
            .store
            .note_refusal(&scope, autoscaling, Some(&refusal))
            .await?;
    }
    let id = project.id;
    let (needed, there) = (refusal.wanted, project.replicas);
    let notice = NewNotice {
        workspace_id: project.workspace_id,
        project_id: Some(id),
        event: NoticeEvent::Autoscaled,
        key: format!("autoscaled/{id}/refused/{}", refusal.since.as_nanos()),
        title: format!(
            "{}/{}: {needed} replicas are needed, and it stays at {there}",
            project.workspace, project.slug
        ),
        text: format!("{}.", refusal.reason),
    };
    platform.notify(notice).await;
    Ok(())
}

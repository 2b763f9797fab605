//! Alert rules, looked at with each new round of the sampler.
//!
//! Guarantees: that a rule fires, or does not any more, is noted together with the notice of it, so that people are told
//! of each once, however often the server starts. A project of which nothing is to run fires nothing, and what fired for
//! it ends. Caveats: percentages are of what a replica may use now, also for the minutes before a change of that; the
//! first slot after a start has no requests, because what came before it is nobody's.
//! Not here: what fires when (`tose-model`, `alert.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use tose_api::alert::{AlertMetric, MetricValue};
use tose_api::notification::NoticeEvent;
use tose_api::{AlertId, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::alert::{AlertEnd, AlertTurn, Judgement, Measures, SLOT_SECONDS};
use tose_model::error::Result;
use tose_model::uptime::in_words;
use tose_store::{Alert, AlertBoard, AlertFiring, AlertProject};

use crate::app::Platform;
use crate::app::alert::AlertLook;
use crate::app::metrics::seconds;
use crate::app::notice::{NewNotice, PACE};
use crate::metrics::{Latest, Ring, Round, Sample};

const SLOT: i64 = SLOT_SECONDS as i64;

pub(crate) async fn run(platform: Arc<Platform>) {
    let mut watch = Watch {
        platform,
        limits: HashMap::new(),
    };
    let mut rounds = watch.platform.rounds.follow();
    while let Some((round, at)) = rounds.next().await {
        if let Err(error) = watch.look(&round, at).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "not all alert rules could be looked at; it is tried again"
            );
        }
    }
}

/// What one replica may use.
#[derive(Debug, Clone, Copy)]
struct Limits {
    cpu_milli: u64,
    memory_bytes: u64,
}

struct Watch {
    platform: Arc<Platform>,
    /// By the newest round in which the project ran.
    limits: HashMap<ProjectId, Limits>,
}

type Looks = HashMap<(AlertId, ProjectId), AlertLook>;

impl Watch {
    /// Looks at all rules. What cannot be learned of one project keeps nobody from the others.
    async fn look(&mut self, round: &Round, at: Timestamp) -> Result<()> {
        let board = self.platform.store.read_alert_board_for_task().await?;
        self.learn_limits(&board, round);
        let mut of_workspace: HashMap<WorkspaceId, Vec<&Alert>> = HashMap::new();
        for alert in &board.alerts {
            of_workspace
                .entry(alert.workspace_id)
                .or_default()
                .push(alert);
        }
        let firings: HashMap<_, _> = board
            .firings
            .iter()
            .map(|firing| ((firing.alert_id, firing.project_id), firing))
            .collect();
        let mut looks = Looks::new();
        let mut outcome = Ok(());
        for project in &board.projects {
            let alerts = of_workspace
                .get(&project.workspace_id)
                .into_iter()
                .flatten();
            let alerts: Vec<_> = alerts
                .filter(|alert| alert.is_about(project.id))
                .map(|alert| (*alert, firings.get(&(alert.id, project.id)).copied()))
                .collect();
            let seen = self
                .look_at_project(project, &alerts, round, at, &mut looks)
                .await;
            outcome = outcome.and(seen);
        }
        self.platform.alerts.replace(looks);
        outcome
    }

    fn learn_limits(&mut self, board: &AlertBoard, round: &Round) {
        let mut known = HashMap::with_capacity(board.projects.len());
        for project in &board.projects {
            let newest = round.projects.get(&project.id).and_then(limits);
            let limits = newest.or_else(|| self.limits.get(&project.id).copied());
            known.extend(limits.map(|limits| (project.id, limits)));
        }
        self.limits = known;
    }

    async fn look_at_project(
        &self,
        project: &AlertProject,
        alerts: &[(&Alert, Option<&AlertFiring>)],
        round: &Round,
        at: Timestamp,
        looks: &mut Looks,
    ) -> Result<()> {
        let limits = self.limits.get(&project.id).copied();
        let newest = round.projects.get(&project.id);
        let newest = newest.map(|latest| measures(&latest.sample, limits));
        let is_of_interest = |(alert, firing): &(&Alert, Option<&AlertFiring>)| {
            let value = newest.and_then(|newest| newest.value(alert.rule.metric));
            firing.is_some()
                || alert.rule.metric == AlertMetric::Restarts
                || value.is_none_or(|value| alert.rule.is_beyond(value))
        };
        let slot = seconds(at).div_euclid(SLOT) * SLOT;
        let slots = if !project.is_to_run {
            Vec::new()
        } else if alerts.iter().any(is_of_interest) {
            let needed = alerts.iter().map(|(alert, _)| alert.rule.needed_slots());
            let needed = i64::try_from(needed.max().unwrap_or(1)).unwrap_or(i64::MAX / SLOT);
            let times = slot - (needed - 1) * SLOT..slot + SLOT;
            let metrics = &self.platform.metrics;
            let found = metrics.slots(project.id, Ring::DAY, times).await?;
            let of_slot = |(time, sample): (i64, Sample)| (time, measures(&sample, limits));
            found.into_iter().map(of_slot).collect()
        } else {
            // Nothing can change: what was measured last says all that there is to say.
            Vec::from_iter(newest.map(|newest| (slot, newest)))
        };
        for (alert, firing) in alerts.iter().copied() {
            let needs_limits = matches!(
                alert.rule.metric,
                AlertMetric::CpuPercent | AlertMetric::MemoryPercent
            );
            let values = values(alert, &slots, slot);
            let mut judgement = alert.rule.judge(firing.is_some(), &values);
            let before_window = slot - i64::from(alert.rule.window_seconds);
            let is_measured = slots
                .iter()
                .any(|(time, measures)| *time > before_window && measures.is_measured);
            if needs_limits && limits.is_none() && is_measured {
                // Since the start no replica was seen: of how much it was a percentage is not known.
                judgement.turn = None;
            }
            let look = AlertLook {
                revision: alert.revision,
                value: judgement.value,
                at,
            };
            looks.insert((alert.id, project.id), look);
            self.note(alert, project, firing, judgement, at).await?;
        }
        Ok(())
    }

    /// Notes what changes and has people told of it.
    async fn note(
        &self,
        alert: &Alert,
        project: &AlertProject,
        firing: Option<&AlertFiring>,
        judgement: Judgement,
        at: Timestamp,
    ) -> Result<()> {
        let store = &self.platform.store;
        let scope = WorkspaceScope::for_task(project.workspace_id);
        let is_noted = match (judgement.turn, firing) {
            (Some(AlertTurn::Fired), None) => {
                let firing = AlertFiring {
                    alert_id: alert.id,
                    project_id: project.id,
                    since: at,
                };
                let text = alert.rule.fired_text(judgement.value.unwrap_or_default());
                let new = notice(alert, project, &firing, NoticeEvent::AlertFiring, text);
                let notice = self.platform.draft_notice(&new);
                store
                    .open_alert_firing(&scope, alert, &firing, &notice, PACE)
                    .await?
            }
            (Some(AlertTurn::Ended(why)), Some(firing)) => {
                let after = at.since(firing.since);
                let text = match (why, project.is_to_run) {
                    (AlertEnd::Unmeasured, false) => {
                        let after = in_words(after);
                        format!("nothing of the project is to run any more. It fired for {after}.")
                    }
                    (why, _) => alert.rule.ended_text(why, judgement.value, after),
                };
                let new = notice(alert, project, firing, NoticeEvent::AlertResolved, text);
                let notice = self.platform.draft_notice(&new);
                store
                    .close_alert_firing(&scope, alert, firing, &notice, PACE)
                    .await?
            }
            _ => false,
        };
        if is_noted {
            self.platform.signals.notices();
        }
        Ok(())
    }
}

fn notice(
    alert: &Alert,
    project: &AlertProject,
    firing: &AlertFiring,
    event: NoticeEvent,
    text: String,
) -> NewNotice {
    let (workspace, slug, name) = (&project.workspace, &project.slug, &alert.name);
    let word = match event {
        NoticeEvent::AlertFiring => "fires",
        _ => "is over",
    };
    let since = firing.since.as_nanos();
    NewNotice {
        workspace_id: project.workspace_id,
        project_id: Some(project.id),
        event,
        key: format!("{}/{}/{}/{since}", event.as_str(), alert.id, project.id),
        title: format!("{workspace}/{slug}: the alert {name} {word}"),
        text,
    }
}

/// What one replica of those that were measured may use.
fn limits(latest: &Latest) -> Option<Limits> {
    let share = |limit: u64| limit.checked_div(latest.sample.replicas);
    Some(Limits {
        cpu_milli: share(latest.cpu_limit_milli)?,
        memory_bytes: share(latest.memory_limit_bytes)?,
    })
}

fn measures(sample: &Sample, limits: Option<Limits>) -> Measures {
    let of_all = |limit: fn(Limits) -> u64| {
        let limit = limits.map_or(0, limit);
        limit.saturating_mul(sample.replicas)
    };
    Measures {
        is_measured: sample.samples > 0,
        cpu_milli: sample.cpu_milli,
        cpu_limit_milli: of_all(|limits| limits.cpu_milli),
        memory_bytes: sample.memory_bytes,
        memory_limit_bytes: of_all(|limits| limits.memory_bytes),
        disk_bytes: sample.disk_bytes,
        requests: sample.requests,
        errors_5xx: sample.errors_5xx,
        p95: sample.latency.quantile(950),
        restarts: sample.restarts,
    }
}

/// The values of a rule's metric up to the newest slot, one for each slot.
fn values(alert: &Alert, slots: &[(i64, Measures)], newest: i64) -> Vec<Option<MetricValue>> {
    let needed = alert.rule.needed_slots();
    let mut values = vec![None; needed];
    for (time, measures) in slots {
        let back = usize::try_from((newest - time) / SLOT).unwrap_or(usize::MAX);
        if let Some(place) = needed
            .checked_sub(1)
            .and_then(|last| last.checked_sub(back))
        {
            values[place] = measures.value(alert.rule.metric);
        }
    }
    values
}

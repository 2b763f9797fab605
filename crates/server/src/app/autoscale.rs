//! Autoscaling: what is set of it, what comes of it, and the change that it leads to.
//!
//! Guarantee: a change that is decided is made as `POST P/scale` makes it, with the same checks, and noted in the same
//! transaction; by settings or for a project that were changed meanwhile, none is.
//! Not here: when something is decided (`tasks/autoscale.rs`), and what (`tose_model::autoscale`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use tose_api::autoscaling::{
    AutoscalingLoad, AutoscalingView, RefusedScaling, ScaledView, SetAutoscaling,
};
use tose_api::workspace::Role;
use tose_api::{ProjectId, Timestamp};
use tose_model::access::{Access, Membership};
use tose_model::autoscale::{Load, MAX_REQUESTS, Rules};
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project};
use tose_store::{Autoscaling, AutoscalingSettings, ProjectChanges, Scaled};

use crate::app::Platform;

/// What the newest look at each project saw.
#[derive(Default)]
pub(crate) struct Autoscaler(Mutex<HashMap<ProjectId, Seen>>);

/// What a look at a project saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When.
    pub(crate) at: Timestamp,
    /// The settings by which it was looked at.
    pub(crate) revision: u64,
    /// The load, or why nothing can be decided.
    pub(crate) load: std::result::Result<Load, &'static str>,
}

impl Autoscaler {
    /// Tells of a look at all projects that are scaled.
    pub(crate) fn publish(&self, seen: HashMap<ProjectId, Seen>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn seen(&self, id: ProjectId, revision: u64) -> Option<Seen> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_project = seen.get(&id).filter(|seen| seen.revision == revision);
        of_project.cloned()
    }
}

impl Platform {
    pub(crate) async fn get_autoscaling(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<AutoscalingView> {
        let project = self.find_project(access, slug).await?;
        let autoscaling = self.autoscaling(access, &project).await?;
        Ok(self.autoscaling_view(&project, autoscaling))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn set_autoscaling(
        &self,
        access: &Access,
        slug: &str,
        input: SetAutoscaling,
    ) -> Result<AutoscalingView> {
        let project = self.find_project(access, slug).await?;
        let mut autoscaling = self.autoscaling(access, &project).await?;
        autoscaling.settings = changed(autoscaling.settings, &input);
        self.check_autoscaling(&project, autoscaling.settings)?;
        let event = self.event(access, "autoscaling.set", &project.slug);
        self.store
            .set_autoscaling(access.scope(), &autoscaling, self.now(), &event)
            .await?;
        self.get_autoscaling(access, slug).await
    }

    /// Forgets what was set; the replicas that there are stay.
    pub(crate) async fn delete_autoscaling(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<AutoscalingView> {
        let project = self.find_project(access, slug).await?;
        let event = self.event(access, "autoscaling.delete", &project.slug);
        self.store
            .delete_autoscaling(access.scope(), project.id, &event)
            .await?;
        self.get_autoscaling(access, slug).await
    }

    /// What is set of a project, or what it has until somebody sets it.
    async fn autoscaling(&self, access: &Access, project: &Project) -> Result<Autoscaling> {
        let found = self
            .store
            .find_autoscaling(access.scope(), project.id)
            .await?;
        Ok(found.unwrap_or(Autoscaling {
            project_id: project.id,
            workspace_id: project.workspace_id,
            settings: AutoscalingSettings {
                is_enabled: false,
                rules: Rules {
                    min_replicas: 1,
                    max_replicas: 1,
                    cpu_percent: None,
                    requests_per_second: None,
                },
            },
            revision: 0,
            scaled: None,
            refusal: None,
        }))
    }

    fn check_autoscaling(&self, project: &Project, settings: AutoscalingSettings) -> Result<()> {
        let rules = settings.rules;
        let most = self.config.limits.max_replicas;
        let mut problems = BTreeMap::new();
        let mut note = |field: &str, problem: String| {
            problems.insert(field.to_owned(), problem);
        };
        if !(1..=most).contains(&rules.min_replicas) {
            note("min_replicas", format!("must be between 1 and {most}"));
        }
        if !(1..=most).contains(&rules.max_replicas) {
            note("max_replicas", format!("must be between 1 and {most}"));
        } else if rules.max_replicas < rules.min_replicas {
            let problem = format!("must be min_replicas ({}) or more", rules.min_replicas);
            note("max_replicas", problem);
        }
        if rules
            .cpu_percent
            .is_some_and(|percent| !(1..=100).contains(&percent))
        {
            note("target_cpu_percent", "must be between 1 and 100".to_owned());
        }
        if rules
            .requests_per_second
            .is_some_and(|requests| !(1..=MAX_REQUESTS).contains(&requests))
        {
            let problem = format!("must be between 1 and {MAX_REQUESTS}");
            note("target_requests_per_second", problem);
        }
        let has_target = rules.cpu_percent.is_some() || rules.requests_per_second.is_some();
        if settings.is_enabled && !has_target {
            let problem = "is needed, or target_requests_per_second: say what a replica is to do";
            note("target_cpu_percent", problem.to_owned());
        }
        if !problems.is_empty() {
            let listed: Vec<_> = problems
                .iter()
                .map(|(field, problem)| format!("{field} {problem}"))
                .collect();
            return Err(Error::Invalid {
                message: listed.join("; "),
                fields: problems,
            });
        }
        if !settings.is_enabled {
            return Ok(());
        }
        // What cannot have so many replicas is refused with the words that scaling it has.
        self.check_project(
            project.source,
            project.image.as_ref(),
            &project.run,
            rules.max_replicas,
            project.build.as_ref(),
        )
    }

    fn autoscaling_view(&self, project: &Project, autoscaling: Autoscaling) -> AutoscalingView {
        let AutoscalingSettings { is_enabled, rules } = autoscaling.settings;
        let seen = self.autoscaler.seen(project.id, autoscaling.revision);
        let seen = seen.filter(|_| is_enabled);
        let (load, waiting) = match seen.as_ref().map(|seen| seen.load) {
            Some(Ok(load)) => (Some(load_view(&load, project.replicas)), None),
            Some(Err(reason)) => (None, Some(reason.to_owned())),
            None if is_enabled => (None, Some("it was not looked at so far".to_owned())),
            None => (None, None),
        };
        AutoscalingView {
            enabled: is_enabled,
            min_replicas: rules.min_replicas,
            max_replicas: rules.max_replicas,
            target_cpu_percent: rules.cpu_percent,
            target_requests_per_second: rules.requests_per_second,
            replicas: project.replicas,
            looked_at: seen.map(|seen| seen.at),
            load,
            waiting,
            last_scaled: autoscaling.scaled.map(|scaled| ScaledView {
                at: scaled.at,
                from: scaled.from,
                to: scaled.to,
                reason: scaled.reason,
            }),
            refused: autoscaling.refusal.map(|refusal| RefusedScaling {
                since: refusal.since,
                wanted: refusal.wanted,
                reason: refusal.reason,
            }),
        }
    }

    /// Refuses what somebody changes by hand that would be changed back at the next look.
    pub(super) async fn check_against_autoscaling(
        &self,
        access: &Access,
        before: &Project,
        changes: &ProjectChanges,
    ) -> Result<()> {
        let has_new_volumes = before.run.volumes.is_empty() && !changes.run.volumes.is_empty();
        if before.replicas == changes.replicas && !has_new_volumes {
            return Ok(());
        }
        let found = self
            .store
            .find_autoscaling(access.scope(), before.id)
            .await?;
        let Some(autoscaling) = found.filter(|found| found.settings.is_enabled) else {
            return Ok(());
        };
        let Rules {
            min_replicas: min,
            max_replicas: max,
            ..
        } = autoscaling.settings.rules;
        if has_new_volumes && max > 1 {
            let text = format!(
                "a project with volumes has one replica, and autoscaling may give it {max}: switch autoscaling off first"
            );
            return Err(Error::conflict("autoscaling_on", text));
        }
        if before.replicas == changes.replicas || (min..=max).contains(&changes.replicas) {
            return Ok(());
        }
        let text = format!(
            "autoscaling keeps between {min} and {max} replicas: choose a number within, set other bounds, or switch autoscaling off first"
        );
        Err(Error::conflict("autoscaling_on", text))
    }

    /// Changes a project to so many replicas, as was decided.
    ///
    /// # Errors
    /// What scaling it by hand is refused for; a conflict with the code `conflict` when the project or the settings
    /// were changed meanwhile.
    pub(crate) async fn autoscale_project(
        &self,
        project: &Project,
        autoscaling: &Autoscaling,
        to: u32,
        reason: String,
    ) -> Result<Scaled> {
        let access = Access::for_autoscaling(Membership {
            workspace_id: project.workspace_id,
            workspace: project.workspace.clone(),
            role: Role::Admin,
        });
        let changes = ProjectChanges {
            name: project.name.clone(),
            source: project.source,
            image: project.image.clone(),
            run: project.run.clone(),
            build: project.build.clone(),
            replicas: to,
            scale: project.scale.clone(),
        };
        self.check_project(
            changes.source,
            changes.image.as_ref(),
            &changes.run,
            changes.replicas,
            changes.build.as_ref(),
        )?;
        if project.desired == DesiredState::Running {
            self.check_growth(&access, project, &changes).await?;
        }
        let scaled = Scaled {
            at: self.now(),
            from: project.replicas,
            to,
            reason,
        };
        let event = self.event(&access, "project.autoscale", &project.slug);
        self.store
            .autoscale_project(
                access.scope(),
                autoscaling,
                project.generation,
                &changes,
                &scaled,
                &event,
            )
            .await?;
        self.signals.project(project.id);
        Ok(scaled)
    }
}

fn changed(before: AutoscalingSettings, input: &SetAutoscaling) -> AutoscalingSettings {
    let rules = before.rules;
    AutoscalingSettings {
        is_enabled: input.enabled.unwrap_or(before.is_enabled),
        rules: Rules {
            min_replicas: input.min_replicas.unwrap_or(rules.min_replicas),
            max_replicas: input.max_replicas.unwrap_or(rules.max_replicas),
            cpu_percent: input.target_cpu_percent.unwrap_or(rules.cpu_percent),
            requests_per_second: input
                .target_requests_per_second
                .unwrap_or(rules.requests_per_second),
        },
    }
}

fn load_view(load: &Load, replicas: u32) -> AutoscalingLoad {
    AutoscalingLoad {
        cpu_percent: load.cpu.and_then(|cpu| {
            let limit = cpu.limit_milli.saturating_mul(replicas.into());
            let percent = cpu.used_milli.saturating_mul(100).checked_div(limit)?;
            u32::try_from(percent).ok()
        }),
        requests_per_second_milli: load.requests_milli,
        wanted: load.wanted,
    }
}

//! Schedules: keeping them, and running those that are due.

use std::sync::atomic::{AtomicI64, Ordering};

use tose_api::schedule::{ScheduleView, ScheduledJob, SetSchedule, SkippedRun};
use tose_api::workspace::Deleted;
use tose_api::{JobId, Slug, Timestamp};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::DesiredState;
use tose_model::schedule::{Cron, Schedule};
use tose_store::{NewJob, ScheduleRun};

use crate::app::Platform;
use crate::app::exec::check_command;
use crate::app::job::parse_timeout;

/// The most schedules of a project.
const MOST: u32 = 20;
/// The zone where the author names none.
const DEFAULT_ZONE: &str = "UTC";

/// When the next schedule is due, as far as is known: never later than it is.
#[derive(Debug, Default)]
pub(crate) struct NextDue(AtomicI64);

impl NextDue {
    /// Whether one may be due.
    pub(crate) fn is_reached(&self, now: Timestamp) -> bool {
        self.0.load(Ordering::Acquire) <= now.as_nanos()
    }

    /// Notes what the store says. One that is set meanwhile is not lost: it comes after.
    pub(crate) fn set(&self, at: Option<Timestamp>) {
        let nanos = at.map_or(i64::MAX, |at| at.as_nanos());
        self.0.store(nanos, Ordering::Release);
    }

    /// Notes one more.
    pub(crate) fn include(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.0.fetch_min(at.as_nanos(), Ordering::AcqRel);
        }
    }
}

impl Platform {
    pub(crate) async fn list_schedules(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<Vec<ScheduleView>> {
        let project = self.find_project(access, slug).await?;
        let schedules = self
            .store
            .list_schedules(access.scope(), project.id)
            .await?;
        let mut views = Vec::with_capacity(schedules.len());
        for schedule in schedules {
            views.push(self.schedule_view(access, schedule).await?);
        }
        Ok(views)
    }

    /// Keeps a schedule, in place of the one with its name. It is due at the next time from now on.
    pub(crate) async fn set_schedule(
        &self,
        access: &Access,
        slug: &str,
        name: &str,
        input: SetSchedule,
    ) -> Result<ScheduleView> {
        check_command(&input.command)?;
        let timeout_seconds = parse_timeout(input.timeout_seconds)?;
        let name: Slug = name.parse().map_err(|_| {
            Error::invalid_field(
                "name",
                "must have 1 to 40 small letters, digits and hyphens",
            )
        })?;
        let timezone = input.timezone.unwrap_or_else(|| DEFAULT_ZONE.to_owned());
        let cron = Cron::parse(&input.cron, &timezone)?;
        let project = self.find_project(access, slug).await?;
        let now = self.now();
        let is_on = input.enabled.unwrap_or(true);
        let schedule = Schedule {
            workspace_id: project.workspace_id,
            project_id: project.id,
            name,
            cron: input.cron,
            timezone,
            command: input.command,
            timeout_seconds,
            next_at: cron.next_after(now).filter(|_| is_on),
            last_job: None,
            last_skip: None,
            updated_by: access.actor().name.clone(),
            updated_at: now,
        };
        let target = format!("{}/{}", project.slug, schedule.name);
        let event = self.event(access, "schedule.set", target);
        let kept = self
            .store
            .put_schedule(access.scope(), &schedule, MOST, &event)
            .await;
        if let Err(tose_store::Error::Conflict(_)) = kept {
            let text = format!("a project has at most {MOST} schedules; remove one first");
            return Err(Error::conflict("too_many_schedules", text));
        }
        kept?;
        self.next_due.include(schedule.next_at);
        let kept = self
            .store
            .list_schedules(access.scope(), project.id)
            .await?;
        let found = kept.into_iter().find(|one| one.name == schedule.name);
        self.schedule_view(access, found.unwrap_or(schedule)).await
    }

    pub(crate) async fn delete_schedule(
        &self,
        access: &Access,
        slug: &str,
        name: &str,
    ) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let name: Slug = name.parse().map_err(|_| Error::NotFound("schedule"))?;
        let event = self.event(
            access,
            "schedule.delete",
            format!("{}/{name}", project.slug),
        );
        self.store
            .delete_schedule(access.scope(), project.id, &name, &event)
            .await?;
        Ok(Deleted {
            deleted: name.to_string(),
        })
    }

    async fn schedule_view(&self, access: &Access, schedule: Schedule) -> Result<ScheduleView> {
        let job = match schedule.last_job {
            Some(id) => Some(
                self.store
                    .get_job(access.scope(), schedule.project_id, id)
                    .await?,
            ),
            None => None,
        };
        Ok(ScheduleView {
            name: schedule.name,
            cron: schedule.cron,
            timezone: schedule.timezone,
            command: schedule.command,
            timeout_seconds: schedule.timeout_seconds,
            enabled: schedule.next_at.is_some(),
            next_at: schedule.next_at,
            last_job: job.map(|job| ScheduledJob {
                id: job.id,
                status: job.status,
                created_at: job.created_at,
            }),
            last_skip: schedule
                .last_skip
                .map(|(due_at, reason)| SkippedRun { due_at, reason }),
            updated_at: schedule.updated_at,
        })
    }

    /// Does what a schedule is due for: once, however long it has been due.
    pub(crate) async fn run_schedule(&self, scope: &WorkspaceScope, due: &Schedule) -> Result<()> {
        let now = self.now();
        let next_at = Cron::parse(&due.cron, &due.timezone)?.next_after(now);
        let run = self.plan_run(scope, due).await?;
        match self.store.run_schedule(scope, due, next_at, &run).await {
            Ok(()) => {}
            // It was changed in this moment; the change says when it is due.
            Err(tose_store::Error::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let ScheduleRun::Skip(reason) = &run {
            tracing::info!(project_id = %due.project_id, schedule = %due.name, reason, "a schedule did not run");
        }
        self.signals.project(due.project_id);
        Ok(())
    }

    async fn plan_run(&self, scope: &WorkspaceScope, due: &Schedule) -> Result<ScheduleRun> {
        let skip = |reason: &str| Ok(ScheduleRun::Skip(reason.to_owned()));
        let found = self.store.find_project(scope, due.project_id).await?;
        let Some((project, _)) = found else {
            return skip("the project was deleted");
        };
        if project.desired == DesiredState::Stopped {
            return skip("the project is stopped");
        }
        if let Err(Error::PaymentRequired { message, .. }) = self.require_funds(scope).await {
            return skip(&message);
        }
        let last = self
            .store
            .find_last_live_deployment(scope, due.project_id)
            .await?;
        let Some(version) = last.filter(|deployment| deployment.image.is_some()) else {
            return skip("nothing was deployed so far");
        };
        Ok(ScheduleRun::Job(NewJob {
            id: JobId::from_uuid(self.ids.uuid()),
            project_id: due.project_id,
            deployment_id: version.id,
            command: due.command.clone(),
            timeout_seconds: due.timeout_seconds,
            created_by: due.updated_by.clone(),
            is_release: false,
            schedule: Some(due.name.clone()),
            now: self.now(),
        }))
    }
}

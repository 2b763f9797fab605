//! Maintenances: times in which failures of projects are expected.
//!
//! Not here: when one is under way (`tose_model::maintenance`), leaving checks out of what counts (`tasks/uptime.rs`).

use std::collections::HashSet;
use std::time::Duration;

use tose_api::maintenance::{CreateMaintenance, MaintenanceTime, MaintenanceView};
use tose_api::workspace::Deleted;
use tose_api::{MaintenanceId, ProjectId, Slug, Timestamp};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::maintenance::MaintenanceTimes;
use tose_store::Maintenance;

use crate::app::{Platform, UptimeCall};

/// The most maintenances of a workspace that have not ended; those that repeat never do.
pub(super) const MOST: u32 = 100;
/// How many are shown.
const SHOWN: u32 = 200;
/// The most projects that one names.
const MOST_PROJECTS: usize = 100;
/// The longest title, in characters.
const MAX_TITLE: usize = 100;
/// For how long those that ended are shown.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

impl Platform {
    pub(crate) async fn list_maintenances(&self, access: &Access) -> Result<Vec<MaintenanceView>> {
        let now = self.now();
        let since = now.saturating_sub(KEPT);
        let listed = self
            .store
            .list_maintenances(access.scope(), since, SHOWN)
            .await?;
        Ok(listed.into_iter().map(|one| view(one, now)).collect())
    }

    pub(crate) async fn create_maintenance(
        &self,
        access: &Access,
        input: CreateMaintenance,
    ) -> Result<MaintenanceView> {
        let now = self.now();
        let title = plain_text("title", &input.title, MAX_TITLE)?;
        let times = MaintenanceTimes {
            first: MaintenanceTime {
                starts_at: input.starts_at,
                ends_at: input.ends_at,
            },
            repeat: input.repeat,
        };
        times.check(now)?;
        let projects = match input.projects {
            None => None,
            Some(slugs) => Some(self.projects_of(access, &slugs).await?),
        };
        let new = Maintenance {
            id: MaintenanceId::from_uuid(self.ids.uuid()),
            title,
            times,
            projects,
            created_at: now,
        };
        let event = self.event(access, "maintenance.create", &new.title);
        let made = self
            .store
            .create_maintenance(access.scope(), &new, MOST, &event)
            .await;
        if let Err(tose_store::Error::Conflict(_)) = made {
            let text = format!("{MOST} maintenances have not ended; take one away first");
            return Err(Error::conflict("too_many_maintenances", text));
        }
        made?;
        self.signals.uptime(UptimeCall::Maintenance);
        Ok(view(new, now))
    }

    pub(crate) async fn delete_maintenance(&self, access: &Access, id: &str) -> Result<Deleted> {
        let id: MaintenanceId = id.parse().map_err(|_| Error::NotFound("maintenance"))?;
        let event = self.event(access, "maintenance.delete", id);
        self.store
            .delete_maintenance(access.scope(), id, &event)
            .await?;
        self.signals.uptime(UptimeCall::Maintenance);
        Ok(Deleted {
            deleted: id.to_string(),
        })
    }

    /// The projects, instances and databases with these slugs.
    async fn projects_of(&self, access: &Access, slugs: &[Slug]) -> Result<Vec<(ProjectId, Slug)>> {
        if slugs.is_empty() || slugs.len() > MOST_PROJECTS {
            let problem = "must name 1 to 100 projects, or be left out for all";
            return Err(Error::invalid_field("projects", problem));
        }
        let mut seen = HashSet::new();
        let mut projects = Vec::with_capacity(slugs.len());
        for slug in slugs.iter().filter(|slug| seen.insert(*slug)) {
            let project = self.find_named(access, "projects", slug).await?;
            projects.push((project.id, project.slug));
        }
        projects.sort_by(|(_, a), (_, b)| a.cmp(b));
        Ok(projects)
    }
}

/// A text of one line that people read.
pub(super) fn plain_text(field: &'static str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        let problem = format!("must have 1 to {most} characters, none of them a control character");
        return Err(Error::invalid_field(field, problem));
    }
    Ok(text.to_owned())
}

fn view(maintenance: Maintenance, now: Timestamp) -> MaintenanceView {
    let slugs = |projects: Vec<(ProjectId, Slug)>| projects.into_iter().map(|(_, slug)| slug);
    MaintenanceView {
        id: maintenance.id,
        title: maintenance.title,
        starts_at: maintenance.times.first.starts_at,
        ends_at: maintenance.times.first.ends_at,
        repeat: maintenance.times.repeat,
        next: maintenance.times.next(now),
        projects: maintenance
            .projects
            .map(|projects| slugs(projects).collect()),
        created_at: maintenance.created_at,
    }
}

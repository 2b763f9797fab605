//! Status pages: what a workspace shows everybody of its projects.
//!
//! Guarantees: nothing is shown of a project that the page does not name, nor where it is or why it was down. What is
//! shown is put together once in [`FRESH`] at most, however many look. Not here: how it looks (`http/status_page.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tose_api::status_page::{
    PublicDay, PublicIncident, PublicMaintenance, PublicProject, PublicState, PublicStatus,
    SetStatusPage, StatusPageProject, StatusPageView,
};
use tose_api::uptime::{UptimeShares, UptimeStatus};
use tose_api::{ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::uptime::share;
use tose_store::{CheckSum, Maintenance, ShownProject, StatusPage};

use crate::app::Platform;
use crate::app::maintenance::{MOST as MOST_PLANNED, plain_text};

/// How old a page may be.
const FRESH: Duration = Duration::from_secs(5);
/// The most pages that are kept in memory.
const MOST_KEPT: usize = 256;
/// The most projects of a page.
const MOST_PROJECTS: usize = 50;
/// The longest title and the longest name, in characters.
const MAX_TITLE: usize = 100;
const MAX_NAME: usize = 60;
const DAY: Duration = Duration::from_secs(24 * 3600);
const NANOS_PER_DAY: i64 = 86_400_000_000_000;
/// How many days are shown.
const DAYS: u32 = 90;
/// How many incidents and maintenances are shown.
const MOST_INCIDENTS: u32 = 50;
const MOST_MAINTENANCES: usize = 50;

/// What everybody can see of a workspace, and the slugs by which its badges are named.
#[derive(Debug)]
pub(crate) struct PublicPage {
    pub(crate) status: PublicStatus,
    /// Of `status.projects`, in their order.
    pub(crate) slugs: Vec<Slug>,
}

type Kept = Arc<tokio::sync::Mutex<Option<(Timestamp, Arc<PublicPage>)>>>;

/// The pages that were put together lately.
#[derive(Default)]
pub(crate) struct KeptPages(Mutex<HashMap<WorkspaceId, Kept>>);

impl KeptPages {
    fn of(&self, workspace_id: WorkspaceId) -> Kept {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= MOST_KEPT && !pages.contains_key(&workspace_id) {
            pages.clear();
        }
        Arc::clone(pages.entry(workspace_id).or_default())
    }

    fn forget(&self, workspace_id: WorkspaceId) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.remove(&workspace_id);
    }
}

impl Platform {
    pub(crate) async fn get_status_page(&self, access: &Access) -> Result<StatusPageView> {
        let page = self.status_page(access).await?;
        Ok(self.status_page_view(access, page))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn set_status_page(
        &self,
        access: &Access,
        input: SetStatusPage,
    ) -> Result<StatusPageView> {
        let mut page = self.status_page(access).await?;
        if let Some(is_enabled) = input.enabled {
            page.is_enabled = is_enabled;
        }
        if let Some(title) = &input.title {
            page.title = plain_text("title", title, MAX_TITLE)?;
        }
        if let Some(projects) = input.projects {
            page.projects = self.shown_projects(access, projects).await?;
        }
        page.updated_at = self.now();
        let event = self.event(access, "status_page.set", access.workspace());
        self.store
            .set_status_page(access.scope(), &page, &event)
            .await?;
        self.status_pages.forget(access.scope().id());
        Ok(self.status_page_view(access, page))
    }

    /// The workspace's page, or the one that it has until somebody sets it.
    async fn status_page(&self, access: &Access) -> Result<StatusPage> {
        let found = self.store.find_status_page(access.scope()).await?;
        Ok(found.unwrap_or_else(|| StatusPage {
            is_enabled: false,
            title: access.workspace().to_string(),
            projects: Vec::new(),
            updated_at: self.now(),
        }))
    }

    fn status_page_view(&self, access: &Access, page: StatusPage) -> StatusPageView {
        let shown = |project: ShownProject| StatusPageProject {
            slug: project.slug,
            name: project.name,
        };
        let path = format!("/status/{}", access.workspace());
        StatusPageView {
            enabled: page.is_enabled,
            title: page.title,
            projects: page.projects.into_iter().map(shown).collect(),
            url: self.config.public_address(&path),
        }
    }

    async fn shown_projects(
        &self,
        access: &Access,
        wanted: Vec<StatusPageProject>,
    ) -> Result<Vec<ShownProject>> {
        let refuse = |problem: String| Error::invalid_field("projects", problem);
        if wanted.len() > MOST_PROJECTS {
            return Err(refuse(format!("must name at most {MOST_PROJECTS}")));
        }
        let mut seen = HashSet::new();
        let mut shown = Vec::with_capacity(wanted.len());
        for StatusPageProject { slug, name } in wanted {
            let name = name
                .map(|name| plain_text("projects", &name, MAX_NAME))
                .transpose()?;
            let found = self.store.get_project(access.scope(), slug.as_str()).await;
            let project = match found {
                Ok((project, _)) => project,
                Err(tose_store::Error::NotFound(_)) => {
                    let problem = format!("the workspace has nothing with the slug {slug}");
                    return Err(refuse(problem));
                }
                Err(error) => return Err(error.into()),
            };
            if !seen.insert(project.id) {
                return Err(refuse(format!("names {slug} twice")));
            }
            shown.push(ShownProject {
                id: project.id,
                slug: project.slug,
                name,
            });
        }
        Ok(shown)
    }

    /// What everybody can see of the workspace with this slug.
    ///
    /// # Errors
    /// `NotFound`, the same for a workspace that shows nothing and for one that is not there.
    pub(crate) async fn public_page(&self, slug: &str) -> Result<Arc<PublicPage>> {
        let found = self.store.find_public_page(slug).await?;
        let workspace_id = found.ok_or(Error::NotFound("status page"))?;
        let kept = self.status_pages.of(workspace_id);
        // Who comes while it is put together waits for it instead of doing the same.
        let mut kept = kept.lock().await;
        let now = self.now();
        if let Some((at, page)) = &*kept
            && *at <= now
            && now.since(*at) < FRESH
        {
            return Ok(Arc::clone(page));
        }
        let scope = WorkspaceScope::for_task(workspace_id);
        let page = self.store.find_status_page(&scope).await?;
        let page = page.ok_or(Error::NotFound("status page"))?;
        let page = Arc::new(self.put_together(&scope, page, now).await?);
        *kept = Some((now, Arc::clone(&page)));
        Ok(page)
    }

    async fn put_together(
        &self,
        scope: &WorkspaceScope,
        page: StatusPage,
        now: Timestamp,
    ) -> Result<PublicPage> {
        let since = now.saturating_sub(DAY * DAYS);
        let statuses = self.store.list_shown_statuses(scope).await?;
        let days = self.store.sum_shown_days(scope, since).await?;
        let planned = self
            .store
            .list_maintenances(scope, now, MOST_PLANNED)
            .await?;
        let mut projects = Vec::with_capacity(page.projects.len());
        for shown in &page.projects {
            let is_maintained = planned
                .iter()
                .any(|one| one.times.covers(now) && is_of(one, shown.id));
            projects.push(PublicProject {
                name: name_of(shown),
                status: match statuses.get(&shown.id) {
                    _ if is_maintained => PublicState::Maintenance,
                    Some(UptimeStatus::Up) => PublicState::Up,
                    Some(UptimeStatus::Down) => PublicState::Down,
                    Some(UptimeStatus::Unknown | UptimeStatus::Paused) | None => {
                        PublicState::Unknown
                    }
                },
                uptime: self.shares(scope, shown.id).await?,
                days: bars(&days, shown.id, now),
            });
        }
        let mut maintenance: Vec<_> = planned
            .iter()
            .filter_map(|one| public_maintenance(one, &page.projects, now))
            .collect();
        maintenance.sort_by_key(|one| one.starts_at);
        maintenance.truncate(MOST_MAINTENANCES);
        let incidents = self
            .store
            .list_shown_incidents(scope, since, MOST_INCIDENTS)
            .await?;
        let names: HashMap<_, _> = page
            .projects
            .iter()
            .map(|shown| (shown.id, name_of(shown)))
            .collect();
        let incidents = incidents.into_iter().filter_map(|incident| {
            let end = incident.ended_at.unwrap_or(now);
            Some(PublicIncident {
                name: names.get(&incident.project_id)?.clone(),
                started_at: incident.started_at,
                ended_at: incident.ended_at,
                duration_sec: end.since(incident.started_at).as_secs(),
            })
        });
        Ok(PublicPage {
            status: PublicStatus {
                title: page.title,
                status: worst(&projects),
                updated_at: now,
                incidents: incidents.collect(),
                projects,
                maintenance,
            },
            slugs: page.projects.into_iter().map(|shown| shown.slug).collect(),
        })
    }

    async fn shares(&self, scope: &WorkspaceScope, project_id: ProjectId) -> Result<UptimeShares> {
        let now = self.now();
        let since = [1, 7, 30, 90].map(|days| now.saturating_sub(DAY * days));
        let sums = self.store.sum_checks(scope, project_id, since).await?;
        let [h24, d7, d30, d90] = sums.map(|sum| share(sum.good, sum.total));
        Ok(UptimeShares { h24, d7, d30, d90 })
    }
}

fn name_of(shown: &ShownProject) -> String {
    shown.name.clone().unwrap_or_else(|| shown.slug.to_string())
}

fn is_of(maintenance: &Maintenance, project_id: ProjectId) -> bool {
    let projects = maintenance.projects.as_ref();
    projects.is_none_or(|projects| projects.iter().any(|(id, _)| *id == project_id))
}

/// A maintenance with what of the page it is of; `None` if that is nothing, or if it is over.
fn public_maintenance(
    one: &Maintenance,
    shown: &[ShownProject],
    now: Timestamp,
) -> Option<PublicMaintenance> {
    let next = one.times.next(now)?;
    let of_it = shown.iter().filter(|shown| is_of(one, shown.id));
    let names: Vec<_> = of_it.map(name_of).collect();
    (!names.is_empty()).then(|| PublicMaintenance {
        title: one.title.clone(),
        starts_at: next.starts_at,
        ends_at: next.ends_at,
        repeat: one.times.repeat,
        names,
    })
}

/// The last days of a project, the oldest first.
fn bars(
    sums: &HashMap<(ProjectId, i64), CheckSum>,
    project_id: ProjectId,
    now: Timestamp,
) -> Vec<PublicDay> {
    let today = now.as_nanos().div_euclid(NANOS_PER_DAY);
    let first = today + 1 - i64::from(DAYS);
    (first..=today)
        .map(|day| {
            let begin = Timestamp::from_nanos(day.saturating_mul(NANOS_PER_DAY)).to_string();
            let sum = sums.get(&(project_id, day)).copied().unwrap_or_default();
            PublicDay {
                date: begin.chars().take_while(|char| *char != 'T').collect(),
                uptime: share(sum.good, sum.total),
            }
        })
        .collect()
}

fn worst(projects: &[PublicProject]) -> PublicState {
    let order = [PublicState::Down, PublicState::Maintenance, PublicState::Up];
    order
        .into_iter()
        .find(|state| projects.iter().any(|project| project.status == *state))
        .unwrap_or(PublicState::Unknown)
}

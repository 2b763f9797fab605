//! Alert rules: what people want to be told of, and how that stands.
//!
//! Not here: when a rule fires (`tose-model`, `alert.rs`), and looking at it (`tasks/alerts.rs`).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tose_api::alert::{
    AlertComparison, AlertMetric, AlertProjectState, AlertState, AlertView, CreateAlert,
    MetricValue, UpdateAlert,
};
use tose_api::workspace::Deleted;
use tose_api::{AlertId, ProjectId, Slug, Timestamp};
use tose_model::access::Access;
use tose_model::alert::AlertRule;
use tose_model::error::{Error, Result};
use tose_store::{Alert, AlertFiring, AlertProject};

use crate::app::Platform;

/// The most rules of a workspace.
const MOST: u32 = 50;
/// For how many projects it is told how a rule stands.
const MOST_STATES: usize = 100;
/// Seconds of a window, in whole minutes.
const WINDOWS: std::ops::RangeInclusive<u32> = 60..=3600;

/// What was seen of rules and projects when they were looked at last.
#[derive(Default)]
pub(crate) struct AlertLooks(RwLock<HashMap<(AlertId, ProjectId), AlertLook>>);

/// What was seen of a rule and a project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertLook {
    /// The rule as it was then.
    pub(crate) revision: u64,
    /// What was measured; `None` if nothing was.
    pub(crate) value: Option<MetricValue>,
    /// When.
    pub(crate) at: Timestamp,
}

impl AlertLooks {
    /// Puts what was seen in place of what was seen before.
    pub(crate) fn replace(&self, looks: HashMap<(AlertId, ProjectId), AlertLook>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = looks;
    }

    /// What was seen of a rule as it is, and a project.
    fn find(&self, alert: &Alert, project_id: ProjectId) -> Option<AlertLook> {
        let looks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let look = looks.get(&(alert.id, project_id)).copied();
        look.filter(|look| look.revision == alert.revision)
    }
}

impl Platform {
    pub(crate) async fn list_alerts(&self, access: &Access) -> Result<Vec<AlertView>> {
        let alerts = self.store.list_alerts(access.scope()).await?;
        self.alert_views(access, alerts).await
    }

    pub(crate) async fn get_alert(&self, access: &Access, id: &str) -> Result<AlertView> {
        let alert = self.find_alert(access, id).await?;
        self.alert_view(access, alert).await
    }

    /// Looks at it from the next measurement on.
    pub(crate) async fn create_alert(
        &self,
        access: &Access,
        input: CreateAlert,
    ) -> Result<AlertView> {
        let now = self.now();
        let alert = Alert {
            id: AlertId::from_uuid(self.ids.uuid()),
            workspace_id: access.scope().id(),
            name: input.name,
            rule: AlertRule {
                metric: input.metric,
                comparison: input.comparison,
                threshold: input.threshold,
                window_seconds: input.window_seconds,
            },
            project_id: self.alert_project(access, input.project).await?,
            is_enabled: input.enabled.unwrap_or(true),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        check(&alert.rule)?;
        let event = self.event(access, "alert.create", &alert.name);
        let made = self
            .store
            .create_alert(access.scope(), &alert, MOST, &event)
            .await;
        if let Err(tose_store::Error::Conflict(_)) = made {
            let text = format!("a workspace has at most {MOST} alert rules; remove one first");
            return Err(Error::conflict("too_many_alerts", text));
        }
        made?;
        self.alert_view(access, alert).await
    }

    /// Changes what was sent and keeps the rest. What fires is forgotten, unless only the name is another one.
    pub(crate) async fn update_alert(
        &self,
        access: &Access,
        id: &str,
        input: UpdateAlert,
    ) -> Result<AlertView> {
        let mut alert = self.find_alert(access, id).await?;
        alert.name = input.name.unwrap_or(alert.name);
        let rule = &mut alert.rule;
        rule.metric = input.metric.unwrap_or(rule.metric);
        rule.comparison = input.comparison.unwrap_or(rule.comparison);
        rule.threshold = input.threshold.unwrap_or(rule.threshold);
        rule.window_seconds = input.window_seconds.unwrap_or(rule.window_seconds);
        check(rule)?;
        if let Some(project) = input.project {
            alert.project_id = self.alert_project(access, project).await?;
        }
        alert.is_enabled = input.enabled.unwrap_or(alert.is_enabled);
        alert.updated_at = self.now();
        let event = self.event(access, "alert.update", &alert.name);
        self.store
            .update_alert(access.scope(), &alert, &event)
            .await?;
        alert.revision += 1;
        self.alert_view(access, alert).await
    }

    pub(crate) async fn delete_alert(&self, access: &Access, id: &str) -> Result<Deleted> {
        let alert = self.find_alert(access, id).await?;
        let event = self.event(access, "alert.delete", &alert.name);
        self.store
            .delete_alert(access.scope(), alert.id, &event)
            .await?;
        Ok(Deleted {
            deleted: alert.id.to_string(),
        })
    }

    async fn find_alert(&self, access: &Access, id: &str) -> Result<Alert> {
        let missing = Error::NotFound("alert");
        let Ok(id) = id.parse() else {
            return Err(missing);
        };
        let found = self.store.find_alert(access.scope(), id).await?;
        found.ok_or(missing)
    }

    /// The project, instance or database of the workspace with this slug.
    async fn alert_project(
        &self,
        access: &Access,
        slug: Option<Slug>,
    ) -> Result<Option<ProjectId>> {
        let Some(slug) = slug else {
            return Ok(None);
        };
        let project = self.find_named(access, "project", &slug).await?;
        Ok(Some(project.id))
    }

    async fn alert_view(&self, access: &Access, alert: Alert) -> Result<AlertView> {
        let views = self.alert_views(access, vec![alert]).await?;
        views.into_iter().next().ok_or(Error::NotFound("alert"))
    }

    async fn alert_views(&self, access: &Access, alerts: Vec<Alert>) -> Result<Vec<AlertView>> {
        let projects = self.store.list_alert_projects(access.scope()).await?;
        let firings = self.store.list_alert_firings(access.scope()).await?;
        let since: HashMap<_, _> = firings
            .iter()
            .map(|firing| ((firing.alert_id, firing.project_id), firing))
            .collect();
        let view = |alert| view(alert, &projects, &since, &self.alerts);
        Ok(alerts.into_iter().map(view).collect())
    }
}

/// Looks whether a rule makes sense.
fn check(rule: &AlertRule) -> Result<()> {
    let window = rule.window_seconds;
    if !WINDOWS.contains(&window) || !window.is_multiple_of(60) {
        let problem = "must be whole minutes in seconds, from 60 to 3600";
        return Err(Error::invalid_field("window_seconds", problem));
    }
    if rule.metric == AlertMetric::Restarts && rule.comparison == AlertComparison::Below {
        let problem = "must be above for restarts";
        return Err(Error::invalid_field("comparison", problem));
    }
    Ok(())
}

fn view(
    alert: Alert,
    projects: &[AlertProject],
    firings: &HashMap<(AlertId, ProjectId), &AlertFiring>,
    looks: &AlertLooks,
) -> AlertView {
    let mut states: Vec<_> = projects
        .iter()
        .filter(|project| alert.is_about(project.id))
        .filter_map(|project| {
            let firing = firings.get(&(alert.id, project.id));
            let look = looks.find(&alert, project.id).filter(|_| alert.is_enabled);
            if firing.is_none() && look.is_none() {
                return None;
            }
            let value = look.and_then(|look| look.value);
            Some(AlertProjectState {
                project: project.slug.clone(),
                state: match (firing, value) {
                    (Some(_), _) => AlertState::Firing,
                    (None, Some(_)) => AlertState::Ok,
                    (None, None) => AlertState::Unknown,
                },
                since: firing.map(|firing| firing.since),
                value,
                seen_at: look.map(|look| look.at),
            })
        })
        .collect();
    // The order of slugs stays within each part.
    states.sort_by_key(|state| state.since.is_none());
    let firing = states.iter().filter(|state| state.since.is_some()).count();
    states.truncate(MOST_STATES);
    let about = projects
        .iter()
        .find(|project| alert.project_id == Some(project.id));
    let rule = alert.rule;
    AlertView {
        id: alert.id,
        name: alert.name,
        metric: rule.metric,
        comparison: rule.comparison,
        threshold: rule.threshold,
        window_seconds: rule.window_seconds,
        project: about.map(|project| project.slug.clone()),
        enabled: alert.is_enabled,
        firing: u32::try_from(firing).unwrap_or(u32::MAX),
        states,
        created_at: alert.created_at,
        updated_at: alert.updated_at,
    }
}

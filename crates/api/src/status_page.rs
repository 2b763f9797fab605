//! Public status pages: what a workspace shows everybody of its projects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::maintenance::MaintenanceRepeat;
use crate::uptime::UptimeShares;
use crate::{Slug, Timestamp};

/// Body of `PUT W/status-page`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetStatusPage {
    /// Whether everybody can see it; `false` until it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What stands above it; the workspace's slug until it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub title: Option<String>,
    /// What is shown, in this order, in place of what was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub projects: Option<Vec<StatusPageProject>>,
}

/// A project, instance or database that a status page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusPageProject {
    /// Which.
    pub slug: Slug,
    /// What it is called there; without it, its slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 60))]
    pub name: Option<String>,
}

/// A workspace's status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusPageView {
    /// Whether everybody can see it.
    pub enabled: bool,
    /// What stands above it.
    pub title: String,
    /// What is shown, in this order.
    pub projects: Vec<StatusPageProject>,
    /// Where it is, while it is enabled.
    pub url: String,
}

impl StatusPageView {
    /// Where the badge of all of the page is, or that of something that it shows; `None` if `url` is no address of a
    /// status page.
    pub fn badge_url(&self, slug: Option<&Slug>) -> Option<String> {
        let (server, workspace) = self.url.rsplit_once("/status/")?;
        Some(match slug {
            None => format!("{server}/api/status/{workspace}/badge.svg"),
            Some(slug) => format!("{server}/api/status/{workspace}/badge/{slug}.svg"),
        })
    }
}

/// How something is, as everybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicState {
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// Failures are expected at this time.
    Maintenance,
    /// It is not checked, or was not so far.
    Unknown,
}

impl PublicState {
    /// The word as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
        }
    }
}

/// What a status page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicStatus {
    /// What stands above it.
    pub title: String,
    /// How all of it is: the worst of what is shown.
    pub status: PublicState,
    /// When this was put together; it may be some seconds old.
    pub updated_at: Timestamp,
    /// What is shown.
    pub projects: Vec<PublicProject>,
    /// Times of the last 90 days in which something was down: the newest 50.
    pub incidents: Vec<PublicIncident>,
    /// Maintenances that are under way or come next, the 50 that begin first.
    pub maintenance: Vec<PublicMaintenance>,
}

/// How one thing is and has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicProject {
    /// What it is called.
    pub name: String,
    /// How it is.
    pub status: PublicState,
    /// How many checks were good.
    pub uptime: UptimeShares,
    /// The last 90 days, the oldest first.
    pub days: Vec<PublicDay>,
}

/// How a day was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicDay {
    /// The day in UTC, such as `2026-01-31`.
    pub date: String,
    /// How many of its checks were good, in percent with three digits; `null` where there were none.
    pub uptime: Option<String>,
}

/// A time in which something was down. Why is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicIncident {
    /// What it is called.
    pub name: String,
    /// When it was found to be down.
    pub started_at: Timestamp,
    /// When it answered again; `null` while it lasts.
    pub ended_at: Option<Timestamp>,
    /// How many seconds it lasted, or has lasted so far.
    pub duration_sec: u64,
}

/// A time in which failures are expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicMaintenance {
    /// What it is.
    pub title: String,
    /// When it begins; where it repeats, the time that is under way or comes next.
    pub starts_at: Timestamp,
    /// When that time ends.
    pub ends_at: Timestamp,
    /// When it comes again; `null` where it is once.
    pub repeat: Option<MaintenanceRepeat>,
    /// What of the page it is of.
    pub names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_are_beside_the_page() {
        let mut page = StatusPageView {
            enabled: true,
            title: "Demo".to_owned(),
            projects: Vec::new(),
            url: "https://tose.example.com:8700/status/demo".to_owned(),
        };
        let slug = "shop".parse().expect("a slug");
        let all = "https://tose.example.com:8700/api/status/demo/badge.svg";
        assert_eq!(page.badge_url(None).as_deref(), Some(all));
        let one = "https://tose.example.com:8700/api/status/demo/badge/shop.svg";
        assert_eq!(page.badge_url(Some(&slug)).as_deref(), Some(one));
        page.url = "https://elsewhere.example.com".to_owned();
        assert_eq!(page.badge_url(None), None);
    }
}

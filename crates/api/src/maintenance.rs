//! Maintenances: times in which failures of projects are expected.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MaintenanceId, Slug, Timestamp};

/// Body of `POST W/maintenance`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMaintenance {
    /// What it is; a public status page shows it.
    #[schemars(length(min = 1, max = 100), extend("examples" = ["Move to a larger disk"]))]
    pub title: String,
    /// When it begins; where it repeats, for the first time.
    pub starts_at: Timestamp,
    /// When it ends: after it begins, not in the past, 31 days later at most. Where it repeats, for the first time, which
    /// may be past, and less than a week later.
    pub ends_at: Timestamp,
    /// Whether it comes again until it is deleted; left out, it is once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<MaintenanceRepeat>,
    /// The slugs of the projects, instances and databases that it is of; left out, all of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub projects: Option<Vec<Slug>>,
}

/// When a maintenance comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceRepeat {
    /// Each week on the same day at the same time in UTC: 168 hours later.
    Weekly,
}

impl MaintenanceRepeat {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
        }
    }
}

/// One of the times of a maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceTime {
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// A maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceView {
    /// Its id.
    pub id: MaintenanceId,
    /// What it is.
    pub title: String,
    /// When it begins; where it repeats, for the first time.
    pub starts_at: Timestamp,
    /// When it ends; where it repeats, for the first time.
    pub ends_at: Timestamp,
    /// When it comes again; `null` where it is once.
    #[serde(default)]
    pub repeat: Option<MaintenanceRepeat>,
    /// The time that is under way, or comes next; `null` once it is over.
    #[serde(default)]
    pub next: Option<MaintenanceTime>,
    /// The slugs of what it is of; `null` is all of the workspace.
    pub projects: Option<Vec<Slug>>,
    /// When it was planned.
    pub created_at: Timestamp,
}

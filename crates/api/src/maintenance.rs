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
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends: after it begins, not in the past, 31 days later at most.
    pub ends_at: Timestamp,
    /// The slugs of the projects, instances and databases that it is of; left out, all of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub projects: Option<Vec<Slug>>,
}

/// A maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceView {
    /// Its id.
    pub id: MaintenanceId,
    /// What it is.
    pub title: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The slugs of what it is of; `null` is all of the workspace.
    pub projects: Option<Vec<Slug>>,
    /// When it was planned.
    pub created_at: Timestamp,
}

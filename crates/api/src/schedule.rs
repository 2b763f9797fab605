//! Schedules: jobs that are run again and again, at times that a cron expression names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::job::JobStatus;
use crate::{JobId, Slug, Timestamp};

/// Body of `PUT P/schedules/:name`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// When: minute, hour, day of the month, month and day of the week, such as `30 3 * * *` or
    /// `*/10 8-18 * * MON-FRI`.
    #[schemars(length(min = 9, max = 100), regex(pattern = CRON_PATTERN))]
    pub cron: String,
    /// Whose clock that is: a name of the IANA's time zone database, `UTC` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// The program and its arguments, 1 to 100 of them; no shell reads them.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(max = 4096), regex(pattern = "^[^\\x00]*$")),
        extend("prefixItems" = [{"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[^\\x00]+$"}])
    )]
    pub command: Vec<String>,
    /// How long a run may take, 1 to 86,400 s; 3,600 when absent.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<u32>,
    /// Whether it runs; `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What a cron expression looks like: five fields.
const CRON_PATTERN: &str = "^[0-9A-Za-z*,/#?-]+( +[0-9A-Za-z*,/#?-]+){4}$";

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// Its name, unique in the project.
    pub name: Slug,
    /// When it runs.
    pub cron: String,
    /// Whose clock that is.
    pub timezone: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long a run may take, in seconds.
    pub timeout_seconds: u32,
    /// Whether it runs.
    pub enabled: bool,
    /// When it runs next, if it is enabled.
    pub next_at: Option<Timestamp>,
    /// Its newest job.
    pub last_job: Option<ScheduledJob>,
    /// The last time that it did not run though it was due.
    pub last_skip: Option<SkippedRun>,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledJob {
    /// The job.
    pub id: JobId,
    /// How far it is.
    pub status: JobStatus,
    /// When it was queued.
    pub created_at: Timestamp,
}

/// A run that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRun {
    /// When it was due.
    pub due_at: Timestamp,
    /// Why it did not happen.
    pub reason: String,
}

//! Monitors: what is checked of projects and how they are. The webhook arrives and leaves sealed.
//!
//! Guarantees: who notes what a check found notes it only while the monitor is as it was when it was checked
//! ([`Monitor::revision`]). An incident is open exactly while the status is `down`; both change in one transaction.
//! Not here: what was found over time (`uptime_history`).

use tose_api::uptime::{MonitorKind, UptimeStatus};
use tose_api::{Email, Hostname, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;
use tose_model::uptime::{CertificateWatch, Condition};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;
use crate::uptime_history::close_incident_unless_down;

/// What somebody set of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorSettings {
    /// Whether the project is checked.
    pub is_enabled: bool,
    /// How.
    pub kind: MonitorKind,
    /// Seconds from one check to the next.
    pub interval_seconds: u32,
    /// What is asked; `None` is the project's own.
    pub check_url: Option<String>,
    /// The status codes of a good answer.
    pub expected_status: String,
    /// What has to be in it.
    pub keyword: Option<String>,
    /// How long it may take.
    pub timeout_ms: u32,
    /// After how many failures in a row it is down.
    pub failures_before_down: u32,
    /// The webhook of Discord, sealed with workspace and project.
    pub discord_webhook: Option<Sealed>,
    /// Its scheme and host.
    pub discord_origin: Option<String>,
    /// Who gets a mail.
    pub notify_email: Option<Email>,
    /// How many days before the end of its certificate people are told; 0 for never.
    pub certificate_warn_days: u32,
    /// How much later than its interval a heartbeat may come.
    pub heartbeat_grace_seconds: u32,
}

/// A project's monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The project.
    pub project_id: ProjectId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// What was set.
    pub settings: MonitorSettings,
    /// Grows with each change of the settings; 0 before the first.
    pub revision: u64,
    /// How the project is.
    pub condition: Condition,
    /// When it was checked last.
    pub last_checked_at: Option<Timestamp>,
    /// How long the last answer took.
    pub last_response_ms: Option<u32>,
    /// What is known of the certificate that checks meet.
    pub certificate: CertificateWatch,
    /// When the last heartbeat came.
    pub heartbeat_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct MonitorRow {
    project_id: String,
    workspace_id: String,
    enabled: bool,
    kind: String,
    interval_seconds: i64,
    check_url: Option<String>,
    expected_status: String,
    keyword: Option<String>,
    timeout_ms: i64,
    failures_before_down: i64,
    discord_webhook: Option<Vec<u8>>,
    discord_origin: Option<String>,
    notify_email: Option<String>,
    revision: i64,
    status: String,
    since: i64,
    failures: i64,
    reason: Option<String>,
    last_checked_at: Option<i64>,
    last_response_ms: Option<i64>,
    certificate_warn_days: i64,
    certificate_expires_at: Option<i64>,
    certificate_told: bool,
    heartbeat_grace_seconds: i64,
    heartbeat_at: Option<i64>,
}

/// Everything that a monitor is read from; a `WHERE` clause follows.
macro_rules! select_monitor {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, workspace_id, enabled, kind, interval_seconds, check_url, expected_status, keyword,
                    timeout_ms, failures_before_down, discord_webhook, discord_origin, notify_email, revision,
                    status, since, failures, reason, last_checked_at, last_response_ms,
                    certificate_warn_days, certificate_expires_at, certificate_told, heartbeat_grace_seconds, heartbeat_at
             FROM monitors ",
            $rest
        )
    };
}

impl MonitorRow {
    fn into_monitor(self) -> Result<Monitor> {
        let number = row::to_u32;
        let settings = MonitorSettings {
            is_enabled: self.enabled,
            kind: row::parse_enum("monitors.kind", self.kind)?,
            interval_seconds: number("monitors.interval_seconds", self.interval_seconds)?,
            check_url: self.check_url,
            expected_status: self.expected_status,
            keyword: self.keyword,
            timeout_ms: number("monitors.timeout_ms", self.timeout_ms)?,
            failures_before_down: number(
                "monitors.failures_before_down",
                self.failures_before_down,
            )?,
            discord_webhook: self.discord_webhook.map(Sealed::from_bytes),
            discord_origin: self.discord_origin,
            notify_email: row::parse_optional(
                "monitors.notify_email",
                self.notify_email.as_deref(),
            )?,
            certificate_warn_days: number(
                "monitors.certificate_warn_days",
                self.certificate_warn_days,
            )?,
            heartbeat_grace_seconds: number(
                "monitors.heartbeat_grace_seconds",
                self.heartbeat_grace_seconds,
            )?,
        };
        Ok(Monitor {
            project_id: row::parse("monitors.project_id", &self.project_id)?,
            workspace_id: row::parse("monitors.workspace_id", &self.workspace_id)?,
            settings,
            revision: row::to_u64("monitors.revision", self.revision)?,
            condition: Condition {
                status: row::parse_enum("monitors.status", self.status)?,
                since: row::to_time(self.since),
                failures: number("monitors.failures", self.failures)?,
                reason: self.reason,
            },
            last_checked_at: self.last_checked_at.map(row::to_time),
            last_response_ms: self
                .last_response_ms
                .map(|ms| number("monitors.last_response_ms", ms))
                .transpose()?,
            certificate: CertificateWatch {
                expires_at: self.certificate_expires_at.map(row::to_time),
                is_told: self.certificate_told,
            },
            heartbeat_at: self.heartbeat_at.map(row::to_time),
        })
    }
}

impl Store {
    /// A project's monitor, if anybody ever set it.
    pub async fn find_monitor(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<Monitor>> {
        let found: Option<MonitorRow> = sqlx::query_as(select_monitor!(
            "WHERE workspace_id = $1 AND project_id = $2"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a monitor"))?;
        found.map(MonitorRow::into_monitor).transpose()
    }

    /// A project's monitor, if it is enabled.
    pub async fn find_monitor_for_task(&self, project_id: ProjectId) -> Result<Option<Monitor>> {
        let found: Option<MonitorRow> =
            sqlx::query_as(select_monitor!("WHERE project_id = $1 AND enabled = 1"))
                .bind(project_id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read a monitor"))?;
        found.map(MonitorRow::into_monitor).transpose()
    }

    /// The host names that lead to projects whose monitors are enabled.
    pub async fn list_monitored_hosts_for_task(&self) -> Result<Vec<(ProjectId, Hostname)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT d.project_id, d.hostname FROM monitors m
             JOIN domains d ON d.project_id = m.project_id AND d.status = 'active'
             WHERE m.enabled = 1 AND m.kind IN ('http', 'certificate')",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list host names of monitors"))?;
        let parse = |(id, hostname): (String, String)| {
            Ok((
                row::parse("domains.project_id", &id)?,
                row::parse("domains.hostname", &hostname)?,
            ))
        };
        rows.into_iter().map(parse).collect()
    }

    /// The monitors that are enabled, of every workspace.
    pub async fn list_monitors_for_task(&self) -> Result<Vec<Monitor>> {
        let rows: Vec<MonitorRow> = sqlx::query_as(select_monitor!("WHERE enabled = 1"))
            .fetch_all(self.readers())
            .await
            .map_err(Error::query("list monitors"))?;
        rows.into_iter().map(MonitorRow::into_monitor).collect()
    }

    /// Keeps a monitor's settings in place of those that it was read with, if those still stand. One that is
    /// disabled is `paused`, and its incident ends; one that is enabled again begins as `unknown`, and so does one that
    /// waits for heartbeats from now on, or no more.
    ///
    /// # Errors
    /// `NotFound` when there is no such project, `Conflict` when it was changed meanwhile.
    pub async fn set_monitor(
        &self,
        scope: &WorkspaceScope,
        monitor: &Monitor,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        if !write(&mut tx, scope, monitor, now).await? {
            return Err(refusal(&mut tx, scope, monitor).await?);
        }
        close_incident_unless_down(&mut tx, monitor.project_id, now).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

/// Writes the settings, if those that there are are still what they were when the monitor was read.
async fn write(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    monitor: &Monitor,
    now: Timestamp,
) -> Result<bool> {
    let settings = &monitor.settings;
    let begins = match settings.is_enabled {
        true => UptimeStatus::Unknown,
        false => UptimeStatus::Paused,
    };
    let done = sqlx::query(
        "INSERT INTO monitors (project_id, workspace_id, enabled, kind, interval_seconds, check_url,
             expected_status, keyword, timeout_ms, failures_before_down, discord_webhook, discord_origin,
             notify_email, revision, status, since, failures, created_at, updated_at, certificate_warn_days,
             heartbeat_grace_seconds)
         SELECT id, workspace_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15, 0, $15, $15, $17, $18
         FROM projects WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL
         ON CONFLICT (project_id) DO UPDATE SET enabled = $3, kind = $4, interval_seconds = $5,
             check_url = $6, expected_status = $7, keyword = $8, timeout_ms = $9,
             failures_before_down = $10, discord_webhook = $11, discord_origin = $12, notify_email = $13,
             revision = monitors.revision + 1, updated_at = $15,
             status = CASE WHEN monitors.enabled = $3
                 AND (monitors.kind = 'heartbeat') = ($4 = 'heartbeat') THEN monitors.status ELSE $14 END,
             since = CASE WHEN monitors.enabled = $3
                 AND (monitors.kind = 'heartbeat') = ($4 = 'heartbeat') THEN monitors.since ELSE $15 END,
             reason = CASE WHEN monitors.enabled = $3
                 AND (monitors.kind = 'heartbeat') = ($4 = 'heartbeat') THEN monitors.reason ELSE NULL END,
             failures = CASE WHEN monitors.enabled = $3
                 AND (monitors.kind = 'heartbeat') = ($4 = 'heartbeat') THEN monitors.failures ELSE 0 END,
             certificate_warn_days = $17, heartbeat_grace_seconds = $18,
             certificate_expires_at = CASE WHEN monitors.kind = $4
                 AND COALESCE(monitors.check_url, '') = COALESCE($6, '') THEN monitors.certificate_expires_at END,
             certificate_told = CASE WHEN monitors.kind = $4
                 AND COALESCE(monitors.check_url, '') = COALESCE($6, '') THEN monitors.certificate_told ELSE 0 END,
             heartbeat_hash = CASE WHEN $4 = 'heartbeat' THEN monitors.heartbeat_hash END,
             heartbeat_at = CASE WHEN $4 = 'heartbeat' THEN monitors.heartbeat_at END
         WHERE monitors.revision = $16",
    )
    .bind(monitor.project_id.to_string())
    .bind(scope.id().to_string())
    .bind(settings.is_enabled)
    .bind(settings.kind.as_str())
    .bind(i64::from(settings.interval_seconds))
    .bind(settings.check_url.as_deref())
    .bind(&settings.expected_status)
    .bind(settings.keyword.as_deref())
    .bind(i64::from(settings.timeout_ms))
    .bind(i64::from(settings.failures_before_down))
    .bind(settings.discord_webhook.as_ref().map(Sealed::as_bytes))
    .bind(settings.discord_origin.as_deref())
    .bind(settings.notify_email.as_ref().map(|email| email.as_str()))
    .bind(begins.as_str())
    .bind(now.as_nanos())
    .bind(i64::try_from(monitor.revision).unwrap_or(i64::MAX))
    .bind(i64::from(settings.certificate_warn_days))
    .bind(i64::from(settings.heartbeat_grace_seconds))
    .execute(&mut **tx)
    .await
    .map_err(Error::query("set a monitor"))?;
    Ok(done.rows_affected() > 0)
}

/// Why nothing was written.
async fn refusal(tx: &mut Tx, scope: &WorkspaceScope, monitor: &Monitor) -> Result<Error> {
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM monitors WHERE project_id = $1 AND workspace_id = $2)",
    )
    .bind(monitor.project_id.to_string())
    .bind(scope.id().to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("look for a monitor"))?;
    Ok(match exists {
        true => Error::Conflict("the monitor was changed meanwhile"),
        false => Error::NotFound("project"),
    })
}

//! What checks found: single ones for seven days, their sums by the hour for ninety, and incidents.
//!
//! Guarantee: what was found of all monitors is written in one transaction, together with how each is since.
//! Not here: monitors themselves (`uptime`).

use std::time::Duration;

use tose_api::envelope::Paging;
use tose_api::uptime::{CheckView, IncidentView, UptimeStatus};
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::uptime::{CertificateWatch, Condition};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;

/// For how long single checks are kept.
const CHECKS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long sums and incidents that ended are kept.
const HOURS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

/// What was found of a project, and how it is since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The project.
    pub project_id: ProjectId,
    /// See [`crate::Monitor::revision`].
    pub revision: u64,
    /// The check; `None` where it was only paused, or set going.
    pub check: Option<CheckView>,
    /// How it is since.
    pub condition: Condition,
    /// What is known of its certificate since, if the check met one.
    pub certificate: Option<CertificateWatch>,
    /// When.
    pub at: Timestamp,
}

/// How many checks there were since a time, and how many of them were good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckSum {
    /// All of them.
    pub total: u64,
    /// The good ones.
    pub good: u64,
}

type CheckRow = (i64, bool, Option<i64>, i64, Option<String>, bool);

impl Store {
    /// Notes what was found, in this order. Answers for each whether it counted: not if its monitor was changed or
    /// deleted meanwhile.
    pub async fn note_outcomes(&self, outcomes: &[CheckOutcome]) -> Result<Vec<bool>> {
        // Nothing that is kept of answers tells of it, so this moves no revision of a workspace.
        let mut tx = self.begin().await?;
        let mut counted = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let is_current = note_condition(&mut tx, outcome).await?;
            if is_current {
                if let Some(check) = &outcome.check {
                    insert_check(&mut tx, outcome.project_id, check).await?;
                }
                match &outcome.condition.reason {
                    Some(reason) => open_incident(&mut tx, outcome, reason).await?,
                    None => close_incident(&mut tx, outcome.project_id, outcome.at).await?,
                }
            }
            counted.push(is_current);
        }
        commit(tx).await?;
        Ok(counted)
    }

    /// One page of a project's checks from `start` on and before `end`, newest first, and how many there are.
    pub async fn list_checks(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
        paging: Paging,
    ) -> Result<(Vec<CheckView>, u64)> {
        let (start, end) = (
            start.map_or(i64::MIN, Timestamp::as_nanos),
            end.map_or(i64::MAX, Timestamp::as_nanos),
        );
        let rows: Vec<CheckRow> = sqlx::query_as(
            "SELECT c.at, c.ok, c.status_code, c.response_ms, c.reason, c.in_maintenance FROM checks c
             JOIN monitors m ON m.project_id = c.project_id
             WHERE m.workspace_id = $1 AND c.project_id = $2 AND c.at >= $3 AND c.at < $4
             ORDER BY c.at DESC LIMIT $5 OFFSET $6",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(start)
        .bind(end)
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list checks"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM checks c JOIN monitors m ON m.project_id = c.project_id
             WHERE m.workspace_id = $1 AND c.project_id = $2 AND c.at >= $3 AND c.at < $4",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(start)
        .bind(end)
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count checks"))?;
        let checks = rows.into_iter().map(check_view).collect::<Result<_>>()?;
        Ok((checks, row::to_u64("count", total)?))
    }

    /// The sums of a project's checks since each of these times, to the hour.
    pub async fn sum_checks<const N: usize>(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        since: [Timestamp; N],
    ) -> Result<[CheckSum; N]> {
        let mut sums = [CheckSum::default(); N];
        for (sum, since) in sums.iter_mut().zip(since) {
            let (total, good): (i64, i64) = sqlx::query_as(
                "SELECT COALESCE(SUM(h.total), 0), COALESCE(SUM(h.good), 0) FROM check_hours h
                 JOIN monitors m ON m.project_id = h.project_id
                 WHERE m.workspace_id = $1 AND h.project_id = $2 AND h.hour >= $3",
            )
            .bind(scope.id().to_string())
            .bind(project_id.to_string())
            .bind(hour_of(since))
            .fetch_one(self.readers())
            .await
            .map_err(Error::query("sum checks"))?;
            *sum = CheckSum {
                total: row::to_u64("check_hours.total", total)?,
                good: row::to_u64("check_hours.good", good)?,
            };
        }
        Ok(sums)
    }

    /// A project's newest incidents.
    pub async fn list_incidents(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        most: u32,
    ) -> Result<Vec<IncidentView>> {
        let rows: Vec<(i64, Option<i64>, String)> = sqlx::query_as(
            "SELECT i.started_at, i.ended_at, i.reason FROM incidents i
             JOIN monitors m ON m.project_id = i.project_id
             WHERE m.workspace_id = $1 AND i.project_id = $2 ORDER BY i.started_at DESC LIMIT $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list incidents"))?;
        let view = |(started_at, ended_at, reason): (i64, Option<i64>, String)| IncidentView {
            started_at: row::to_time(started_at),
            ended_at: ended_at.map(row::to_time),
            reason,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Forgets what is older than it is kept.
    pub async fn forget_old_checks_for_task(&self, now: Timestamp) -> Result<()> {
        let checks = now.saturating_sub(CHECKS_KEPT).as_nanos();
        let hours = now.saturating_sub(HOURS_KEPT);
        let is_old: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM checks WHERE at < $1)
                 OR EXISTS (SELECT 1 FROM check_hours WHERE hour < $2)
                 OR EXISTS (SELECT 1 FROM incidents WHERE ended_at < $3)",
        )
        .bind(checks)
        .bind(hour_of(hours))
        .bind(hours.as_nanos())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("look for old checks"))?;
        // Most of the time there is none, and nobody has to wait for the writer.
        if !is_old {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (statement, before) in [
            ("DELETE FROM checks WHERE at < $1", checks),
            ("DELETE FROM check_hours WHERE hour < $1", hour_of(hours)),
            (
                "DELETE FROM incidents WHERE ended_at < $1",
                hours.as_nanos(),
            ),
        ] {
            let query = sqlx::query(statement).bind(before);
            let done = query.execute(&mut *tx).await;
            done.map_err(Error::query("forget old checks"))?;
        }
        commit(tx).await
    }
}

pub(crate) fn hour_of(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(NANOS_PER_HOUR)
}

fn check_view(row: CheckRow) -> Result<CheckView> {
    let (at, ok, status_code, response_ms, reason, maintenance) = row;
    let corrupt = Error::Corrupt {
        column: "checks.status_code",
    };
    Ok(CheckView {
        time: row::to_time(at),
        ok,
        status_code: status_code
            .map(u16::try_from)
            .transpose()
            .map_err(|_| corrupt)?,
        response_ms: row::to_u32("checks.response_ms", response_ms)?,
        reason,
        maintenance,
    })
}

async fn note_condition(tx: &mut Tx, outcome: &CheckOutcome) -> Result<bool> {
    let condition = &outcome.condition;
    let done = sqlx::query(
        "UPDATE monitors SET status = $3, since = $4, failures = $5, reason = $6,
             last_checked_at = COALESCE($7, last_checked_at), last_response_ms = COALESCE($8, last_response_ms),
             certificate_expires_at = COALESCE($9, certificate_expires_at),
             certificate_told = COALESCE($10, certificate_told)
         WHERE project_id = $1 AND revision = $2",
    )
    .bind(outcome.project_id.to_string())
    .bind(i64::try_from(outcome.revision).unwrap_or(i64::MAX))
    .bind(condition.status.as_str())
    .bind(condition.since.as_nanos())
    .bind(i64::from(condition.failures))
    .bind(condition.reason.as_deref())
    .bind(outcome.check.as_ref().map(|check| check.time.as_nanos()))
    .bind(outcome.check.as_ref().map(|check| i64::from(check.response_ms)))
    .bind(outcome.certificate.and_then(|seen| seen.expires_at).map(Timestamp::as_nanos))
    .bind(outcome.certificate.map(|seen| seen.is_told))
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note how a project is"))?;
    Ok(done.rows_affected() > 0)
}

/// A check at a time that another one has already, after a clock went back, replaces that in the list alone.
async fn insert_check(tx: &mut Tx, project_id: ProjectId, check: &CheckView) -> Result<()> {
    sqlx::query(
        "INSERT INTO checks (project_id, at, ok, status_code, response_ms, reason, in_maintenance)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (project_id, at) DO UPDATE SET ok = $3, status_code = $4, response_ms = $5, reason = $6,
             in_maintenance = $7",
    )
    .bind(project_id.to_string())
    .bind(check.time.as_nanos())
    .bind(check.ok)
    .bind(check.status_code.map(i64::from))
    .bind(i64::from(check.response_ms))
    .bind(check.reason.as_deref())
    .bind(check.maintenance)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note a check"))?;
    if check.maintenance {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO check_hours (project_id, hour, total, good) VALUES ($1, $2, 1, $3)
         ON CONFLICT (project_id, hour) DO UPDATE SET total = check_hours.total + 1,
             good = check_hours.good + excluded.good",
    )
    .bind(project_id.to_string())
    .bind(hour_of(check.time))
    .bind(i64::from(check.ok))
    .execute(&mut **tx)
    .await
    .map_err(Error::query("sum a check"))?;
    Ok(())
}

/// Opens an incident, unless one is open.
async fn open_incident(tx: &mut Tx, outcome: &CheckOutcome, reason: &str) -> Result<()> {
    debug_assert_eq!(outcome.condition.status, UptimeStatus::Down);
    sqlx::query(
        "INSERT INTO incidents (project_id, started_at, reason) SELECT $1, $2, $3
         WHERE NOT EXISTS (SELECT 1 FROM incidents WHERE project_id = $1 AND ended_at IS NULL)
         ON CONFLICT (project_id, started_at) DO UPDATE SET ended_at = NULL",
    )
    .bind(outcome.project_id.to_string())
    .bind(outcome.at.as_nanos())
    .bind(reason)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("open an incident"))?;
    Ok(())
}

/// Ends a project's incident after its monitor was changed, if that made it another status than `down`.
pub(crate) async fn close_incident_unless_down(
    tx: &mut Tx,
    project_id: ProjectId,
    now: Timestamp,
) -> Result<()> {
    let is_down: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM monitors WHERE project_id = $1 AND status = 'down')",
    )
    .bind(project_id.to_string())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::query("look how a project is"))?;
    match is_down {
        true => Ok(()),
        false => close_incident(tx, project_id, now).await,
    }
}

/// Ends a project's incident, if one is open.
async fn close_incident(tx: &mut Tx, project_id: ProjectId, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE incidents SET ended_at = $2 WHERE project_id = $1 AND ended_at IS NULL")
        .bind(project_id.to_string())
        .bind(now.as_nanos())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("end an incident"))?;
    Ok(())
}

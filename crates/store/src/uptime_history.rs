//! What checks found: single ones for seven days, their sums by the hour for ninety, and incidents.
//!
//! Not here: monitors themselves (`uptime`), and how what checks found is written (`outcome`).

mod outcome;

use std::time::Duration;

use tose_api::envelope::Paging;
use tose_api::uptime::{CheckView, IncidentView};
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;
pub use outcome::CheckOutcome;

/// For how long single checks are kept.
const CHECKS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long sums and incidents that ended are kept.
const HOURS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

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

//! What checks found, written.
//!
//! Guarantee: what was found of all monitors is written in one transaction, together with how each is since. Most are as
//! they were: of those all is written by a few statements, however many they are.

use std::collections::{HashMap, HashSet};

use sqlx::QueryBuilder;
use tose_api::uptime::{CheckView, UptimeStatus};
use tose_api::{ProjectId, Timestamp};
use tose_model::uptime::{CertificateWatch, Condition};

use super::{close_incident, hour_of};
use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;

/// How many are written by one statement at most; each has ten values at most, of the 32,766 that SQLite takes.
const ROWS: usize = 512;

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

impl Store {
    /// Notes what was found, in this order. Answers for each whether it counted: not if its monitor was changed or
    /// deleted meanwhile.
    pub async fn note_outcomes(&self, outcomes: &[CheckOutcome]) -> Result<Vec<bool>> {
        // Nothing that is kept of answers tells of it, so this moves no revision of a workspace.
        let mut tx = self.begin().await?;
        let mut counted = Vec::with_capacity(outcomes.len());
        let as_before = note_as_before(&mut tx, outcomes).await?;
        for outcome in outcomes {
            let counts = as_before.contains(&outcome.project_id) || note(&mut tx, outcome).await?;
            counted.push(counts);
        }
        commit(tx).await?;
        Ok(counted)
    }
}

/// Writes those of which only the numbers are new; answers which they are. A project that comes more than once is not
/// among them: what follows from the first has to stand before the second.
async fn note_as_before(tx: &mut Tx, outcomes: &[CheckOutcome]) -> Result<HashSet<ProjectId>> {
    let mut times = HashMap::with_capacity(outcomes.len());
    for outcome in outcomes {
        *times.entry(outcome.project_id).or_insert(0) += 1;
    }
    let once = |outcome: &&CheckOutcome| times.get(&outcome.project_id) == Some(&1);
    let once: Vec<&CheckOutcome> = outcomes.iter().filter(once).collect();
    let mut noted = HashSet::with_capacity(once.len());
    for rows in by_powers_of_two(&once) {
        noted.extend(note_conditions(tx, rows, Which::AsBefore).await?);
    }
    let checks = once.iter().filter(|row| noted.contains(&row.project_id));
    let checks: Vec<_> = checks
        .filter_map(|row| Some((row.project_id, row.check.as_ref()?)))
        .collect();
    note_checks(tx, &checks).await?;
    Ok(noted)
}

/// Cuts rows into runs of 512, 256, 128 and so on. A statement is prepared and kept for each length that there is: of
/// these there are few, however many rows come.
fn by_powers_of_two<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let most = rows.len().min(ROWS);
        let (run, rest) = rows.split_at_checked(1 << most.checked_ilog2()?)?;
        rows = rest;
        Some(run)
    })
}

/// Which monitors are written of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those whose status stays.
    AsBefore,
    All,
}

/// Notes how projects are, if their monitors are what they were when they were checked. Answers which are.
async fn note_conditions(
    tx: &mut Tx,
    rows: &[&CheckOutcome],
    which: Which,
) -> Result<Vec<ProjectId>> {
    const OPERATION: &str = "note how projects are";
    let mut statement = update_conditions(rows, which);
    let updated = statement.build().execute(&mut **tx).await;
    let updated = updated.map_err(Error::query(OPERATION))?;
    // That all are what they were is nearly always so, and to be told which costs as much as to write them.
    if updated.rows_affected() == rows.len() as u64 {
        return Ok(rows.iter().map(|row| row.project_id).collect());
    }
    let mut statement = update_conditions(rows, which);
    statement.push(" RETURNING monitors.project_id");
    let query = statement.build_query_scalar::<String>();
    let ids = query.fetch_all(&mut **tx).await;
    ids.map_err(Error::query(OPERATION))?
        .iter()
        .map(|id| row::parse("monitors.project_id", id))
        .collect()
}

/// Doing it twice is as good as once.
fn update_conditions(rows: &[&CheckOutcome], which: Which) -> QueryBuilder<sqlx::Sqlite> {
    let mut statement = QueryBuilder::new(
        "WITH fresh (id, revision, status, since, failures, reason, checked_at, response_ms, expires_at, told) AS (",
    );
    statement.push_values(rows, |mut values, outcome| {
        let (condition, check) = (&outcome.condition, outcome.check.as_ref());
        let certificate = outcome.certificate;
        values
            .push_bind(outcome.project_id.to_string())
            .push_bind(i64::try_from(outcome.revision).unwrap_or(i64::MAX))
            .push_bind(condition.status.as_str())
            .push_bind(condition.since.as_nanos())
            .push_bind(i64::from(condition.failures))
            .push_bind(condition.reason.as_deref())
            .push_bind(check.map(|check| check.time.as_nanos()))
            .push_bind(check.map(|check| i64::from(check.response_ms)))
            .push_bind(
                certificate
                    .and_then(|seen| seen.expires_at)
                    .map(Timestamp::as_nanos),
            )
            .push_bind(certificate.map(|seen| seen.is_told));
    });
    statement.push(
        ") UPDATE monitors SET status = fresh.status, since = fresh.since, failures = fresh.failures, reason = fresh.reason,
               last_checked_at = COALESCE(fresh.checked_at, last_checked_at),
               last_response_ms = COALESCE(fresh.response_ms, last_response_ms),
               certificate_expires_at = COALESCE(fresh.expires_at, certificate_expires_at),
               certificate_told = COALESCE(fresh.told, certificate_told)
           FROM fresh WHERE monitors.project_id = fresh.id AND monitors.revision = fresh.revision",
    );
    if which == Which::AsBefore {
        statement.push(" AND monitors.status = fresh.status");
    }
    statement
}

async fn note_checks(tx: &mut Tx, checks: &[(ProjectId, &CheckView)]) -> Result<()> {
    for rows in by_powers_of_two(checks) {
        insert_checks(tx, rows).await?;
    }
    let counted = checks.iter().filter(|(_, check)| !check.maintenance);
    let counted: Vec<_> = counted.collect();
    for rows in by_powers_of_two(&counted) {
        sum_checks(tx, rows).await?;
    }
    Ok(())
}

/// A check at a time that another one has already, after a clock went back, replaces that in the list alone.
async fn insert_checks(tx: &mut Tx, checks: &[(ProjectId, &CheckView)]) -> Result<()> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO checks (project_id, at, ok, status_code, response_ms, reason, in_maintenance) ",
    );
    statement.push_values(checks, |mut values, (project_id, check)| {
        values
            .push_bind(project_id.to_string())
            .push_bind(check.time.as_nanos())
            .push_bind(check.ok)
            .push_bind(check.status_code.map(i64::from))
            .push_bind(i64::from(check.response_ms))
            .push_bind(check.reason.as_deref())
            .push_bind(check.maintenance);
    });
    statement.push(
        " ON CONFLICT (project_id, at) DO UPDATE SET ok = excluded.ok, status_code = excluded.status_code,
              response_ms = excluded.response_ms, reason = excluded.reason, in_maintenance = excluded.in_maintenance",
    );
    let inserted = statement.build().execute(&mut **tx).await;
    inserted.map_err(Error::query("note checks"))?;
    Ok(())
}

async fn sum_checks(tx: &mut Tx, checks: &[&(ProjectId, &CheckView)]) -> Result<()> {
    let mut statement =
        QueryBuilder::new("INSERT INTO check_hours (project_id, hour, total, good) ");
    statement.push_values(checks, |mut values, (project_id, check)| {
        values
            .push_bind(project_id.to_string())
            .push_bind(hour_of(check.time))
            .push_bind(1_i64)
            .push_bind(i64::from(check.ok));
    });
    statement.push(
        " ON CONFLICT (project_id, hour) DO UPDATE SET total = check_hours.total + 1,
              good = check_hours.good + excluded.good",
    );
    let summed = statement.build().execute(&mut **tx).await;
    summed.map_err(Error::query("sum checks"))?;
    Ok(())
}

/// Writes one that may be otherwise than before. Answers whether it counted.
async fn note(tx: &mut Tx, outcome: &CheckOutcome) -> Result<bool> {
    let noted = note_conditions(tx, &[outcome], Which::All).await?;
    if noted.is_empty() {
        return Ok(false);
    }
    if let Some(check) = &outcome.check {
        note_checks(tx, &[(outcome.project_id, check)]).await?;
    }
    match &outcome.condition.reason {
        Some(reason) => open_incident(tx, outcome, reason).await?,
        None => close_incident(tx, outcome.project_id, outcome.at).await?,
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_lengths_and_none_is_left_out() {
        for (count, lengths) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (167, vec![128, 32, 4, 2, 1]),
            (1300, vec![512, 512, 256, 16, 4]),
        ] {
            let rows: Vec<i32> = (0..count).collect();
            let runs: Vec<&[i32]> = by_powers_of_two(&rows).collect();
            assert_eq!(
                runs.iter().map(|run| run.len()).collect::<Vec<_>>(),
                lengths
            );
            assert_eq!(runs.concat(), rows);
        }
    }
}

//! What was used, hour by hour, and what it was charged.
//!
//! Guarantees: what a look of the meter adds, the mark of how far it came, and the charges of hours that are
//! over are one transaction: a look that is killed is neither lost nor doubled. A resource's hour is charged
//! at most once; what comes late for an hour that was charged counts in the next one.
//! Caveat: all workspaces' hours are closed together, by one look.
//! Not here: how hours are charged (`closing`).

mod closing;

use std::collections::{BTreeMap, HashMap};

use sqlx::QueryBuilder;
use tose_api::wallet::ResourceKind;
use tose_api::{ProjectId, Timestamp, TransactionId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::driver::ReplicaName;
use tose_model::meter::{Hour, Mark, Month, Uptime, Usages};
use tose_model::money::Money;
use tose_model::pricing::{Charge, Metered, PriceList, Remainder};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::ledger::ROWS;
use crate::row;

/// What the meter's one writer keeps of the store between looks, so as not to read it each time.
///
/// It is true until a look fails or is given up: what that one had in hand may not be in the store, so read it
/// anew then, by [`Store::read_meter_memory_for_task`].
#[derive(Debug)]
pub struct MeterMemory {
    /// The numbers of what was metered before.
    numbers: HashMap<ProjectId, i64>,
    rests: HashMap<i64, Rest>,
}

/// What a resource has left below the minor unit, and between which hours those are that were charged.
#[derive(Debug, Clone, Copy)]
struct Rest {
    first_hour: Hour,
    until_hour: Hour,
    left: Remainder,
}

/// What a look of the meter found.
pub struct MeterLook<'a> {
    /// How far it came.
    pub mark: &'a Mark,
    /// What was used since the look before.
    pub usages: &'a Usages,
    /// Replicas that are still seen though their end was metered.
    pub ended: &'a [ReplicaName],
    /// What it costs.
    pub prices: &'a PriceList,
    /// Makes ids of entries.
    pub ids: &'a (dyn Fn() -> TransactionId + Sync),
}

/// A replica whose last run was metered ahead of its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredEnd {
    /// Which replica.
    pub replica: ReplicaName,
    /// Which run of it, by its start.
    pub started_at: Option<Timestamp>,
}

/// What a resource used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTotals {
    /// The project, instance or database.
    pub project_id: ProjectId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name in URLs.
    pub slug: String,
    /// What it used.
    pub metered: Metered,
    /// What it was charged, in hours that are over.
    pub charge: Charge,
}

/// What is used and not charged, by workspace, with what each has used in the month of that hour before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenUsage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The hour.
    pub hour: Hour,
    /// What was used in it so far.
    pub metered: Metered,
    /// What was used in its month before.
    pub month: Metered,
}

/// Storage that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeteredStorage {
    /// The database.
    pub project_id: ProjectId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// How many GB it may use.
    pub storage_gb: u64,
    /// Since when it is there.
    pub made_at: Timestamp,
}

/// A month's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthTotals {
    /// Which.
    pub month: Month,
    /// What was used.
    pub metered: Metered,
    /// What it was charged.
    pub charge: Charge,
}

impl Store {
    /// Up to when everything was metered; `None` before the first look.
    pub async fn find_meter_mark_for_task(&self) -> Result<Option<Mark>> {
        let found: Option<(String, i64, i64)> =
            sqlx::query_as("SELECT boot, uptime_ms, at FROM meter WHERE id = 1")
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read the meter"))?;
        let Some((boot, uptime_ms, at)) = found else {
            return Ok(None);
        };
        Ok(Some(Mark {
            uptime: Uptime {
                boot: boot.into(),
                elapsed: std::time::Duration::from_millis(row::to_u64(
                    "meter.uptime_ms",
                    uptime_ms,
                )?),
            },
            at: row::to_time(at),
        }))
    }

    /// The replicas whose end was metered ahead.
    pub async fn list_metered_ends_for_task(&self) -> Result<Vec<MeteredEnd>> {
        let rows: Vec<(String, Option<i64>)> =
            sqlx::query_as("SELECT replica, started_at FROM metered_ends")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list metered ends"))?;
        let end = |(replica, started_at): (String, Option<i64>)| MeteredEnd {
            replica: ReplicaName::from_label(&replica),
            started_at: started_at.map(row::to_time),
        };
        Ok(rows.into_iter().map(end).collect())
    }

    /// Adds what a look found, and charges the hours that are over by then.
    pub async fn meter_for_task(
        &self,
        look: &MeterLook<'_>,
        memory: &mut MeterMemory,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let open = open_hour(&mut tx, look.mark).await?;
        let mut used = gather(&mut tx, look.usages, open, memory).await?;
        let now = Hour::of(look.mark.at).max(open);
        if open < now {
            let still_open = used.split_off(&(now, i64::MIN));
            closing::close_hours(&mut tx, open, now, used, look, memory).await?;
            used = still_open;
        }
        add_usages(&mut tx, used).await?;
        sqlx::query(
            "INSERT INTO meter (id, boot, uptime_ms, at, open_hour) VALUES (1, $1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET boot = $1, uptime_ms = $2, at = $3, open_hour = $4",
        )
        .bind(&*look.mark.uptime.boot)
        .bind(i64::try_from(look.mark.uptime.elapsed.as_millis()).unwrap_or(i64::MAX))
        .bind(look.mark.at.as_nanos())
        .bind(now.number())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write the meter's mark"))?;
        forget_ends(&mut tx, look.ended).await?;
        commit(tx).await
    }

    /// Adds the last run of a replica that is about to be removed, once.
    pub async fn meter_end_for_task(
        &self,
        end: &MeteredEnd,
        usages: &Usages,
        memory: &mut MeterMemory,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO metered_ends (replica, started_at) VALUES ($1, $2)
             ON CONFLICT (replica) DO UPDATE SET started_at = $2
             WHERE metered_ends.started_at IS NOT excluded.started_at",
        )
        .bind(end.replica.as_str())
        .bind(end.started_at.map(Timestamp::as_nanos))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a metered end"))?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let open: Option<i64> = sqlx::query_scalar("SELECT open_hour FROM meter WHERE id = 1")
            .fetch_optional(&mut *tx)
            .await
            .map_err(Error::query("read the meter"))?;
        let open = open.map_or(Hour::FIRST, Hour::from_number);
        let used = gather(&mut tx, usages, open, memory).await?;
        add_usages(&mut tx, used).await?;
        commit(tx).await
    }

    /// The storage of all databases that pay for it: those of a suspended workspace are kept for nothing.
    pub async fn list_metered_storage_for_task(&self) -> Result<Vec<MeteredStorage>> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "SELECT d.project_id, d.workspace_id, d.storage_gb, p.created_at FROM databases d
             JOIN projects p ON p.id = d.project_id
             JOIN wallets w ON w.workspace_id = d.workspace_id
             WHERE p.deleted_at IS NULL AND w.suspended IS NULL",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list storage"))?;
        let parse =
            |(project_id, workspace_id, storage_gb, made_at): (String, String, i64, i64)| {
                Ok(MeteredStorage {
                    project_id: row::parse("databases.project_id", &project_id)?,
                    workspace_id: row::parse("databases.workspace_id", &workspace_id)?,
                    storage_gb: row::to_u64("databases.storage_gb", storage_gb)?,
                    made_at: row::to_time(made_at),
                })
            };
        rows.into_iter().map(parse).collect()
    }

    /// What the meter's writer may keep between looks.
    pub async fn read_meter_memory_for_task(&self) -> Result<MeterMemory> {
        type Row = (
            String,
            i64,
            Option<i64>,
            Option<i64>,
            Option<i64>,
            Option<i64>,
        );
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT r.project_id, r.number, t.first_hour, t.until_hour, t.net_rest, t.discount_rest
             FROM metered_resources r LEFT JOIN usage_rests t ON t.resource = r.number",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list metered resources"))?;
        let mut memory = MeterMemory {
            numbers: HashMap::with_capacity(rows.len()),
            rests: HashMap::with_capacity(rows.len()),
        };
        for (id, number, first, until, net, discount) in rows {
            let id = row::parse("metered_resources.project_id", &id)?;
            memory.numbers.insert(id, number);
            if let (Some(first), Some(until)) = (first, until) {
                let left = Remainder {
                    net: net.unwrap_or(0),
                    discount: discount.unwrap_or(0),
                };
                let rest = Rest {
                    first_hour: Hour::from_number(first),
                    until_hour: Hour::from_number(until),
                    left,
                };
                memory.rests.insert(number, rest);
            }
        }
        Ok(memory)
    }

    /// What is used and not charged, of all workspaces.
    pub async fn list_open_usage_for_task(&self) -> Result<Vec<OpenUsage>> {
        self.open_usage(None).await
    }

    /// What is used and not charged in a workspace.
    pub async fn list_open_usage(&self, scope: &WorkspaceScope) -> Result<Vec<OpenUsage>> {
        self.open_usage(Some(scope.id())).await
    }

    async fn open_usage(&self, of: Option<WorkspaceId>) -> Result<Vec<OpenUsage>> {
        type Row = (String, i64, i64, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            // An hour is charged when it is before the first open one.
            "SELECT r.workspace_id, u.hour, SUM(u.cpu), SUM(u.ram), SUM(u.storage)
             FROM usage_hours u JOIN metered_resources r ON r.number = u.resource
             WHERE u.hour >= (SELECT open_hour FROM meter WHERE id = 1) AND u.amount IS NULL
                 AND ($1 IS NULL OR r.workspace_id = $1)
             GROUP BY r.workspace_id, u.hour ORDER BY r.workspace_id, u.hour",
        )
        .bind(of.map(|id| id.to_string()))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("add up what is used"))?;
        let months = self
            .months_of(
                &rows
                    .iter()
                    .map(|row| Hour::from_number(row.1).month())
                    .collect::<Vec<_>>(),
            )
            .await?;
        let mut so_far: HashMap<(WorkspaceId, Month), Metered> = months;
        let mut all = Vec::with_capacity(rows.len());
        for (workspace_id, hour, cpu, ram, storage) in rows {
            let workspace_id = row::parse("metered_resources.workspace_id", &workspace_id)?;
            let hour = Hour::from_number(hour);
            let metered = to_metered(cpu, ram, storage)?;
            let month = so_far.entry((workspace_id, hour.month())).or_default();
            all.push(OpenUsage {
                workspace_id,
                hour,
                metered,
                month: *month,
            });
            *month += metered;
        }
        Ok(all)
    }

    async fn months_of(&self, months: &[Month]) -> Result<HashMap<(WorkspaceId, Month), Metered>> {
        let (Some(first), Some(last)) = (months.iter().min(), months.iter().max()) else {
            return Ok(HashMap::new());
        };
        let rows: Vec<MonthRow> = sqlx::query_as(
            "SELECT workspace_id, month, cpu, ram, storage, amount, discount FROM usage_months
             WHERE month BETWEEN $1 AND $2",
        )
        .bind(first.number())
        .bind(last.number())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("read what months used"))?;
        rows.into_iter()
            .map(|row| {
                let id = row::parse("usage_months.workspace_id", &row.workspace_id)?;
                let totals = row.totals()?;
                Ok(((id, totals.month), totals.metered))
            })
            .collect()
    }

    /// What a workspace has used and was charged in each of its months, newest first.
    pub async fn list_months(&self, scope: &WorkspaceScope) -> Result<Vec<MonthTotals>> {
        let rows: Vec<MonthRow> = sqlx::query_as(
            "SELECT workspace_id, month, cpu, ram, storage, amount, discount FROM usage_months
             WHERE workspace_id = $1 ORDER BY month DESC",
        )
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list a workspace's months"))?;
        rows.into_iter().map(|row| row.totals()).collect()
    }

    /// What all workspaces were charged in a month.
    pub async fn list_spent_for_task(&self, month: Month) -> Result<HashMap<WorkspaceId, Money>> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT workspace_id, amount FROM usage_months WHERE month = $1")
                .bind(month.number())
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list what a month was charged"))?;
        rows.into_iter()
            .map(|(id, amount)| {
                Ok((
                    row::parse("usage_months.workspace_id", &id)?,
                    Money::of(amount),
                ))
            })
            .collect()
    }

    /// What each of a workspace's resources used from one hour on, before another, by their names.
    pub async fn list_usage(
        &self,
        scope: &WorkspaceScope,
        from: Hour,
        to: Hour,
    ) -> Result<Vec<ResourceTotals>> {
        let rows: Vec<ResourceRow> = sqlx::query_as(
            // Each hour of a resource is looked up by its key: the table has everybody's hours beside each other.
            "WITH RECURSIVE hours (hour) AS (
                 SELECT $2 WHERE $2 < $3 UNION ALL SELECT hour + 1 FROM hours WHERE hour + 1 < $3)
             SELECT r.project_id, r.kind, r.slug, SUM(u.cpu) AS cpu, SUM(u.ram) AS ram,
                    SUM(u.storage) AS storage, COALESCE(SUM(u.amount), 0) AS amount,
                    COALESCE(SUM(u.discount), 0) AS discount
             FROM metered_resources r LEFT JOIN usage_rests t ON t.resource = r.number
             CROSS JOIN hours h CROSS JOIN usage_hours u
             WHERE r.workspace_id = $1 AND u.hour = h.hour AND u.resource = r.number
                 AND ((h.hour >= t.first_hour AND h.hour < t.until_hour)
                      OR h.hour >= (SELECT open_hour FROM meter WHERE id = 1))
             GROUP BY r.number ORDER BY r.slug, r.number",
        )
        .bind(scope.id().to_string())
        .bind(from.number())
        .bind(to.number())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("add up a workspace's usage"))?;
        rows.into_iter().map(ResourceRow::into_totals).collect()
    }
}

#[derive(sqlx::FromRow)]
struct MonthRow {
    workspace_id: String,
    month: i64,
    cpu: i64,
    ram: i64,
    storage: i64,
    amount: i64,
    discount: i64,
}

impl MonthRow {
    fn totals(&self) -> Result<MonthTotals> {
        Ok(MonthTotals {
            month: Month::from_number(self.month).ok_or(Error::Corrupt {
                column: "usage_months.month",
            })?,
            metered: to_metered(self.cpu, self.ram, self.storage)?,
            charge: to_charge(self.amount, self.discount),
        })
    }
}

#[derive(sqlx::FromRow)]
struct ResourceRow {
    project_id: String,
    kind: String,
    slug: String,
    cpu: i64,
    ram: i64,
    storage: i64,
    amount: i64,
    discount: i64,
}

impl ResourceRow {
    fn into_totals(self) -> Result<ResourceTotals> {
        Ok(ResourceTotals {
            project_id: row::parse("metered_resources.project_id", &self.project_id)?,
            kind: row::parse_enum("metered_resources.kind", self.kind)?,
            slug: self.slug,
            metered: to_metered(self.cpu, self.ram, self.storage)?,
            charge: to_charge(self.amount, self.discount),
        })
    }
}

pub(crate) fn to_metered(cpu: i64, ram: i64, storage: i64) -> Result<Metered> {
    Ok(Metered {
        cpu: row::to_u64("usage_hours.cpu", cpu)?,
        ram: row::to_u64("usage_hours.ram", ram)?,
        storage: row::to_u64("usage_hours.storage", storage)?,
    })
}

const fn to_charge(amount: i64, discount: i64) -> Charge {
    Charge {
        net: Money::of(amount),
        discount: Money::of(discount),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The first hour that was not charged; before the first look, that of the look, or of a replica that ended before it.
async fn open_hour(tx: &mut Tx, mark: &Mark) -> Result<Hour> {
    let open: Option<i64> = sqlx::query_scalar("SELECT open_hour FROM meter WHERE id = 1")
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::query("read the meter"))?;
    if let Some(open) = open {
        return Ok(Hour::from_number(open));
    }
    let ended: Option<i64> = sqlx::query_scalar("SELECT MIN(hour) FROM usage_hours")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::query("find the first hour"))?;
    let look = Hour::of(mark.at);
    Ok(ended.map_or(look, |hour| Hour::from_number(hour).min(look)))
}

/// What was used, by hour and by the resource's number, with the workspace that pays.
type Used = BTreeMap<(Hour, i64), (WorkspaceId, Metered)>;

/// Sums usage up by hours; what is late counts in the first open one.
async fn gather(
    tx: &mut Tx,
    usages: &Usages,
    open: Hour,
    memory: &mut MeterMemory,
) -> Result<Used> {
    let mut used = Used::new();
    for (project_id, hour, workspace_id, metered) in usages.iter() {
        if metered.is_nothing() {
            continue;
        }
        let number = match memory.numbers.get(&project_id) {
            Some(number) => *number,
            None => {
                let number = ensure_resource(tx, project_id, workspace_id).await?;
                memory.numbers.insert(project_id, number);
                number
            }
        };
        let sum = used
            .entry((hour.max(open), number))
            .or_insert((workspace_id, Metered::default()));
        sum.1 += metered;
    }
    Ok(used)
}

/// Adds usage to hours that are not charged so far.
async fn add_usages(tx: &mut Tx, used: Used) -> Result<()> {
    let rows: Vec<_> = used.into_iter().collect();
    for rows in rows.chunks(ROWS) {
        let mut statement =
            QueryBuilder::new("INSERT INTO usage_hours (hour, resource, cpu, ram, storage) ");
        statement.push_values(rows, |mut values, ((hour, number), (_, metered))| {
            values
                .push_bind(hour.number())
                .push_bind(*number)
                .push_bind(signed(metered.cpu))
                .push_bind(signed(metered.ram))
                .push_bind(signed(metered.storage));
        });
        statement.push(
            " ON CONFLICT (hour, resource) DO UPDATE SET cpu = usage_hours.cpu + excluded.cpu,
                  ram = usage_hours.ram + excluded.ram, storage = usage_hours.storage + excluded.storage",
        );
        let written = statement.build().execute(&mut **tx).await;
        written.map_err(Error::query("add usage"))?;
    }
    Ok(())
}

/// The number of a resource. What is known of it is kept when it is gone.
async fn ensure_resource(
    tx: &mut Tx,
    project_id: ProjectId,
    workspace_id: WorkspaceId,
) -> Result<i64> {
    sqlx::query(
        "INSERT INTO metered_resources (project_id, workspace_id, kind, slug)
         VALUES ($1, $2, COALESCE((SELECT kind FROM projects WHERE id = $1), 'app'),
                 COALESCE((SELECT slug FROM projects WHERE id = $1), $1))
         ON CONFLICT (project_id) DO NOTHING",
    )
    .bind(project_id.to_string())
    .bind(workspace_id.to_string())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("note a metered resource"))?;
    sqlx::query_scalar("SELECT number FROM metered_resources WHERE project_id = $1")
        .bind(project_id.to_string())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::query("find a metered resource"))
}

async fn forget_ends(tx: &mut Tx, kept: &[ReplicaName]) -> Result<()> {
    let kept: Vec<&str> = kept.iter().map(ReplicaName::as_str).collect();
    let kept = row::to_json("metered_ends.replica", &kept)?;
    sqlx::query("DELETE FROM metered_ends WHERE replica NOT IN (SELECT value FROM json_each($1))")
        .bind(kept)
        .execute(&mut **tx)
        .await
        .map_err(Error::query("forget metered ends"))?;
    Ok(())
}

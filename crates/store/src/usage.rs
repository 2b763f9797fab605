//! What was used, hour by hour, and what it was charged.
//!
//! Guarantees: what a look of the meter adds, the mark of how far it came, and the charges of hours that are
//! over are one transaction: a look that is killed is neither lost nor doubled. A resource's hour is charged
//! at most once; what comes late for an hour that was charged counts in the next one.
//! Caveat: all workspaces' hours are closed together, by one look.

use std::collections::{BTreeMap, HashMap};

use sqlx::QueryBuilder;
use tose_api::wallet::ResourceKind;
use tose_api::{ProjectId, Timestamp, TransactionId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::driver::ReplicaName;
use tose_model::ledger::Entry;
use tose_model::meter::{Hour, Mark, Month, Uptime, Usages};
use tose_model::money::Money;
use tose_model::pricing::{Charge, Metered, PriceList, Remainder, charge};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::ledger::{Book, NewEntry, Purse, ROWS, write_purses};
use crate::row;

/// The numbers of what was metered before. Numbers never change, so they can be kept.
pub type ResourceNumbers = HashMap<ProjectId, i64>;

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
        numbers: &mut ResourceNumbers,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let open = open_hour(&mut tx, look.mark).await?;
        add_usages(&mut tx, look.usages, open, numbers).await?;
        let now = Hour::of(look.mark.at).max(open);
        if open < now {
            close_hours(&mut tx, now, look).await?;
        }
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
        numbers: &mut ResourceNumbers,
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
        add_usages(&mut tx, usages, open, numbers).await?;
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

    /// The numbers of all that was metered before.
    pub async fn list_resource_numbers_for_task(&self) -> Result<ResourceNumbers> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT project_id, number FROM metered_resources")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list metered resources"))?;
        let parse = |(id, number): (String, i64)| {
            Ok((row::parse("metered_resources.project_id", &id)?, number))
        };
        rows.into_iter().map(parse).collect()
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
            "SELECT r.workspace_id, u.hour, SUM(u.cpu), SUM(u.ram), SUM(u.storage)
             FROM usage_hours u INDEXED BY usage_hours_open
             JOIN metered_resources r ON r.number = u.resource
             WHERE u.amount IS NULL AND ($1 IS NULL OR r.workspace_id = $1)
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
            "SELECT r.project_id, r.kind, r.slug, SUM(u.cpu) AS cpu, SUM(u.ram) AS ram,
                    SUM(u.storage) AS storage, COALESCE(SUM(u.amount), 0) AS amount,
                    COALESCE(SUM(u.discount), 0) AS discount
             FROM metered_resources r JOIN usage_hours u ON u.resource = r.number
             WHERE r.workspace_id = $1 AND u.hour >= $2 AND u.hour < $3
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

/// The first hour that was not charged; before the first look, that of the look.
async fn open_hour(tx: &mut Tx, mark: &Mark) -> Result<Hour> {
    let open: Option<i64> = sqlx::query_scalar("SELECT open_hour FROM meter WHERE id = 1")
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::query("read the meter"))?;
    Ok(open.map_or(Hour::of(mark.at), Hour::from_number))
}

/// Adds usage to its hours, and to the first open one what is late.
async fn add_usages(
    tx: &mut Tx,
    usages: &Usages,
    open: Hour,
    numbers: &mut ResourceNumbers,
) -> Result<()> {
    let mut rows: BTreeMap<(i64, i64), Metered> = BTreeMap::new();
    for (project_id, hour, workspace_id, metered) in usages.iter() {
        if metered.is_nothing() {
            continue;
        }
        let number = match numbers.get(&project_id) {
            Some(number) => *number,
            None => {
                let number = ensure_resource(tx, project_id, workspace_id).await?;
                numbers.insert(project_id, number);
                number
            }
        };
        *rows.entry((number, hour.max(open).number())).or_default() += metered;
    }
    let rows: Vec<_> = rows.into_iter().collect();
    for rows in rows.chunks(ROWS) {
        let mut statement =
            QueryBuilder::new("INSERT INTO usage_hours (resource, hour, cpu, ram, storage) ");
        statement.push_values(rows, |mut values, ((number, hour), metered)| {
            values
                .push_bind(*number)
                .push_bind(*hour)
                .push_bind(signed(metered.cpu))
                .push_bind(signed(metered.ram))
                .push_bind(signed(metered.storage));
        });
        statement.push(
            " ON CONFLICT (resource, hour) DO UPDATE SET cpu = usage_hours.cpu + excluded.cpu,
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

#[derive(sqlx::FromRow)]
struct OpenRow {
    workspace_id: String,
    resource: i64,
    hour: i64,
    cpu: i64,
    ram: i64,
    storage: i64,
    net_rest: Option<i64>,
    discount_rest: Option<i64>,
}

/// What an hour of a resource came to.
struct Closed {
    resource: i64,
    hour: i64,
    metered: Metered,
    charge: Charge,
    rest: Remainder,
}

/// Charges every hour before `end`, in order.
async fn close_hours(tx: &mut Tx, end: Hour, look: &MeterLook<'_>) -> Result<()> {
    let rows: Vec<OpenRow> = sqlx::query_as(
        "SELECT r.workspace_id, u.resource, u.hour, u.cpu, u.ram, u.storage,
                (SELECT b.net_rest FROM usage_hours b WHERE b.resource = u.resource
                 AND b.hour < u.hour ORDER BY b.hour DESC LIMIT 1) AS net_rest,
                (SELECT b.discount_rest FROM usage_hours b WHERE b.resource = u.resource
                 AND b.hour < u.hour ORDER BY b.hour DESC LIMIT 1) AS discount_rest
         FROM usage_hours u INDEXED BY usage_hours_open
         JOIN metered_resources r ON r.number = u.resource
         WHERE u.amount IS NULL AND u.hour < $1 ORDER BY r.workspace_id, u.hour, u.resource",
    )
    .bind(end.number())
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("list hours to be charged"))?;
    let mut closing = Closing::read(tx, &rows).await?;
    for of_hour in
        rows.chunk_by(|one, next| one.workspace_id == next.workspace_id && one.hour == next.hour)
    {
        closing.close(of_hour, look)?;
    }
    closing.write(tx).await
}

/// Hours on their way to being charged.
struct Closing {
    purses: BTreeMap<WorkspaceId, Purse>,
    months: BTreeMap<(WorkspaceId, Month), MonthTotals>,
    rests: HashMap<i64, Remainder>,
    closed: Vec<Closed>,
    book: Book,
}

impl Closing {
    async fn read(tx: &mut Tx, rows: &[OpenRow]) -> Result<Self> {
        let mut closing = Self {
            purses: BTreeMap::new(),
            months: BTreeMap::new(),
            rests: HashMap::new(),
            closed: Vec::with_capacity(rows.len()),
            book: Book::default(),
        };
        for of_workspace in rows.chunk_by(|one, next| one.workspace_id == next.workspace_id) {
            let id: WorkspaceId = row::parse(
                "metered_resources.workspace_id",
                &of_workspace[0].workspace_id,
            )?;
            let (balance, entries): (i64, i64) =
                sqlx::query_as("SELECT balance, entries FROM wallets WHERE workspace_id = $1")
                    .bind(&of_workspace[0].workspace_id)
                    .fetch_optional(&mut **tx)
                    .await
                    .map_err(Error::query("read a wallet"))?
                    .ok_or(Error::NotFound("wallet"))?;
            closing.purses.insert(id, Purse { balance, entries });
            let first = Hour::from_number(of_workspace[0].hour).month();
            let months: Vec<MonthRow> = sqlx::query_as(
                "SELECT workspace_id, month, cpu, ram, storage, amount, discount FROM usage_months
                 WHERE workspace_id = $1 AND month >= $2",
            )
            .bind(&of_workspace[0].workspace_id)
            .bind(first.number())
            .fetch_all(&mut **tx)
            .await
            .map_err(Error::query("read what a month used"))?;
            for row in months {
                let totals = row.totals()?;
                closing.months.insert((id, totals.month), totals);
            }
        }
        Ok(closing)
    }

    /// Charges one hour of one workspace.
    fn close(&mut self, rows: &[OpenRow], look: &MeterLook<'_>) -> Result<()> {
        let workspace_id: WorkspaceId =
            row::parse("metered_resources.workspace_id", &rows[0].workspace_id)?;
        let hour = Hour::from_number(rows[0].hour);
        let tariff = look.prices.at(hour);
        let month = self
            .months
            .entry((workspace_id, hour.month()))
            .or_insert(MonthTotals {
                month: hour.month(),
                metered: Metered::default(),
                charge: Charge::default(),
            });
        let too_much = || Error::Conflict("an hour's charge is too large");
        let mut sum = Charge::default();
        for open in rows {
            let metered = to_metered(open.cpu, open.ram, open.storage)?;
            let before = self
                .rests
                .get(&open.resource)
                .copied()
                .unwrap_or(Remainder {
                    net: open.net_rest.unwrap_or(0),
                    discount: open.discount_rest.unwrap_or(0),
                });
            let cost = tariff.cost(metered, month.metered);
            let (charge, rest) = charge(cost, before).ok_or_else(too_much)?;
            month.metered += metered;
            sum = add(sum, charge).ok_or_else(too_much)?;
            self.rests.insert(open.resource, rest);
            self.closed.push(Closed {
                resource: open.resource,
                hour: open.hour,
                metered,
                charge,
                rest,
            });
        }
        month.charge = add(month.charge, sum).ok_or_else(too_much)?;
        if sum == Charge::default() {
            return Ok(());
        }
        let purse = self
            .purses
            .get_mut(&workspace_id)
            .ok_or(Error::NotFound("wallet"))?;
        let new = NewEntry {
            id: (look.ids)(),
            entry: Entry::usage(workspace_id, sum).ok_or_else(too_much)?,
            reference: format!("usage/{workspace_id}/{}", hour.number()),
            reason: reason(hour, rows.len()),
            at: look.mark.at,
        };
        self.book.add(&new, purse)
    }

    async fn write(self, tx: &mut Tx) -> Result<()> {
        self.book.write(tx).await?;
        let purses: Vec<_> = self.purses.into_iter().collect();
        write_purses(tx, &purses).await?;
        for rows in self.closed.chunks(ROWS) {
            write_closed(tx, rows).await?;
        }
        let months: Vec<_> = self.months.into_iter().collect();
        for rows in months.chunks(ROWS) {
            write_months(tx, rows).await?;
        }
        Ok(())
    }
}

/// What an entry says of an hour.
fn reason(hour: Hour, resources: usize) -> String {
    let what = match resources {
        1 => "1 resource".to_owned(),
        many => format!("{many} resources"),
    };
    format!("usage of {what} in the hour from {}", hour.begin())
}

const fn add(one: Charge, other: Charge) -> Option<Charge> {
    match (
        one.net.checked_add(other.net),
        one.discount.checked_add(other.discount),
    ) {
        (Some(net), Some(discount)) => Some(Charge { net, discount }),
        _ => None,
    }
}

/// Each row is found by its key: an `UPDATE … FROM` would look through all hours there ever were.
async fn write_closed(tx: &mut Tx, rows: &[Closed]) -> Result<()> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO usage_hours (resource, hour, cpu, ram, storage, amount, discount, net_rest,
             discount_rest) ",
    );
    statement.push_values(rows, |mut values, closed| {
        values
            .push_bind(closed.resource)
            .push_bind(closed.hour)
            .push_bind(signed(closed.metered.cpu))
            .push_bind(signed(closed.metered.ram))
            .push_bind(signed(closed.metered.storage))
            .push_bind(closed.charge.net.minor())
            .push_bind(closed.charge.discount.minor())
            .push_bind(closed.rest.net)
            .push_bind(closed.rest.discount);
    });
    statement.push(
        " ON CONFLICT (resource, hour) DO UPDATE SET amount = excluded.amount,
              discount = excluded.discount, net_rest = excluded.net_rest,
              discount_rest = excluded.discount_rest",
    );
    let written = statement.build().execute(&mut **tx).await;
    written.map_err(Error::query("charge hours"))?;
    Ok(())
}

async fn write_months(tx: &mut Tx, rows: &[((WorkspaceId, Month), MonthTotals)]) -> Result<()> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO usage_months (workspace_id, month, cpu, ram, storage, amount, discount) ",
    );
    statement.push_values(rows, |mut values, ((workspace_id, month), totals)| {
        values
            .push_bind(workspace_id.to_string())
            .push_bind(month.number())
            .push_bind(signed(totals.metered.cpu))
            .push_bind(signed(totals.metered.ram))
            .push_bind(signed(totals.metered.storage))
            .push_bind(totals.charge.net.minor())
            .push_bind(totals.charge.discount.minor());
    });
    statement.push(
        " ON CONFLICT (workspace_id, month) DO UPDATE SET cpu = excluded.cpu, ram = excluded.ram,
              storage = excluded.storage, amount = excluded.amount, discount = excluded.discount",
    );
    let written = statement.build().execute(&mut **tx).await;
    written.map_err(Error::query("add up months"))?;
    Ok(())
}

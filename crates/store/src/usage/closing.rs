//! Charging hours that are over: what each came to, the entry of each workspace's hour, and what is left below
//! the minor unit for the next one.
//!
//! Invariant: everything is written in the look's own transaction. A row of an hour is written once when the look
//! that ends the hour brings all of its usage.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::QueryBuilder;
use tose_api::WorkspaceId;
use tose_model::ledger::Entry;
use tose_model::meter::{Hour, Month};
use tose_model::pricing::{Charge, Metered, Remainder, charge};

use super::{MeterLook, MeterMemory, MonthRow, MonthTotals, Rest, Used, signed, to_metered};
use crate::database::Tx;
use crate::error::{Error, Result};
use crate::ledger::{Book, NewEntry, Purse, ROWS, write_purses};
use crate::row;

/// An hour of a resource that is to be charged.
struct OpenHour {
    workspace_id: WorkspaceId,
    hour: Hour,
    resource: i64,
    metered: Metered,
}

/// What an hour of a resource came to.
struct Closed {
    hour: Hour,
    resource: i64,
    metered: Metered,
    charge: Charge,
}

/// Charges every hour before `end`, in order: what the store has of them, and what this look adds.
pub(super) async fn close_hours(
    tx: &mut Tx,
    open: Hour,
    end: Hour,
    used: Used,
    look: &MeterLook<'_>,
    memory: &mut MeterMemory,
) -> Result<()> {
    let hours = open_hours(tx, open, end, used).await?;
    let mut closing = Closing::read(tx, &hours, &mut memory.rests).await?;
    for of_hour in
        hours.chunk_by(|one, next| one.workspace_id == next.workspace_id && one.hour == next.hour)
    {
        closing.close(of_hour, look)?;
    }
    closing.write(tx).await
}

/// By workspace, hour and resource.
async fn open_hours(tx: &mut Tx, open: Hour, end: Hour, mut used: Used) -> Result<Vec<OpenHour>> {
    let rows: Vec<(String, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT r.workspace_id, u.resource, u.hour, u.cpu, u.ram, u.storage
         FROM usage_hours u JOIN metered_resources r ON r.number = u.resource
         WHERE u.hour >= $1 AND u.hour < $2 AND u.amount IS NULL",
    )
    .bind(open.number())
    .bind(end.number())
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("list hours to be charged"))?;
    for (workspace_id, resource, hour, cpu, ram, storage) in rows {
        let workspace_id = row::parse("metered_resources.workspace_id", &workspace_id)?;
        let sum = used
            .entry((Hour::from_number(hour), resource))
            .or_insert((workspace_id, Metered::default()));
        sum.1 += to_metered(cpu, ram, storage)?;
    }
    let open = |((hour, resource), (workspace_id, metered))| OpenHour {
        workspace_id,
        hour,
        resource,
        metered,
    };
    let mut hours: Vec<_> = used.into_iter().map(open).collect();
    // Stable: resources stay in order.
    hours.sort_by_key(|open| (open.workspace_id, open.hour));
    Ok(hours)
}

/// Hours on their way to being charged.
struct Closing<'a> {
    purses: BTreeMap<WorkspaceId, Purse>,
    months: BTreeMap<(WorkspaceId, Month), MonthTotals>,
    rests: &'a mut HashMap<i64, Rest>,
    /// Whose rest is another than before.
    changed: BTreeSet<i64>,
    closed: Vec<Closed>,
    book: Book,
}

impl<'a> Closing<'a> {
    async fn read(
        tx: &mut Tx,
        hours: &[OpenHour],
        rests: &'a mut HashMap<i64, Rest>,
    ) -> Result<Self> {
        let mut workspaces: Vec<_> = hours.iter().map(|open| open.workspace_id).collect();
        workspaces.dedup();
        let workspaces = row::to_json("wallets.workspace_id", &workspaces)?;
        let months: Vec<_> = hours.iter().map(|open| open.hour.month()).collect();
        Ok(Self {
            purses: read_purses(tx, &workspaces).await?,
            months: read_months(tx, &workspaces, &months).await?,
            rests,
            changed: BTreeSet::new(),
            closed: Vec::with_capacity(hours.len()),
            book: Book::default(),
        })
    }

    /// Charges one hour of one workspace.
    fn close(&mut self, hours: &[OpenHour], look: &MeterLook<'_>) -> Result<()> {
        let OpenHour {
            workspace_id, hour, ..
        } = hours[0];
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
        for open in hours {
            let rest = self.rests.entry(open.resource).or_insert(Rest {
                first_hour: hour,
                until_hour: hour,
                left: Remainder::default(),
            });
            let cost = tariff.cost(open.metered, month.metered);
            let (charge, left) = charge(cost, rest.left).ok_or_else(too_much)?;
            if rest.until_hour <= hour || rest.left != left {
                rest.until_hour = hour.month().hours().1;
                rest.left = left;
                self.changed.insert(open.resource);
            }
            month.metered += open.metered;
            sum = add(sum, charge).ok_or_else(too_much)?;
            self.closed.push(Closed {
                hour,
                resource: open.resource,
                metered: open.metered,
                charge,
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
            // The hour first: those of a look lie beside each other in the index.
            reference: format!("usage/{}/{workspace_id}", hour.number()),
            reason: reason(hour, hours.len()),
            at: look.mark.at,
        };
        self.book.add(&new, purse)
    }

    async fn write(mut self, tx: &mut Tx) -> Result<()> {
        self.book.write(tx).await?;
        let purses: Vec<_> = self.purses.into_iter().collect();
        write_purses(tx, &purses).await?;
        self.closed
            .sort_unstable_by_key(|closed| (closed.hour, closed.resource));
        for rows in self.closed.chunks(ROWS) {
            write_closed(tx, rows).await?;
        }
        let rest = |resource| self.rests.get(&resource).map(|rest| (resource, *rest));
        let rests: Vec<_> = self.changed.into_iter().filter_map(rest).collect();
        for rows in rests.chunks(ROWS) {
            write_rests(tx, rows).await?;
        }
        let months: Vec<_> = self.months.into_iter().collect();
        for rows in months.chunks(ROWS) {
            write_months(tx, rows).await?;
        }
        Ok(())
    }
}

async fn read_purses(tx: &mut Tx, workspaces: &str) -> Result<BTreeMap<WorkspaceId, Purse>> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT workspace_id, balance, entries FROM wallets
         WHERE workspace_id IN (SELECT value FROM json_each($1))",
    )
    .bind(workspaces)
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("read wallets"))?;
    rows.into_iter()
        .map(|(id, balance, entries)| {
            let id = row::parse("wallets.workspace_id", &id)?;
            Ok((id, Purse { balance, entries }))
        })
        .collect()
}

async fn read_months(
    tx: &mut Tx,
    workspaces: &str,
    months: &[Month],
) -> Result<BTreeMap<(WorkspaceId, Month), MonthTotals>> {
    let (Some(first), Some(last)) = (months.iter().min(), months.iter().max()) else {
        return Ok(BTreeMap::new());
    };
    let rows: Vec<MonthRow> = sqlx::query_as(
        "SELECT workspace_id, month, cpu, ram, storage, amount, discount FROM usage_months
         WHERE workspace_id IN (SELECT value FROM json_each($1)) AND month BETWEEN $2 AND $3",
    )
    .bind(workspaces)
    .bind(first.number())
    .bind(last.number())
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("read what months used"))?;
    rows.into_iter()
        .map(|row| {
            let id = row::parse("usage_months.workspace_id", &row.workspace_id)?;
            let totals = row.totals()?;
            Ok(((id, totals.month), totals))
        })
        .collect()
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

async fn write_closed(tx: &mut Tx, rows: &[Closed]) -> Result<()> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO usage_hours (hour, resource, cpu, ram, storage, amount, discount) ",
    );
    statement.push_values(rows, |mut values, closed| {
        values
            .push_bind(closed.hour.number())
            .push_bind(closed.resource)
            .push_bind(signed(closed.metered.cpu))
            .push_bind(signed(closed.metered.ram))
            .push_bind(signed(closed.metered.storage))
            .push_bind(closed.charge.net.minor())
            .push_bind(closed.charge.discount.minor());
    });
    statement.push(
        " ON CONFLICT (hour, resource) DO UPDATE SET cpu = excluded.cpu, ram = excluded.ram,
              storage = excluded.storage, amount = excluded.amount, discount = excluded.discount",
    );
    let written = statement.build().execute(&mut **tx).await;
    written.map_err(Error::query("charge hours"))?;
    Ok(())
}

async fn write_rests(tx: &mut Tx, rows: &[(i64, Rest)]) -> Result<()> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO usage_rests (resource, first_hour, until_hour, net_rest, discount_rest) ",
    );
    statement.push_values(rows, |mut values, (resource, rest)| {
        values
            .push_bind(*resource)
            .push_bind(rest.first_hour.number())
            .push_bind(rest.until_hour.number())
            .push_bind(rest.left.net)
            .push_bind(rest.left.discount);
    });
    statement.push(
        " ON CONFLICT (resource) DO UPDATE SET until_hour = excluded.until_hour,
              net_rest = excluded.net_rest, discount_rest = excluded.discount_rest",
    );
    let written = statement.build().execute(&mut **tx).await;
    written.map_err(Error::query("carry what hours left"))?;
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

//! The ledger: entries are added, and never changed or removed.
//!
//! Guarantees: an entry, its postings and the wallet's balance are written in one transaction. Of two entries
//! with one reference there is one, however often and by whom it is asked for. The database itself refuses to
//! change or remove what was written.

use sqlx::QueryBuilder;
use tose_api::envelope::Paging;
use tose_api::wallet::TransactionKind;
use tose_api::{Timestamp, TransactionId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::ledger::{Account, Entry};
use tose_model::money::Money;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// How many rows one statement writes.
pub(crate) const ROWS: usize = 500;

/// An entry to be made.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// A fresh id.
    pub id: TransactionId,
    /// What it does.
    pub entry: Entry,
    /// What it is for: of two with one, there is one.
    pub reference: String,
    /// What for, in words that the workspace sees.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its id.
    pub id: TransactionId,
    /// What it is.
    pub kind: TransactionKind,
    /// What it is for.
    pub reference: String,
    /// What for, in words.
    pub reason: String,
    /// By how much it changed the wallet.
    pub amount: Money,
    /// What the wallet had afterwards.
    pub balance_after: Money,
    /// When.
    pub created_at: Timestamp,
}

/// A posting with what it belongs to, for those who check the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookLine {
    /// The workspace's slug.
    pub workspace: String,
    /// The entry.
    pub entry: LedgerEntry,
    /// Whose.
    pub account: Account,
    /// How much more it has.
    pub amount: Money,
}

type EntryRow = (String, String, String, String, i64, i64, i64);

fn to_entry((id, kind, reference, reason, amount, balance, at): EntryRow) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        id: row::parse("ledger_entries.id", &id)?,
        kind: row::parse_enum("ledger_entries.kind", kind)?,
        reference,
        reason,
        amount: Money::of(amount),
        balance_after: Money::of(balance),
        created_at: row::to_time(at),
    })
}

impl Store {
    /// Adds an entry, unless there is one with its reference. Answers what the wallet has with it; `None` if
    /// nothing was added.
    ///
    /// # Errors
    /// `NotFound` without a wallet.
    pub async fn post(&self, new: &NewEntry, event: Option<&NewEvent>) -> Result<Option<Money>> {
        let workspace_id = new.entry.workspace_id();
        let mut tx = self.begin_of(workspace_id).await?;
        let posted = post(&mut tx, new).await?;
        if let Some(event) = event.filter(|_| posted.is_some()) {
            event::insert(&mut tx, workspace_id, event).await?;
        }
        commit(tx).await?;
        Ok(posted)
    }

    /// One page of a wallet's entries, newest first, and how many there are.
    pub async fn list_entries(
        &self,
        scope: &WorkspaceScope,
        paging: Paging,
    ) -> Result<(Vec<LedgerEntry>, u64)> {
        let total: Option<i64> =
            sqlx::query_scalar("SELECT entries FROM wallets WHERE workspace_id = $1")
                .bind(scope.id().to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("count a wallet's entries"))?;
        let total = total.unwrap_or(0);
        let rows: Vec<EntryRow> = sqlx::query_as(
            "SELECT id, kind, reference, reason, amount, balance_after, created_at
             FROM ledger_entries WHERE workspace_id = $1 AND number <= $2
             ORDER BY number DESC LIMIT $3",
        )
        .bind(scope.id().to_string())
        // Numbers have no gaps.
        .bind(total.saturating_sub(i64::try_from(paging.offset()).unwrap_or(i64::MAX)))
        .bind(i64::from(paging.limit()))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list a wallet's entries"))?;
        let entries = rows.into_iter().map(to_entry).collect::<Result<_>>()?;
        Ok((entries, row::to_u64("wallets.entries", total)?))
    }

    /// A part of all books: what follows this wallet's entry of this number, in order, for an operator.
    pub async fn list_book_lines_for_task(
        &self,
        after: Option<&(WorkspaceId, i64)>,
        limit: u32,
    ) -> Result<(Vec<BookLine>, Option<(WorkspaceId, i64)>)> {
        let (workspace_id, number) = match after {
            Some((id, number)) => (id.to_string(), *number),
            None => (String::new(), 0),
        };
        let keys: Vec<(String, i64)> = sqlx::query_as(
            "SELECT workspace_id, number FROM ledger_entries
             WHERE (workspace_id, number) > ($1, $2) ORDER BY workspace_id, number LIMIT $3",
        )
        .bind(&workspace_id)
        .bind(number)
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list entries"))?;
        let Some((last_workspace, last_number)) = keys.last() else {
            return Ok((Vec::new(), None));
        };
        let rows: Vec<BookRow> = sqlx::query_as(
            "SELECT w.workspace, p.account, p.amount AS posted, e.id, e.kind, e.reference, e.reason,
                    e.amount, e.balance_after, e.created_at
             FROM ledger_entries e JOIN wallets w ON w.workspace_id = e.workspace_id
             JOIN ledger_postings p ON p.workspace_id = e.workspace_id AND p.number = e.number
             WHERE (e.workspace_id, e.number) > ($1, $2) AND (e.workspace_id, e.number) <= ($3, $4)
             ORDER BY e.workspace_id, e.number, p.account",
        )
        .bind(&workspace_id)
        .bind(number)
        .bind(last_workspace)
        .bind(last_number)
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list postings"))?;
        let lines = rows
            .into_iter()
            .map(BookRow::into_line)
            .collect::<Result<_>>()?;
        let next = (
            row::parse("ledger_entries.workspace_id", last_workspace)?,
            *last_number,
        );
        Ok((lines, Some(next)))
    }
}

#[derive(sqlx::FromRow)]
struct BookRow {
    workspace: String,
    account: String,
    posted: i64,
    id: String,
    kind: String,
    reference: String,
    reason: String,
    amount: i64,
    balance_after: i64,
    created_at: i64,
}

impl BookRow {
    fn into_line(self) -> Result<BookLine> {
        let row = (
            self.id,
            self.kind,
            self.reference,
            self.reason,
            self.amount,
            self.balance_after,
            self.created_at,
        );
        Ok(BookLine {
            workspace: self.workspace,
            entry: to_entry(row)?,
            account: row::parse("ledger_postings.account", &self.account)?,
            amount: Money::of(self.posted),
        })
    }
}

/// Adds an entry, unless there is one with its reference.
pub(crate) async fn post(tx: &mut Tx, new: &NewEntry) -> Result<Option<Money>> {
    let known: Option<i64> =
        sqlx::query_scalar("SELECT number FROM ledger_entries WHERE reference = $1")
            .bind(&new.reference)
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::query("look for an entry"))?;
    if known.is_some() {
        return Ok(None);
    }
    let purse: Option<(i64, i64)> =
        sqlx::query_as("SELECT balance, entries FROM wallets WHERE workspace_id = $1")
            .bind(new.entry.workspace_id().to_string())
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::query("read a wallet"))?;
    let (balance, entries) = purse.ok_or(Error::NotFound("wallet"))?;
    let mut book = Book::default();
    let mut purse = Purse { balance, entries };
    book.add(new, &mut purse)?;
    book.write(tx).await?;
    write_purses(tx, &[(new.entry.workspace_id(), purse)]).await?;
    Ok(Some(Money::of(purse.balance)))
}

/// What a wallet has, and how many entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purse {
    pub(crate) balance: i64,
    pub(crate) entries: i64,
}

/// Entries on their way into the ledger.
#[derive(Default)]
pub(crate) struct Book {
    entries: Vec<PendingEntry>,
    postings: Vec<(String, i64, String, i64)>,
}

struct PendingEntry {
    workspace_id: String,
    number: i64,
    id: String,
    kind: &'static str,
    reference: String,
    reason: String,
    amount: i64,
    balance_after: i64,
    created_at: i64,
}

impl Book {
    /// Adds an entry of the wallet that has `purse`.
    pub(crate) fn add(&mut self, new: &NewEntry, purse: &mut Purse) -> Result<()> {
        let amount = new.entry.amount().minor();
        let too_much = Error::Conflict("a wallet cannot hold this much");
        purse.balance = purse.balance.checked_add(amount).ok_or(too_much)?;
        purse.entries += 1;
        let workspace_id = new.entry.workspace_id().to_string();
        for posting in new.entry.postings() {
            self.postings.push((
                workspace_id.clone(),
                purse.entries,
                posting.account.to_string(),
                posting.amount.minor(),
            ));
        }
        self.entries.push(PendingEntry {
            workspace_id,
            number: purse.entries,
            id: new.id.to_string(),
            kind: new.entry.kind().as_str(),
            reference: new.reference.clone(),
            reason: new.reason.clone(),
            amount,
            balance_after: purse.balance,
            created_at: new.at.as_nanos(),
        });
        Ok(())
    }

    /// Writes all of them.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<()> {
        for rows in self.entries.chunks(ROWS) {
            let mut statement = QueryBuilder::new(
                "INSERT INTO ledger_entries (workspace_id, number, id, kind, reference, reason, amount,
                     balance_after, created_at) ",
            );
            statement.push_values(rows, |mut values, row| {
                values
                    .push_bind(&row.workspace_id)
                    .push_bind(row.number)
                    .push_bind(&row.id)
                    .push_bind(row.kind)
                    .push_bind(&row.reference)
                    .push_bind(&row.reason)
                    .push_bind(row.amount)
                    .push_bind(row.balance_after)
                    .push_bind(row.created_at);
            });
            let written = statement.build().execute(&mut **tx).await;
            written.map_err(Error::insert("write entries", "the entry's reference"))?;
        }
        for rows in self.postings.chunks(ROWS) {
            let mut statement = QueryBuilder::new(
                "INSERT INTO ledger_postings (workspace_id, number, account, amount) ",
            );
            statement.push_values(
                rows,
                |mut values, (workspace_id, number, account, amount)| {
                    values
                        .push_bind(workspace_id)
                        .push_bind(*number)
                        .push_bind(account)
                        .push_bind(*amount);
                },
            );
            let written = statement.build().execute(&mut **tx).await;
            written.map_err(Error::query("write postings"))?;
        }
        Ok(())
    }
}

/// Writes what wallets have come to.
pub(crate) async fn write_purses(tx: &mut Tx, purses: &[(WorkspaceId, Purse)]) -> Result<()> {
    for rows in purses.chunks(ROWS) {
        let mut statement = QueryBuilder::new("WITH fresh (id, balance, entries) AS (");
        statement.push_values(rows, |mut values, (id, purse)| {
            values
                .push_bind(id.to_string())
                .push_bind(purse.balance)
                .push_bind(purse.entries);
        });
        statement.push(
            ") UPDATE wallets SET balance = fresh.balance, entries = fresh.entries FROM fresh
               WHERE wallets.workspace_id = fresh.id",
        );
        let written = statement.build().execute(&mut **tx).await;
        written.map_err(Error::query("write wallets"))?;
    }
    Ok(())
}

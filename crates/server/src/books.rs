//! The books, for whoever looks after an installation: credit by hand, and the whole ledger as a file. Both
//! work while a server runs on the same data.
//!
//! Guarantees: an exported entry is whole, so every sum over all accounts is zero; no text of an entry can be
//! taken for another part of the file.

mod csv;
mod journal;

use std::io::{self, Write};

use tose_api::event::Via;
use tose_api::{EventId, Slug, TransactionId};
use tose_model::access::Actor;
use tose_model::error::{Error, Result};
use tose_model::ledger::Entry;
use tose_model::money::{Currency, MAX_AMOUNT, Money};
use tose_model::{Clock, IdGen};
use tose_store::{BookLine, NewEntry, NewEvent, Store};

use crate::app::payment::check_reason;

/// How many entries are read at once.
const ENTRIES: u32 = 500;

/// Adds credit to a workspace's wallet; answers what the wallet has with it. A workspace whose wallet was empty
/// is resumed by the server's next look at it.
///
/// # Errors
/// When there is no such workspace, or the amount or the reason is none.
pub async fn give_credit(
    store: &Store,
    clock: &dyn Clock,
    ids: &dyn IdGen,
    workspace: &Slug,
    amount: Money,
    reason: &str,
) -> Result<Money> {
    if !amount.is_positive() || amount > MAX_AMOUNT {
        let problem = format!("must be between 1 and {}", MAX_AMOUNT.minor());
        return Err(Error::invalid_field("amount", problem));
    }
    let found = store.find_workspace_for_operator(workspace).await?;
    let workspace_id = found.ok_or(Error::NotFound("workspace"))?;
    let id = TransactionId::from_uuid(ids.uuid());
    let new = NewEntry {
        id,
        entry: Entry::operator_credit(workspace_id, amount),
        reference: format!("operator/{id}"),
        reason: check_reason(reason)?,
        at: clock.now(),
    };
    let event = NewEvent {
        id: EventId::from_uuid(ids.uuid()),
        actor: Actor {
            user_id: None,
            name: "tosed admin".to_owned(),
            via: Via::Hook,
            ip: None,
            idempotency: None,
        },
        action: "wallet.credit",
        target: workspace.to_string(),
        at: new.at,
    };
    let balance = store.post(&new, Some(&event)).await?;
    balance.ok_or_else(|| Error::conflict("conflict", "an entry with this id is there already"))
}

/// How the books are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BookFormat {
    /// A row for each posting, with amounts in the smallest unit and signs as in the database
    Csv,
    /// The journal of ledger-cli, in which debits are positive
    Ledger,
}

/// Why the books could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// They could not be read.
    #[error("the ledger could not be read")]
    Read(#[from] tose_store::Error),
    /// They could not be written.
    #[error("the ledger could not be written")]
    Write(#[from] io::Error),
}

/// A way to write the books down.
trait Form {
    /// Writes what comes before all entries.
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the entry that has these postings; those of one workspace come one after the other.
    fn write(&mut self, out: &mut dyn Write, postings: &[BookLine]) -> io::Result<()>;
}

/// Writes all books down, a part at a time; answers how many entries they have.
///
/// # Errors
/// When they cannot be read or written; what was written until then is not all.
pub async fn export(
    store: &Store,
    currency: Currency,
    format: BookFormat,
    out: &mut dyn Write,
) -> std::result::Result<u64, ExportError> {
    let mut form: Box<dyn Form> = match format {
        BookFormat::Csv => Box::new(csv::Table::of(currency)),
        BookFormat::Ledger => Box::new(journal::Journal::of(currency)),
    };
    form.begin(out)?;
    let (mut count, mut after) = (0, None);
    loop {
        let (lines, next) = store
            .list_book_lines_for_task(after.as_ref(), ENTRIES)
            .await?;
        if next.is_none() {
            out.flush()?;
            return Ok(count);
        }
        for postings in lines.chunk_by(|one, other| one.entry.id == other.entry.id) {
            form.write(out, postings)?;
            count += 1;
        }
        after = next;
    }
}

/// What the wallets are kept in: as the server noted it when it first charged, otherwise as configured.
///
/// # Errors
/// When the database cannot be read.
pub async fn currency(store: &Store, configured: Currency) -> Result<Currency> {
    let kept = store.find_setting("billing_currency").await?;
    Ok(kept
        .and_then(|kept| kept.parse().ok())
        .unwrap_or(configured))
}

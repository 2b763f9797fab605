//! `tosed admin`: what is done to the books.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use tose_api::Slug;
use tose_model::money::{Currency, MAX_AMOUNT, Money};
use tose_server::books::{self, BookFormat};
use tose_server::config::Config;
use tose_store::Store;

use crate::{SystemClock, SystemIds, open_existing, print};

#[derive(Args)]
pub(crate) struct CreditArgs {
    /// The workspace's slug
    #[arg(long)]
    workspace: Slug,
    /// How much, in the smallest unit of the wallets' currency: đồng, or cents
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_AMOUNT.minor()))]
    amount: i64,
    /// Why; the workspace sees it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args)]
pub(crate) struct LedgerArgs {
    /// How it is written down
    #[arg(long, value_enum)]
    format: BookFormat,
    /// The file to write; otherwise it goes to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Adds credit to a wallet, and prints what it has then.
pub(crate) async fn credit(config: &Config, args: &CreditArgs) -> Result<()> {
    let store = open_existing(config).await?;
    let amount = Money::of(args.amount);
    let (clock, ids) = (&SystemClock, &SystemIds);
    let given = books::give_credit(&store, clock, ids, &args.workspace, amount, &args.reason).await;
    let currency = currency(&store, config).await;
    store.close().await;
    let answer = serde_json::json!({
        "workspace": args.workspace,
        "credited": args.amount,
        "balance": given?.minor(),
        "currency": currency?.code(),
    });
    print(&answer.to_string())
}

/// Writes the whole ledger down.
pub(crate) async fn ledger(config: &Config, args: &LedgerArgs) -> Result<()> {
    let store = open_existing(config).await?;
    let written = write(&store, config, args).await;
    store.close().await;
    written
}

async fn write(store: &Store, config: &Config, args: &LedgerArgs) -> Result<()> {
    let currency = currency(store, config).await?;
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        books::export(store, currency, args.format, &mut out).await?;
        return Ok(());
    };
    let entries = save(store, currency, args.format, path)
        .await
        .with_context(|| format!("{} could not be written", path.display()))?;
    print(&serde_json::json!({"file": path, "entries": entries}).to_string())
}

/// One that breaks off is not left behind under its name.
async fn save(store: &Store, currency: Currency, format: BookFormat, path: &Path) -> Result<u64> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut part = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(part.as_file_mut());
    let entries = books::export(store, currency, format, &mut out).await?;
    out.flush()?;
    drop(out);
    part.persist(path)?;
    Ok(entries)
}

async fn currency(store: &Store, config: &Config) -> Result<Currency> {
    Ok(books::currency(store, config.billing.prices.currency()).await?)
}

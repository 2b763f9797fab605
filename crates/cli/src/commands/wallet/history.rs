//! What came in and was charged, and the invoices of months.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tose_api::client::Paging;
use tose_api::wallet::{InvoiceView, TransactionView};
use tose_model::meter::Month;

use super::Wallet;
use crate::download;
use crate::error::Error;
use crate::text::{self, amount};

#[derive(Args)]
pub(super) struct TransactionsArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
    /// How many rows a page has, 1 to 50
    #[arg(long, default_value_t = Paging::DEFAULT_LIMIT)]
    limit: u32,
}

#[derive(Args)]
pub(super) struct InvoiceArgs {
    /// The month, such as 2026-01
    month: Month,
    /// The file to write, - for stdout; otherwise the server's name for it, in this folder
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn transactions(wallet: &Wallet<'_>, args: &TransactionsArgs) -> Result<()> {
    let paging = Paging::new(Some(args.page), Some(args.limit))
        .map_err(|parameter| Error::Usage(format!("--{parameter} is out of range")))?;
    let list = wallet.client.list_transactions(wallet.workspace, paging);
    let page = list.await?;
    let rows: Vec<_> = page.items.iter().map(transaction).collect();
    let heading = ["CREATED", "KIND", "AMOUNT", "BALANCE", "REASON"];
    let output = &wallet.ctx.output;
    output.result(&page.items, &text::table(heading, &rows))?;
    if page.meta.has_more {
        let (all, next) = (page.meta.total, page.meta.page + 1);
        output.note(&format!("{all} in all; go on with --page {next}"));
    }
    Ok(())
}

fn transaction(entry: &TransactionView) -> [String; 5] {
    [
        text::time(entry.created_at),
        entry.kind.as_str().to_owned(),
        amount(entry.amount, &entry.currency),
        amount(entry.balance_after, &entry.currency),
        text::first_line(&entry.reason, 60),
    ]
}

pub(super) async fn invoices(wallet: &Wallet<'_>) -> Result<()> {
    let invoices = wallet.client.list_invoices(wallet.workspace).await?;
    let rows: Vec<_> = invoices.iter().map(invoice_row).collect();
    let heading = [
        "MONTH",
        "NUMBER",
        "AT LIST PRICES",
        "DISCOUNT",
        "TOTAL",
        "STATE",
    ];
    let output = &wallet.ctx.output;
    output.result(&invoices, &text::table(heading, &rows))
}

fn invoice_row(invoice: &InvoiceView) -> [String; 6] {
    let money = |minor| amount(minor, &invoice.currency);
    [
        invoice.month.clone(),
        invoice.number.clone(),
        money(invoice.subtotal),
        money(invoice.discount),
        money(invoice.total),
        match invoice.is_final {
            true => "final".to_owned(),
            false => "so far".to_owned(),
        },
    ]
}

pub(super) async fn invoice(wallet: &Wallet<'_>, args: &InvoiceArgs) -> Result<()> {
    let (output, month) = (&wallet.ctx.output, args.month.to_string());
    let download = wallet.client.download_invoice(wallet.workspace, &month);
    let file = download.await?;
    let path = match (&args.output, file.file_name()) {
        (Some(path), _) => path.clone(),
        (None, Some(given)) => PathBuf::from(given),
        (None, None) => PathBuf::from(format!("{}-{month}.pdf", wallet.workspace)),
    };
    let size = download::save(output, file, &path).await?;
    if download::is_stdout(&path) {
        return Ok(());
    }
    let data = json!({ "file": path, "size_bytes": size });
    output.result(&data, &path.display().to_string())
}

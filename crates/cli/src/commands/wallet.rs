//! `tose wallet`: what there is, what it is enough for, and how more comes in.

mod history;
mod prices;
mod show;
mod topup;

use std::str::FromStr;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::wallet::{BudgetAction, MAX_AMOUNT, SetBudget, SetThreshold};

use crate::context::Context;
use crate::error::Error;

#[derive(Args)]
pub(crate) struct WalletArgs {
    #[command(subcommand)]
    command: Option<WalletCommand>,
}

#[derive(Subcommand)]
enum WalletCommand {
    /// Show what there is, and for how long it is enough; so does `tose wallet` alone
    Show,
    /// Ask for a payment: by bank transfer with a QR code, or on a page
    Topup(topup::TopupArgs),
    /// List what came in and what was charged, newest first
    Transactions(history::TransactionsArgs),
    /// Set below what its owners get a mail
    Threshold(ThresholdArgs),
    /// Set what may be used in a month
    Budget(BudgetArgs),
    /// List the months' invoices
    Invoices,
    /// Write a month's invoice to a file, as PDF
    Invoice(history::InvoiceArgs),
    /// Show what something would cost
    Estimate(prices::EstimateArgs),
    /// Show what an hour of everything costs
    Prices,
}

#[derive(Args)]
struct ThresholdArgs {
    /// In the smallest unit of the wallet's currency: đồng, or cents
    #[arg(value_parser = clap::value_parser!(i64).range(0..=MAX_AMOUNT))]
    amount: i64,
}

#[derive(Args)]
struct BudgetArgs {
    /// In the smallest unit of the wallet's currency: đồng, or cents; off takes the budget away
    amount: Limit,
    /// Stop everything when it is used, until the month ends or the budget grows
    #[arg(long)]
    stop: bool,
}

/// A budget as a person gives it.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Off,
    Amount(i64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let amount = text.parse().ok();
        let amount = amount.filter(|amount| (1..=MAX_AMOUNT).contains(amount));
        let problem = || format!("a budget is off, or a whole number from 1 to {MAX_AMOUNT}");
        amount.map(Self::Amount).ok_or_else(problem)
    }
}

/// What each of these commands needs.
struct Wallet<'a> {
    ctx: &'a Context,
    client: &'a Client,
    workspace: &'a Slug,
}

pub(crate) async fn run(ctx: &Context, args: WalletArgs) -> Result<()> {
    let client = &ctx.client()?;
    let command = args.command.unwrap_or(WalletCommand::Show);
    if let WalletCommand::Prices = command {
        return prices::show(ctx, client).await;
    }
    let workspace = &ctx.workspace(client).await?;
    let wallet = &Wallet {
        ctx,
        client,
        workspace,
    };
    match command {
        WalletCommand::Show | WalletCommand::Prices => show::run(wallet).await,
        WalletCommand::Topup(args) => topup::run(wallet, &args).await,
        WalletCommand::Transactions(args) => history::transactions(wallet, &args).await,
        WalletCommand::Threshold(args) => set_threshold(wallet, &args).await,
        WalletCommand::Budget(args) => set_budget(wallet, &args).await,
        WalletCommand::Invoices => history::invoices(wallet).await,
        WalletCommand::Invoice(args) => history::invoice(wallet, &args).await,
        WalletCommand::Estimate(args) => prices::estimate(wallet, &args).await,
    }
}

async fn set_threshold(wallet: &Wallet<'_>, args: &ThresholdArgs) -> Result<()> {
    let body = SetThreshold {
        threshold: args.amount,
    };
    let changed = wallet.client.set_threshold(wallet.workspace, &body).await?;
    show::print(wallet, &changed)
}

async fn set_budget(wallet: &Wallet<'_>, args: &BudgetArgs) -> Result<()> {
    let monthly_limit = match (args.amount, args.stop) {
        (Limit::Amount(amount), _) => Some(amount),
        (Limit::Off, false) => None,
        (Limit::Off, true) => {
            let problem = "without a budget nothing is stopped: leave --stop out";
            return Err(Error::Usage(problem.to_owned()).into());
        }
    };
    let body = SetBudget {
        monthly_limit,
        action: match args.stop {
            true => BudgetAction::Stop,
            false => BudgetAction::Warn,
        },
    };
    let changed = wallet.client.set_budget(wallet.workspace, &body).await?;
    show::print(wallet, &changed)
}

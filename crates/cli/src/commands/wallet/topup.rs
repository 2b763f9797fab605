//! `tose wallet topup`: how to pay, and whether it has arrived.

use anyhow::Result;
use clap::{Args, ValueEnum};
use tose_api::wallet::{
    CreateTopup, CreateUsdTopup, MAX_AMOUNT, TopupProvider, TopupStatus, TopupView,
};

use super::Wallet;
use crate::error::Error;
use crate::output::{Output, Style};
use crate::qr;
use crate::terminal;
use crate::text::{self, amount};
use crate::wait;

#[derive(Args)]
pub(super) struct TopupArgs {
    /// How much: in đồng, with --usd in whole dollars
    #[arg(value_parser = clap::value_parser!(i64).range(1..=MAX_AMOUNT))]
    amount: i64,
    /// Pay in dollars, on a page
    #[arg(long)]
    usd: bool,
    /// How to pay in đồng; otherwise the server's first choice
    #[arg(long, value_enum, conflicts_with = "usd")]
    provider: Option<Provider>,
    /// Wait until it has arrived, or its time is over
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Provider {
    /// A bank transfer
    Sepay,
    /// A page of PayOS
    Payos,
    /// A page of VNPay
    Vnpay,
}

impl Provider {
    fn to_wire(self) -> TopupProvider {
        match self {
            Self::Sepay => TopupProvider::Sepay,
            Self::Payos => TopupProvider::Payos,
            Self::Vnpay => TopupProvider::Vnpay,
        }
    }
}

pub(super) async fn run(wallet: &Wallet<'_>, args: &TopupArgs) -> Result<()> {
    let output = &wallet.ctx.output;
    let topup = create(wallet, args).await?;
    if !args.wait {
        return output.result(&topup, &ways_to_pay(output, &topup));
    }
    if !output.is_json() {
        output.text(&ways_to_pay(output, &topup))?;
    }
    output.note("it is credited also if this is interrupted");
    let topup = wait_for_payment(wallet, topup).await?;
    let credited = topup.credited.unwrap_or_default();
    let found = wallet.client.get_wallet(wallet.workspace).await?;
    let text = format!(
        "credited {}; the wallet has {}",
        amount(credited, &found.currency),
        amount(found.balance, &found.currency)
    );
    output.result(&topup, &text)
}

async fn create(wallet: &Wallet<'_>, args: &TopupArgs) -> Result<TopupView> {
    let (client, workspace) = (wallet.client, wallet.workspace);
    if args.usd {
        let body = CreateUsdTopup {
            amount: args.amount,
        };
        return Ok(client.create_usd_topup(workspace, &body).await?);
    }
    let body = CreateTopup {
        amount: args.amount,
        provider: args.provider.map(Provider::to_wire),
    };
    Ok(client.create_topup(workspace, &body).await?)
}

/// Waits until it was paid; that it was not in time is a failure.
async fn wait_for_payment(wallet: &Wallet<'_>, asked: TopupView) -> Result<TopupView> {
    let ask = async || wallet.client.get_topup(wallet.workspace, asked.id).await;
    let going_on =
        |topup: &TopupView| (topup.status == TopupStatus::Pending).then_some("waiting for it");
    let topup = wait::until(&wallet.ctx.output, ask, going_on).await?;
    if topup.status == TopupStatus::Paid {
        return Ok(topup);
    }
    let over = text::time(asked.expires_at);
    let reason = match asked.account {
        Some(_) => format!(
            "nothing arrived until {over}; a transfer that names {} is credited later as well",
            asked.memo
        ),
        None => format!("nothing arrived until {over}; ask for another one"),
    };
    Err(Error::Failed {
        what: format!("top-up {}", asked.id),
        reason,
        code: "topup_expired",
    }
    .into())
}

/// All that somebody needs who wants to pay.
fn ways_to_pay(output: &Output, topup: &TopupView) -> String {
    let mut text = topup
        .qr_payload
        .as_deref()
        .and_then(|payload| code(output, payload))
        .unwrap_or_default();
    let mut tell = |name: &str, value: &str| text.push_str(&format!("{name:<9}{value}\n"));
    tell("amount", &amount(topup.amount, &topup.currency));
    if let Some(account) = &topup.account {
        tell("bank", &format!("{} (its BIN)", account.bank_bin));
        tell("account", &account.number);
        if let Some(name) = &account.name {
            tell("name", name);
        }
        tell("memo", &format!("{}, in the transfer's text", topup.memo));
    }
    if let Some(url) = &topup.checkout_url {
        tell("pay at", url);
    }
    tell("until", &text::time(topup.expires_at));
    text
}

/// The QR code, where somebody can see it and it fits.
fn code(output: &Output, payload: &str) -> Option<String> {
    if output.is_json() || !output.is_terminal() {
        return None;
    }
    let code = qr::Code::of(payload)?;
    let cols = terminal::size().map(|size| usize::from(size.cols));
    if cols.is_some_and(|cols| cols < code.width()) {
        output.note("this terminal is too narrow for the QR code");
        return None;
    }
    let lines = match output.paints() {
        true => {
            let lines = code.lines(qr::Ink::Dark);
            let paint = |line: &String| output.paint(Style::Paper, line);
            lines.iter().map(paint).collect()
        }
        false => code.lines(qr::Ink::Light),
    };
    Some(lines.join("\n") + "\n\n")
}

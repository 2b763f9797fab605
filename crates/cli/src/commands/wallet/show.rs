//! `tose wallet`, and how a wallet is shown after a change.

use anyhow::Result;
use tose_api::wallet::{BudgetAction, BudgetView, WalletStatus, WalletView};

use super::Wallet;
use crate::output::{Output, Style};
use crate::text::{self, amount};

pub(super) async fn run(wallet: &Wallet<'_>) -> Result<()> {
    let found = wallet.client.get_wallet(wallet.workspace).await?;
    print(wallet, &found)
}

/// Shows all there is to know of a wallet, and what has to be done.
pub(super) fn print(wallet: &Wallet<'_>, found: &WalletView) -> Result<()> {
    let output = &wallet.ctx.output;
    output.result(found, &details(output, wallet, found))?;
    if let Some(warning) = warning(found) {
        output.warn(&warning);
    }
    if found.status == WalletStatus::Off {
        output.note("this server charges nothing");
    }
    Ok(())
}

fn details(output: &Output, wallet: &Wallet<'_>, found: &WalletView) -> String {
    let money = |minor| amount(minor, &found.currency);
    let status = output.paint(style(found.status), found.status.as_str());
    let mut lines = vec![format!(
        "{}  {status}  {}",
        wallet.workspace,
        money(found.balance)
    )];
    let mut tell = |name: &str, value: String| lines.push(format!("{name:<11}{value}"));
    tell("available", available(found));
    tell("uses", format!("{} an hour", money(found.burn_per_hour)));
    if let Some(hours) = found.hours_left {
        tell("lasts", text::hours(hours));
    }
    tell("threshold", money(found.threshold));
    tell("budget", budget(&found.budget, &found.currency));
    lines.join("\n")
}

fn style(status: WalletStatus) -> Style {
    match status {
        WalletStatus::Active => Style::Good,
        WalletStatus::Low | WalletStatus::Grace => Style::Busy,
        WalletStatus::Empty | WalletStatus::Suspended => Style::Bad,
        WalletStatus::Off => Style::Faint,
    }
}

fn available(found: &WalletView) -> String {
    let mut text = amount(found.available, &found.currency);
    if found.accrued > 0 {
        let accrued = amount(found.accrued, &found.currency);
        text.push_str(&format!(", as {accrued} are used and not charged yet"));
    }
    if found.held > 0 {
        let held = amount(found.held, &found.currency);
        text.push_str(&format!(", and {held} are set aside for deployments"));
    }
    text
}

fn budget(budget: &BudgetView, currency: &str) -> String {
    let spent = amount(budget.spent, currency);
    let Some(limit) = budget.monthly_limit else {
        return format!("none, and {spent} used this month");
    };
    let limit = amount(limit, currency);
    let then = match budget.action {
        BudgetAction::Warn => "owners get a mail at 80 % and at 100 %",
        BudgetAction::Stop => "everything is stopped at 100 %",
    };
    format!("{spent} of {limit} used this month; {then}")
}

/// What is wrong, and what to do.
fn warning(found: &WalletView) -> Option<String> {
    const TOP_UP: &str = "top it up with: tose wallet topup AMOUNT";
    let text = match found.status {
        WalletStatus::Active | WalletStatus::Off => return None,
        WalletStatus::Low => format!("less is left than the threshold; {TOP_UP}"),
        WalletStatus::Empty => {
            format!("the wallet is empty, and nothing that costs can be started; {TOP_UP}")
        }
        WalletStatus::Grace => match found.suspends_at {
            Some(at) => format!(
                "the wallet is empty, and everything is stopped at {} unless money comes in; {TOP_UP}",
                text::time(at)
            ),
            None => format!("the wallet is empty, and everything is stopped soon; {TOP_UP}"),
        },
        WalletStatus::Suspended => suspended(found, TOP_UP),
    };
    Some(text)
}

fn suspended(found: &WalletView, top_up: &str) -> String {
    let why = match &found.suspended_reason {
        Some(reason) => format!("everything is stopped and kept, as {reason}"),
        None => "everything is stopped and kept".to_owned(),
    };
    let limit = found.budget.monthly_limit;
    // Another payment does not help whoever has spent as much as they wanted to.
    let is_spent = limit.is_some_and(|limit| found.budget.spent >= limit);
    match is_spent && found.available > 0 {
        true => format!("{why}; raise it with: tose wallet budget AMOUNT --stop"),
        false => format!("{why}, and starts again by itself after a payment; {top_up}"),
    }
}

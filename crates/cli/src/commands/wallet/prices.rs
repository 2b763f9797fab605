//! What things cost, and what something would cost.

use anyhow::Result;
use clap::Args;
use tose_api::client::Client;
use tose_api::wallet::{EstimateRequest, PricesView, PricingView, UnitPriceView};
use tose_api::{Cpu, Ram};

use super::Wallet;
use crate::context::Context;
use crate::text::{self, amount};

#[derive(Args)]
pub(super) struct EstimateArgs {
    /// Cores a replica, such as 0.5
    #[arg(long, value_name = "CORES")]
    cpu: Cpu,
    /// GB of memory a replica, such as 0.5
    #[arg(long, value_name = "GB")]
    ram: Ram,
    /// How many replicas; otherwise 1
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// GB of a database's storage; otherwise none
    #[arg(long, value_name = "GB")]
    storage: Option<u32>,
}

pub(super) async fn estimate(wallet: &Wallet<'_>, args: &EstimateArgs) -> Result<()> {
    let body = EstimateRequest {
        replicas: args.replicas,
        cpu: args.cpu,
        ram: args.ram,
        storage_gb: args.storage,
    };
    let estimate = wallet.client.estimate(wallet.workspace, &body).await?;
    let money = |minor| amount(minor, &estimate.currency);
    let mut text = format!(
        "an hour    {}\na day      {}\n730 hours  {}",
        money(estimate.per_hour),
        money(estimate.per_day),
        money(estimate.per_month)
    );
    if let Some(hours) = estimate.hours_left {
        let lasts = text::hours(hours);
        text.push_str(&format!("\nlasts      {lasts}, with all that runs already"));
    }
    wallet.ctx.output.result(&estimate, &text)
}

pub(super) async fn show(ctx: &Context, client: &Client) -> Result<()> {
    let pricing = client.get_pricing().await?;
    let mut text = table(&pricing.current, &pricing.currency);
    if let Some(next) = &pricing.next {
        let from = text::optional_time(next.from);
        text.push_str(&format!("\nfrom {from} on\n"));
        text.push_str(&table(next, &pricing.currency));
    }
    ctx.output.result(&pricing, &text)?;
    for note in notes(&pricing) {
        ctx.output.note(&note);
    }
    Ok(())
}

/// A row for each price, and one for each lower price.
fn table(prices: &PricesView, currency: &str) -> String {
    let mut rows = Vec::new();
    for (unit, price) in [
        ("a core", &prices.cpu_hour),
        ("a GB of memory", &prices.gb_hour),
        ("a GB of a database's storage", &prices.storage_gb_hour),
    ] {
        rows.push(row(unit, price, currency));
        for tier in &price.tiers {
            let unit = format!("{unit}, after {} hours of a month", tier.above_hours);
            rows.push([unit, format!("{} {currency}", tier.price), String::new()]);
        }
    }
    text::table(["FOR AN HOUR", "PRICE", "FREE HOURS A MONTH"], &rows)
}

fn row(unit: &str, price: &UnitPriceView, currency: &str) -> [String; 3] {
    let free = match price.free_hours {
        0 => String::new(),
        hours => hours.to_string(),
    };
    [unit.to_owned(), format!("{} {currency}", price.price), free]
}

fn notes(pricing: &PricingView) -> Vec<String> {
    if !pricing.enabled {
        return vec!["this server charges nothing".to_owned()];
    }
    let money = |minor| amount(minor, &pricing.currency);
    let mut notes = vec![format!(
        "with an empty wallet everything goes on for {}",
        text::hours(pricing.grace_hours)
    )];
    if pricing.currency != "USD" {
        let rate = money(pricing.usd_rate);
        notes.push(format!("a dollar is credited as {rate}"));
    }
    if pricing.signup_credit > 0 {
        let credit = money(pricing.signup_credit);
        notes.push(format!("a new account is given {credit}"));
    }
    notes
}

//! What was used, by project and database, and the invoices of months.
//!
//! Not here: how it is measured (`meter.rs`) and what it costs (`tose_model::pricing`).

use std::fmt::Write;

use tose_api::Timestamp;
use tose_api::wallet::{InvoiceView, ResourceKind, ResourceUsage, UsageView};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::meter::{Hour, Month};
use tose_model::money::{Currency, Money};
use tose_model::pricing::MICROS_PER_HOUR;
use tose_store::{MonthTotals, ResourceTotals};

use crate::app::Platform;
use crate::invoice::{Invoice, InvoiceLine, Party};

/// The most hours that one answer adds up: a leap year and a day.
const MOST_HOURS: i64 = 367 * 24;

impl Platform {
    /// What the workspace used in the hours from `start` on, before `end`; this month, where they are absent.
    pub(crate) async fn get_usage(
        &self,
        access: &Access,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<UsageView> {
        let this_month = Hour::of(self.now()).month();
        let from = start.map_or(this_month.hours().0, Hour::of);
        let to = match end {
            Some(end) => Hour::beginning_at(end).unwrap_or(Hour::of(end).next()),
            None => Hour::of(self.now()).next(),
        };
        let hours = to.number().saturating_sub(from.number());
        if !(0..=MOST_HOURS).contains(&hours) {
            return Err(Error::invalid_field(
                "start",
                "must be before end, and by no more than a year",
            ));
        }
        let all = self.store.list_usage(access.scope(), from, to).await?;
        let sum = |part: fn(&ResourceTotals) -> Money| all.iter().map(part).sum::<Money>().minor();
        Ok(UsageView {
            start: from.begin(),
            end: to.begin(),
            currency: self.currency(),
            amount: sum(|totals| totals.charge.net),
            discount: sum(|totals| totals.charge.discount),
            resources: all.iter().map(view).collect(),
        })
    }

    /// The invoices of all months in which something was used, newest first.
    pub(crate) async fn list_invoices(&self, access: &Access) -> Result<Vec<InvoiceView>> {
        let months = self.store.list_months(access.scope()).await?;
        let this_month = Hour::of(self.now()).month();
        let invoice = |totals: &MonthTotals| InvoiceView {
            month: totals.month.to_string(),
            number: number(access, totals.month),
            currency: self.currency(),
            subtotal: totals
                .charge
                .net
                .saturating_add(totals.charge.discount)
                .minor(),
            discount: totals.charge.discount.minor(),
            total: totals.charge.net.minor(),
            is_final: totals.month < this_month,
        };
        Ok(months.iter().map(invoice).collect())
    }

    /// A month's invoice as PDF.
    pub(crate) async fn print_invoice(&self, access: &Access, month: &str) -> Result<Vec<u8>> {
        let month: Month = month.parse().map_err(|_| Error::NotFound("invoice"))?;
        let months = self.store.list_months(access.scope()).await?;
        let totals = months
            .iter()
            .find(|totals| totals.month == month)
            .ok_or(Error::NotFound("invoice"))?;
        let (from, to) = month.hours();
        let resources = self.store.list_usage(access.scope(), from, to).await?;
        let workspace = self.store.get_workspace(access.scope()).await?;
        let currency = self.config.billing.prices.currency();
        let is_final = month < Hour::of(self.now()).month();
        let last_day = Hour::from_number(to.number() - 1).begin();
        let seller = &self.config.billing.seller;
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let invoice = Invoice {
            title: "Invoice".to_owned(),
            number: number(access, month),
            date: day(if is_final { to.begin() } else { self.now() }),
            period: Some(format!("{} – {}", day(from.begin()), day(last_day))),
            seller: Party {
                name: seller.name.clone(),
                address: seller.address.clone(),
                tax_id: given(&seller.tax_id),
                email: given(&seller.email),
            },
            buyer: Party {
                name: workspace.name,
                address: String::new(),
                tax_id: None,
                email: None,
            },
            currency: currency.code().to_owned(),
            lines: resources
                .iter()
                .map(|resource| line(resource, currency))
                .collect(),
            totals: invoice_totals(totals, currency),
            notes: notes(is_final),
        };
        tokio::task::spawn_blocking(move || invoice.to_pdf())
            .await
            .map_err(|error| Error::internal("an invoice could not be printed", error))
    }
}

/// The number of a workspace's invoice: the same whenever it is printed.
fn number(access: &Access, month: Month) -> String {
    format!("{}-{}", access.workspace(), month)
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

fn notes(is_final: bool) -> Vec<String> {
    let mut notes = vec!["Paid in advance, from the wallet. All times are UTC.".to_owned()];
    if !is_final {
        notes.push("The month is not over: this is what was charged so far.".to_owned());
    }
    notes
}

fn line(totals: &ResourceTotals, currency: Currency) -> InvoiceLine {
    let kind = match totals.kind {
        ResourceKind::App => "App",
        ResourceKind::Template => "Template",
        ResourceKind::Database => "Database",
    };
    let mut quantity = format!(
        "{} core-hours, {} GB-hours",
        hours(totals.metered.cpu),
        hours(totals.metered.ram)
    );
    if totals.metered.storage > 0 {
        let storage = hours(totals.metered.storage);
        // Writing to a string does not fail.
        let _ = write!(quantity, ", {storage} GB-hours of storage");
    }
    let list = totals.charge.net.saturating_add(totals.charge.discount);
    InvoiceLine {
        text: format!("{kind} {}", totals.slug),
        quantity,
        amount: list.display(currency),
    }
}

fn invoice_totals(totals: &MonthTotals, currency: Currency) -> Vec<(String, String)> {
    let charge = totals.charge;
    let mut all = Vec::new();
    if charge.discount != Money::ZERO {
        let list = charge.net.saturating_add(charge.discount);
        all.push(("At list prices".to_owned(), list.display(currency)));
        all.push(("Discount".to_owned(), (-charge.discount).display(currency)));
    }
    all.push(("Total".to_owned(), charge.net.display(currency)));
    all
}

fn view(totals: &ResourceTotals) -> ResourceUsage {
    ResourceUsage {
        id: totals.project_id,
        kind: totals.kind,
        slug: totals.slug.clone(),
        cpu_hours: hours(totals.metered.cpu),
        gb_hours: hours(totals.metered.ram),
        storage_gb_hours: hours(totals.metered.storage),
        amount: totals.charge.net.minor(),
        discount: totals.charge.discount.minor(),
    }
}

/// Millionths of unit-seconds as unit-hours, rounded down to six decimals.
fn hours(micros: u64) -> String {
    let per_hour = MICROS_PER_HOUR.unsigned_abs();
    let millionths = u128::from(micros) * 1_000_000 / u128::from(per_hour);
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same as a table with commas, for spreadsheets.
pub(crate) fn to_csv(usage: &UsageView) -> String {
    let mut text =
        "kind,name,id,cpu_hours,gb_hours,storage_gb_hours,amount,discount,currency\n".to_owned();
    for resource in &usage.resources {
        let kind = match resource.kind {
            ResourceKind::App => "app",
            ResourceKind::Template => "template",
            ResourceKind::Database => "database",
        };
        // No field can hold a comma or a quote: slugs, ids and numbers. Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{kind},{},{},{},{},{},{},{},{}",
            resource.slug,
            resource.id,
            resource.cpu_hours,
            resource.gb_hours,
            resource.storage_gb_hours,
            resource.amount,
            resource.discount,
            usage.currency
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_up_to_six_decimals() {
        let check = |micros, text: &str| assert_eq!(hours(micros), text);
        check(0, "0");
        check(3_600_000_000, "1");
        check(1_800_000_000, "0.5");
        check(3_600_000_000 * 10, "10");
        check(1, "0");
        check(3_600, "0.000001");
        check(1_200_000_000, "0.333333");
    }
}

//! `tose usage`: what each project and database used, and was charged.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use tose_api::Timestamp;
use tose_api::client::UsageQuery;
use tose_api::wallet::{ResourceUsage, UsageView};

use crate::context::Context;
use crate::download;
use crate::error::Error;
use crate::text::{self, amount};

/// Hours have up to so many decimals.
const DECIMALS: usize = 6;

#[derive(Args)]
pub(crate) struct UsageArgs {
    /// From this hour on: 2026-01-31 or 2026-01-31T08:00:00Z; otherwise this month's
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Before this hour, written like that of --since; otherwise up to now
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Print a table for a spreadsheet
    #[arg(long)]
    csv: bool,
}

/// A time, or the beginning of a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let time = text
            .parse()
            .or_else(|_| format!("{text}T00:00:00Z").parse());
        time.map(Self)
            .map_err(|_| "a time is 2026-01-31 or 2026-01-31T08:00:00Z")
    }
}

pub(crate) async fn run(ctx: &Context, args: UsageArgs) -> Result<()> {
    if args.csv && ctx.output.is_json() {
        let problem = "--csv and --json are two forms: name one of them";
        return Err(Error::Usage(problem.to_owned()).into());
    }
    let query = UsageQuery {
        start: args.since.map(|moment| moment.0),
        end: args.until.map(|moment| moment.0),
    };
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    if args.csv {
        let file = client.download_usage(&workspace, query).await?;
        download::save(&ctx.output, file, Path::new("-")).await?;
        return Ok(());
    }
    let usage = client.get_usage(&workspace, query).await?;
    ctx.output.result(&usage, &table(&usage))?;
    let (start, end) = (text::time(usage.start), text::time(usage.end));
    ctx.output.note(&format!("from {start} to {end}"));
    Ok(())
}

fn table(usage: &UsageView) -> String {
    let mut rows: Vec<_> = usage
        .resources
        .iter()
        .map(|resource| row(resource, &usage.currency))
        .collect();
    let sum = |part: fn(&ResourceUsage) -> &String| total(usage.resources.iter().map(part));
    rows.push([
        "total".to_owned(),
        String::new(),
        sum(|resource| &resource.cpu_hours),
        sum(|resource| &resource.gb_hours),
        sum(|resource| &resource.storage_gb_hours),
        amount(usage.discount, &usage.currency),
        amount(usage.amount, &usage.currency),
    ]);
    let heading = [
        "NAME",
        "KIND",
        "CORE-HOURS",
        "GB-HOURS",
        "STORAGE GB-HOURS",
        "DISCOUNT",
        "AMOUNT",
    ];
    text::table(heading, &rows)
}

fn row(resource: &ResourceUsage, currency: &str) -> [String; 7] {
    [
        resource.slug.clone(),
        text::word(&resource.kind),
        resource.cpu_hours.clone(),
        resource.gb_hours.clone(),
        resource.storage_gb_hours.clone(),
        amount(resource.discount, currency),
        amount(resource.amount, currency),
    ]
}

/// The sum of decimal numbers, exact; a dash if one of them is none.
fn total<'a>(numbers: impl Iterator<Item = &'a String>) -> String {
    let sum = numbers.map(|number| parse(number)).sum::<Option<u128>>();
    sum.map_or_else(|| "-".to_owned(), write)
}

fn parse(number: &str) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 30 || part.len() > DECIMALS {
        return None;
    }
    let digits = format!("{whole}{part:0<DECIMALS$}");
    is_number(&digits).then(|| digits.parse().ok()).flatten()
}

fn write(millionths: u128) -> String {
    let digits = format!("{millionths:0>width$}", width = DECIMALS + 1);
    let (whole, part) = digits.split_at(digits.len() - DECIMALS);
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_added_up_exactly() {
        for (numbers, sum) in [
            (&["0.1", "0.2"][..], "0.3"),
            (&["12.5", "0.000001", "7"], "19.500001"),
            (&["1.5", "1.5"], "3"),
            (&[], "0"),
            (&["1", "much"], "-"),
            (&["1", "+1"], "-"),
            (&["1.1234567"], "-"),
        ] {
            let numbers: Vec<_> = numbers.iter().map(|&number| number.to_owned()).collect();
            assert_eq!(total(numbers.iter()), sum, "{numbers:?}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        let day: Moment = "2026-01-31".parse().expect("a day");
        assert_eq!("2026-01-31T00:00:00Z".parse(), Ok(day));
        for text in ["yesterday", "", "2026-13-01", "2026-01"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}

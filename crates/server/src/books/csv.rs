//! The books as CSV (RFC 4180).

use std::borrow::Cow;
use std::io::{self, Write};

use tose_model::money::Currency;
use tose_store::BookLine;

use super::Form;

const HEADING: &str =
    "time,workspace,entry,kind,account,amount,currency,balance_after,reference,reason";

/// A row for each posting.
pub(super) struct Table {
    currency: Currency,
}

impl Table {
    pub(super) fn of(currency: Currency) -> Self {
        Self { currency }
    }
}

impl Form for Table {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{HEADING}")
    }

    fn write(&mut self, out: &mut dyn Write, postings: &[BookLine]) -> io::Result<()> {
        for posting in postings {
            writeln!(out, "{}", row(posting, self.currency))?;
        }
        Ok(())
    }
}

fn row(posting: &BookLine, currency: Currency) -> String {
    let entry = &posting.entry;
    let cells = [
        entry.created_at.to_string(),
        posting.workspace.clone(),
        entry.id.to_string(),
        entry.kind.as_str().to_owned(),
        posting.account.to_string(),
        posting.amount.minor().to_string(),
        currency.code().to_owned(),
        entry.balance_after.minor().to_string(),
        entry.reference.clone(),
        entry.reason.clone(),
    ];
    cells.map(|cell| quoted(&cell).into_owned()).join(",")
}

/// A cell as it stands in a row.
fn quoted(cell: &str) -> Cow<'_, str> {
    if !cell.contains([',', '"', '\r', '\n']) {
        return Cow::Borrowed(cell);
    }
    Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_cell_is_quoted() {
        for (cell, written) in [
            ("plain text; Đồng", "plain text; Đồng"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("he said \"no\"", "\"he said \"\"no\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}

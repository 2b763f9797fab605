//! Invoices and receipts as PDF: A4, with as many pages as the lines need.
//!
//! Guarantees: equal input makes equal bytes; the text can be searched and copied; nothing is computed here,
//! what is printed is what was handed in.
//! Assumption: accents are part of their letters (NFC), as keyboards write them.
//! Not here: what is charged, and in which words and numbers.

mod font;
mod sheet;

use sheet::{Place, Sheet, Style};

const SMALL: f32 = 8.0;
const NORMAL: f32 = 9.5;
const LARGE: f32 = 20.0;
/// From one line of text to the next, in points.
const LINE: f32 = 13.5;
/// The columns, from the left margin, in points; amounts and quantities end where theirs do.
const TEXT_WIDTH: f32 = 270.0;
const QUANTITY_WIDTH: f32 = 105.0;
const QUANTITY_END: f32 = 385.0;
/// Half of the page, with a gap.
const PARTY_WIDTH: f32 = 235.0;

/// Who sells or buys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) name: String,
    /// May have several lines.
    pub(crate) address: String,
    pub(crate) tax_id: Option<String>,
    pub(crate) email: Option<String>,
}

/// One position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InvoiceLine {
    pub(crate) text: String,
    pub(crate) quantity: String,
    pub(crate) amount: String,
}

/// What is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Invoice {
    /// What it is: "Invoice" or "Receipt".
    pub(crate) title: String,
    pub(crate) number: String,
    pub(crate) date: String,
    pub(crate) period: Option<String>,
    pub(crate) seller: Party,
    pub(crate) buyer: Party,
    /// The currency of all amounts.
    pub(crate) currency: String,
    pub(crate) lines: Vec<InvoiceLine>,
    /// Labels and amounts; the last one stands out.
    pub(crate) totals: Vec<(String, String)>,
    pub(crate) notes: Vec<String>,
}

impl Invoice {
    /// The PDF.
    pub(crate) fn to_pdf(&self) -> Vec<u8> {
        let mut sheet = Sheet::new();
        self.put_heading(&mut sheet);
        self.put_parties(&mut sheet);
        self.put_table_head(&mut sheet);
        for line in &self.lines {
            self.put_line(&mut sheet, line);
        }
        self.put_totals(&mut sheet);
        self.put_notes(&mut sheet);
        sheet.finish(
            &format!("{} {}", self.title, self.number),
            &self.seller.name,
        )
    }

    fn put_heading(&self, sheet: &mut Sheet) {
        let top = sheet.y();
        sheet.down(LARGE);
        sheet.put(Place::Left(0.0), Style::bold(LARGE), &self.title);
        sheet.set_y(top);
        let period = self.period.as_ref().map(|period| ("Period", period));
        let rows = [("Number", &self.number), ("Date", &self.date)];
        for (label, value) in rows.into_iter().chain(period) {
            sheet.down(LINE);
            let text = format!("{label}: {value}");
            sheet.put(Place::Right(sheet::WIDTH), Style::regular(NORMAL), &text);
        }
        sheet.down(2.0 * LINE);
    }

    fn put_parties(&self, sheet: &mut Sheet) {
        let top = sheet.y();
        put_party(sheet, "Seller", &self.seller, 0.0);
        let end = sheet.y();
        sheet.set_y(top);
        put_party(sheet, "Buyer", &self.buyer, sheet::WIDTH - PARTY_WIDTH);
        sheet.set_y(sheet.y().max(end));
        sheet.down(2.0 * LINE);
    }

    fn put_table_head(&self, sheet: &mut Sheet) {
        let style = Style::bold(NORMAL);
        sheet.put(Place::Left(0.0), style, "Description");
        sheet.put(Place::Right(QUANTITY_END), style, "Quantity");
        let amount = format!("Amount ({})", self.currency);
        sheet.put(Place::Right(sheet::WIDTH), style, &amount);
        sheet.down(0.4 * LINE);
        sheet.rule(0.0);
        sheet.down(LINE);
    }

    /// A line goes on to the next page where the page ends, under the table's head.
    fn put_line(&self, sheet: &mut Sheet, line: &InvoiceLine) {
        let style = Style::regular(NORMAL);
        let texts = sheet.wrap(style, TEXT_WIDTH, &line.text);
        let quantities = sheet.wrap(style, QUANTITY_WIDTH, &line.quantity);
        let rows = texts.len().max(quantities.len()).max(1);
        for row in 0..rows {
            if sheet.break_page(LINE) {
                self.put_table_head(sheet);
            }
            let of = |column: &[String]| column.get(row).cloned().unwrap_or_default();
            sheet.put(Place::Left(0.0), style, &of(&texts));
            sheet.put(Place::Right(QUANTITY_END), style, &of(&quantities));
            if row == 0 {
                sheet.put(Place::Right(sheet::WIDTH), style, &line.amount);
            }
            sheet.down(LINE);
        }
    }

    fn put_totals(&self, sheet: &mut Sheet) {
        let Some(last) = self.totals.len().checked_sub(1) else {
            return;
        };
        // A rule and at least one total stay together.
        sheet.break_page(3.0 * LINE);
        sheet.rule(TEXT_WIDTH);
        sheet.down(LINE);
        for (place, (label, amount)) in self.totals.iter().enumerate() {
            sheet.break_page(LINE);
            let style = match place == last {
                true => Style::bold(NORMAL),
                false => Style::regular(NORMAL),
            };
            sheet.put(Place::Right(QUANTITY_END), style, label);
            let amount = format!("{amount} {}", self.currency);
            sheet.put(Place::Right(sheet::WIDTH), style, &amount);
            sheet.down(LINE);
        }
    }

    fn put_notes(&self, sheet: &mut Sheet) {
        sheet.down(LINE);
        let style = Style::regular(SMALL);
        for note in &self.notes {
            for row in sheet.wrap(style, sheet::WIDTH, note) {
                sheet.break_page(LINE);
                sheet.put(Place::Left(0.0), style, &row);
                sheet.down(LINE);
            }
        }
    }
}

fn put_party(sheet: &mut Sheet, role: &str, party: &Party, left: f32) {
    sheet.put(Place::Left(left), Style::bold(NORMAL), role);
    sheet.down(LINE);
    let tax_id = party.tax_id.iter().map(|id| format!("Tax ID: {id}"));
    let address = party.address.lines().map(str::to_owned);
    let texts = std::iter::once(party.name.clone())
        .chain(address)
        .chain(tax_id)
        .chain(party.email.clone());
    let style = Style::regular(NORMAL);
    for text in texts {
        for row in sheet.wrap(style, PARTY_WIDTH, &text) {
            sheet.put(Place::Left(left), style, &row);
            sheet.down(LINE);
        }
    }
}

#[cfg(test)]
mod tests;

//! The books as a journal of ledger-cli.
//!
//! In the database what somebody has is positive in their wallet's account, and what was earned is positive as
//! well. For accountants both are credits, which ledger-cli has as negative: every sign is turned around.

use std::io::{self, Write};

use tose_api::wallet::TopupProvider;
use tose_model::ledger::Account;
use tose_model::money::{Currency, Money};
use tose_store::BookLine;

use super::Form;

/// The longest text, in characters: ledger-cli reads lines of 4096 bytes.
const MAX_TEXT: usize = 500;

/// A transaction for each entry.
pub(super) struct Journal {
    currency: Currency,
    /// The wallet that was declared last.
    wallet: String,
}

impl Journal {
    pub(super) fn of(currency: Currency) -> Self {
        Self {
            currency,
            wallet: String::new(),
        }
    }
}

impl Form for Journal {
    /// Declares all names but those of the wallets, so that `ledger --strict` finds what does not belong here.
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let currency = self.currency;
        let sample = amount(Money::of(1000 * 10_i64.pow(currency.decimals())), currency);
        writeln!(
            out,
            "; The books of a TOSE installation; days are in UTC.\n"
        )?;
        writeln!(out, "commodity {currency}\n    format {sample}\n")?;
        writeln!(out, "tag kind\ntag reference\n")?;
        let own = [
            Account::Usage,
            Account::Discounts,
            Account::Promotions,
            Account::Adjustments,
        ];
        let providers =
            TopupProvider::ALL.map(|provider| Account::Provider(provider.as_str().into()));
        for account in own.iter().chain(&providers) {
            writeln!(out, "account {}", name(account, ""))?;
        }
        Ok(())
    }

    fn write(&mut self, out: &mut dyn Write, postings: &[BookLine]) -> io::Result<()> {
        let Some(BookLine {
            workspace, entry, ..
        }) = postings.first()
        else {
            return Ok(());
        };
        if self.wallet != *workspace {
            self.wallet.clone_from(workspace);
            writeln!(out, "\naccount {}", wallet(workspace))?;
        }
        let time = entry.created_at.to_string();
        let day = time.split('T').next().unwrap_or_default();
        writeln!(out, "\n{day} * ({}) {}", entry.id, harmless(&entry.reason))?;
        writeln!(out, "    ; kind: {}", entry.kind.as_str())?;
        writeln!(out, "    ; reference: {}", harmless(&entry.reference))?;
        for posting in postings {
            let account = name(&posting.account, workspace);
            let amount = amount(-posting.amount, self.currency);
            writeln!(out, "    {account}  {amount}")?;
        }
        Ok(())
    }
}

/// What an account of this workspace's entry is called.
fn name(account: &Account, workspace: &str) -> String {
    match account {
        Account::Wallet(_) => wallet(workspace),
        Account::Usage => "Income:Usage".to_owned(),
        Account::Discounts => "Expenses:Discounts".to_owned(),
        Account::Promotions => "Expenses:Promotions".to_owned(),
        Account::Adjustments => "Expenses:Adjustments".to_owned(),
        Account::Provider(provider) => format!("Assets:Payments:{}", harmless(provider)),
    }
}

fn wallet(workspace: &str) -> String {
    format!("Liabilities:Wallets:{workspace}")
}

/// An amount without groups of digits, whose sign could be taken for that of decimals.
fn amount(amount: Money, currency: Currency) -> String {
    let sign = if amount < Money::ZERO { "-" } else { "" };
    let scale = 10_u64.pow(currency.decimals());
    let minor = amount.minor().unsigned_abs();
    let (whole, part) = (minor / scale, minor % scale);
    match usize::try_from(currency.decimals()).unwrap_or(0) {
        0 => format!("{sign}{whole} {currency}"),
        width => format!("{sign}{whole}.{part:0width$} {currency}"),
    }
}

/// A text on one line that begins no comment, and in which no day and no account is looked for.
fn harmless(text: &str) -> String {
    let safe = |c: char| match c {
        ';' => ',',
        '[' => '(',
        ']' => ')',
        c if c.is_control() => ' ',
        c => c,
    };
    let text: String = text.chars().take(MAX_TEXT).map(safe).collect();
    let words: Vec<_> = text.split_whitespace().collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_be_taken_for_more() {
        for (text, written) in [
            ("a gift", "a gift"),
            ("one\n2026-01-01 x\n  A  1 VND", "one 2026-01-01 x A 1 VND"),
            ("top-up  ; [2026-13-01]", "top-up , (2026-13-01)"),
            ("\u{2028}tab\there ", "tab here"),
            (" \r\n", "-"),
            (&"đ".repeat(501), &"đ".repeat(500)),
        ] {
            assert_eq!(harmless(text), written);
        }
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (minor, currency, written) in [
            (250_000, Currency::Vnd, "250000 VND"),
            (-5, Currency::Usd, "-0.05 USD"),
            (123_456, Currency::Usd, "1234.56 USD"),
        ] {
            assert_eq!(amount(Money::of(minor), currency), written);
        }
    }
}

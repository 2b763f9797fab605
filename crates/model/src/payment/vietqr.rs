//! `VietQR`: the text in a QR code that fills in a bank transfer.
//!
//! It is EMV's merchant-presented form: fields of a two-digit id, a two-digit length and a value, with a
//! checksum at the end. Sources: NAPAS' "Format of QR code for payment", EMV QRCPS part 1.
//! Not here: drawing the code (`tose-server`, `qr.rs`).

use std::fmt::Write;

/// NAPAS, which passes the transfer on.
const NAPAS: &str = "A000000727";
/// A transfer to an account, as against one to a card.
const TO_ACCOUNT: &str = "QRIBFTTA";
/// Vietnamese đồng, by number.
const VND: &str = "704";
const POLYNOMIAL: u16 = 0x1021;

/// A bank transfer in đồng.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// The bank's number, six digits.
    pub bank_bin: &'a str,
    /// The account: up to 19 letters and digits.
    pub account: &'a str,
    /// How much; without it, the payer says.
    pub amount: Option<i64>,
    /// What the transfer says: printable ASCII, up to 50 characters.
    pub memo: &'a str,
    /// The number of a bill.
    pub bill_number: Option<&'a str>,
}

/// A transfer that no code can be made for, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTransfer(&'static str);

impl Transfer<'_> {
    /// The text of the code.
    ///
    /// # Errors
    /// When a part of it does not fit.
    pub fn payload(&self) -> Result<String, InvalidTransfer> {
        self.check()?;
        let bank = field("00", self.bank_bin) + &field("01", self.account);
        let account = field("00", NAPAS) + &field("01", &bank) + &field("02", TO_ACCOUNT);
        // A code with an amount is for one payment, one without for many.
        let method = self.amount.map_or("11", |_| "12");
        let mut text = field("00", "01") + &field("01", method);
        text += &field("38", &account);
        text += &field("53", VND);
        if let Some(amount) = self.amount {
            text += &field("54", &amount.to_string());
        }
        text += &field("58", "VN");
        let bill = self.bill_number.map(|number| field("01", number));
        text += &field("62", &(bill.unwrap_or_default() + &field("08", self.memo)));
        text += "6304";
        let checksum = crc(text.as_bytes());
        write!(text, "{checksum:04X}").expect("a String takes everything");
        Ok(text)
    }

    fn check(&self) -> Result<(), InvalidTransfer> {
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let bill = self.bill_number.unwrap_or("-");
        let problems = [
            (
                self.bank_bin.len() == 6 && is_digits(self.bank_bin),
                "the bank's number has six digits",
            ),
            (
                (1..=19).contains(&self.account.len()) && is_alphanumeric(self.account),
                "the account has up to 19 letters and digits",
            ),
            (
                self.amount
                    .is_none_or(|amount| (1..=9_999_999_999_999).contains(&amount)),
                "the amount has up to 13 digits and is above zero",
            ),
            (
                (1..=50).contains(&self.memo.len()) && is_printable(self.memo),
                "the memo has up to 50 characters of ASCII",
            ),
            (
                (1..=25).contains(&bill.len()) && is_printable(bill),
                "the bill's number has up to 25 characters of ASCII",
            ),
        ];
        match problems.iter().find(|(is_right, _)| !is_right) {
            None => Ok(()),
            Some((_, problem)) => Err(InvalidTransfer(problem)),
        }
    }
}

/// A field; its value has at most 99 characters, as [`Transfer::check`] saw to.
fn field(id: &str, value: &str) -> String {
    format!("{id}{:02}{value}", value.len())
}

/// CRC-16 as ISO/IEC 13239 has it, beginning with all ones ("CCITT-FALSE").
fn crc(bytes: &[u8]) -> u16 {
    let step = |crc: u16| match crc & 0x8000 {
        0 => crc << 1,
        _ => (crc << 1) ^ POLYNOMIAL,
    };
    bytes.iter().fold(u16::MAX, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| step(crc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Transfer<'static> {
        Transfer {
            bank_bin: "970403",
            account: "0011012345678",
            amount: Some(180_000),
            memo: "thanh toan don hang",
            bill_number: Some("NPS6869"),
        }
    }

    #[test]
    fn the_example_of_napas_is_made() {
        assert_eq!(crc(b"123456789"), 0x29B1);
        assert_eq!(
            example().payload().as_deref(),
            Ok(
                "00020101021238570010A00000072701270006970403011300110123456780208QRIBFTTA530370454061800005802VN62340107NPS68690819thanh toan don hang63042E2E"
            )
        );
    }

    #[test]
    fn a_code_without_an_amount_is_for_many_payments() {
        let transfer = Transfer {
            amount: None,
            bill_number: None,
            memo: "TSABCDEFG",
            ..example()
        };
        let payload = transfer.payload().expect("a code");
        assert!(payload.starts_with("000201010211"), "{payload}");
        assert!(payload.contains("5802VN62130809TSABCDEFG6304"), "{payload}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "1".repeat(51);
        for transfer in [
            Transfer {
                bank_bin: "97040",
                ..example()
            },
            Transfer {
                bank_bin: "97040x",
                ..example()
            },
            Transfer {
                account: "",
                ..example()
            },
            Transfer {
                account: "00 11",
                ..example()
            },
            Transfer {
                amount: Some(0),
                ..example()
            },
            Transfer {
                amount: Some(i64::MAX),
                ..example()
            },
            Transfer {
                memo: "tiền",
                ..example()
            },
            Transfer {
                memo: &long,
                ..example()
            },
            Transfer {
                bill_number: Some(&long),
                ..example()
            },
        ] {
            assert!(transfer.payload().is_err(), "{transfer:?}");
        }
        let longest = Transfer {
            account: &long[..19],
            amount: Some(9_999_999_999_999),
            memo: &long[..50],
            bill_number: Some(&long[..25]),
            ..example()
        };
        assert!(longest.payload().is_ok());
    }
}

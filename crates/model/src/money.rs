//! Money: whole minor units of one currency, added up with checks.
//!
//! Invariant: an amount is exact. There is no fraction of a minor unit, no floating point, and one place
//! that rounds ([`divide_up`], [`divide_down`]). A sum that does not fit is an error, never another number.

use std::fmt;
use std::iter::Sum;
use std::ops::Neg;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an installation's wallets are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Vietnamese đồng, which has no smaller unit.
    #[default]
    Vnd,
    /// United States dollars, in cents.
    Usd,
}

impl Currency {
    /// Reads a code of ISO 4217, in upper or lower case.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Vnd, Self::Usd]
            .into_iter()
            .find(|currency| currency.code().eq_ignore_ascii_case(code))
    }

    /// The code of ISO 4217.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Vnd => "VND",
            Self::Usd => "USD",
        }
    }

    /// How many decimals the minor unit is of the major one.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Vnd => 0,
            Self::Usd => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that names no currency that wallets are kept in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be VND or USD")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        match text {
            "VND" => Ok(Self::Vnd),
            "USD" => Ok(Self::Usd),
            _ => Err(UnknownCurrency),
        }
    }
}

/// An amount in minor units (đồng, cents), negative where it is owed or taken.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(i64);

/// The largest amount that is taken from outside, in minor units: far below what sums could overflow at.
pub const MAX_AMOUNT: Money = Money(1_000_000_000_000);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many minor units.
    pub const fn of(minor: i64) -> Self {
        Self(minor)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum, if it fits.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, if it fits.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The sum, or the amount next to it that there is: for what is only shown or compared.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or the amount next to it that there is: for what is only shown or compared.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is more than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The amount for people, with its currency: `250,000 VND`, `-1,234.50 USD`.
    pub fn display(self, currency: Currency) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let scale = 10_u64.pow(currency.decimals());
        let (major, minor) = (self.0.unsigned_abs() / scale, self.0.unsigned_abs() % scale);
        let major = grouped(major);
        match currency.decimals() {
            0 => format!("{sign}{major} {currency}"),
            width => format!(
                "{sign}{major}.{minor:0width$} {currency}",
                width = width as usize
            ),
        }
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Neg for Money {
    type Output = Self;

    /// Amounts are far from the one that has no opposite.
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// `numerator / denominator`, rounded towards less; `None` if that does not fit.
pub fn divide_down(numerator: i128, denominator: i128) -> Option<i64> {
    i64::try_from(numerator.div_euclid(denominator)).ok()
}

/// `numerator / denominator`, rounded towards more; `None` if that does not fit.
pub fn divide_up(numerator: i128, denominator: i128) -> Option<i64> {
    let rest = numerator.rem_euclid(denominator);
    divide_down(numerator, denominator)?.checked_add(i64::from(rest > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_their_currency() {
        let check = |minor, currency, text: &str| {
            assert_eq!(Money::of(minor).display(currency), text);
        };
        check(0, Currency::Vnd, "0 VND");
        check(999, Currency::Vnd, "999 VND");
        check(-250_000, Currency::Vnd, "-250,000 VND");
        check(1_234_567, Currency::Vnd, "1,234,567 VND");
        check(5, Currency::Usd, "0.05 USD");
        check(-123_450, Currency::Usd, "-1,234.50 USD");
    }

    #[test]
    fn there_is_one_way_to_round_down_and_one_to_round_up() {
        assert_eq!((divide_down(7, 2), divide_up(7, 2)), (Some(3), Some(4)));
        assert_eq!((divide_down(6, 2), divide_up(6, 2)), (Some(3), Some(3)));
        assert_eq!((divide_down(-7, 2), divide_up(-7, 2)), (Some(-4), Some(-3)));
        assert_eq!(divide_down(i128::MAX, 1), None);
        assert_eq!(divide_up(i128::from(i64::MAX) * 2 + 1, 2), None);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_none() {
        assert_eq!(Money::of(i64::MAX).checked_add(Money::of(1)), None);
        assert_eq!(Money::of(i64::MIN).checked_sub(Money::of(1)), None);
        assert_eq!(Money::of(2).checked_sub(Money::of(3)), Some(Money::of(-1)));
    }
}

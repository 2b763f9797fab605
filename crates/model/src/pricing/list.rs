//! The price list: an operator's numbers, checked once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use tose_api::Timestamp;

use crate::meter::Hour;
use crate::money::Currency;
use crate::pricing::MICROS_PER_HOUR;

/// What a unit costs for an hour, in millionths of the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Price(u64);

/// The largest price, in millionths of a minor unit: 10 million minor units an hour.
const MAX_PRICE: u64 = 10_000_000_000_000;

impl Price {
    /// So many whole minor units.
    pub const fn of_minor(minor: u32) -> Self {
        Self(minor as u64 * 1_000_000)
    }

    /// The price in millionths of a minor unit.
    pub const fn micro_minor(self) -> u64 {
        self.0
    }

    /// The price as a decimal number of major units, without needless digits.
    pub fn display(self, currency: Currency) -> String {
        let width = 6 + currency.decimals() as usize;
        let scale = 10_u64.pow(6 + currency.decimals());
        let text = format!("{}.{:0width$}", self.0 / scale, self.0 % scale);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A price as the configuration has it, whose currency is known later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalPrice {
    /// In millionths of the major unit.
    micro_major: u64,
}

impl DecimalPrice {
    fn of(self, currency: Currency) -> Result<Price, InvalidPrices> {
        let micro = self
            .micro_major
            .checked_mul(10_u64.pow(currency.decimals()))
            .filter(|micro| *micro <= MAX_PRICE);
        micro.map(Price).ok_or_else(|| {
            InvalidPrices("a price must be at most 10,000,000 of the smallest coins".to_owned())
        })
    }
}

impl FromStr for DecimalPrice {
    type Err = InvalidPrices;

    fn from_str(text: &str) -> Result<Self, InvalidPrices> {
        let invalid = || {
            InvalidPrices(format!(
                "{text:?} is no price: a number such as \"500\" or \"0.0125\", with at most six decimals"
            ))
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || decimals.len() > 6 {
            return Err(invalid());
        }
        if !is_number(whole) || !is_number(decimals) || text.ends_with('.') {
            return Err(invalid());
        }
        let digits = format!("{whole}{decimals:0<6}");
        let micro_major = digits.parse().map_err(|_| invalid())?;
        Ok(Self { micro_major })
    }
}

impl<'de> Deserialize<'de> for DecimalPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = DecimalPrice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price such as 500 or \"0.0125\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DecimalPrice, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<DecimalPrice, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<DecimalPrice, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Why a price list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPrices(pub String);

/// A price from so much on that a workspace has used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// After how many unit-hours of the month it holds.
    pub above_hours: u32,
    /// What an hour costs from there on.
    pub price: DecimalPrice,
}

/// What one kind of unit costs: a list price, and less from some use in a month on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    list: Price,
    /// How much of a month costs nothing, in millionths of unit-seconds.
    free: u64,
    /// From how much on another price holds, in the same, rising.
    tiers: Vec<(u64, Price)>,
}

impl Scale {
    /// The price before anything is taken off.
    pub const fn list_price(&self) -> Price {
        self.list
    }

    /// How many unit-hours of a month cost nothing.
    pub const fn free_hours(&self) -> u64 {
        self.free / MICROS_PER_HOUR.unsigned_abs()
    }

    /// The lower prices, each with the unit-hours of a month after which it holds.
    pub fn tiers(&self) -> impl Iterator<Item = (u64, Price)> {
        let hours = |micros: u64| micros / MICROS_PER_HOUR.unsigned_abs();
        self.tiers
            .iter()
            .map(move |(from, price)| (hours(*from), *price))
    }

    /// Each price with the range of a month's use that it holds for.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (Price, u64, u64)> {
        let starts = [(0, Price::default()), (self.free, self.list)]
            .into_iter()
            .chain(self.tiers.iter().copied());
        let ends = std::iter::once(self.free)
            .chain(self.tiers.iter().map(|(from, _)| *from))
            .chain(std::iter::once(u64::MAX));
        starts
            .zip(ends)
            .map(|((from, price), to)| (price, from, to))
    }

    fn new(wanted: &WantedScale, currency: Currency) -> Result<Self, InvalidPrices> {
        let micros = |hours: u32| u64::from(hours) * MICROS_PER_HOUR.unsigned_abs();
        let list = wanted.price.of(currency)?;
        let free = micros(wanted.free_hours);
        let mut tiers: Vec<(u64, Price)> = Vec::with_capacity(wanted.tiers.len());
        for tier in &wanted.tiers {
            let (from, price) = (micros(tier.above_hours), tier.price.of(currency)?);
            let (last_from, last_price) = tiers.last().copied().unwrap_or((free, list));
            if from <= last_from || price > last_price {
                return Err(InvalidPrices(
                    "tiers must begin after the free hours and after one another, each at a lower price"
                        .to_owned(),
                ));
            }
            tiers.push((from, price));
        }
        Ok(Self { list, free, tiers })
    }
}

/// What one kind of unit costs, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedScale {
    /// The list price of an hour.
    pub price: DecimalPrice,
    /// How many unit-hours of a month cost a workspace nothing.
    pub free_hours: u32,
    /// Lower prices from some use on.
    pub tiers: Vec<Tier>,
}

/// Prices that hold from some hour on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The first hour.
    pub from: Hour,
    /// A core.
    pub cpu: Scale,
    /// A GB of memory.
    pub ram: Scale,
    /// A GB of a database's storage.
    pub storage: Scale,
}

/// Prices that hold from some time on, as the configuration has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTariff {
    /// From when on: a full hour. `None`: ever since.
    pub from: Option<Timestamp>,
    /// A core.
    pub cpu: WantedScale,
    /// A GB of memory.
    pub ram: WantedScale,
    /// A GB of a database's storage.
    pub storage: WantedScale,
}

/// All prices of an installation, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceList {
    currency: Currency,
    first: Tariff,
    later: Vec<Tariff>,
}

impl PriceList {
    /// Checks what the configuration has.
    ///
    /// # Errors
    /// When a time is no full hour, the first tariff has one or another has none, times do not rise, or a
    /// number is out of range.
    pub fn new(currency: Currency, wanted: &[WantedTariff]) -> Result<Self, InvalidPrices> {
        let mut tariffs = Vec::with_capacity(wanted.len());
        for (index, tariff) in wanted.iter().enumerate() {
            tariffs.push(checked(tariff, currency, index == 0)?);
        }
        if !tariffs.is_sorted_by(|one: &Tariff, next| one.from < next.from) {
            return Err(InvalidPrices(
                "prices must be listed in the order of the times from which they hold".to_owned(),
            ));
        }
        let mut tariffs = tariffs.into_iter();
        let first = tariffs
            .next()
            .ok_or_else(|| InvalidPrices("there must be prices".to_owned()))?;
        Ok(Self {
            currency,
            first,
            later: tariffs.collect(),
        })
    }

    /// What prices are in.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The prices of an hour.
    pub fn at(&self, hour: Hour) -> &Tariff {
        let begun = self.later.iter().rev().find(|tariff| tariff.from <= hour);
        begun.unwrap_or(&self.first)
    }

    /// The next prices after those of an hour, if they are known.
    pub fn after(&self, hour: Hour) -> Option<&Tariff> {
        self.later.iter().find(|tariff| tariff.from > hour)
    }
}

fn checked(
    wanted: &WantedTariff,
    currency: Currency,
    is_first: bool,
) -> Result<Tariff, InvalidPrices> {
    let from = match (wanted.from, is_first) {
        (None, true) => Hour::FIRST,
        (Some(from), _) => Hour::beginning_at(from).ok_or_else(|| {
            InvalidPrices(format!(
                "prices must hold from a full hour on, and {from} is none"
            ))
        })?,
        (None, false) => {
            return Err(InvalidPrices(
                "only the first prices may be without the time from which they hold".to_owned(),
            ));
        }
    };
    Ok(Tariff {
        from,
        cpu: Scale::new(&wanted.cpu, currency)?,
        ram: Scale::new(&wanted.ram, currency)?,
        storage: Scale::new(&wanted.storage, currency)?,
    })
}

//! Prices: what an hour of something costs, from when on, and what was used costs to the minor unit.
//!
//! Guarantees: integers all the way. What is left below one minor unit is carried on, so that charges of
//! any number of parts add up to the price of the whole, rounded down once.
//! Assumptions: prices change at full hours only, and months are those of UTC.

mod list;

pub use list::{
    DecimalPrice, InvalidPrices, Price, PriceList, Scale, Tariff, Tier, WantedScale, WantedTariff,
};

use std::ops::{Add, AddAssign};

use crate::money::{Money, divide_down, divide_up};
use crate::quota::Load;

/// Millionths of an hour's second: what one unit has used after an hour.
pub const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Prices are in millionths of a minor unit.
const PRICE_SCALE: i128 = 1_000_000;
/// What a price times millionths of unit-seconds is divided by to give minor units.
const DENOMINATOR: i128 = MICROS_PER_HOUR as i128 * PRICE_SCALE;

/// What was used, in millionths of unit-seconds: a thousandth of a core for a millisecond is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    /// Millionths of core-seconds.
    pub cpu: u64,
    /// Millionths of GB-seconds of memory.
    pub ram: u64,
    /// Millionths of GB-seconds of databases' storage.
    pub storage: u64,
}

impl Metered {
    /// What so much uses in so many milliseconds.
    pub fn of(load: Load, millis: u64) -> Self {
        Self {
            cpu: load.cpu_milli.saturating_mul(millis),
            ram: load.ram_milli.saturating_mul(millis),
            storage: 0,
        }
    }

    /// What so many GB of storage use in so many milliseconds.
    pub fn of_storage(storage_gb: u64, millis: u64) -> Self {
        Self {
            storage: storage_gb.saturating_mul(1000).saturating_mul(millis),
            ..Self::default()
        }
    }

    /// Whether it is nothing at all.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for Metered {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            ram: self.ram.saturating_add(other.ram),
            storage: self.storage.saturating_add(other.storage),
        }
    }
}

impl AddAssign for Metered {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// What was used costs, in parts of a minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// What is to be paid.
    net: i128,
    /// By how much that is less than at the list price.
    discount: i128,
}

impl Cost {
    /// What is to be paid, rounded down to the minor unit.
    pub fn net(self) -> Money {
        Money::of(divide_down(self.net, DENOMINATOR).unwrap_or(i64::MAX))
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            net: self.net.saturating_add(other.net),
            discount: self.discount.saturating_add(other.discount),
        }
    }
}

/// What is left below one minor unit after a charge, in parts of it; below [`Remainder::LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remainder {
    /// Of what is to be paid.
    pub net: i64,
    /// Of the discount.
    pub discount: i64,
}

impl Remainder {
    /// So many parts make a minor unit.
    pub const LIMIT: i64 = MICROS_PER_HOUR * 1_000_000;
}

/// What one resource has to pay for one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charge {
    /// What the wallet pays.
    pub net: Money,
    /// By how much that is less than at the list price.
    pub discount: Money,
}

/// The charge for `cost` and what was left of the charge before; `None` if it does not fit.
pub fn charge(cost: Cost, before: Remainder) -> Option<(Charge, Remainder)> {
    let split = |parts: i128, left: i64| -> Option<(Money, i64)> {
        let parts = parts.checked_add(i128::from(left))?;
        let whole = divide_down(parts, DENOMINATOR)?;
        let rest = i64::try_from(parts.rem_euclid(DENOMINATOR)).ok()?;
        Some((Money::of(whole), rest))
    };
    let (net, net_rest) = split(cost.net, before.net)?;
    let (discount, discount_rest) = split(cost.discount, before.discount)?;
    let after = Remainder {
        net: net_rest,
        discount: discount_rest,
    };
    Some((Charge { net, discount }, after))
}

impl Tariff {
    /// What `used` costs in a workspace that has used `month` in its month before.
    pub fn cost(&self, used: Metered, month: Metered) -> Cost {
        self.cpu.cost(used.cpu, month.cpu)
            + self.ram.cost(used.ram, month.ram)
            + self.storage.cost(used.storage, month.storage)
    }

    /// What so much costs an hour at the list price, rounded up.
    pub fn hourly(&self, load: Load, storage_gb: u64) -> Money {
        let hour = 3_600_000;
        let used = Metered::of(load, hour) + Metered::of_storage(storage_gb, hour);
        let cost = self.cost(used, Metered::default());
        let whole = cost.net.saturating_add(cost.discount);
        Money::of(divide_up(whole, DENOMINATOR).unwrap_or(i64::MAX))
    }
}

impl Scale {
    fn cost(&self, used: u64, month: u64) -> Cost {
        let list = i128::from(self.list_price().micro_minor()) * i128::from(used);
        let mut net: i128 = 0;
        let end = month.saturating_add(used);
        for (price, from, to) in self.ranges() {
            let (from, to) = (from.max(month), to.min(end));
            if from < to {
                net = net.saturating_add(i128::from(price.micro_minor()) * i128::from(to - from));
            }
        }
        Cost {
            net,
            discount: list.saturating_sub(net),
        }
    }
}

#[cfg(test)]
mod tests;

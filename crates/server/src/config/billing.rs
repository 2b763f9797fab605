//! `[billing]`: whether anything is charged, what it costs, and who sends the invoices.

use std::time::Duration;

use serde::Deserialize;
use tose_api::Timestamp;
use tose_model::money::{Currency, MAX_AMOUNT, Money};
use tose_model::pricing::{DecimalPrice, PriceList, Tier, WantedScale, WantedTariff};

use super::ConfigError;

/// What is charged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingConfig {
    /// Whether wallets pay for what runs.
    pub enabled: bool,
    /// What it costs.
    pub prices: PriceList,
    /// How many minor units of the wallets' currency a dollar is credited as.
    pub usd_rate: Money,
    /// What an account is given with its first workspace.
    pub signup_credit: Money,
    /// Below which owners get a mail where they name no amount.
    pub threshold: Money,
    /// How long everything goes on with an empty wallet.
    pub grace: Duration,
    /// How often what runs is measured.
    pub interval: Duration,
    /// Who sends invoices.
    pub seller: Seller,
}

impl BillingConfig {
    /// What a new account is given.
    pub fn first_credit(&self) -> Money {
        match self.enabled {
            true => self.signup_credit,
            false => Money::ZERO,
        }
    }
}

/// Who sends invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seller {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its tax code.
    pub tax_id: String,
    /// Where questions go.
    pub email: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Prepaid,
    Off,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum CurrencyCode {
    #[serde(rename = "VND")]
    Vnd,
    #[serde(rename = "USD")]
    Usd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BillingTable {
    mode: Mode,
    currency: Option<CurrencyCode>,
    usd_rate: Option<u32>,
    signup_credit: Option<u64>,
    threshold: Option<u64>,
    grace_hours: Option<u32>,
    interval_seconds: Option<u32>,
    prices: Vec<PricesTable>,
    seller: Seller,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PricesTable {
    from: Option<Timestamp>,
    cpu_hour: DecimalPrice,
    gb_hour: DecimalPrice,
    storage_gb_hour: DecimalPrice,
    #[serde(default)]
    cpu_free_hours: u32,
    #[serde(default)]
    gb_free_hours: u32,
    #[serde(default)]
    storage_gb_free_hours: u32,
    #[serde(default)]
    cpu_tiers: Vec<Tier>,
    #[serde(default)]
    gb_tiers: Vec<Tier>,
    #[serde(default)]
    storage_gb_tiers: Vec<Tier>,
}

impl PricesTable {
    fn into_tariff(self) -> WantedTariff {
        let scale = |price, free_hours, tiers| WantedScale {
            price,
            free_hours,
            tiers,
        };
        WantedTariff {
            from: self.from,
            cpu: scale(self.cpu_hour, self.cpu_free_hours, self.cpu_tiers),
            ram: scale(self.gb_hour, self.gb_free_hours, self.gb_tiers),
            storage: scale(
                self.storage_gb_hour,
                self.storage_gb_free_hours,
                self.storage_gb_tiers,
            ),
        }
    }
}

/// What is charged where the operator names no prices, in đồng an hour: a core, a GB of memory, a GB of
/// storage.
const DEFAULT_PRICES: [&str; 3] = ["500", "250", "5"];

fn default_tariff() -> WantedTariff {
    let [cpu, ram, storage] = DEFAULT_PRICES.map(|price| WantedScale {
        price: price.parse().expect("a price"),
        free_hours: 0,
        tiers: Vec::new(),
    });
    WantedTariff {
        from: None,
        cpu,
        ram,
        storage,
    }
}

impl BillingTable {
    pub(super) fn into_config(self) -> Result<BillingConfig, ConfigError> {
        let invalid = |key, problem: String| ConfigError::Value { key, problem };
        let currency = match self.currency {
            None | Some(CurrencyCode::Vnd) => Currency::Vnd,
            Some(CurrencyCode::Usd) => Currency::Usd,
        };
        let is_vnd = currency == Currency::Vnd;
        if self.prices.is_empty() && !is_vnd {
            let problem = format!("must be named when the currency is {currency}");
            return Err(invalid("billing.prices", problem));
        }
        let wanted: Vec<_> = match self.prices.is_empty() {
            true => vec![default_tariff()],
            false => self
                .prices
                .into_iter()
                .map(PricesTable::into_tariff)
                .collect(),
        };
        let prices = PriceList::new(currency, &wanted)
            .map_err(|error| invalid("billing.prices", error.to_string()))?;
        let amount = |key, given: Option<u64>, of_vnd: i64| match given {
            None if is_vnd => Ok(Money::of(of_vnd)),
            None => Ok(Money::ZERO),
            Some(amount) => i64::try_from(amount)
                .ok()
                .map(Money::of)
                .filter(|amount| *amount <= MAX_AMOUNT)
                .ok_or_else(|| invalid(key, "is too large".to_owned())),
        };
        let dollar = if is_vnd { 25_000 } else { 100 };
        let usd_rate = self.usd_rate.map_or(dollar, i64::from);
        if usd_rate < 1 || (!is_vnd && usd_rate != 100) {
            let problem = "must be at least 1; with USD, leave it out".to_owned();
            return Err(invalid("billing.usd_rate", problem));
        }
        let hours = u64::from(self.grace_hours.unwrap_or(24));
        let seconds = u64::from(self.interval_seconds.unwrap_or(60));
        if !(1..=3600).contains(&seconds) {
            let problem = "must be between 1 and 3600".to_owned();
            return Err(invalid("billing.interval_seconds", problem));
        }
        Ok(BillingConfig {
            enabled: matches!(self.mode, Mode::Prepaid),
            prices,
            usd_rate: Money::of(usd_rate),
            signup_credit: amount("billing.signup_credit", self.signup_credit, 250_000)?,
            threshold: amount("billing.threshold", self.threshold, 20_000)?,
            grace: Duration::from_secs(hours * 3600),
            interval: Duration::from_secs(seconds),
            seller: self.seller,
        })
    }
}

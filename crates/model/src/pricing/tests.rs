//! Prices: what the list says, what is free, and that parts add up to the whole.

use proptest::prelude::*;
use tose_api::Timestamp;

use super::*;
use crate::meter::Hour;
use crate::money::Currency;

const HOUR: u64 = 3_600_000;

fn scale(price: &str, free_hours: u32, tiers: &[(u32, &str)]) -> WantedScale {
    let tier = |(above_hours, price): &(u32, &str)| Tier {
        above_hours: *above_hours,
        price: price.parse().expect("a price"),
    };
    WantedScale {
        price: price.parse().expect("a price"),
        free_hours,
        tiers: tiers.iter().map(tier).collect(),
    }
}

fn wanted(from: Option<Timestamp>, cpu: WantedScale) -> WantedTariff {
    WantedTariff {
        from,
        cpu,
        ram: scale("250", 0, &[]),
        storage: scale("5", 0, &[]),
    }
}

fn list(cpu: WantedScale) -> PriceList {
    PriceList::new(Currency::Vnd, &[wanted(None, cpu)]).expect("prices")
}

fn load(cpu_milli: u64, ram_milli: u64) -> Load {
    Load {
        cpu_milli,
        ram_milli,
    }
}

fn charged(tariff: &Tariff, used: Metered, month: Metered) -> Charge {
    let cost = tariff.cost(used, month);
    let (charge, _) = charge(cost, Remainder::default()).expect("it fits");
    charge
}

#[test]
fn an_hour_costs_what_the_list_says() {
    let list = list(scale("500", 0, &[]));
    let tariff = list.at(Hour::FIRST);
    let check = |load, storage_gb, net| {
        let used = Metered::of(load, HOUR) + Metered::of_storage(storage_gb, HOUR);
        assert_eq!(
            charged(tariff, used, Metered::default()).net,
            Money::of(net)
        );
        assert_eq!(tariff.hourly(load, storage_gb), Money::of(net));
    };
    check(load(1000, 0), 0, 500);
    check(load(500, 500), 0, 375);
    check(load(0, 0), 10, 50);
    check(load(2000, 4000), 20, 2100);
    // What is shown ahead is rounded up, what is charged down.
    assert_eq!(tariff.hourly(load(1, 0), 0), Money::of(1));
}

#[test]
fn free_hours_and_lower_prices_are_discounts() {
    let list = list(scale("500", 10, &[(100, "400")]));
    let tariff = list.at(Hour::FIRST);
    let hours = |hours| Metered::of(load(1000, 0), HOUR * hours);
    let check = |used, month, net, discount| {
        let charge = charged(tariff, hours(used), hours(month));
        assert_eq!(
            (charge.net.minor(), charge.discount.minor()),
            (net, discount),
            "{used} after {month}"
        );
    };
    check(10, 0, 0, 5_000);
    check(11, 0, 500, 5_000);
    check(1, 10, 500, 0);
    check(1, 99, 500, 0);
    check(1, 100, 400, 100);
    check(2, 99, 900, 100);
    check(200, 0, 90 * 500 + 100 * 400, 10 * 500 + 100 * 100);
}

#[test]
fn prices_hold_from_their_hour_on() {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
    let list = PriceList::new(
        Currency::Vnd,
        &[
            wanted(None, scale("500", 0, &[])),
            wanted(Some(noon), scale("600", 0, &[])),
        ],
    )
    .expect("prices");
    let price = |hour: Hour| list.at(hour).cpu.list_price().display(Currency::Vnd);
    let hour = Hour::of(noon);
    assert_eq!(price(Hour::from_number(hour.number() - 1)), "500");
    assert_eq!(price(hour), "600");
    assert_eq!(list.after(hour), None);
    assert!(list.after(Hour::FIRST).is_some());
}

#[test]
fn prices_that_make_no_sense_are_refused() {
    let time = |text: &str| Some(text.parse().expect("a time"));
    let usual = || scale("500", 0, &[]);
    let check = |tariffs: &[WantedTariff], words: &str| {
        let error = PriceList::new(Currency::Vnd, tariffs).expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(&[], "there must be prices");
    check(
        &[wanted(time("2026-01-01T12:30:00Z"), usual())],
        "full hour",
    );
    check(
        &[wanted(None, usual()), wanted(None, usual())],
        "only the first",
    );
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    check(
        &[wanted(time(late), usual()), wanted(time(early), usual())],
        "in the order",
    );
    check(&[wanted(None, scale("500", 0, &[(0, "400")]))], "tiers");
    check(&[wanted(None, scale("500", 0, &[(5, "600")]))], "tiers");
    check(
        &[wanted(None, scale("500", 0, &[(5, "400"), (5, "300")]))],
        "tiers",
    );
    check(&[wanted(None, scale("10000001", 0, &[]))], "at most");
    for text in [
        "",
        "-1",
        "1.",
        ".5",
        "1.0000001",
        "1e3",
        "1,5",
        "1234567890",
    ] {
        assert!(text.parse::<DecimalPrice>().is_err(), "{text}");
    }
}

#[test]
fn dollars_have_prices_below_a_cent() {
    let tariff = WantedTariff {
        from: None,
        cpu: scale("0.0225", 0, &[]),
        ram: scale("0.01", 0, &[]),
        storage: scale("0.000123", 0, &[]),
    };
    let list = PriceList::new(Currency::Usd, &[tariff]).expect("prices");
    let tariff = list.at(Hour::FIRST);
    assert_eq!(tariff.cpu.list_price().display(Currency::Usd), "0.0225");
    let used = Metered::of(load(1000, 0), HOUR * 100);
    let charge = charged(tariff, used, Metered::default());
    assert_eq!(charge.net, Money::of(225));
}

proptest! {
    /// Whatever pieces use is metered in, together they cost what the whole does.
    #[test]
    fn charges_of_parts_add_up_to_the_price_of_the_whole(
        parts in proptest::collection::vec((0..4_000_u64, 0..9_000_u64, 0..50_u64, 1..3_600_000_u64), 1..60),
        free in 0..4_u32,
        price in 1..2_000_u32,
    ) {
        let lower = (price / 2).to_string();
        let list = list(scale(&price.to_string(), free, &[(free + 2, &lower)]));
        let tariff = list.at(Hour::FIRST);
        let (mut month, mut remainder) = (Metered::default(), Remainder::default());
        let (mut net, mut discount) = (Money::ZERO, Money::ZERO);
        for (cpu, ram, storage, millis) in parts {
            let used = Metered::of(load(cpu, ram), millis) + Metered::of_storage(storage, millis);
            let (charge, after) = charge(tariff.cost(used, month), remainder).expect("it fits");
            prop_assert!(charge.net >= Money::ZERO && charge.discount >= Money::ZERO);
            prop_assert!((0..Remainder::LIMIT).contains(&after.net));
            net = net.saturating_add(charge.net);
            discount = discount.saturating_add(charge.discount);
            month += used;
            remainder = after;
        }
        let whole = charged(tariff, month, Metered::default());
        prop_assert_eq!((net, discount), (whole.net, whole.discount));
    }
}

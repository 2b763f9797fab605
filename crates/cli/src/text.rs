//! How values are written for people.

use std::time::Duration;

use serde::Serialize;
use tose_api::Timestamp;
use tose_model::money::{Currency, Money};

/// A table with a heading, its columns as wide as their widest cell.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.to_vec()).collect();
    table_of(&heading.map(str::to_owned), &rows)
}

/// The same for a number of columns that is known late; each row has as many as the heading.
pub(crate) fn table_of(heading: &[String], rows: &[Vec<String>]) -> String {
    let length = |cell: &String| cell.chars().count();
    let mut widths: Vec<_> = heading.iter().map(length).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(cell));
        }
    }
    let mut text = String::new();
    for row in std::iter::once(heading).chain(rows.iter().map(Vec::as_slice)) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width - length(cell) + 2);
            line.push_str(cell);
            line.push_str(&padding);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The word that a status, a trigger or another plain enum has on the wire.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A time to the second.
pub(crate) fn time(time: Timestamp) -> String {
    const SECOND: i64 = 1_000_000_000;
    Timestamp::from_nanos(time.as_nanos().div_euclid(SECOND) * SECOND).to_string()
}

/// A time to the second, or a dash.
pub(crate) fn optional_time(value: Option<Timestamp>) -> String {
    value.map_or_else(|| "-".to_owned(), time)
}

/// A duration such as `4.2 s` or `3 min 20 s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        return format!("{} min {} s", seconds / 60, seconds % 60);
    }
    format!("{seconds}.{} s", duration.subsec_millis() / 100)
}

/// A duration to its two largest units: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A number of bytes such as `17 B` or `4.2 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
        }
        _ => format!(
            "{}.{} GB",
            bytes / 1_000_000_000,
            bytes % 1_000_000_000 / 100_000_000
        ),
    }
}

/// An amount in its currency's smallest unit: `250,000 VND`, `12.34 USD`.
pub(crate) fn amount(minor: i64, currency: &str) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => Money::of(minor).display(currency),
        Err(_) => format!("{minor} {currency}"),
    }
}

/// A number of hours such as `17 hours` or `12 days 4 hours`.
pub(crate) fn hours(hours: u64) -> String {
    let count = |number: u64, unit: &str| match number {
        1 => format!("1 {unit}"),
        number => format!("{number} {unit}s"),
    };
    match (hours / 24, hours % 24) {
        (0 | 1, _) => count(hours, "hour"),
        (days, 0) => count(days, "day"),
        (days, hours) => format!("{} {}", count(days, "day"), count(hours, "hour")),
    }
}

/// The first line of `text`, `max` characters at most.
pub(crate) fn first_line(text: &str, max: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= max {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(max - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_have_no_blanks_at_the_end() {
        let rows = [
            ["a".to_owned(), "é".to_owned()],
            ["long".to_owned(), String::new()],
        ];
        assert_eq!(table(["ID", "NAME"], &rows), "ID    NAME\na     é\nlong\n");
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in [(0, "0.0 s"), (4_250, "4.2 s"), (60_000, "1 min 0 s")] {
            assert_eq!(elapsed(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (200, "3 min 20 s"),
            (7_500, "2 h 5 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (17, "17 B"),
            (1_250, "1.2 kB"),
            (4_299_999, "4.2 MB"),
            (12_345_678_901, "12.3 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn amounts_are_grouped() {
        for (minor, currency, text) in [
            (250_000, "VND", "250,000 VND"),
            (-1_234, "USD", "-12.34 USD"),
            (1_234, "EUR", "1234 EUR"),
        ] {
            assert_eq!(amount(minor, currency), text);
        }
    }

    #[test]
    fn hours_become_days() {
        for (number, text) in [
            (1, "1 hour"),
            (47, "47 hours"),
            (48, "2 days"),
            (49, "2 days 1 hour"),
        ] {
            assert_eq!(hours(number), text);
        }
    }

    #[test]
    fn times_lose_their_fraction() {
        let later = Timestamp::from_nanos(1_767_225_600_999_999_999);
        assert_eq!(time(later), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn long_lines_end_in_an_ellipsis() {
        assert_eq!(first_line("one\ntwo", 10), "one");
        assert_eq!(first_line("abcdef", 4), "abc…");
    }
}

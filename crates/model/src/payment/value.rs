//! What payment services write: JSON, whole amounts, and times as Vietnam's clocks show them.

use serde_json::Value;
use tose_api::Timestamp;

use super::PaymentError;

/// Vietnam is seven hours ahead of UTC all year.
const VIETNAM_OFFSET: &str = "+07:00";
const VIETNAM_AHEAD: std::time::Duration = std::time::Duration::from_secs(7 * 3600);
/// The longest id or reference that is kept, in bytes.
const MAX_TEXT: usize = 200;
/// The most characters of a service's code that are repeated.
const MAX_CODE: usize = 20;

/// Reads a body.
pub(super) fn json(body: &[u8]) -> Result<Value, PaymentError> {
    serde_json::from_slice(body).map_err(|_| PaymentError::Malformed("the body is not JSON"))
}

/// A text that is there, or a number as text: services are not of one mind about ids.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// An id: a text of reasonable length.
pub(super) fn id(value: &Value) -> Option<String> {
    text(value).filter(|id| id.len() <= MAX_TEXT)
}

/// A whole number above zero, as a number or as a text such as `18067000.00`. Fractions of the smallest
/// unit are not money, and no rounding is guessed.
pub(super) fn amount(value: &Value) -> Option<i64> {
    let text = text(value)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_whole = fraction.bytes().all(|digit| digit == b'0')
        && whole.bytes().all(|digit| digit.is_ascii_digit());
    let amount = whole.parse().ok().filter(|_| is_whole)?;
    (amount > 0).then_some(amount)
}

/// A time such as `2023-02-04 18:25:00` in Vietnam, or one that says its offset itself.
pub(super) fn vietnam_time(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse()
        .ok()
        .or_else(|| format!("{text}{VIETNAM_OFFSET}").parse().ok())
}

/// A time such as `20230204182500` in Vietnam.
pub(super) fn vietnam_time_of_digits(digits: &str) -> Option<Timestamp> {
    if digits.len() != 14 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (date, time) = digits.split_at(8);
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    vietnam_time(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}"))
}

/// What Vietnam's clocks show at this time, as `yyyyMMddHHmmss`.
pub(super) fn vietnam_digits(time: Timestamp) -> String {
    let shown = time.saturating_add(VIETNAM_AHEAD).to_string();
    shown
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect()
}

/// A code that a service answered with, fit to be shown.
pub(super) fn code(value: &Value) -> String {
    let code = text(value).unwrap_or_default();
    let kept = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c));
    let kept: String = kept.take(MAX_CODE).collect();
    match kept.is_empty() {
        true => "without a code".to_owned(),
        false => kept,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_whole_and_above_zero() {
        for (value, expected) in [
            (json!(100_000), Some(100_000)),
            (json!("18067000.00"), Some(18_067_000)),
            (json!(100_000.0), Some(100_000)),
            (json!("9223372036854775807"), Some(i64::MAX)),
            (json!("9223372036854775808"), None),
            (json!("0.50"), None),
            (json!(0), None),
            (json!(-5), None),
            (json!("+5"), None),
            (json!(1e30), None),
            (json!(""), None),
            (json!("."), None),
            (json!(null), None),
        ] {
            assert_eq!(amount(&value), expected, "{value}");
        }
    }

    #[test]
    fn times_are_those_of_vietnam_unless_they_say_otherwise() {
        let time: Timestamp = "2023-02-04T11:25:00Z".parse().expect("a time");
        for text in [
            "2023-02-04 18:25:00",
            "2023-02-04T18:25:00",
            "2023-02-04T18:25:00+07:00",
            "2023-02-04T11:25:00.000Z",
        ] {
            assert_eq!(vietnam_time(text), Some(time), "{text}");
        }
        assert_eq!(vietnam_time_of_digits("20230204182500"), Some(time));
        assert_eq!(vietnam_digits(time), "20230204182500");
        for text in ["", "yesterday", "2023-13-04 18:25:00", "2023-02-04"] {
            assert_eq!(vietnam_time(text), None, "{text}");
        }
        for digits in ["", "2023020418250", "20231304182500", "2023020418250đ"] {
            assert_eq!(vietnam_time_of_digits(digits), None, "{digits}");
        }
    }
}

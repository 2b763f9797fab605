//! Whole numbers as JSON writes them: `2` and `2.0` are the same.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number that is not negative.
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::custom("must not be negative")),
                }
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                let is_whole = number.fract() == 0.0;
                if !is_whole || !(0.0..MOST_EXACT).contains(&number) {
                    return Err(E::custom("must be a whole number"));
                }
                // In range and whole, so its decimal form is that of an integer.
                format!("{number:.0}")
                    .parse()
                    .map(Whole)
                    .map_err(|_| E::custom("must be a whole number"))
            }
        }

        deserializer.deserialize_any(WholeVisitor)
    }
}

/// From here on two whole numbers may be the same as floating point numbers: 2⁵³.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a whole number that may be absent or `null`.
pub(crate) fn whole_u64<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Whole>::deserialize(deserializer)?.map(|whole| whole.0))
}

/// The same for one that is at most 4294967295.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    whole_u64(deserializer)?
        .map(u32::try_from)
        .transpose()
        .map_err(|_| de::Error::custom("must be at most 4294967295"))
}

/// Reads an amount of money: a whole number.
pub(crate) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    to_amount(Whole::deserialize(deserializer)?)
}

/// The same for one that may be `null`.
pub(crate) fn optional_amount<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    Option::<Whole>::deserialize(deserializer)?
        .map(to_amount)
        .transpose()
}

fn to_amount<E: de::Error>(whole: Whole) -> Result<i64, E> {
    i64::try_from(whole.0).map_err(|_| E::custom("is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |json: &str| {
            let mut reader = serde_json::Deserializer::from_str(json);
            whole(&mut reader).ok()
        };
        assert_eq!(read("2"), Some(Some(2)));
        assert_eq!(read("2.0"), Some(Some(2)));
        assert_eq!(read("null"), Some(None));
        for bad in ["-1", "-1.0", "2.5", "4294967296", "1e300", "\"2\"", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let read = |json: &str| {
            let mut reader = serde_json::Deserializer::from_str(json);
            whole_u64(&mut reader).ok()
        };
        assert_eq!(read("4294967296.0"), Some(Some(4_294_967_296)));
        assert_eq!(read("18446744073709551615"), Some(Some(u64::MAX)));
        for bad in ["-1", "1e300", "9007199254740992.0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

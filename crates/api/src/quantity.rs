//! How much of a machine: cores and gigabytes, exact to a thousandth.
//!
//! On the wire both are decimal texts (`"0.5"`); numbers are accepted on input. Inside they are
//! integers, so that nothing is lost on the way to the engine or to a bill.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number above 0 with at most three decimals, such as \"0.5\"")]
pub struct InvalidQuantity;

/// Processor share in thousandths of a core, from 0.001 to 1024 cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u32);

/// Memory in thousandths of a GB (2^30 bytes), from 0.001 to 1024 GB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ram(u32);

/// Numbers above 0 with at most three decimals.
const DECIMAL_PATTERN: &str = "^(?!0+(\\.0+)?$)[0-9]{1,4}(\\.[0-9]{1,3})?$";

/// A number of thousandths as a decimal number, without needless digits.
pub fn thousandths(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

const MAX_MILLI: u32 = 1024 * 1000;

macro_rules! quantity {
    ($name:ident, $expected:literal) => {
        impl $name {
            /// Makes the quantity from thousandths, within 1 to 1,024,000.
            pub const fn from_milli(milli: u32) -> Option<Self> {
                if milli >= 1 && milli <= MAX_MILLI {
                    Some(Self(milli))
                } else {
                    None
                }
            }

            /// The quantity in thousandths of its unit.
            pub const fn milli(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&thousandths(self.0.into()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidQuantity;

            fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
                parse_milli(text)
                    .and_then(Self::from_milli)
                    .ok_or(InvalidQuantity)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_any(DecimalText($expected))?
                    .parse()
                    .map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            // The two directions differ, so the schema cannot be shared by name.
            fn inline_schema() -> bool {
                true
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let text = json_schema!({"type": "string", "pattern": DECIMAL_PATTERN, "examples": ["0.5"]});
                if generator.contract().is_serialize() {
                    return text;
                }
                json_schema!({
                    "anyOf": [text, {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.001, "maximum": 1024}],
                    "examples": ["0.5"],
                })
            }
        }
    };
}

quantity!(Cpu, "cores as a text such as \"0.5\"");
quantity!(Ram, "GB as a text such as \"0.5\"");

impl Ram {
    /// The memory in bytes, rounded down.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) * (1 << 30) / 1000
    }
}

fn parse_milli(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_dangling_point = text.contains('.') && fraction.is_empty();
    if whole.is_empty() || whole.len() > 4 || fraction.len() > 3 || has_dangling_point {
        return None;
    }
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(fraction)
}

/// Reads a text, or a number as the text it is written as.
struct DecimalText(&'static str);

impl Visitor<'_> for DecimalText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_keep_their_value() {
        for (json, milli) in [
            ("\"0.5\"", 500),
            ("0.5", 500),
            ("2", 2000),
            ("\"1.25\"", 1250),
            ("0.001", 1),
        ] {
            let cpu: Cpu = serde_json::from_str(json).expect("a quantity");
            assert_eq!(cpu.milli(), milli, "{json}");
        }
        assert_eq!(Cpu(500).to_string(), "0.5");
        assert_eq!(Cpu(2000).to_string(), "2");
        assert_eq!(Ram(500).bytes(), 512 << 20);
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            "\"\"",
            "\"-1\"",
            "-1",
            "0",
            "\"0.0001\"",
            "1e9",
            "\"1.\"",
            "\".5\"",
            "true",
            "\"x\"",
            "1025",
        ] {
            assert!(serde_json::from_str::<Ram>(json).is_err(), "{json}");
        }
    }
}

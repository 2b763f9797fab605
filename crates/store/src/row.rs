//! From columns to values. A value that cannot be read is an error with the column's name, never a
//! default.

use std::str::FromStr;

use tose_api::Timestamp;

use crate::error::{Error, Result};

pub(crate) fn parse<T: FromStr>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::Corrupt { column })
}

pub(crate) fn parse_optional<T: FromStr>(
    column: &'static str,
    text: Option<&str>,
) -> Result<Option<T>> {
    text.map(|text| parse(column, text)).transpose()
}

/// Reads the text of an enumeration by the name that serde gives its values on the wire.
pub(crate) fn parse_enum<T: serde::de::DeserializeOwned>(
    column: &'static str,
    text: String,
) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|_| Error::Corrupt { column })
}

/// Reads the text of an enumeration, where there is one.
pub(crate) fn parse_optional_enum<T: serde::de::DeserializeOwned>(
    column: &'static str,
    text: Option<String>,
) -> Result<Option<T>> {
    text.map(|text| parse_enum(column, text)).transpose()
}

/// Reads a value that is stored as JSON.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    column: &'static str,
    text: &str,
) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt { column })
}

/// The JSON that a value is stored as.
pub(crate) fn to_json<T: serde::Serialize>(column: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt { column })
}

pub(crate) fn to_u32(column: &'static str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Corrupt { column })
}

pub(crate) fn to_u64(column: &'static str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| Error::Corrupt { column })
}

pub(crate) fn to_time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

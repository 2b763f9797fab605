//! `[logs]`: the second tier of the log store.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, S3Config};

/// The least that the cache may hold, in MiB: a segment has up to about ten.
const LEAST_CACHE_MB: u32 = 16;

/// Where old log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTierConfig {
    /// The bucket.
    pub bucket: S3Config,
    /// How long lines that are there are kept here as well.
    pub keep_local: Duration,
    /// How much of what was read there is kept here, in bytes.
    pub cache_bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogsTable {
    keep_local: Option<String>,
    cache_mb: Option<u32>,
    s3: Option<S3Config>,
}

impl LogsTable {
    /// `None` if there is no second tier.
    pub(super) fn into_config(self) -> Result<Option<LogTierConfig>, ConfigError> {
        let keep_local = self.keep_local.as_deref().unwrap_or("7d");
        let Some(keep_local) = parse_age(keep_local) else {
            return Err(ConfigError::Value {
                key: "logs.keep_local",
                problem: "must be a number and s, m, h or d, such as 7d".to_owned(),
            });
        };
        let cache_mb = self.cache_mb.unwrap_or(256);
        if cache_mb < LEAST_CACHE_MB {
            return Err(ConfigError::Value {
                key: "logs.cache_mb",
                problem: format!("must be {LEAST_CACHE_MB} or more"),
            });
        }
        Ok(self.s3.map(|bucket| LogTierConfig {
            bucket,
            keep_local,
            cache_bytes: u64::from(cache_mb) << 20,
        }))
    }
}

/// An age such as `7d`.
fn parse_age(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_with_their_unit() {
        let seconds = |text| parse_age(text).map(|age| age.as_secs());
        for (text, expected) in [
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            ("2h", 7200),
            ("7d", 604_800),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "7", "d", "-1d", "1.5h", "7days", "7 d", "99999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_tier_needs_a_bucket_and_values_that_can_be_used() {
        let read = |text| {
            toml::from_str::<LogsTable>(text)
                .expect("valid")
                .into_config()
        };
        let bucket =
            "[s3]\nbucket = \"logs\"\naccess_key_id = \"id\"\nsecret_access_key_file = \"s\"";
        assert!(read("keep_local = \"1h\"").expect("valid").is_none());
        let tier = read(bucket).expect("valid").expect("a tier");
        assert_eq!(tier.keep_local.as_secs(), 7 * 86_400);
        assert_eq!(tier.cache_bytes, 256 << 20);
        assert_eq!(tier.bucket.prefix, "tose");
        for (text, key) in [
            ("keep_local = \"soon\"", "keep_local"),
            ("cache_mb = 8", "cache_mb"),
        ] {
            let refused = read(text);
            assert!(refused.is_err_and(|error| error.to_string().contains(key)));
        }
    }
}

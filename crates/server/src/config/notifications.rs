//! `[notifications]`: how people are told of what happens.

use reqwest::Url;
use serde::{Deserialize, Deserializer};

/// How people are told of what happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationsConfig {
    /// Where the Bot API of Telegram is, without a slash at its end.
    #[serde(deserialize_with = "address")]
    pub telegram_api: String,
}

impl Default for NotificationsConfig {
    fn default() -> Self {
        Self {
            telegram_api: "https://api.telegram.org".to_owned(),
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url: Option<Url> = text.parse().ok();
    let is_usable = url.is_some_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !is_usable {
        let problem =
            "notifications.telegram_api must be an address such as https://api.telegram.org";
        return Err(serde::de::Error::custom(problem));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

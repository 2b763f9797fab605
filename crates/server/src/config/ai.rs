//! `[ai]`: a language model that says more of a failure to those who ask.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// A language model behind an API like that of OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AiConfig {
    /// The API's address, without a slash at the end: `…/chat/completions` is called.
    pub endpoint: String,
    /// The model's name there.
    pub model: String,
    /// A file with the key of the API; absent: it wants none.
    pub api_key_file: Option<PathBuf>,
    /// How often a workspace may ask in a minute; 0: as often as it likes.
    pub questions_per_minute: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// The longest that an answer may take, in seconds: a call of the API has a minute.
const MAX_TIMEOUT: u32 = 45;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AiTable {
    endpoint: String,
    model: String,
    api_key_file: Option<PathBuf>,
    questions_per_minute: Option<u32>,
    timeout_seconds: Option<u32>,
}

impl AiTable {
    pub(super) fn into_config(self) -> Result<AiConfig, ConfigError> {
        let refuse = |key, problem: &str| {
            Err(ConfigError::Value {
                key,
                problem: problem.to_owned(),
            })
        };
        let is_http = ["http://", "https://"]
            .iter()
            .any(|scheme| self.endpoint.starts_with(scheme));
        if !is_http {
            return refuse("ai.endpoint", "must begin with https:// or http://");
        }
        if self.model.is_empty() {
            return refuse("ai.model", "must be the name of a model");
        }
        let timeout = self.timeout_seconds.unwrap_or(30);
        if !(1..=MAX_TIMEOUT).contains(&timeout) {
            return refuse("ai.timeout_seconds", "must be between 1 and 45");
        }
        Ok(AiConfig {
            endpoint: self.endpoint.trim_end_matches('/').to_owned(),
            model: self.model,
            api_key_file: self.api_key_file,
            questions_per_minute: self.questions_per_minute.unwrap_or(5),
            timeout: Duration::from_secs(u64::from(timeout)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Result<AiConfig, ConfigError> {
        let text = format!("endpoint = \"http://10.0.0.5/v1/\"\nmodel = \"m\"\n{more}");
        toml::from_str::<AiTable>(&text)
            .expect("a section")
            .into_config()
    }

    #[test]
    fn the_rest_has_defaults_and_bounds() {
        let ai = config("").expect("valid");
        assert_eq!(ai.endpoint, "http://10.0.0.5/v1");
        assert_eq!(
            (ai.api_key_file, ai.questions_per_minute, ai.timeout),
            (None, 5, Duration::from_secs(30))
        );
        for refused in ["timeout_seconds = 0", "timeout_seconds = 46"] {
            assert!(config(refused).is_err(), "{refused}");
        }
        for text in [
            "endpoint = \"ftp://a\"\nmodel = \"m\"",
            "endpoint = \"https://a\"\nmodel = \"\"",
        ] {
            let table: AiTable = toml::from_str(text).expect("a section");
            assert!(table.into_config().is_err(), "{text}");
        }
    }
}

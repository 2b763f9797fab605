//! The secret that a client shows to the server.

use std::fmt;
use std::str::FromStr;

use reqwest::header::HeaderValue;

/// Why a text is no API key; the text itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an API key is tose_sk_ followed by 40 digits of 0-9 and a-f")]
pub struct InvalidApiKey;

/// An API key: `tose_sk_` and 40 lower-case hex digits. Its `Debug` shows no part of it, and it
/// has neither `Display` nor `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Box<str>);

impl ApiKey {
    /// The key in plain text, for the two places that need it: the header and the file that keeps
    /// it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key as a header value that debug output leaves out.
    pub(super) fn header(&self) -> HeaderValue {
        let mut value =
            HeaderValue::from_str(&self.0).expect("a key holds only letters, digits and _");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl FromStr for ApiKey {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix("tose_sk_") {
            Some(digits) if digits.len() == 40 && digits.bytes().all(is_hex) => {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidApiKey),
        }
    }
}

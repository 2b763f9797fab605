//! `[acme]`: where certificates are ordered.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where certificates are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// Whom the authority writes to. Naming somebody agrees to its terms.
    pub email: String,
    /// The authority's directory.
    pub directory_url: String,
    /// The root that the authority's own API is trusted by, in PEM; `None` for the machine's.
    pub ca_file: Option<PathBuf>,
    /// The program that sets records of the base domain's DNS.
    pub dns_hook: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcmeTable {
    email: String,
    directory_url: Option<String>,
    ca_file: Option<PathBuf>,
    dns_hook: Option<PathBuf>,
}

impl AcmeTable {
    pub(super) fn into_config(self) -> Result<AcmeConfig, ConfigError> {
        let invalid = |key, problem: &str| ConfigError::Value {
            key,
            problem: problem.to_owned(),
        };
        if tose_api::Email::from_input(&self.email).is_err() {
            return Err(invalid("acme.email", "must be an e-mail address"));
        }
        let directory_url = self
            .directory_url
            .unwrap_or_else(|| LETS_ENCRYPT.to_owned());
        if !directory_url.starts_with("https://") {
            return Err(invalid("acme.directory_url", "must begin with https://"));
        }
        if self
            .dns_hook
            .as_ref()
            .is_some_and(|hook| !hook.is_absolute())
        {
            return Err(invalid("acme.dns_hook", "must be an absolute path"));
        }
        Ok(AcmeConfig {
            email: self.email,
            directory_url,
            ca_file: self.ca_file,
            dns_hook: self.dns_hook,
        })
    }
}

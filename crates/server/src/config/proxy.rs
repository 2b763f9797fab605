//! `[proxy]`: what stands in front of visitors' connections.

use serde::Deserialize;
use tose_api::domain_settings::IpRange;

use super::ConfigError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxyTable {
    pub(super) trusted_proxies: Vec<IpRange>,
    proxy_protocol: bool,
}

impl ProxyTable {
    /// Whether the PROXY protocol is spoken.
    pub(super) fn checked_protocol(&self) -> Result<bool, ConfigError> {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(ConfigError::Value {
                key: "proxy.proxy_protocol",
                problem: "needs proxy.trusted_proxies: whose header is believed".to_owned(),
            });
        }
        Ok(self.proxy_protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_nobody_is_trusted_with_is_an_error() {
        let read = |text| toml::from_str::<ProxyTable>(text).expect("valid");
        let alone = read("proxy_protocol = true").checked_protocol();
        assert!(alone.is_err_and(|error| error.to_string().contains("trusted_proxies")));
        let table = read("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]");
        assert!(table.checked_protocol().expect("valid"));
    }
}

//! `[payments.*]`: the services that move money into wallets.
//!
//! A secret stands in the file itself, or in a file of its own that the key with `_file` at its end names.

use std::path::PathBuf;

use serde::Deserialize;
use tose_model::payment::sepay::Keys;
use tose_model::payment::vietqr::Transfer;
use tose_model::payment::vnpay::Merchant;
use tose_model::secret::SecretString;

use super::ConfigError;
use crate::secrets::read_secret_file;

/// The services that are set up.
#[derive(Debug, Clone, Default)]
pub struct Payments {
    /// Bank transfers that SePay watches for.
    pub sepay: Option<SepayConfig>,
    /// Bank transfers to links of PayOS.
    pub payos: Option<PayosConfig>,
    /// Pages of VNPay.
    pub vnpay: Option<VnpayConfig>,
    /// Pages of Stripe.
    pub stripe: Option<StripeConfig>,
}

impl Payments {
    /// Whether any is.
    pub fn any(&self) -> bool {
        self.sepay.is_some()
            || self.payos.is_some()
            || self.vnpay.is_some()
            || self.stripe.is_some()
    }
}

/// A bank account that SePay watches.
#[derive(Debug, Clone)]
pub struct SepayConfig {
    /// The account's number.
    pub account: String,
    /// The bank's number, six digits.
    pub bank_bin: String,
    /// Whose account it is, as banks show it.
    pub account_name: String,
    /// What notices are signed with.
    pub webhook_secret: Option<SecretString>,
    /// What notices carry where they are not signed.
    pub api_key: Option<SecretString>,
    /// What opens the list of transfers; without it, only notices count.
    pub api_token: Option<SecretString>,
    /// SePay's API, without a slash at the end.
    pub base_url: String,
}

impl SepayConfig {
    /// What a notice is checked with.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            webhook_secret: self.webhook_secret.as_ref(),
            api_key: self.api_key.as_ref(),
        }
    }
}

/// An account at PayOS.
#[derive(Debug, Clone)]
pub struct PayosConfig {
    /// Who calls.
    pub client_id: String,
    /// What proves it.
    pub api_key: SecretString,
    /// What both sides sign with.
    pub checksum_key: SecretString,
    /// PayOS's API, without a slash at the end.
    pub base_url: String,
}

/// An account at VNPay.
#[derive(Debug, Clone)]
pub struct VnpayConfig {
    /// Its code.
    pub tmn_code: String,
    /// What both sides sign with.
    pub secret: SecretString,
    /// The page on which is paid.
    pub pay_url: String,
    /// Where questions about payments are sent.
    pub api_url: String,
}

impl VnpayConfig {
    /// The account, to sign and to check with.
    pub fn merchant(&self) -> Merchant<'_> {
        Merchant {
            tmn_code: &self.tmn_code,
            secret: &self.secret,
        }
    }
}

/// An account at Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// What opens the API.
    pub secret_key: SecretString,
    /// What events are signed with.
    pub webhook_secret: SecretString,
    /// Stripe's API, without a slash at the end.
    pub base_url: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PaymentsTable {
    sepay: Option<SepayTable>,
    payos: Option<PayosTable>,
    vnpay: Option<VnpayTable>,
    stripe: Option<StripeTable>,
}

impl PaymentsTable {
    pub(super) fn into_config(self) -> Result<Payments, ConfigError> {
        Ok(Payments {
            sepay: self.sepay.map(SepayTable::into_config).transpose()?,
            payos: self.payos.map(PayosTable::into_config).transpose()?,
            vnpay: self.vnpay.map(VnpayTable::into_config).transpose()?,
            stripe: self.stripe.map(StripeTable::into_config).transpose()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SepayTable {
    account: String,
    bank_bin: String,
    account_name: String,
    webhook_secret: Option<String>,
    webhook_secret_file: Option<PathBuf>,
    api_key: Option<String>,
    api_key_file: Option<PathBuf>,
    api_token: Option<String>,
    api_token_file: Option<PathBuf>,
    base_url: Option<String>,
}

impl SepayTable {
    fn into_config(self) -> Result<SepayConfig, ConfigError> {
        let example = Transfer {
            bank_bin: &self.bank_bin,
            account: &self.account,
            amount: None,
            memo: "TOSE",
            bill_number: None,
        };
        if let Err(error) = example.payload() {
            return Err(refusal("payments.sepay", error.to_string()));
        }
        let config = SepayConfig {
            webhook_secret: secret(
                "payments.sepay.webhook_secret",
                self.webhook_secret,
                self.webhook_secret_file,
            )?,
            api_key: secret("payments.sepay.api_key", self.api_key, self.api_key_file)?,
            api_token: secret(
                "payments.sepay.api_token",
                self.api_token,
                self.api_token_file,
            )?,
            base_url: base_url(
                "payments.sepay.base_url",
                self.base_url,
                "https://my.sepay.vn",
            )?,
            account: self.account,
            bank_bin: self.bank_bin,
            account_name: self.account_name,
        };
        let has_proof = config.webhook_secret.is_some() || config.api_key.is_some();
        if !has_proof && config.api_token.is_none() {
            let problem =
                "needs webhook_secret, api_key or api_token, or nothing that is paid is seen";
            return Err(refusal("payments.sepay", problem));
        }
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayosTable {
    client_id: String,
    api_key: Option<String>,
    api_key_file: Option<PathBuf>,
    checksum_key: Option<String>,
    checksum_key_file: Option<PathBuf>,
    base_url: Option<String>,
}

impl PayosTable {
    fn into_config(self) -> Result<PayosConfig, ConfigError> {
        Ok(PayosConfig {
            api_key: needed("payments.payos.api_key", self.api_key, self.api_key_file)?,
            checksum_key: needed(
                "payments.payos.checksum_key",
                self.checksum_key,
                self.checksum_key_file,
            )?,
            base_url: base_url(
                "payments.payos.base_url",
                self.base_url,
                "https://api-merchant.payos.vn",
            )?,
            client_id: self.client_id,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VnpayTable {
    tmn_code: String,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    pay_url: String,
    api_url: String,
}

impl VnpayTable {
    fn into_config(self) -> Result<VnpayConfig, ConfigError> {
        Ok(VnpayConfig {
            secret: needed("payments.vnpay.secret", self.secret, self.secret_file)?,
            pay_url: base_url("payments.vnpay.pay_url", Some(self.pay_url), "")?,
            api_url: base_url("payments.vnpay.api_url", Some(self.api_url), "")?,
            tmn_code: self.tmn_code,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StripeTable {
    secret_key: Option<String>,
    secret_key_file: Option<PathBuf>,
    webhook_secret: Option<String>,
    webhook_secret_file: Option<PathBuf>,
    base_url: Option<String>,
}

impl StripeTable {
    fn into_config(self) -> Result<StripeConfig, ConfigError> {
        Ok(StripeConfig {
            secret_key: needed(
                "payments.stripe.secret_key",
                self.secret_key,
                self.secret_key_file,
            )?,
            webhook_secret: needed(
                "payments.stripe.webhook_secret",
                self.webhook_secret,
                self.webhook_secret_file,
            )?,
            base_url: base_url(
                "payments.stripe.base_url",
                self.base_url,
                "https://api.stripe.com",
            )?,
        })
    }
}

fn refusal(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key,
        problem: problem.into(),
    }
}

/// A secret that stands here or in a file; an empty one is none that anything could be checked with.
fn secret(
    key: &'static str,
    inline: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    match (inline, file) {
        (Some(_), Some(_)) => Err(refusal(key, "is there twice, once as a file")),
        (Some(secret), None) if secret.trim().is_empty() => Err(refusal(key, "is empty")),
        (inline, None) => Ok(inline.map(SecretString::from)),
        (None, Some(path)) => read_secret_file(&path)
            .map(Some)
            .map_err(|error| refusal(key, error.to_string())),
    }
}

fn needed(
    key: &'static str,
    inline: Option<String>,
    file: Option<PathBuf>,
) -> Result<SecretString, ConfigError> {
    secret(key, inline, file)?.ok_or_else(|| refusal(key, "is missing, here and as a file"))
}

/// An address that secrets may be sent to, without a slash at the end: over TLS, or to this machine.
fn base_url(key: &'static str, url: Option<String>, default: &str) -> Result<String, ConfigError> {
    let url = url.as_deref().unwrap_or(default);
    let host = url.strip_prefix("http://").unwrap_or_default();
    let end = host.find([':', '/']).unwrap_or(host.len());
    let is_here = ["localhost", "127.0.0.1"].contains(&&host[..end]) || host.starts_with("[::1]");
    // What stands before an `@` is a user's name, and the host comes after it.
    if !url.contains('@') && (url.starts_with("https://") || is_here) {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err(refusal(key, "must begin with https://"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use tose_model::secret::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Result<Payments, String> {
        let table: PaymentsTable = toml::from_str(text).map_err(|error| error.to_string())?;
        table.into_config().map_err(|error| error.to_string())
    }

    const SEPAY: &str =
        "[sepay]\naccount = \"0123499999\"\nbank_bin = \"970436\"\naccount_name = \"TOSE\"\n";

    #[test]
    fn services_are_set_up_one_by_one() {
        let payments = read("").expect("none");
        assert!(payments.sepay.is_none() && payments.stripe.is_none());
        let text = format!(
            "{SEPAY}webhook_secret = \"s\"\n[stripe]\nsecret_key = \"sk\"\nwebhook_secret = \"whsec\"\nbase_url = \"http://127.0.0.1:9/\""
        );
        let payments = read(&text).expect("two");
        let sepay = payments.sepay.as_ref().expect("an account");
        assert_eq!(sepay.base_url, "https://my.sepay.vn");
        assert!(sepay.keys().webhook_secret.is_some());
        let stripe = payments.stripe.as_ref().expect("an account");
        assert_eq!(stripe.base_url, "http://127.0.0.1:9");
        assert!(!format!("{payments:?}").contains("whsec"));
    }

    /// The documented sections without the marks of comments, below `[payments]` as in the file.
    #[test]
    fn the_documented_sections_can_be_used() {
        let documented = crate::config::DEFAULT_FILE
            .lines()
            .skip_while(|line| *line != "# [payments.sepay]");
        let documented = documented.take_while(|line| !line.starts_with("# How mail"));
        let is_toml = |line: &&str| line.starts_with('[') || line.contains(" = ");
        let lines = documented
            .filter_map(|line| line.strip_prefix("# "))
            .filter(is_toml);
        let text = lines
            .collect::<Vec<_>>()
            .join("\n")
            .replace("[payments.", "[");
        let payments = read(&text).expect("all four");
        assert!(payments.sepay.is_some() && payments.payos.is_some());
        assert!(payments.vnpay.is_some() && payments.stripe.is_some());
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .expect("a file");
        file.write_all(b"s3cret\n").expect("written");
        let vnpay = |secret: &str| {
            read(&format!(
                "[vnpay]\ntmn_code = \"T\"\n{secret}\npay_url = \"https://a/pay\"\napi_url = \"https://a/api\""
            ))
        };
        let payments = vnpay(&format!("secret_file = {path:?}")).expect("an account");
        let vnpay_config = payments.vnpay.expect("an account");
        assert_eq!(vnpay_config.merchant().secret.expose_secret(), "s3cret");
        for refused in ["", "secret = \" \"", "secret_file = \"/nowhere\""] {
            assert!(vnpay(refused).is_err(), "{refused}");
        }
        assert!(vnpay(&format!("secret = \"s\"\nsecret_file = {path:?}")).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for text in [
            SEPAY.to_owned(),
            format!("{SEPAY}webhook_secret = \"\""),
            format!("{SEPAY}api_key = \"k\"\nunknown = 1"),
            format!("{}api_key = \"k\"", SEPAY.replace("970436", "97043")),
            format!("{SEPAY}api_key = \"k\"\nbase_url = \"http://sepay.example\""),
            format!("{SEPAY}api_key = \"k\"\nbase_url = \"http://127.0.0.1.example\""),
            format!("{SEPAY}api_key = \"k\"\nbase_url = \"http://localhost:1@a.example\""),
            "[payos]\nclient_id = \"c\"\napi_key = \"k\"".to_owned(),
            "[paypal]".to_owned(),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}

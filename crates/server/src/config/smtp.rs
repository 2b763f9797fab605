//! `[smtp]`: how mail leaves.

use serde::Deserialize;
use tose_model::secret::SecretString;

use super::ConfigError;

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: SmtpTls,
    /// User name and password, where the server wants them.
    pub credentials: Option<(String, SecretString)>,
    /// The sender's address.
    pub from: String,
}

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// TLS from the first byte.
    Tls,
    /// TLS after a greeting in plain text; without it nothing is sent.
    Starttls,
    /// Not at all: for a server on the same machine.
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpTable {
    host: String,
    port: Option<u16>,
    tls: Option<SmtpTls>,
    username: Option<String>,
    password: Option<String>,
    from: String,
}

impl SmtpTable {
    /// The password of the environment goes before that of the file.
    pub(super) fn into_smtp(self, password: Option<SecretString>) -> Result<Smtp, ConfigError> {
        let tls = self.tls.unwrap_or(SmtpTls::Starttls);
        let password = password.or(self.password.map(SecretString::from));
        let credentials = match (self.username, password) {
            (None, None) => None,
            (Some(username), Some(password)) => Some((username, password)),
            _ => {
                return Err(ConfigError::Value {
                    key: "smtp",
                    problem: "username and password come together; the password may be in TOSE_SMTP_PASSWORD".to_owned(),
                });
            }
        };
        Ok(Smtp {
            host: self.host,
            port: self.port.unwrap_or(match tls {
                SmtpTls::Tls => 465,
                SmtpTls::Starttls => 587,
                SmtpTls::None => 25,
            }),
            tls,
            credentials,
            from: self.from,
        })
    }
}

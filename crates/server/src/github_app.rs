//! The server's GitHub App: what it signs, the tokens it gets for that, and what it asks GitHub.
//!
//! Guarantees: a token of an installation opens one repository, for reading it and for setting commit
//! statuses; it is kept in memory, until shortly before its end, and lies in a build's scratch folder while
//! Git fetches with it. What a person proves who they are with
//! is used for the questions here and dropped. Nothing is logged.
//! Not here: which workspace may use which installation (`app/github.rs`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tose_api::Timestamp;
use tose_api::github::GithubRepositoryView;
use tose_model::error::{Error, Result, UNAVAILABLE};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::GithubFound;

use crate::config::GithubAppConfig;
use crate::git_api::{Answer, GitApi, Question};
use crate::secrets::{VaultError, is_signed, read_secret_file};

/// How far GitHub's clock may be behind ours, and how long a signature holds: ten minutes together, the most
/// that GitHub takes.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(9 * 60);
/// A token that ends sooner than this is not used any more.
const TOKEN_MARGIN: Duration = Duration::from_secs(10 * 60);
/// The most pages of a list that are asked for, with this many rows each.
const MAX_PAGES: usize = 20;
const PAGE: usize = 100;

/// Why the app cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GithubAppError {
    /// One of its files.
    #[error("a file of [github_app] cannot be used")]
    File(#[from] VaultError),
    /// The key is none.
    #[error(
        "[github_app] private_key_file holds no RSA key in PEM; GitHub makes one in the app's settings"
    )]
    Key,
}

/// The server's GitHub App.
pub(crate) struct GithubApp {
    pub(crate) config: GithubAppConfig,
    key: KeyPair,
    client_secret: SecretString,
    webhook_secret: SecretString,
    tokens: Mutex<HashMap<(u64, u64), Token>>,
}

struct Token {
    secret: SecretString,
    expires_at: Timestamp,
}

impl GithubApp {
    /// Reads the app's files.
    ///
    /// # Errors
    /// When one is missing, can be read by others, or holds something else.
    pub(crate) fn open(config: &GithubAppConfig) -> std::result::Result<Self, GithubAppError> {
        let pem = read_secret_file(&config.private_key_file)?;
        let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| GithubAppError::Key)?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(GithubAppError::Key),
        };
        Ok(Self {
            key: key.map_err(|_| GithubAppError::Key)?,
            client_secret: read_secret_file(&config.client_secret_file)?,
            webhook_secret: read_secret_file(&config.webhook_secret_file)?,
            config: config.clone(),
            tokens: Mutex::default(),
        })
    }

    /// Whether an event was signed with the app's secret.
    pub(crate) fn has_signed(&self, body: &[u8], signature: &[u8]) -> bool {
        is_signed(&self.webhook_secret, body, signature)
    }

    /// Where somebody installs the app, or shows that they may use an installation that is there.
    pub(crate) fn install_url(&self, installation_id: Option<u64>, state: &SecretString) -> String {
        let (web, state) = (&self.config.web_url, state.expose_secret());
        match installation_id {
            None => format!(
                "{web}/apps/{}/installations/new?state={state}",
                self.config.name
            ),
            Some(_) => {
                let client_id: String =
                    form_urlencoded::byte_serialize(self.config.client_id.as_bytes()).collect();
                format!("{web}/login/oauth/authorize?client_id={client_id}&state={state}")
            }
        }
    }

    /// What GitHub shows of an installation to whom it gave `code`; `None` if they may not use it.
    pub(crate) async fn find(
        &self,
        api: &GitApi,
        code: &str,
        installation_id: u64,
    ) -> Result<Option<GithubFound>> {
        let token = self.exchange(api, code).await?;
        let account = self.find_account(api, &token, installation_id).await?;
        let Some(account) = account else {
            return Ok(None);
        };
        let path = format!("/user/installations/{installation_id}/repositories");
        let listed = self.list(api, &token, &path, "repositories", |_| false);
        let repositories = listed.await?.iter().filter_map(repository).collect();
        Ok(Some(GithubFound {
            installation_id,
            account,
            repositories,
        }))
    }

    /// The token of the person to whom GitHub gave `code`.
    async fn exchange(&self, api: &GitApi, code: &str) -> Result<SecretString> {
        let question = Question {
            url: format!("{}/login/oauth/access_token", self.config.web_url),
            token: None,
            body: Some(json!({
                "client_id": self.config.client_id,
                "client_secret": self.client_secret.expose_secret(),
                "code": code,
            })),
        };
        let answer = api.ask(question).await.map_err(unavailable)?;
        // A code that is wrong is answered with 200 and an `error`.
        let token = answer["access_token"].as_str().ok_or_else(|| {
            Error::invalid_field(
                "code",
                "GitHub does not take it; begin again with another link",
            )
        })?;
        Ok(SecretString::from(token))
    }

    /// The account of an installation that the person may use.
    async fn find_account(
        &self,
        api: &GitApi,
        token: &SecretString,
        installation_id: u64,
    ) -> Result<Option<String>> {
        let is_it = |row: &Value| row["id"].as_u64() == Some(installation_id);
        let listed = self
            .list(api, token, "/user/installations", "installations", is_it)
            .await?;
        let found = listed.iter().find(|row| is_it(row));
        Ok(found.and_then(|row| row["account"]["login"].as_str().map(str::to_owned)))
    }

    /// The rows of a list, page by page, up to the page with one that `is_wanted`.
    async fn list(
        &self,
        api: &GitApi,
        token: &SecretString,
        path: &str,
        name: &str,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        for page in 1..=MAX_PAGES {
            let question = Question {
                url: format!("{}{path}?per_page={PAGE}&page={page}", self.config.api_url),
                token: Some(token),
                body: None,
            };
            let mut answer = api.ask(question).await.map_err(unavailable)?;
            let Value::Array(found) = answer[name].take() else {
                break;
            };
            let is_last = found.len() < PAGE || found.iter().any(&is_wanted);
            rows.extend(found);
            if is_last {
                break;
            }
        }
        Ok(rows)
    }

    /// A token that opens one repository of an installation, for ten minutes at least.
    ///
    /// # Errors
    /// What GitHub answered in place of one.
    pub(crate) async fn token(
        &self,
        api: &GitApi,
        installation_id: u64,
        repository_id: u64,
        now: Timestamp,
    ) -> std::result::Result<SecretString, Answer> {
        let place = (installation_id, repository_id);
        if let Some(token) = self.kept_token(place, now) {
            return Ok(token);
        }
        let signature = self.sign(now);
        let path = format!("app/installations/{installation_id}/access_tokens");
        let question = Question {
            url: format!("{}/{path}", self.config.api_url),
            token: Some(&signature),
            body: Some(json!({
                "repository_ids": [repository_id],
                "permissions": {"contents": "read", "statuses": "write", "pull_requests": "read"},
            })),
        };
        let answer = api.ask(question).await?;
        let secret = answer["token"].as_str().ok_or(Answer::Silent)?;
        let secret = SecretString::from(secret);
        let expires_at = answer["expires_at"].as_str().and_then(|at| at.parse().ok());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires_at > now);
        if let Some(expires_at) = expires_at {
            let token = Token {
                secret: secret.clone(),
                expires_at,
            };
            tokens.insert(place, token);
        }
        Ok(secret)
    }

    fn kept_token(&self, place: (u64, u64), now: Timestamp) -> Option<SecretString> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&place)?;
        let is_good = token.expires_at > now.saturating_add(TOKEN_MARGIN);
        is_good.then(|| token.secret.clone())
    }

    /// Drops the tokens of an installation.
    pub(crate) fn forget(&self, installation_id: u64) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(id, _), _| *id != installation_id);
    }

    /// What shows GitHub that the app itself asks: a JSON Web Token, signed with RS256.
    fn sign(&self, now: Timestamp) -> SecretString {
        let seconds = |at: Timestamp| at.as_nanos() / 1_000_000_000;
        let claims = json!({
            "iat": seconds(now.saturating_sub(CLOCK_SLACK)),
            "exp": seconds(now.saturating_add(SIGNATURE_LIFETIME)),
            "iss": self.config.app_id.to_string(),
        });
        let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            encode(json!({"alg": "RS256", "typ": "JWT"})),
            encode(claims)
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("an RSA key signs any text into as many bytes as it has");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        SecretString::from(format!("{signed}.{signature}"))
    }
}

fn repository(row: &Value) -> Option<GithubRepositoryView> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    Some(GithubRepositoryView {
        id: row["id"].as_u64()?,
        full_name: text("full_name")?,
        private: row["private"].as_bool().unwrap_or(true),
        default_branch: text("default_branch").unwrap_or_else(|| "main".to_owned()),
    })
}

fn unavailable(answer: Answer) -> Error {
    Error::Unavailable {
        code: UNAVAILABLE,
        message: match answer {
            Answer::Refused(status) => {
                format!("GitHub answered {status}; begin again with another link")
            }
            Answer::Silent | Answer::Done => {
                "GitHub does not answer; try again in a moment".to_owned()
            }
        },
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn write(dir: &std::path::Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).expect("chmod");
        path
    }

    fn config(dir: &std::path::Path, pem: &str) -> GithubAppConfig {
        GithubAppConfig {
            app_id: 4711,
            name: "our-app".to_owned(),
            client_id: "Iv1.id".to_owned(),
            private_key_file: write(dir, "key.pem", pem),
            client_secret_file: write(dir, "client", "client-secret\n"),
            webhook_secret_file: write(dir, "webhook", "webhook-secret\n"),
            api_url: "https://api.example".to_owned(),
            web_url: "https://git.example".to_owned(),
        }
    }

    fn pem() -> (KeyPair, String) {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
        let body = BASE64_STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        (key, pem)
    }

    #[test]
    fn a_signature_is_the_apps_own_and_holds_ten_minutes_with_the_slack() {
        let dir = tempfile::tempdir().expect("a directory");
        let (key, pem) = pem();
        let app = GithubApp::open(&config(dir.path(), &pem)).expect("an app");
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let jwt = app.sign(now);
        let jwt = jwt.expose_secret();
        let (signed, signature) = jwt.rsplit_once('.').expect("a signature");
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key())
            .verify(signed.as_bytes(), &decode(signature))
            .expect("the app signed it");
        let (head, claims) = signed.split_once('.').expect("two parts");
        let json = |text: &str| serde_json::from_slice::<Value>(&decode(text)).expect("JSON");
        assert_eq!(json(head), json!({"alg": "RS256", "typ": "JWT"}));
        let expected = json!({"iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "4711"});
        assert_eq!(json(claims), expected);
    }

    #[test]
    fn what_is_no_key_of_the_apps_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        for text in [
            "garbage",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let refused = GithubApp::open(&config(dir.path(), text));
            assert!(matches!(refused, Err(GithubAppError::Key)), "{text}");
        }
        let (_, pem) = pem();
        let config = config(dir.path(), &pem);
        let public = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&config.private_key_file, public).expect("chmod");
        assert!(matches!(
            GithubApp::open(&config),
            Err(GithubAppError::File(_))
        ));
    }

    #[test]
    fn the_link_carries_the_state_to_where_the_installation_is_proven() {
        let dir = tempfile::tempdir().expect("a directory");
        let app = GithubApp::open(&config(dir.path(), &pem().1)).expect("an app");
        let state = SecretString::from("abc");
        let new = "https://git.example/apps/our-app/installations/new?state=abc";
        assert_eq!(app.install_url(None, &state), new);
        let known = "https://git.example/login/oauth/authorize?client_id=Iv1.id&state=abc";
        assert_eq!(app.install_url(Some(5), &state), known);
    }

    #[test]
    fn only_what_the_apps_secret_signed_is_the_apps() {
        use hmac::{Hmac, KeyInit, Mac};
        let dir = tempfile::tempdir().expect("a directory");
        let app = GithubApp::open(&config(dir.path(), &pem().1)).expect("an app");
        let sign = |secret: &[u8]| {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("a key");
            mac.chain_update(b"{}").finalize().into_bytes().to_vec()
        };
        assert!(app.has_signed(b"{}", &sign(b"webhook-secret")));
        assert!(!app.has_signed(b"{ }", &sign(b"webhook-secret")));
        assert!(!app.has_signed(b"{}", &sign(b"")));
        assert!(!app.has_signed(b"{}", b""));
    }
}

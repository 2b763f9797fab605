//! Orders at a certificate authority (RFC 8555).
//!
//! Guarantees: what proves a name to the authority is there only while an order runs; a key leaves
//! this module only as a secret. Not here: which names are ordered, and when.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use tose_api::Hostname;
use tose_model::error::{BoxError, Error as ModelError};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_proxy::certificates::{Certificate, Name};

use crate::app::{Platform, vault_error};
use crate::config::AcmeConfig;
use crate::dns_hook::{self, Action};
use crate::secrets::Place;

/// How long the authority may take to check a name, and to issue.
const PATIENCE: Duration = Duration::from_secs(90);
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// A certificate that was issued.
pub(crate) struct Issued {
    /// PEM, the host's own first.
    pub(crate) chain: String,
    /// PEM.
    pub(crate) key: SecretString,
}

/// How a name is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By an answer on port 80.
    Http01,
    /// By a certificate on port 443.
    TlsAlpn01,
    /// By a record of DNS.
    Dns01,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCertificate {
    /// The authority said no, or could not see that the name leads here.
    #[error("{0}")]
    Refused(String),
    /// The authority could not be reached, or answered nonsense.
    #[error("the certificate authority could not be reached")]
    Unreachable(#[source] instant_acme::Error),
    /// A fault of ours.
    #[error(transparent)]
    Broken(#[from] ModelError),
}

impl From<instant_acme::Error> for NoCertificate {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => {
                Self::Refused(format!("the certificate authority refused: {problem}"))
            }
            instant_acme::Error::Timeout(_) => Self::Refused(
                "the certificate authority did not issue the certificate in time".to_owned(),
            ),
            other => Self::Unreachable(other),
        }
    }
}

/// The account at the authority, made when there is none.
pub(crate) async fn account(
    platform: &Platform,
    config: &AcmeConfig,
) -> Result<Account, NoCertificate> {
    let setting = format!("acme_account {}", config.directory_url);
    let place = Place::AcmeAccount {
        directory_url: &config.directory_url,
    };
    let stored = platform.store.find_setting(&setting).await;
    let stored = stored.map_err(ModelError::from)?;
    if let Some(text) = stored {
        let sealed = hex::decode(text).map_err(broken("the account at the authority"))?;
        let sealed = tose_model::secret::Sealed::from_bytes(sealed);
        let opened = platform.vault.open(place, &sealed).map_err(vault_error)?;
        let credentials: AccountCredentials = serde_json::from_str(opened.expose_secret())
            .map_err(broken("the account at the authority"))?;
        return Ok(builder(config)?.from_credentials(credentials).await?);
    }
    let contact = format!("mailto:{}", config.email);
    let new = NewAccount {
        contact: &[&contact],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let made = builder(config)?.create(&new, config.directory_url.clone(), None);
    let (account, credentials) = made.await?;
    let text = serde_json::to_string(&credentials)
        .map(SecretString::from)
        .map_err(broken("the account at the authority"))?;
    let ids = platform.ids.as_ref();
    let sealed = platform.vault.seal(place, text.expose_secret(), ids);
    let kept = hex::encode(sealed.as_bytes());
    let kept = platform.store.get_or_set_setting(&setting, &kept).await;
    kept.map_err(ModelError::from)?;
    Ok(account)
}

fn builder(config: &AcmeConfig) -> Result<instant_acme::AccountBuilder, NoCertificate> {
    Ok(match &config.ca_file {
        Some(path) => Account::builder_with_root(path)?,
        None => Account::builder()?,
    })
}

fn broken<E: Into<BoxError>>(what: &'static str) -> impl FnOnce(E) -> NoCertificate {
    move |error| NoCertificate::Broken(ModelError::internal(format!("{what} is broken"), error))
}

/// Orders a certificate for all names one label below the base domain.
pub(crate) async fn order_wildcard(
    platform: &Platform,
    account: &Account,
) -> Result<Issued, NoCertificate> {
    let base = &platform.config.base_domain;
    try_order(platform, account, &format!("*.{base}"), base, Way::Dns01).await
}

/// Orders a certificate for one host, and waits until it is there.
pub(crate) async fn order(
    platform: &Platform,
    account: &Account,
    host: &Hostname,
    way: Way,
) -> Result<Issued, NoCertificate> {
    // The client itself waits for ever for an authority that takes a connection and says nothing.
    let ordered = try_order(platform, account, host.as_str(), host, way);
    let ordered = tokio::time::timeout(PATIENCE * 3, ordered);
    ordered.await.unwrap_or_else(|_| {
        let text = "the certificate authority did not answer in time";
        Err(NoCertificate::Refused(text.to_owned()))
    })
}

async fn try_order(
    platform: &Platform,
    account: &Account,
    name: &str,
    host: &Hostname,
    way: Way,
) -> Result<Issued, NoCertificate> {
    let identifiers = [Identifier::Dns(name.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let mut proofs = Vec::new();
    let proven = prove(platform, &mut order, host, way, &mut proofs).await;
    for proof in &proofs {
        if let Err(error) = proof.remove(platform).await {
            tracing::warn!(%host, error = &error as &dyn std::error::Error, "a proof stays behind");
        }
    }
    proven?;
    let retries = RetryPolicy::new()
        .initial_delay(FIRST_DELAY)
        .timeout(PATIENCE);
    let key = SecretString::from(order.finalize().await?);
    let chain = order.poll_certificate(&retries).await?;
    Ok(Issued { chain, key })
}

/// What is there while the authority looks.
enum Proof {
    Token(String),
    Certificate(Name),
    Record { name: String, value: String },
}

impl Proof {
    async fn remove(&self, platform: &Platform) -> Result<(), NoCertificate> {
        let folder = &platform.certificates;
        let failed = |error| ModelError::internal("a proof could not be removed", error);
        match self {
            Self::Token(token) => Ok(folder.remove_token(token).map_err(failed)?),
            Self::Certificate(name) => Ok(folder.remove(name).map_err(failed)?),
            Self::Record { name, value } => run_hook(platform, Action::Cleanup, name, value).await,
        }
    }
}

async fn prove(
    platform: &Platform,
    order: &mut Order,
    host: &Hostname,
    way: Way,
    proofs: &mut Vec<Proof>,
) -> Result<(), NoCertificate> {
    let kind = match way {
        Way::Http01 => ChallengeType::Http01,
        Way::TlsAlpn01 => ChallengeType::TlsAlpn01,
        Way::Dns01 => ChallengeType::Dns01,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(kind.clone());
        let mut challenge = challenge.ok_or_else(|| {
            NoCertificate::Refused(
                "the certificate authority offers no check that we can pass".to_owned(),
            )
        })?;
        put(platform, host, way, &challenge, proofs).await?;
        challenge.set_ready().await?;
    }
    let retries = RetryPolicy::new()
        .initial_delay(FIRST_DELAY)
        .timeout(PATIENCE);
    match order.poll_ready(&retries).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) => Err(NoCertificate::Refused(why_not(None))),
        // What the authority saw is in the order, and in its authorizations.
        Err(instant_acme::Error::Api(problem)) => {
            let seen = problem.detail.clone();
            Err(NoCertificate::Refused(why_not(seen.as_deref())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why a name was not accepted, by what the authority saw.
fn why_not(seen: Option<&str>) -> String {
    let seen = seen.map(|seen| format!(": {seen}")).unwrap_or_default();
    format!(
        "the certificate authority could not see that the name leads here{seen}; point its DNS at this server, with ports 80 and 443 open to everybody"
    )
}

async fn put(
    platform: &Platform,
    host: &Hostname,
    way: Way,
    challenge: &ChallengeHandle<'_>,
    proofs: &mut Vec<Proof>,
) -> Result<(), NoCertificate> {
    let folder = &platform.certificates;
    let answer = challenge.key_authorization();
    let failed = |error| ModelError::internal("a proof could not be written", error);
    match way {
        Way::Http01 => {
            let token = challenge.token.clone();
            folder
                .write_token(&token, answer.as_str())
                .map_err(failed)?;
            proofs.push(Proof::Token(token));
        }
        Way::TlsAlpn01 => {
            let name = Name::Challenge(host.clone());
            let certificate = challenge_certificate(platform, &name, answer.digest().as_ref())?;
            folder.write(&name, &certificate).map_err(failed)?;
            proofs.push(Proof::Certificate(name));
        }
        Way::Dns01 => {
            let (name, value) = (format!("_acme-challenge.{host}"), answer.dns_value());
            // Cleaned up also if it fails halfway.
            proofs.push(Proof::Record {
                name: name.clone(),
                value: value.clone(),
            });
            run_hook(platform, Action::Present, &name, &value).await?;
        }
    }
    Ok(())
}

async fn run_hook(
    platform: &Platform,
    action: Action,
    name: &str,
    value: &str,
) -> Result<(), NoCertificate> {
    let missing = || NoCertificate::Refused("no DNS program is set".to_owned());
    let hook = platform.wildcard_hook().ok_or_else(missing)?;
    let ran = dns_hook::run(hook, action, name, value).await;
    ran.map_err(NoCertificate::Refused)
}

/// The certificate that proves a name by TLS-ALPN-01.
fn challenge_certificate(
    platform: &Platform,
    name: &Name,
    digest: &[u8],
) -> Result<Certificate, NoCertificate> {
    let make = || {
        let mut params = rcgen::CertificateParams::new([name.host().to_string()])?;
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let key = SecretString::from(key.serialize_pem());
        let sealed = platform.seal_key(name, &key);
        Ok::<_, rcgen::Error>(Certificate {
            chain: certificate.pem(),
            sealed_key: sealed.as_bytes().to_vec(),
        })
    };
    make().map_err(broken("a challenge's certificate"))
}

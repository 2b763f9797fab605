//! One certificate for all names that the platform gives, where the operator's DNS can prove them.
//!
//! Invariants: it is for the names one label below the base domain and for no others; what is in use
//! stays until another one takes its place.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tose_api::{Hostname, Timestamp};
use tose_model::error::{Error, Result};
use tose_proxy::certificates::{Certificate, Name};

use crate::app::Platform;

/// Until when the certificate is good, for those who only want to know that.
#[derive(Debug, Default)]
pub(crate) struct GoodUntil {
    not_after: AtomicI64,
    revision: AtomicU64,
}

/// What is known of the certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct WildcardState {
    /// The certificate, if there is one.
    pub(crate) issued: Option<IssuedWildcard>,
    /// Orders that failed since the last one that did not.
    pub(crate) failures: u32,
    /// Why the last order failed.
    pub(crate) reason: Option<String>,
    /// When the next order is due, in nanoseconds since 1970.
    pub(crate) next_at: i64,
}

/// A certificate with its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IssuedWildcard {
    /// As the proxy gets it.
    pub(crate) certificate: Certificate,
    /// Until when it is good, in nanoseconds since 1970.
    pub(crate) not_after: i64,
}

impl GoodUntil {
    /// Remembers a certificate that is in use.
    pub(crate) fn set(&self, state: &WildcardState) {
        let not_after = state.issued.as_ref().map_or(0, |issued| issued.not_after);
        if self.not_after.swap(not_after, Ordering::AcqRel) != not_after {
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How often it has changed.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}

impl Platform {
    /// Whether the platform's own certificate is good for this name.
    pub(crate) fn wildcard_covers(&self, hostname: &Hostname) -> bool {
        self.wildcard_expiry(hostname).is_some()
    }

    /// Until when it is, if it is.
    pub(crate) fn wildcard_expiry(&self, hostname: &Hostname) -> Option<Timestamp> {
        let until = Timestamp::from_nanos(self.wildcard.not_after.load(Ordering::Acquire));
        let is_below = hostname
            .as_str()
            .split_once('.')
            .is_some_and(|(_, parent)| parent == self.config.base_domain.as_str());
        let is_good = is_below && until > self.now() && self.config.https_addr.addr().is_some();
        is_good.then_some(until)
    }

    /// The program that proves the base domain by DNS, if there is one and the domain can be proven.
    pub(crate) fn wildcard_hook(&self) -> Option<&std::path::Path> {
        let hook = self.config.acme.as_ref()?.dns_hook.as_deref();
        hook.filter(|_| self.config.has_public_base())
    }

    fn wildcard_setting(&self) -> String {
        format!("wildcard_certificate {}", self.config.base_domain)
    }

    /// What is known of the certificate.
    pub(crate) async fn wildcard_state(&self) -> Result<WildcardState> {
        let stored = self.store.find_setting(&self.wildcard_setting()).await?;
        let Some(text) = stored else {
            return Ok(WildcardState::default());
        };
        serde_json::from_str(&text)
            .map_err(|error| Error::internal("the wildcard certificate is broken", error))
    }

    /// Keeps what is known.
    pub(crate) async fn keep_wildcard_state(&self, state: &WildcardState) -> Result<()> {
        let text = serde_json::to_string(state)
            .map_err(|error| Error::internal("the wildcard certificate is broken", error))?;
        Ok(self
            .store
            .set_setting(&self.wildcard_setting(), &text)
            .await?)
    }

    /// The name under which the proxy has it.
    pub(crate) fn wildcard_name(&self) -> Name {
        Name::Below(self.config.base_domain.clone())
    }
}

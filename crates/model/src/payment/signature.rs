//! Signatures of payment services: HMACs in hex, and how far their time may be from ours.
//!
//! Guarantees: comparisons take the same time wherever the first difference is; an empty secret is refused.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use tose_api::Timestamp;

use super::PaymentError;
use crate::secret::{ExposeSecret, SecretString};

/// How far the time of a signature may be from ours, in seconds.
const TOLERANCE_SECONDS: u64 = 300;
const NANOS: i64 = 1_000_000_000;

/// The HMAC-SHA256 of the parts one after the other, to be checked or written down.
pub(super) fn sha256(secret: &SecretString, parts: &[&[u8]]) -> Result<Signature, PaymentError> {
    keyed::<Hmac<Sha256>>(secret, parts).map(Signature::Sha256)
}

/// The same with SHA-512.
pub(super) fn sha512(secret: &SecretString, parts: &[&[u8]]) -> Result<Signature, PaymentError> {
    keyed::<Hmac<Sha512>>(secret, parts).map(Signature::Sha512)
}

/// What a signature has to be.
pub(super) enum Signature {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl Signature {
    /// Whether `hex` is it.
    pub(super) fn is(&self, hex: &str) -> bool {
        let Ok(bytes) = hex::decode(hex) else {
            return false;
        };
        match self {
            Self::Sha256(mac) => mac.clone().verify_slice(&bytes).is_ok(),
            Self::Sha512(mac) => mac.clone().verify_slice(&bytes).is_ok(),
        }
    }

    /// Refuses what is not it.
    pub(super) fn check(&self, hex: &str) -> Result<(), PaymentError> {
        match self.is(hex) {
            true => Ok(()),
            false => Err(PaymentError::BadSignature),
        }
    }

    /// Its lower-case hex digits.
    pub(super) fn to_hex(&self) -> String {
        match self {
            Self::Sha256(mac) => hex::encode(mac.clone().finalize().into_bytes()),
            Self::Sha512(mac) => hex::encode(mac.clone().finalize().into_bytes()),
        }
    }
}

fn keyed<M: Mac + KeyInit>(secret: &SecretString, parts: &[&[u8]]) -> Result<M, PaymentError> {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return Err(PaymentError::NoSecret);
    }
    let mut mac = <M as KeyInit>::new_from_slice(secret).map_err(|_| PaymentError::NoSecret)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac)
}

/// Whether a text is the secret.
pub(super) fn is_secret(secret: &SecretString, text: &str) -> bool {
    let secret = secret.expose_secret().as_bytes();
    !secret.is_empty() && bool::from(secret.ct_eq(text.as_bytes()))
}

/// Refuses a signature whose time, in Unix seconds, is too far from now.
pub(super) fn check_time(seconds: &str, now: Timestamp) -> Result<(), PaymentError> {
    let seconds: i64 = seconds.parse().map_err(|_| PaymentError::BadSignature)?;
    let now = now.as_nanos().div_euclid(NANOS);
    match seconds.abs_diff(now) <= TOLERANCE_SECONDS {
        true => Ok(()),
        false => Err(PaymentError::Stale),
    }
}

//! Secrets: sealed at rest, opened for a moment, never shown.
//!
//! Not here: the cipher and the key (`tose-server`, `secrets.rs`).

pub use secrecy::{ExposeSecret, SecretString};

/// A secret as it is stored. It has neither `Display` nor `Serialize`, so it cannot slip into an
/// answer, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps bytes that the vault sealed, or that the store kept.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes, for the store and the vault.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

//! Passwords: hashed with Argon2id, a few at a time.
//!
//! One hash takes 19 MiB and tens of milliseconds of a core, so a crowd of logins waits here
//! instead of taking the machine.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tose_model::IdGen;
use tose_model::error::{Error, Result};
use tose_model::secret::{ExposeSecret, SecretString};

/// Hashes at the same time.
const PERMITS: usize = 2;
/// KiB of memory, passes and lanes of one hash.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    permits: Semaphore,
    /// Of no password: checked where there is no account, so that both take the same time.
    decoy: String,
}

impl Passwords {
    pub(crate) fn new(ids: &dyn IdGen) -> Result<Self> {
        Ok(Self {
            permits: Semaphore::new(PERMITS),
            decoy: decoy(ids)?,
        })
    }

    /// The hash to store, in PHC form.
    pub(crate) async fn hash(&self, password: SecretString, ids: &dyn IdGen) -> Result<String> {
        let salt = salt(ids);
        self.run(move || hash(password.expose_secret(), &salt))
            .await
    }

    /// Whether the password is the one that was hashed; without a hash it never is.
    pub(crate) async fn is_right(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<bool> {
        let is_known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let is_right = self
            .run(move || {
                let stored = PasswordHash::new(&stored).map_err(|error| {
                    Error::internal("a password's hash could not be read", error.to_string())
                })?;
                Ok(hasher()
                    .verify_password(password.expose_secret().as_bytes(), &stored)
                    .is_ok())
            })
            .await?;
        Ok(is_right && is_known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| Error::internal("no password is checked any more", error))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("a password could not be checked", error))?
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What no password has: random where a hash would be, so that no start waits for a hash.
fn decoy(ids: &dyn IdGen) -> Result<String> {
    let refused = |error: &dyn std::fmt::Display| {
        Error::internal(
            "the decoy of passwords could not be made",
            error.to_string(),
        )
    };
    let mut output = [0; 32];
    ids.fill(&mut output);
    let decoy = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: hasher()
            .params()
            .try_into()
            .map_err(|error| refused(&error))?,
        salt: Some(Salt::new(&salt(ids)).map_err(|error| refused(&error))?),
        hash: Some(Output::new(&output).map_err(|error| refused(&error))?),
    };
    Ok(decoy.to_string())
}

fn salt(ids: &dyn IdGen) -> [u8; 16] {
    let mut salt = [0; 16];
    ids.fill(&mut salt);
    salt
}

fn hash(password: &str, salt: &[u8]) -> Result<String> {
    let hash: argon2::password_hash::phc::PasswordHash = hasher()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| Error::internal("a password could not be hashed", error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_testkit::SeededIds;

    #[tokio::test]
    async fn only_the_password_that_was_hashed_is_right() {
        let ids = SeededIds::new(1);
        let passwords = Passwords::new(&ids).expect("a pool");
        let secret = |text: &str| SecretString::from(text.to_owned());
        let stored = passwords
            .hash(secret("correct horse"), &ids)
            .await
            .expect("a hash");
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let is_right = async |text: &str, stored: Option<&str>| {
            passwords
                .is_right(secret(text), stored.map(str::to_owned))
                .await
                .expect("an answer")
        };
        assert!(is_right("correct horse", Some(&stored)).await);
        assert!(!is_right("correct horsf", Some(&stored)).await);
        assert!(
            !is_right("decoy", None).await,
            "without an account nothing is right"
        );
        let again = passwords
            .hash(secret("correct horse"), &ids)
            .await
            .expect("a hash");
        assert_ne!(stored, again, "each hash has a salt of its own");
    }
}

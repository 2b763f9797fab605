//! Calls with an `Idempotency-Key`: done once, answered as often as they are asked.
//!
//! Guarantees: within a day, one key of one caller takes effect at most once, whatever crashes. Not
//! guaranteed: that a server that was killed between effect and answer still knows the answer; then
//! it says so, and what the call did.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tose_model::error::{Error, Result};
use tose_model::secret::ExposeSecret;
use tose_store::Claim;

use crate::app::{Platform, vault_error};
use crate::secrets::Place;

/// How long a key is remembered.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The most characters of a key.
const MAX_KEY: usize = 255;

/// What to do with a call.
pub(crate) enum Turn {
    /// Do it, then call [`Platform::keep_answer`] or [`Platform::forget_call`].
    Go { name: String },
    /// It was done: this was the answer.
    Replay { status: u16, body: String },
}

impl Platform {
    /// Claims `key` of the caller `owner` for a request, given by its method, path and body.
    ///
    /// # Errors
    /// `Invalid` for a key that cannot be used; `Conflict` when it was used for another request, is
    /// being answered, or its answer was lost.
    pub(crate) async fn claim_call(
        &self,
        owner: &str,
        key: &str,
        request: [u8; 32],
    ) -> Result<Turn> {
        let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > MAX_KEY || !is_plain {
            return Err(Error::invalid_field(
                "Idempotency-Key",
                "must be 1 to 255 visible ASCII characters, such as a UUID",
            ));
        }
        let name = hex::encode(Sha256::digest(format!("{owner}/{key}")));
        let now = self.now();
        let not_before = now.saturating_sub(LIFETIME);
        let claim = self
            .store
            .claim_idempotency_key(&name, &request, &self.boot_id, now, not_before)
            .await?;
        let is_other = |hash: &[u8]| hash != request;
        match claim {
            Claim::Fresh => Ok(Turn::Go { name }),
            Claim::Answered { request_hash, .. }
            | Claim::Running { request_hash }
            | Claim::Lost { request_hash, .. }
                if is_other(&request_hash) =>
            {
                Err(Error::conflict(
                    "idempotency_key_reused",
                    "this Idempotency-Key was used for another request; send a fresh one",
                ))
            }
            Claim::Answered { status, answer, .. } => {
                let place = Place::Answer { name: &name };
                let body = self.vault.open(place, &answer).map_err(vault_error)?;
                Ok(Turn::Replay {
                    status,
                    body: body.expose_secret().to_owned(),
                })
            }
            Claim::Running { .. } => Err(Error::conflict(
                "idempotency_in_progress",
                "the first request with this Idempotency-Key is still being answered; try again in a moment",
            )),
            Claim::Lost { target, .. } => Err(Error::conflict(
                "idempotency_answer_lost",
                format!(
                    "the first request with this Idempotency-Key took effect on {target}, but the server was restarted before it answered; look there"
                ),
            )),
        }
    }

    pub(crate) async fn keep_answer(&self, name: &str, status: u16, body: &str) -> Result<()> {
        let place = Place::Answer { name };
        let sealed = self.vault.seal(place, body, self.ids.as_ref());
        Ok(self.store.keep_answer(name, status, &sealed).await?)
    }

    /// Lets the call be tried again with the same key, if it took no effect.
    pub(crate) async fn forget_call(&self, name: &str) -> Result<()> {
        Ok(self.store.release_idempotency_key(name).await?)
    }
}

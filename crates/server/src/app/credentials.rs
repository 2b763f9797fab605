//! From a key or a login to who calls.
//!
//! Guarantees: a key that was deleted, has ended, or whose holder left is refused from the next
//! call on. What is remembered of keys holds only while nothing changed who may do what
//! ([`tose_store::Store::credentials_epoch`]), and for a few seconds at most, since `tosed admin`
//! writes to the store as well.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::time::Instant;
use tose_api::Timestamp;
use tose_model::access::{Caller, Credential, Membership};
use tose_model::error::{Error, Result};
use tose_store::KeyHolder;

use crate::app::Platform;
use crate::secrets;

/// How exact `last_used_at` is: what is used all the time costs one write in this time.
const LAST_USED_RESOLUTION: Duration = Duration::from_secs(60);
/// A login that is not used for this long ends.
const SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);
/// How long a key is remembered.
const KEY_MEMORY: Duration = Duration::from_secs(5);
/// How many keys are remembered at most.
const MAX_KNOWN_KEYS: usize = 10_000;

/// What a caller shows.
#[derive(Clone)]
pub(crate) enum Presented {
    /// An API key.
    Key(String),
    /// The token of a login.
    Session(String),
}

/// Who it is.
#[derive(Clone)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    /// Whether they may do what concerns the whole installation.
    pub(crate) is_operator: bool,
}

/// Keys that were seen a moment ago.
#[derive(Default)]
pub(crate) struct KnownKeys(Mutex<HashMap<[u8; 32], KnownKey>>);

#[derive(Clone)]
struct KnownKey {
    holder: KeyHolder,
    epoch: u64,
    read_at: Instant,
}

impl KnownKeys {
    fn find(&self, hash: &[u8; 32], epoch: u64) -> Option<KeyHolder> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(hash)?;
        let is_fresh = found.epoch == epoch && found.read_at.elapsed() < KEY_MEMORY;
        is_fresh.then(|| found.holder.clone())
    }

    fn keep(&self, hash: [u8; 32], holder: KeyHolder, epoch: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN_KEYS {
            known.clear();
        }
        let read_at = Instant::now();
        known.insert(
            hash,
            KnownKey {
                holder,
                epoch,
                read_at,
            },
        );
    }
}

impl Platform {
    /// Who shows this.
    ///
    /// # Errors
    /// `Unauthenticated`, the same for what is malformed, unknown, ended or of a former member.
    pub(crate) async fn authenticate(
        &self,
        presented: &Presented,
        ip: Option<IpAddr>,
    ) -> Result<Authenticated> {
        let mut found = match presented {
            Presented::Key(key) => self.authenticate_key(key).await?,
            Presented::Session(token) => self.authenticate_session(token).await?,
        };
        found.caller.ip = ip;
        Ok(found)
    }

    async fn authenticate_key(&self, key: &str) -> Result<Authenticated> {
        const REFUSED: Error = Error::unauthenticated(
            "the API key is not valid; send a current one in the header X-API-Key",
        );
        if !secrets::is_api_key_shaped(key) {
            return Err(REFUSED);
        }
        let hash = secrets::hash_api_key(key);
        let now = self.now();
        let holder = self.find_key_holder(&hash, now).await?.ok_or(REFUSED)?;
        if !bool::from(holder.key_hash.ct_eq(hash.as_slice())) {
            return Err(REFUSED);
        }
        if is_stale(holder.last_used_at, now) {
            go_on_anyway(self.store.touch_api_key(holder.api_key_id, now).await);
        }
        Ok(Authenticated {
            caller: holder.caller,
            is_operator: holder.is_operator,
        })
    }

    async fn find_key_holder(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<KeyHolder>> {
        // Read before the store is asked: a change in between makes what was read useless.
        let epoch = self.store.credentials_epoch();
        let is_valid = |holder: &KeyHolder| holder.expires_at.is_none_or(|at| at > now);
        if let Some(holder) = self.known_keys.find(hash, epoch)
            && !is_stale(holder.last_used_at, now)
        {
            return Ok(Some(holder).filter(is_valid));
        }
        let found = self.store.find_key_holder(hash, now).await?;
        if let Some(holder) = &found {
            let mut remembered = holder.clone();
            // It is about to be touched, if it has to be.
            remembered.last_used_at = match holder.last_used_at {
                Some(at) if !is_stale(Some(at), now) => Some(at),
                _ => Some(now),
            };
            self.known_keys.keep(*hash, remembered, epoch);
        }
        Ok(found)
    }

    async fn authenticate_session(&self, token: &str) -> Result<Authenticated> {
        const REFUSED: Error =
            Error::unauthenticated("the login has ended; log in again with POST /api/auth/login");
        let hash = secrets::hash_api_key(token);
        let now = self.now();
        let session = self.store.find_session(&hash, now).await?.ok_or(REFUSED)?;
        let is_same = bool::from(session.token_hash.ct_eq(hash.as_slice()));
        if !is_same || now.since(session.last_seen_at) >= SESSION_IDLE {
            return Err(REFUSED);
        }
        if is_stale(Some(session.last_seen_at), now) {
            go_on_anyway(self.store.touch_session(session.id, now).await);
        }
        Ok(Authenticated {
            caller: Caller {
                user_id: session.user_id,
                email: session.email,
                credential: Credential::Session { id: session.id },
                ip: None,
                idempotency: None,
            },
            is_operator: session.is_operator,
        })
    }

    /// The caller's place in the workspace with this slug, if they have one that what they showed
    /// opens.
    pub(crate) async fn find_membership(
        &self,
        caller: &Caller,
        workspace: &str,
    ) -> Result<Option<Membership>> {
        match &caller.credential {
            Credential::ApiKey { membership, .. } => {
                Ok(Some(membership.clone()).filter(|own| own.workspace.as_str() == workspace))
            }
            Credential::Session { .. } => Ok(self
                .store
                .find_membership(caller.user_id, workspace)
                .await?),
        }
    }
}

/// Nobody is sent away because it could not be noted that they came: a full disk is when people look what is wrong.
fn go_on_anyway(noted: tose_store::Result<()>) {
    if let Err(error) = noted {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the last use of a key or a login could not be noted"
        );
    }
}

fn is_stale(last_used_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_used_at.is_none_or(|at| now.since(at) >= LAST_USED_RESOLUTION)
}

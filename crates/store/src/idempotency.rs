//! Calls that carry an `Idempotency-Key`: who answers one, and the answer, sealed.
//!
//! Guarantees: of two calls with one name, one is told to go on. The proof that a call took effect
//! is its event, written in the transaction of the effect; so after a crash it is known whether a
//! call without an answer did anything.

use tose_api::Timestamp;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the caller goes on.
    Fresh,
    /// It was answered.
    Answered {
        request_hash: Vec<u8>,
        status: u16,
        answer: Sealed,
    },
    /// Somebody is answering it.
    Running { request_hash: Vec<u8> },
    /// A process that ended was answering it, and it took effect: on this target.
    Lost {
        request_hash: Vec<u8>,
        target: String,
    },
}

impl Store {
    /// Claims a name for `owner`, the process, unless it is taken. Names from before `not_before`
    /// are forgotten, and so is a call of a process that ended before it took effect.
    pub async fn claim_idempotency_key(
        &self,
        name: &str,
        request_hash: &[u8; 32],
        owner: &str,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<Claim> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1")
            .bind(not_before.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget old idempotency keys"))?;
        type Found = (Vec<u8>, String, Option<i64>, Option<Vec<u8>>, i64);
        let found: Option<Found> = sqlx::query_as(
            "SELECT request_hash, owner, status, answer, created_at FROM idempotency_keys
             WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("read an idempotency key"))?;
        let claim = match found {
            None => Claim::Fresh,
            Some((request_hash, _, Some(status), Some(answer), _)) => Claim::Answered {
                request_hash,
                status: u16::try_from(status).map_err(|_| Error::Corrupt {
                    column: "idempotency_keys.status",
                })?,
                answer: Sealed::from_bytes(answer),
            },
            Some((request_hash, process, ..)) if process == owner => {
                Claim::Running { request_hash }
            }
            Some((request_hash, _, _, _, claimed_at)) => {
                let target: Option<String> = sqlx::query_scalar(
                    "SELECT target FROM events WHERE idempotency = $1 AND created_at >= $2 LIMIT 1",
                )
                .bind(name)
                .bind(claimed_at)
                .fetch_optional(&mut *tx)
                .await
                .map_err(Error::query("look for a call's effect"))?;
                target.map_or(Claim::Fresh, |target| Claim::Lost {
                    request_hash,
                    target,
                })
            }
        };
        if claim == Claim::Fresh {
            sqlx::query(
                "INSERT INTO idempotency_keys (name, request_hash, owner, created_at)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT (name) DO UPDATE SET request_hash = excluded.request_hash,
                     owner = excluded.owner, created_at = excluded.created_at",
            )
            .bind(name)
            .bind(request_hash.as_slice())
            .bind(owner)
            .bind(now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("claim an idempotency key"))?;
        }
        commit(tx).await?;
        Ok(claim)
    }

    /// Keeps the answer of a call.
    pub async fn keep_answer(&self, name: &str, status: u16, answer: &Sealed) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE idempotency_keys SET status = $2, answer = $3 WHERE name = $1")
            .bind(name)
            .bind(i64::from(status))
            .bind(answer.as_bytes())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("keep an answer"))?;
        commit(tx).await
    }

    /// Says that nobody answers this name any more: the next call with it is answered by whether
    /// this one took effect.
    pub async fn release_idempotency_key(&self, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE idempotency_keys SET owner = '' WHERE name = $1 AND status IS NULL")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("release an idempotency key"))?;
        commit(tx).await
    }
}

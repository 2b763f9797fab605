//! Leases: who works on what at the moment.
//!
//! A lease has an owner and an end. Whoever holds it may work until then; a holder that died is
//! followed by another when its lease has ended. It is a row, not a lock: no transaction is open
//! while the work is done.

use tose_api::Timestamp;

use crate::database::{Store, commit};
use crate::error::{Error, Result};

/// A claim on a piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is worked on, such as `build/ID`.
    pub name: String,
    /// The process that works on it, one fresh id a start.
    pub owner: String,
    /// When the claim ends unless it is renewed.
    pub expires_at: Timestamp,
}

impl Store {
    /// Takes or renews a lease; `false` if another owner holds it at `now`.
    pub async fn take_lease(&self, lease: &Lease, now: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO leases (name, owner, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
             WHERE leases.owner = excluded.owner OR leases.expires_at <= $4",
        )
        .bind(&lease.name)
        .bind(&lease.owner)
        .bind(lease.expires_at.as_nanos())
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("take a lease"))?;
        commit(tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a lease back.
    pub async fn release_lease(&self, name: &str, owner: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM leases WHERE name = $1 AND owner = $2")
            .bind(name)
            .bind(owner)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("release a lease"))?;
        commit(tx).await
    }

    /// Drops every lease of other owners. Only for a process that knows that no other is alive, as
    /// the holder of the data directory's lock does.
    pub async fn drop_foreign_leases(&self, owner: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM leases WHERE owner <> $1")
            .bind(owner)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("drop leases"))?;
        commit(tx).await
    }
}

//! Facts about the installation itself.

use crate::database::{Store, commit};
use crate::error::{Error, Result};

impl Store {
    /// The value of a setting, if there is one.
    pub async fn find_setting(&self, key: &str) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
            .bind(key)
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("read a setting"))
    }

    /// Puts a value in place of a setting's.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = $2",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a setting"))?;
        commit(tx).await
    }

    /// The value of a setting; `fresh` becomes it if there is none.
    pub async fn get_or_set_setting(&self, key: &str, fresh: &str) -> Result<String> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        )
        .bind(key)
        .bind(fresh)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a setting"))?;
        let value: String = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
            .bind(key)
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::query("read a setting"))?;
        commit(tx).await?;
        Ok(value)
    }
}

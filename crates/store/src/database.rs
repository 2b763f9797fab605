//! Connections and schema.
//!
//! SQLite allows one writer: all writes go through one connection and begin with `BEGIN IMMEDIATE`,
//! so none can fail half-way for want of the lock. Readers have their own connections and see the
//! last commit (WAL). `synchronous=FULL`: what was answered survives a power cut.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::error::{Error, Result};

/// The platform's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
}

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_CACHE: usize = 128;

impl Store {
    /// Opens (and creates) the SQLite database at `path` and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database, or is of a newer version than this program.
    pub async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENT_CACHE);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| Error::Open(Box::new(error)))?;
        sqlx::migrate!("./migrations")
            .run(&writer)
            .await
            .map_err(|error| Error::Open(Box::new(error)))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .connect_lazy_with(options.read_only(true));
        Ok(Self { readers, writer })
    }

    /// Closes all connections; what was committed stays.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        let answer = sqlx::query("SELECT 1").execute(&self.readers).await;
        answer.map(|_| ()).map_err(Error::query("answer"))
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that may write. It holds the only writer: keep it short.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(Error::query("begin a transaction"))
    }
}

pub(crate) async fn commit(tx: Transaction<'static, Sqlite>) -> Result<()> {
    tx.commit().await.map_err(Error::query("commit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_survives_a_power_cut_and_references_hold() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        let pragma = async |name: &'static str| -> String {
            let statement =
                sqlx::AssertSqlSafe(format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"));
            sqlx::query_scalar(statement)
                .fetch_one(&store.writer)
                .await
                .expect("a value")
        };
        assert_eq!(pragma("journal_mode").await, "wal");
        // 2 is FULL.
        assert_eq!(pragma("synchronous").await, "2");
        assert_eq!(pragma("foreign_keys").await, "1");
        let timeout: i64 = sqlx::query_scalar("PRAGMA busy_timeout")
            .fetch_one(&store.writer)
            .await
            .expect("a value");
        assert_eq!(timeout, 5000);
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tose.db");
        let store = Store::open(&path).await.expect("a store");
        sqlx::query("UPDATE _sqlx_migrations SET version = 9999")
            .execute(&store.writer)
            .await
            .expect("changed");
        store.close().await;
        assert!(matches!(Store::open(&path).await, Err(Error::Open(_))));
    }
}

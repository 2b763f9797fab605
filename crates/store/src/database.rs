//! Connections, schema, and transactions.
//!
//! SQLite allows one writer: all writes go through one connection. `synchronous=FULL`: what was
//! answered survives a power cut. Readers have their own connections and see the last commit (WAL).
//!
//! Guarantees of [`Store::begin`] and [`commit`]: a transaction is whole or absent, others see it
//! only when `commit` has returned, and then it is on the disk. Transactions of callers that wait
//! at the same moment are committed together (each is a savepoint), since the disk takes as long
//! for one as for fifty. One that is dropped without `commit` leaves nothing behind, and takes
//! nothing of the others along. What is told of a commit (the workspace's revision, the epoch of
//! credentials) is told by the task that commits, so a caller that goes away meanwhile takes
//! nothing back.
//! Caveat: if the commit itself fails, it fails for all that it was for.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};
use tokio::task::JoinHandle;

use tose_api::WorkspaceId;
use tose_model::access::WorkspaceScope;

use crate::error::{Error, Result};
use crate::git;

/// The platform's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: Arc<Writer>,
    news: Arc<News>,
}

/// What others may have to read again.
#[derive(Debug, Default)]
struct News {
    credentials_epoch: AtomicU64,
    revisions: Revisions,
}

/// Grows with each change in a workspace. Workspaces share counters: one may seem to have changed
/// when another did.
#[derive(Debug)]
struct Revisions([AtomicU64; REVISIONS]);

const REVISIONS: usize = 1024;

impl Default for Revisions {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Revisions {
    fn of(&self, workspace_id: WorkspaceId) -> &AtomicU64 {
        // The tail of a UUIDv7 is random.
        let bytes = workspace_id.as_uuid().as_bytes();
        let index = usize::from(u16::from_be_bytes([bytes[14], bytes[15]])) % REVISIONS;
        &self.0[index]
    }
}

impl News {
    fn tell(&self, changes: &Changes) {
        if changes.credentials {
            self.credentials_epoch.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(workspace_id) = changes.workspace_id {
            let revision = self.revisions.of(workspace_id);
            revision.fetch_add(1, Ordering::AcqRel);
        }
    }
}

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_CACHE: usize = 256;
/// The writer keeps up to 16 MiB of pages, which are in its memory only once it touched them, and copies the log
/// into the database after as much: pages that are written again and again are copied once then. What undoes a
/// statement that fails half way is kept in memory, not in a file for each.
const WRITER: &str =
    "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096; PRAGMA temp_store = MEMORY;";

/// The only connection that writes, and who waits for its commit.
#[derive(Debug)]
struct Writer {
    connection: Arc<Mutex<WriterConnection>>,
    wants_commit: Arc<Notify>,
    committer: std::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct WriterConnection {
    /// Absent once the store was closed.
    sqlite: Option<SqliteConnection>,
    /// The transaction that is open, if one is.
    group: Option<Group>,
    /// A transaction may be open though `group` knows of none: its beginning was cut off.
    may_be_open: bool,
    member: Member,
    news: Arc<News>,
}

/// The savepoint of the transaction that has the connection, or had it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// There is none.
    None,
    /// It is under way, or was dropped in the middle.
    Open,
    /// It is complete, and is released by the statement that comes next.
    Complete,
}

/// Transactions that are committed together.
#[derive(Debug)]
struct Group {
    outcome: watch::Sender<Option<bool>>,
    changes: Vec<Changes>,
    /// Something failed that leaves its state unknown: it must not be committed.
    is_broken: bool,
}

/// A transaction that may write. It holds the only writer: keep it short.
pub(crate) struct Tx {
    guard: OwnedMutexGuard<WriterConnection>,
    wants_commit: Arc<Notify>,
    changes: Changes,
}

/// What others have to learn of a transaction.
#[derive(Debug, Default)]
struct Changes {
    /// The workspace whose things it changes.
    workspace_id: Option<WorkspaceId>,
    /// Whether it changes who may do what.
    credentials: bool,
}

impl Tx {
    /// Makes [`Store::credentials_epoch`] grow with the commit: it changes who may do what.
    pub(crate) fn changes_credentials(&mut self) {
        self.changes.credentials = true;
    }
}

impl Deref for Tx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.guard
            .sqlite
            .as_ref()
            .expect("a transaction begins only on an open connection")
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.guard
            .sqlite
            .as_mut()
            .expect("a transaction begins only on an open connection")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // Nothing can be awaited here: whoever has the connection next takes back what is open.
        self.wants_commit.notify_one();
    }
}

impl WriterConnection {
    fn sqlite(&mut self) -> Result<&mut SqliteConnection> {
        self.sqlite.as_mut().ok_or(Error::Closed)
    }

    async fn run(&mut self, statement: &'static str) -> Result<()> {
        let done = self.sqlite()?.execute(statement).await;
        done.map(|_| ())
            .map_err(Error::query("handle a transaction"))
    }

    /// Takes back what a member left open. If its savepoint was never made, its caller having gone
    /// away in that moment, there is nothing to take back.
    async fn remove_remains(&mut self) {
        if self.member != Member::Open {
            return;
        }
        self.member = Member::None;
        let taken_back = match self.run("ROLLBACK TO member").await {
            Ok(()) => self.run("RELEASE member").await,
            Err(error) if is_no_such_savepoint(&error) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken_back {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a transaction could not be taken back"
            );
            self.break_group();
        }
    }

    fn break_group(&mut self) {
        if let Some(group) = &mut self.group {
            group.is_broken = true;
        }
    }

    async fn begin(&mut self) -> Result<()> {
        self.remove_remains().await;
        if self.group.as_ref().is_some_and(|group| group.is_broken) {
            self.commit().await;
        }
        // One trip to the database for each transaction, not two: it is told of the end of the one
        // before with the begin of the next.
        let before = std::mem::replace(&mut self.member, Member::Open);
        if self.group.is_some() {
            let statement = match before {
                Member::Complete => "RELEASE member; SAVEPOINT member",
                Member::None | Member::Open => "SAVEPOINT member",
            };
            return self
                .run(statement)
                .await
                .inspect_err(|_| self.break_group());
        }
        if self.may_be_open {
            // Fails where nothing is open.
            let _ = self.run("ROLLBACK").await;
        }
        self.may_be_open = true;
        self.run("BEGIN IMMEDIATE; SAVEPOINT member").await?;
        self.may_be_open = false;
        self.group = Some(Group {
            outcome: watch::channel(None).0,
            changes: Vec::new(),
            is_broken: false,
        });
        Ok(())
    }

    /// Commits what is open, and tells those that wait for it.
    async fn commit(&mut self) {
        self.remove_remains().await;
        let Some(group) = self.group.take() else {
            return;
        };
        self.member = Member::None;
        // The outermost commit releases every savepoint.
        let is_committed = !group.is_broken
            && match self.run("COMMIT").await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a commit failed");
                    false
                }
            };
        if !is_committed {
            // After some failures SQLite has rolled back by itself; then this fails, as it may.
            let _ = self.run("ROLLBACK").await;
        }
        // Told even of a commit that failed: nobody knows for sure what the disk has of it.
        for changes in &group.changes {
            self.news.tell(changes);
        }
        group.outcome.send_replace(Some(is_committed));
    }
}

fn is_no_such_savepoint(error: &Error) -> bool {
    matches!(error, Error::Query { source, .. } if source.to_string().contains("no such savepoint"))
}

impl Store {
    /// Opens (and creates) the SQLite database at `path` and brings its schema up to date. Has to be
    /// called on a runtime: commits are made by a task of the store's own.
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
        let mut sqlite = SqliteConnection::connect_with(&options)
            .await
            .map_err(|error| Error::Open(Box::new(error)))?;
        sqlx::migrate!("./migrations")
            .run(&mut sqlite)
            .await
            .map_err(|error| Error::Open(Box::new(error)))?;
        sqlx::raw_sql(WRITER)
            .execute(&mut sqlite)
            .await
            .map_err(|error| Error::Open(Box::new(error)))?;
        git::fill_repo_keys(&mut sqlite).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true));
        let news = Arc::default();
        Ok(Self {
            readers,
            writer: Arc::new(Writer::start(sqlite, Arc::clone(&news))),
            news,
        })
    }

    /// Grows with every change to who may do what: keys, logins, members, workspaces. What was read
    /// at one value of it holds as long as the value stays.
    pub fn credentials_epoch(&self) -> u64 {
        self.news.credentials_epoch.load(Ordering::Acquire)
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

    /// Waits until every change that was begun before this call is committed, so that reads see it.
    pub async fn wait_for_writes(&self) -> Result<()> {
        commit(self.begin().await?).await
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that may write. It holds the only writer: keep it short.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let guard = Arc::clone(&self.writer.connection).lock_owned().await;
        let mut tx = Tx {
            guard,
            wants_commit: Arc::clone(&self.writer.wants_commit),
            changes: Changes::default(),
        };
        tx.guard.begin().await?;
        Ok(tx)
    }

    /// Begins a transaction that changes what belongs to a workspace.
    pub(crate) async fn begin_in(&self, scope: &WorkspaceScope) -> Result<Tx> {
        self.begin_of(scope.id()).await
    }

    /// The same where the workspace follows from the row itself.
    pub(crate) async fn begin_of(&self, workspace_id: WorkspaceId) -> Result<Tx> {
        let mut tx = self.begin().await?;
        tx.changes.workspace_id = Some(workspace_id);
        Ok(tx)
    }

    /// Grows with every change in the workspace, before its author is answered. What was read after
    /// one value of it was seen holds as long as the value stays.
    pub fn revision(&self, scope: &WorkspaceScope) -> u64 {
        self.news.revisions.of(scope.id()).load(Ordering::Acquire)
    }
}

/// Makes the transaction durable, together with others that are ready at the moment.
pub(crate) async fn commit(mut tx: Tx) -> Result<()> {
    tx.guard.member = Member::Complete;
    let changes = std::mem::take(&mut tx.changes);
    let group = tx.guard.group.as_mut().ok_or(Error::Closed)?;
    group.changes.push(changes);
    let mut outcome = group.outcome.subscribe();
    drop(tx);
    let is_committed = outcome
        .wait_for(Option::is_some)
        .await
        .is_ok_and(|outcome| *outcome == Some(true));
    if is_committed {
        Ok(())
    } else {
        Err(Error::NotCommitted)
    }
}

impl Writer {
    #[expect(
        clippy::disallowed_methods,
        reason = "the task lives as long as the store and does nothing but commit"
    )]
    fn start(sqlite: SqliteConnection, news: Arc<News>) -> Self {
        let connection = Arc::new(Mutex::new(WriterConnection {
            sqlite: Some(sqlite),
            group: None,
            may_be_open: false,
            member: Member::None,
            news,
        }));
        let wants_commit = Arc::new(Notify::new());
        let committer = tokio::spawn(commit_groups(
            Arc::clone(&connection),
            Arc::clone(&wants_commit),
        ));
        Self {
            connection,
            wants_commit,
            committer: std::sync::Mutex::new(Some(committer)),
        }
    }

    async fn close(&self) {
        let mut connection = self.connection.lock().await;
        connection.commit().await;
        if let Some(sqlite) = connection.sqlite.take()
            && let Err(error) = sqlite.close().await
        {
            tracing::warn!(%error, "the database was not closed in order");
        }
        drop(connection);
        let committer = self.committer.lock().ok().and_then(|mut task| task.take());
        if let Some(committer) = committer {
            committer.abort();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Ok(Some(committer)) = self.committer.get_mut().map(Option::take) {
            committer.abort();
        }
    }
}

/// Commits whenever somebody waits for it. The connection's lock is fair: transactions that were
/// waiting for it before this task get their turn first, and are committed with the others.
async fn commit_groups(connection: Arc<Mutex<WriterConnection>>, wants_commit: Arc<Notify>) {
    loop {
        wants_commit.notified().await;
        connection.lock().await.commit().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

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
                .fetch_one(&mut *store.begin().await.expect("a transaction"))
                .await
                .expect("a value")
        };
        assert_eq!(pragma("journal_mode").await, "wal");
        // 2 is FULL.
        assert_eq!(pragma("synchronous").await, "2");
        assert_eq!(pragma("foreign_keys").await, "1");
        let timeout: i64 = sqlx::query_scalar("PRAGMA busy_timeout")
            .fetch_one(&mut *store.begin().await.expect("a transaction"))
            .await
            .expect("a value");
        assert_eq!(timeout, 5000);
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tose.db");
        let store = Store::open(&path).await.expect("a store");
        let mut tx = store.begin().await.expect("a transaction");
        sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
            .execute(&mut *tx)
            .await
            .expect("changed");
        commit(tx).await.expect("committed");
        store.close().await;
        assert!(matches!(Store::open(&path).await, Err(Error::Open(_))));
    }

    async fn set(store: &Store, key: &str) -> Result<()> {
        let mut tx = store.begin().await?;
        sqlx::query("INSERT INTO settings (key, value) VALUES ($1, 'x')")
            .bind(key)
            .execute(&mut *tx)
            .await
            .map_err(Error::insert("write a setting", "the setting"))?;
        commit(tx).await
    }

    async fn settings(store: &Store) -> Vec<String> {
        sqlx::query_scalar("SELECT key FROM settings ORDER BY key")
            .fetch_all(store.readers())
            .await
            .expect("settings")
    }

    #[tokio::test]
    async fn transactions_that_wait_together_are_each_whole_or_absent() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        let keys: Vec<String> = (0..40).map(|n| format!("k{:02}", n / 2)).collect();
        let outcomes =
            futures_util::future::join_all(keys.iter().map(|key| set(&store, key))).await;
        let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(
            written, 20,
            "one of each pair is refused, and takes no other along"
        );
        assert_eq!(settings(&store).await.len(), 20);
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_leaves_nothing_and_blocks_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tose.db");
        let store = Store::open(&path).await.expect("a store");
        let mut tx = store.begin().await.expect("a transaction");
        sqlx::query("INSERT INTO settings (key, value) VALUES ('dropped', 'x')")
            .execute(&mut *tx)
            .await
            .expect("written");
        drop(tx);
        // Another process can write: no transaction of this one stays open.
        let other = Store::open(&path).await.expect("the same database");
        set(&other, "other").await.expect("written");
        set(&store, "kept").await.expect("written");
        assert_eq!(settings(&store).await, ["kept", "other"]);
        other.close().await;
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_while_it_waits_takes_nothing_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        for key in ["a", "b", "c"] {
            // Polled once: on its way to the database when its caller goes away.
            assert!(set(&store, key).now_or_never().is_none());
            set(&store, &format!("after-{key}")).await.expect("written");
        }
        let tx = store.begin().await.expect("a transaction");
        assert!(commit(tx).now_or_never().is_none());
        set(&store, "last").await.expect("written");
        let settings = settings(&store).await;
        for key in ["after-a", "after-b", "after-c", "last"] {
            assert!(settings.iter().any(|name| name == key), "{settings:?}");
        }
    }

    #[tokio::test]
    async fn a_change_is_told_though_its_caller_went_away_before_the_commit() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse();
        let scope = WorkspaceScope::for_task(id.expect("an id"));
        let before = (store.revision(&scope), store.credentials_epoch());
        let mut tx = store.begin_in(&scope).await.expect("a transaction");
        tx.changes_credentials();
        assert!(commit(tx).now_or_never().is_none());
        set(&store, "next").await.expect("written");
        assert!(store.revision(&scope) > before.0);
        assert!(store.credentials_epoch() > before.1);
    }

    #[tokio::test]
    async fn a_closed_store_refuses_to_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        store.close().await;
        assert!(matches!(set(&store, "late").await, Err(Error::Closed)));
    }
}

//! Backups that are due or asked for, and restores.
//!
//! Guarantees: a backup has succeeded when all of it is on the disk under its name and was read from there
//! once, with the same checksum. What the end of the server cut off is begun anew: a backup writes its
//! file from the start, a restore makes the database empty first.
//! Caveat: while a backup is restored, apps that use the database see it half done.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tose_api::database::DatabaseType;
use tose_api::{ProjectId, Timestamp};
use tose_model::access::WorkspaceScope;
use tose_model::database::{self, Database};
use tose_model::driver::ObservedReplica;
use tose_model::error::{Error, Result};
use tose_store::{Backup, BackupPlace, MadeBackup};

use crate::app::Platform;
use crate::app::backup::file_name;
use crate::app::database::parse_schedule;
use crate::backup_file::{BackupWriter, FileKey};
use crate::backup_store::BackupStoreError;
use crate::database_client::{self, ClientError, Source, Target};
use crate::tasks::Spawner;
use crate::tasks::proofs::Proofs;

/// How often the store is asked what is due.
const PERIOD: Duration = Duration::from_secs(2);
/// How many backups and restores go on at once.
const AT_ONCE: usize = 2;
/// How long one may take.
const TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// How many pieces of a dump are held in memory.
const PIECES: usize = 16;
/// Bytes of a piece that is read from a file.
const PIECE: usize = 64 << 10;
/// How often a backup of a database is proven by itself; less than a day, so that backups of each night are.
const PROOF_PERIOD: Duration = Duration::from_secs(20 * 3600);
/// Who asked for a backup that is due.
const BY_SCHEDULE: &str = "schedule";

/// What goes on, so that nothing is begun twice.
struct Backups {
    platform: Arc<Platform>,
    spawner: Spawner,
    places: Arc<Semaphore>,
    busy: Arc<Mutex<HashSet<ProjectId>>>,
    proofs: Proofs,
}

pub(crate) async fn run(platform: Arc<Platform>, spawner: Spawner) {
    let backups = Backups {
        platform,
        spawner,
        places: Arc::new(Semaphore::new(AT_ONCE)),
        busy: Arc::default(),
        proofs: Proofs::default(),
    };
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = backups.platform.signals.backups_called() => {}
        }
        if let Err(error) = backups.look().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "backups could not be looked after; it is tried again"
            );
        }
    }
}

impl Backups {
    async fn look(&self) -> Result<()> {
        self.queue_due().await?;
        let store = &self.platform.store;
        for backup in store.list_running_backups_for_task().await? {
            self.begin(backup.project_id, async move |platform| {
                make(&platform, &backup).await
            });
        }
        self.proofs.look(&self.platform, &self.spawner).await?;
        for database in store.list_restores_for_task().await? {
            self.begin(database.project_id, async move |platform| {
                restore(&platform, &database).await
            });
        }
        Ok(())
    }

    /// Notes backups whose time has come. Times that passed while the server was down lead to one together.
    async fn queue_due(&self) -> Result<()> {
        let platform = &self.platform;
        let now = platform.now();
        for database in platform.store.list_due_backups_for_task(now).await? {
            let scope = WorkspaceScope::for_task(database.workspace_id);
            let Some(due) = database.next_backup_at else {
                continue;
            };
            let (id, next) = (database.project_id, next_time(&database, now));
            if !platform
                .store
                .move_next_backup(&scope, id, due, next)
                .await?
            {
                continue;
            }
            let new = platform.new_backup(database.workspace_id, id, BY_SCHEDULE.to_owned());
            match platform.store.create_backup(&scope, &new, None).await {
                // One is on its way.
                Err(tose_store::Error::Taken(_)) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Begins work on a database unless some goes on.
    fn begin<F>(&self, id: ProjectId, work: impl FnOnce(Arc<Platform>) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        if !lock(&self.busy).insert(id) {
            return;
        }
        let work = work(Arc::clone(&self.platform));
        let (places, busy) = (Arc::clone(&self.places), Arc::clone(&self.busy));
        let platform = Arc::clone(&self.platform);
        self.spawner.spawn(async move {
            let place = places.acquire_owned().await;
            if let Err(error) = work.await {
                tracing::warn!(project_id = %id, error = &error as &dyn std::error::Error, "a backup or restore could not be noted; it is begun anew");
            }
            drop(place);
            lock(&busy).remove(&id);
            platform.signals.backups();
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next_time(database: &Database, now: Timestamp) -> Option<Timestamp> {
    let schedule = database.backup_schedule.as_deref()?;
    parse_schedule(schedule).ok()?.next_after(now)
}

/// Makes a backup, and notes how that ended.
async fn make(platform: &Platform, backup: &Backup) -> Result<()> {
    let scope = WorkspaceScope::for_task(backup.workspace_id);
    let made = tokio::time::timeout(TIMEOUT, try_make(platform, &scope, backup)).await;
    let made = made.unwrap_or_else(|_| Err("it was not done within six hours".to_owned()));
    match &made {
        Ok(made) => {
            tracing::info!(project_id = %backup.project_id, bytes = made.size_bytes, "a backup was made");
        }
        Err(reason) => {
            tracing::warn!(project_id = %backup.project_id, reason, "a backup failed");
            let text = format!("backup {} failed: {reason}", backup.id);
            warn(platform, &scope, backup, text).await?;
            // What is left of it is removed again when the backup is.
            let _ = platform
                .backups
                .remove(file_name(backup), backup.place)
                .await;
        }
    }
    let noted = made.as_ref().map_err(String::as_str);
    platform
        .store
        .finish_backup(&scope, backup.id, noted, platform.now())
        .await?;
    if made.is_ok() && backup.created_by == BY_SCHEDULE {
        want_daily_proof(platform, &scope, backup).await?;
    }
    remove_surplus(platform, &scope, backup.project_id).await
}

/// Tells of a backup that failed; by mail too if the one before it did not.
async fn warn(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
    text: String,
) -> Result<()> {
    let id = backup.project_id;
    let before = platform.store.backup_facts(scope, id).await?;
    match before.last_error {
        None => platform.warn_of_backup(scope, id, &text).await?,
        Some(_) => platform.tell_project(id, text).await,
    }
    Ok(())
}

/// Has the newest backup of a database proven if none was for a day.
async fn want_daily_proof(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
) -> Result<()> {
    let facts = platform
        .store
        .backup_facts(scope, backup.project_id)
        .await?;
    let is_due = |at: Timestamp| at.saturating_add(PROOF_PERIOD) <= platform.now();
    if facts.last_proven_at.is_none_or(is_due) {
        platform.store.request_proof(scope, backup.id, None).await?;
    }
    Ok(())
}

async fn try_make(
    platform: &Platform,
    scope: &WorkspaceScope,
    backup: &Backup,
) -> std::result::Result<MadeBackup, String> {
    let (database, replica) = find(platform, scope, backup.project_id).await?;
    let account = platform.open_account(&database).map_err(internal)?;
    let program = database::dump(database.kind, &account);
    let path = platform.backups.path(file_name(backup));
    let key = platform.open_backup_key(backup).map_err(internal)?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let to = path.clone();
    let writer = tokio::task::spawn_blocking(move || write_file(&to, &key, receiver));
    let driver = platform.driver.as_ref();
    let mut target = Pipe(sender);
    let dumped = database_client::dump(driver, &replica.name, &program, &mut target).await;
    let is_whole = dumped.is_ok();
    if is_whole {
        // Without this the writer knows that the dump broke off.
        target.end().await;
    }
    drop(target);
    let written = writer
        .await
        .map_err(|_| "it could not be written".to_owned())?;
    dumped.map_err(|error| explain(&error))?;
    let written = written.map_err(|error| format!("it could not be written: {error}"))?;
    check_dump(database.kind, &written)?;
    let size = fs::metadata(&path).map_err(|error| format!("its file is gone: {error}"))?;
    let kept = platform.backups.keep(file_name(backup)).await;
    kept.map_err(|error| unusable("it could not be moved to where backups are kept", error))?;
    let reader = platform.read_backup(backup).await.map_err(internal)?;
    let read = tokio::task::spawn_blocking(move || digest(reader)).await;
    let read = read.map_err(|_| "it could not be read again".to_owned())?;
    let read = read.map_err(|error| format!("it could not be read again: {error}"))?;
    if read != (written.dump_bytes, written.sha256.clone()) {
        return Err("what was read from the disk is not what was written".to_owned());
    }
    if backup.place == BackupPlace::Bucket {
        let removed = platform.backups.remove_copy(file_name(backup));
        removed.map_err(|error| unusable("its copy could not be removed", error))?;
    }
    Ok(MadeBackup {
        size_bytes: size.len(),
        dump_bytes: written.dump_bytes,
        sha256: written.sha256,
    })
}

pub(super) async fn find(
    platform: &Platform,
    scope: &WorkspaceScope,
    project_id: ProjectId,
) -> std::result::Result<(Database, ObservedReplica), String> {
    let found = platform.store.find_database(scope, project_id).await;
    let database = found
        .map_err(|error| internal(error.into()))?
        .ok_or_else(|| "the database is gone".to_owned())?;
    let replica = platform
        .find_database_replica(scope, project_id)
        .await
        .map_err(internal)?;
    match replica {
        Some(replica) => Ok((database, replica)),
        None => Err("the database does not run; start it, and try again".to_owned()),
    }
}

/// A reason that the owner of a database may see; the rest is for the operator.
pub(super) fn internal(error: Error) -> String {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "a backup or restore failed"
    );
    "the server could not do it; its log says why".to_owned()
}

/// The same of a place where backups are kept.
fn unusable(what: &str, error: BackupStoreError) -> String {
    tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    format!("{what}; the server's log says why")
}

pub(super) fn explain(error: &ClientError) -> String {
    match error {
        ClientError::Engine(source) => {
            tracing::warn!(
                error = source as &dyn std::error::Error,
                "a database's program could not be run"
            );
            "the container engine does not answer, or the database ended meanwhile".to_owned()
        }
        other => other.to_string(),
    }
}

/// What was written of a dump.
struct Written {
    dump_bytes: u64,
    sha256: String,
    /// Its first bytes.
    head: Vec<u8>,
    /// Its last ones.
    tail: Vec<u8>,
}

/// The program said that it ended well; this looks whether what it wrote is what it writes.
fn check_dump(kind: DatabaseType, written: &Written) -> std::result::Result<(), String> {
    let is_whole = match kind {
        DatabaseType::Postgresql => written.head.starts_with(b"PGDMP"),
        DatabaseType::Mysql => {
            let end = b"-- Dump completed";
            written.tail.windows(end.len()).any(|part| part == end)
        }
        DatabaseType::Redis => written.head.starts_with(b"REDIS"),
        DatabaseType::Mongo => written.head.starts_with(&[0x6d, 0xe2, 0x99, 0x81]),
    };
    match is_whole {
        true => Ok(()),
        false => Err("the dump is not whole".to_owned()),
    }
}

/// How many bytes of a dump's two ends are looked at.
const END: usize = 64;

/// Writes what comes into a file that gets its name when all of it is on the disk.
fn write_file(
    path: &Path,
    key: &FileKey,
    mut pieces: mpsc::Receiver<Option<Bytes>>,
) -> io::Result<Written> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let part = path.with_extension("part");
    let mut writer = BackupWriter::new(key, File::create(&part)?)?;
    let mut hash = Sha256::new();
    let mut written = Written {
        dump_bytes: 0,
        sha256: String::new(),
        head: Vec::new(),
        tail: Vec::new(),
    };
    loop {
        let Some(piece) = pieces.blocking_recv() else {
            drop(writer);
            fs::remove_file(&part)?;
            return Err(io::Error::other("the dump broke off"));
        };
        let Some(piece) = piece else { break };
        writer.write_all(&piece)?;
        hash.update(&piece);
        written.dump_bytes += piece.len() as u64;
        let room = END - written.head.len();
        written
            .head
            .extend_from_slice(&piece[..piece.len().min(room)]);
        written
            .tail
            .extend_from_slice(&piece[piece.len().saturating_sub(END)..]);
        let surplus = written.tail.len().saturating_sub(END);
        written.tail.drain(..surplus);
    }
    let file = writer.finish()?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(folder)?.sync_all()?;
    written.sha256 = hex::encode(hash.finalize());
    Ok(written)
}

/// How many bytes a reader has, and their checksum.
fn digest(mut reader: impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut count = 0;
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return Ok((count, hex::encode(hash.finalize())));
        }
        hash.update(&piece[..read]);
        count += read as u64;
    }
}

/// Sends what a program writes to who keeps it.
struct Pipe(mpsc::Sender<Option<Bytes>>);

impl Pipe {
    async fn end(&self) {
        // Who has gone has failed, and says so.
        let _ = self.0.send(None).await;
    }
}

impl Target for Pipe {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        let gone = |_| io::Error::other("it cannot be written any more");
        self.0.send(Some(bytes)).await.map_err(gone)
    }
}

/// What is read from a backup.
struct Dump(mpsc::Receiver<io::Result<Bytes>>);

impl Source for Dump {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.0.recv().await.transpose()
    }
}

/// Reads a backup on a thread that may block.
fn read_dump(mut reader: Box<dyn Read + Send>) -> Dump {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = reader.read(&mut piece).map(|read| {
                piece.truncate(read);
                Bytes::from(piece)
            });
            if read.as_ref().is_ok_and(Bytes::is_empty) {
                return;
            }
            let is_over = read.is_err();
            if sender.blocking_send(read).is_err() || is_over {
                return;
            }
        }
    });
    Dump(receiver)
}

/// Restores a backup, and notes how that ended.
async fn restore(platform: &Platform, wanted: &Database) -> Result<()> {
    let scope = WorkspaceScope::for_task(wanted.workspace_id);
    let done = tokio::time::timeout(TIMEOUT, try_restore(platform, &scope, wanted)).await;
    let done = done.unwrap_or_else(|_| Err("it was not done within six hours".to_owned()));
    match &done {
        Ok(()) => tracing::info!(project_id = %wanted.project_id, "a backup was restored"),
        Err(reason) => {
            tracing::warn!(project_id = %wanted.project_id, reason, "a restore failed");
        }
    }
    let error = done.as_ref().err().map(String::as_str);
    Ok(platform
        .store
        .finish_restore(&scope, wanted.project_id, error, platform.now())
        .await?)
}

async fn try_restore(
    platform: &Platform,
    scope: &WorkspaceScope,
    wanted: &Database,
) -> std::result::Result<(), String> {
    let Some(restoration) = &wanted.restore else {
        return Ok(());
    };
    let backup = platform
        .store
        .find_backup(scope, restoration.backup_id)
        .await
        .map_err(|error| internal(error.into()))?
        .ok_or_else(|| "the backup is gone".to_owned())?;
    restore_into(platform, scope, wanted.project_id, &backup).await
}

/// Replaces what is in a database by a backup.
pub(super) async fn restore_into(
    platform: &Platform,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    backup: &Backup,
) -> std::result::Result<(), String> {
    let (database, replica) = find(platform, scope, project_id).await?;
    let account = platform.open_account(&database).map_err(internal)?;
    let plan = database::restore(database.kind, &account);
    let driver = platform.driver.as_ref();
    for (place, program) in plan.programs.iter().enumerate() {
        let done = if place == plan.reads_dump {
            let mut dump = read_dump(platform.read_backup(backup).await.map_err(internal)?);
            database_client::feed(driver, &replica.name, program, &mut dump).await
        } else {
            database_client::run(driver, &replica.name, program, TIMEOUT)
                .await
                .map(drop)
        };
        done.map_err(|error| explain(&error))?;
    }
    // The account's rights came with the database, or were made anew.
    platform
        .apply_credentials(scope, &database, &replica)
        .await
        .map_err(|error| explain(&error))
}

/// Removes backups that are not kept.
async fn remove_surplus(
    platform: &Platform,
    scope: &WorkspaceScope,
    project_id: ProjectId,
) -> Result<()> {
    let Some(database) = platform.store.find_database(scope, project_id).await? else {
        return Ok(());
    };
    let surplus = platform
        .store
        .list_surplus_backups(scope, project_id, database.backup_keep)
        .await?;
    for backup in surplus {
        platform
            .backups
            .remove(file_name(&backup), backup.place)
            .await
            .map_err(|error| Error::internal("a backup could not be removed", error))?;
        platform.store.delete_backup(scope, backup.id, None).await?;
    }
    Ok(())
}

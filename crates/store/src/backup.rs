//! Backups of databases.
//!
//! Guarantee: of each database one backup at a time is being made.

use tose_api::database::BackupStatus;
use tose_api::envelope::Paging;
use tose_api::{BackupId, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::project::to_i64;
use crate::row;

/// Where a backup's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupPlace {
    /// In the data directory.
    Disk,
    /// In the server's bucket.
    Bucket,
}

impl BackupPlace {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Bucket => "bucket",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "disk" => Ok(Self::Disk),
            "bucket" => Ok(Self::Bucket),
            _ => Err(Error::Corrupt {
                column: "backups.place",
            }),
        }
    }
}

/// A backup.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The database.
    pub project_id: ProjectId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// Where it stands.
    pub status: BackupStatus,
    /// Who or what asked for it.
    pub created_by: String,
    /// The key of its file.
    pub file_key: Sealed,
    /// Where that is.
    pub place: BackupPlace,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Bytes of the dump.
    pub dump_bytes: u64,
    /// SHA-256 of the dump, in hex.
    pub sha256: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Whether it is to be restored for a proof.
    pub proof_wanted: bool,
    /// Why the last proof failed, if it did.
    pub proof_error: Option<String>,
    /// When it was restored for a proof.
    pub proven_at: Option<Timestamp>,
}

/// A backup to be made.
#[derive(Debug, Clone)]
pub struct NewBackup {
    /// A fresh id.
    pub id: BackupId,
    /// The database.
    pub project_id: ProjectId,
    /// Who or what asks for it.
    pub created_by: String,
    /// A fresh key for its file.
    pub file_key: Sealed,
    /// Where that is to be.
    pub place: BackupPlace,
    /// When.
    pub now: Timestamp,
}

/// What a backup that is whole has.
#[derive(Debug, Clone)]
pub struct MadeBackup {
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Bytes of the dump.
    pub dump_bytes: u64,
    /// SHA-256 of the dump, in hex.
    pub sha256: String,
}

/// What is told of a database's backups.
#[derive(Debug, Clone, Default)]
pub struct BackupFacts {
    /// When the newest good one was made.
    pub last_succeeded_at: Option<Timestamp>,
    /// Why the newest one that ended failed, if it did.
    pub last_error: Option<String>,
    /// When one was last proven.
    pub last_proven_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct BackupRow {
    id: String,
    project_id: String,
    workspace_id: String,
    status: String,
    created_by: String,
    file_key: Vec<u8>,
    place: String,
    size_bytes: i64,
    dump_bytes: i64,
    sha256: Option<String>,
    error: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
    proof_wanted: i64,
    proof_error: Option<String>,
    proven_at: Option<i64>,
}

macro_rules! select_backup {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, workspace_id, status, created_by, file_key, place, size_bytes,
                    dump_bytes, sha256, error, created_at, finished_at, proof_wanted, proof_error,
                    proven_at FROM backups ",
            $rest
        )
    };
}

impl BackupRow {
    fn into_backup(self) -> Result<Backup> {
        Ok(Backup {
            id: row::parse("backups.id", &self.id)?,
            project_id: row::parse("backups.project_id", &self.project_id)?,
            workspace_id: row::parse("backups.workspace_id", &self.workspace_id)?,
            status: row::parse_enum("backups.status", self.status)?,
            created_by: self.created_by,
            file_key: Sealed::from_bytes(self.file_key),
            place: BackupPlace::parse(&self.place)?,
            size_bytes: row::to_u64("backups.size_bytes", self.size_bytes)?,
            dump_bytes: row::to_u64("backups.dump_bytes", self.dump_bytes)?,
            sha256: self.sha256,
            error: self.error,
            created_at: row::to_time(self.created_at),
            finished_at: self.finished_at.map(row::to_time),
            proof_wanted: self.proof_wanted != 0,
            proof_error: self.proof_error,
            proven_at: self.proven_at.map(row::to_time),
        })
    }
}

fn backups(rows: Vec<BackupRow>) -> Result<Vec<Backup>> {
    rows.into_iter().map(BackupRow::into_backup).collect()
}

impl Store {
    /// Notes that a backup is to be made.
    ///
    /// # Errors
    /// `Taken` while another one of the same database is being made.
    pub async fn create_backup(
        &self,
        scope: &WorkspaceScope,
        new: &NewBackup,
        event: Option<&NewEvent>,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "INSERT INTO backups (id, project_id, workspace_id, status, created_by, file_key,
                 place, size_bytes, dump_bytes, created_at)
             SELECT $3, project_id, workspace_id, 'running', $4, $5, $7, 0, 0, $6 FROM databases
             WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(new.project_id.to_string())
        .bind(new.id.to_string())
        .bind(&new.created_by)
        .bind(new.file_key.as_bytes())
        .bind(new.now.as_nanos())
        .bind(new.place.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a backup", "a backup of this database"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("database"));
        }
        if let Some(event) = event {
            event::insert(&mut tx, scope.id(), event).await?;
        }
        commit(tx).await
    }

    /// A backup of a database.
    pub async fn get_backup(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        id: BackupId,
    ) -> Result<Backup> {
        let found: Option<BackupRow> = sqlx::query_as(select_backup!(
            "WHERE workspace_id = $1 AND project_id = $2 AND id = $3"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a backup"))?;
        found.ok_or(Error::NotFound("backup"))?.into_backup()
    }

    /// The workspace's backup with this id, of whichever database.
    pub async fn find_backup(
        &self,
        scope: &WorkspaceScope,
        id: BackupId,
    ) -> Result<Option<Backup>> {
        let found: Option<BackupRow> =
            sqlx::query_as(select_backup!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("find a backup"))?;
        found.map(BackupRow::into_backup).transpose()
    }

    /// One page of a database's backups, newest first, and how many there are.
    pub async fn list_backups(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        paging: Paging,
    ) -> Result<(Vec<Backup>, u64)> {
        let rows: Vec<BackupRow> = sqlx::query_as(select_backup!(
            "WHERE workspace_id = $1 AND project_id = $2
             ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list backups"))?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM backups WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count backups"))?;
        Ok((backups(rows)?, row::to_u64("count", total)?))
    }

    /// What is told of a database's backups.
    pub async fn backup_facts(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<BackupFacts> {
        let found: (Option<i64>, Option<String>, Option<i64>) = sqlx::query_as(
            "SELECT MAX(CASE WHEN status = 'succeeded' THEN created_at END),
                    (SELECT n.error FROM backups n
                     WHERE n.workspace_id = $1 AND n.project_id = $2 AND n.status <> 'running'
                     ORDER BY n.created_at DESC, n.id DESC LIMIT 1),
                    MAX(proven_at)
             FROM backups WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("read what is told of backups"))?;
        Ok(BackupFacts {
            last_succeeded_at: found.0.map(row::to_time),
            last_error: found.1,
            last_proven_at: found.2.map(row::to_time),
        })
    }

    /// Notes how a backup ended: what it has, or why it failed. Nothing happens to one that has ended.
    pub async fn finish_backup(
        &self,
        scope: &WorkspaceScope,
        id: BackupId,
        made: std::result::Result<&MadeBackup, &str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let status = match made {
            Ok(_) => BackupStatus::Succeeded,
            Err(_) => BackupStatus::Failed,
        };
        sqlx::query(
            "UPDATE backups SET status = $3, size_bytes = $4, dump_bytes = $5, sha256 = $6,
                 error = $7, finished_at = $8
             WHERE workspace_id = $1 AND id = $2 AND status = 'running'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(status.as_str())
        .bind(made.map_or(0, |made| to_i64(made.size_bytes)))
        .bind(made.map_or(0, |made| to_i64(made.dump_bytes)))
        .bind(made.ok().map(|made| made.sha256.as_str()))
        .bind(made.err())
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a backup's end"))?;
        commit(tx).await
    }

    /// Forgets a backup. Its file has to be gone before.
    pub async fn delete_backup(
        &self,
        scope: &WorkspaceScope,
        id: BackupId,
        event: Option<&NewEvent>,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query("DELETE FROM backups WHERE workspace_id = $1 AND id = $2")
            .bind(scope.id().to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("forget a backup"))?;
        if let Some(event) = event {
            event::insert(&mut tx, scope.id(), event).await?;
        }
        commit(tx).await
    }

    /// Good backups of a database beyond the newest `keep`, and failed ones beyond the newest of these.
    pub async fn list_surplus_backups(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        keep: u32,
    ) -> Result<Vec<Backup>> {
        let rows: Vec<BackupRow> = sqlx::query_as(select_backup!(
            "WHERE workspace_id = $1 AND project_id = $2 AND status <> 'running'
             ORDER BY created_at DESC, id DESC"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list old backups"))?;
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let (good, failed): (Vec<_>, Vec<_>) = backups(rows)?
            .into_iter()
            .partition(|backup| backup.status == BackupStatus::Succeeded);
        Ok(good
            .into_iter()
            .skip(keep)
            .chain(failed.into_iter().skip(keep))
            .collect())
    }

    /// Wants a backup restored for a proof.
    pub async fn request_proof(
        &self,
        scope: &WorkspaceScope,
        id: BackupId,
        event: Option<&NewEvent>,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE backups SET proof_wanted = 1
             WHERE workspace_id = $1 AND id = $2 AND status = 'succeeded'",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("want a proof"))?;
        if let Some(event) = event {
            event::insert(&mut tx, scope.id(), event).await?;
        }
        commit(tx).await
    }

    /// Notes how a proof ended.
    pub async fn finish_proof(
        &self,
        scope: &WorkspaceScope,
        id: BackupId,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE backups SET proof_wanted = 0, proof_error = $3,
                 proven_at = CASE WHEN $3 IS NULL THEN $4 ELSE proven_at END
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(error)
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a proof's end"))?;
        commit(tx).await
    }

    /// Every backup that is to be restored for a proof, whosever it is.
    pub async fn list_wanted_proofs_for_task(&self) -> Result<Vec<Backup>> {
        let rows: Vec<BackupRow> = sqlx::query_as(select_backup!(
            "WHERE proof_wanted = 1 ORDER BY created_at, id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list wanted proofs"))?;
        backups(rows)
    }

    /// Every backup that is being made, whosever it is.
    pub async fn list_running_backups_for_task(&self) -> Result<Vec<Backup>> {
        let rows: Vec<BackupRow> = sqlx::query_as(select_backup!(
            "WHERE status = 'running' ORDER BY created_at, id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list running backups"))?;
        backups(rows)
    }
}

//! Managed databases: what they have besides their projects.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use tose_api::database::DatabaseType;
use tose_api::domain_settings::IpRange;
use tose_api::envelope::Paging;
use tose_api::{BackupId, DeploymentId, Port, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::database::{Database, Exposure, Restoration};
use tose_model::project::Project;
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::project::{ProjectChanges, ProjectFacts, to_i64, write_changes};
use crate::row;

/// What a database gets when it is made.
#[derive(Debug, Clone)]
pub struct NewDatabase {
    /// What kind of database.
    pub kind: DatabaseType,
    /// Which version.
    pub version: String,
    /// Who logs in.
    pub username: String,
    /// The name of the database.
    pub database: String,
    /// The account's password.
    pub password: Sealed,
    /// The administrator's password.
    pub admin_password: Sealed,
    /// GB that its data may have.
    pub storage_gb: u32,
    /// How many backups are kept.
    pub backup_keep: u32,
    /// Of which backup it is a proof.
    pub proof_of: Option<BackupId>,
}

/// What can be changed of a database, after a change.
#[derive(Debug, Clone)]
pub struct DatabaseChanges {
    /// What is its project's.
    pub project: ProjectChanges,
    /// Which version.
    pub version: String,
    /// GB that its data may have.
    pub storage_gb: u32,
    /// When backups are made.
    pub backup_schedule: Option<String>,
    /// How many are kept.
    pub backup_keep: u32,
    /// When the next one is due.
    pub next_backup_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct DatabaseRow {
    project_id: String,
    workspace_id: String,
    #[sqlx(rename = "type")]
    kind: String,
    version: String,
    username: String,
    database_name: String,
    password: Vec<u8>,
    admin_password: Vec<u8>,
    credentials_revision: i64,
    applied_revision: i64,
    storage_gb: i64,
    used_bytes: Option<i64>,
    backup_schedule: Option<String>,
    backup_keep: i64,
    next_backup_at: Option<i64>,
    restore_backup: Option<String>,
    restore_error: Option<String>,
    restore_ended_at: Option<i64>,
    exposed_port: Option<i64>,
    exposed_allow: Option<String>,
}

/// Everything that a database is read from; a `WHERE` clause follows.
macro_rules! select_database {
    ($rest:literal) => {
        concat!(
            "SELECT d.project_id, d.workspace_id, d.type, d.version, d.username, d.database_name,
                    d.password, d.admin_password, d.credentials_revision, d.applied_revision,
                    d.storage_gb, d.used_bytes, d.backup_schedule, d.backup_keep, d.next_backup_at,
                    d.restore_backup, d.restore_error, d.restore_ended_at,
                    d.exposed_port, d.exposed_allow
             FROM databases d
             JOIN projects p ON p.id = d.project_id AND p.deleted_at IS NULL ",
            $rest
        )
    };
}

impl DatabaseRow {
    fn into_database(self) -> Result<Database> {
        Ok(Database {
            project_id: row::parse("databases.project_id", &self.project_id)?,
            workspace_id: row::parse("databases.workspace_id", &self.workspace_id)?,
            kind: row::parse_enum("databases.type", self.kind)?,
            version: self.version,
            username: self.username,
            database: self.database_name,
            password: Sealed::from_bytes(self.password),
            admin_password: Sealed::from_bytes(self.admin_password),
            credentials_revision: row::to_u64(
                "databases.credentials_revision",
                self.credentials_revision,
            )?,
            applied_revision: row::to_u64("databases.applied_revision", self.applied_revision)?,
            storage_gb: row::to_u32("databases.storage_gb", self.storage_gb)?,
            used_bytes: self
                .used_bytes
                .map(|bytes| row::to_u64("databases.used_bytes", bytes))
                .transpose()?,
            backup_schedule: self.backup_schedule,
            backup_keep: row::to_u32("databases.backup_keep", self.backup_keep)?,
            next_backup_at: self.next_backup_at.map(row::to_time),
            exposure: read_exposure(self.exposed_port, self.exposed_allow.as_deref())?,
            restore: row::parse_optional(
                "databases.restore_backup",
                self.restore_backup.as_deref(),
            )?
            .map(|backup_id| Restoration {
                backup_id,
                error: self.restore_error,
                ended_at: self.restore_ended_at.map(row::to_time),
            }),
        })
    }
}

fn read_exposure(port: Option<i64>, allow: Option<&str>) -> Result<Option<Exposure>> {
    let Some(port) = port else {
        return Ok(None);
    };
    Ok(Some(Exposure {
        port: read_port(port)?,
        allow: row::parse_json("databases.exposed_allow", allow.unwrap_or("[]"))?,
    }))
}

fn read_port(number: i64) -> Result<Port> {
    let column = "databases.exposed_port";
    Port::try_from(row::to_u64(column, number)?).map_err(|_| Error::Corrupt { column })
}

pub(crate) async fn insert(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    new: &NewDatabase,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO databases (project_id, workspace_id, type, version, username, database_name,
             password, admin_password, credentials_revision, applied_revision, storage_gb,
             backup_keep, proof_of)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0, $9, $10, $11)",
    )
    .bind(project_id.to_string())
    .bind(scope.id().to_string())
    .bind(new.kind.as_str())
    .bind(&new.version)
    .bind(&new.username)
    .bind(&new.database)
    .bind(new.password.as_bytes())
    .bind(new.admin_password.as_bytes())
    .bind(i64::from(new.storage_gb))
    .bind(i64::from(new.backup_keep))
    .bind(new.proof_of.map(|id| id.to_string()))
    .execute(&mut **tx)
    .await
    .map(|_| ())
    .map_err(Error::query("write a database"))
}

/// The port that the database has, or the first that no database of any workspace has.
async fn pick_port(
    tx: &mut Tx,
    project_id: ProjectId,
    ports: RangeInclusive<u16>,
) -> Result<Option<i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT project_id, exposed_port FROM databases WHERE exposed_port IS NOT NULL",
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("list taken ports"))?;
    let id = project_id.to_string();
    if let Some((_, port)) = rows.iter().find(|(owner, _)| *owner == id) {
        return Ok(Some(*port));
    }
    let taken: HashSet<i64> = rows.into_iter().map(|(_, port)| port).collect();
    Ok(ports.map(i64::from).find(|port| !taken.contains(port)))
}

async fn write_exposure(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    exposure: Option<(Port, &[IpRange])>,
) -> Result<()> {
    let allow = exposure.map(|(_, allow)| serde_json::json!(allow).to_string());
    sqlx::query(
        "UPDATE databases SET exposed_port = $3, exposed_allow = $4
         WHERE workspace_id = $1 AND project_id = $2",
    )
    .bind(scope.id().to_string())
    .bind(project_id.to_string())
    .bind(exposure.map(|(port, _)| i64::from(port.get())))
    .bind(allow)
    .execute(&mut **tx)
    .await
    .map(|_| ())
    .map_err(Error::insert(
        "change how a database is reached",
        "the port",
    ))
}

impl Store {
    /// What the database with this project has; `None` if the project is none, or was deleted.
    pub async fn find_database(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Option<Database>> {
        let found: Option<DatabaseRow> = sqlx::query_as(select_database!(
            "WHERE d.workspace_id = $1 AND d.project_id = $2"
        ))
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a database"))?;
        found.map(DatabaseRow::into_database).transpose()
    }

    /// Every database of the workspace but those that are made for proofs.
    pub async fn list_databases(&self, scope: &WorkspaceScope) -> Result<Vec<Database>> {
        let rows: Vec<DatabaseRow> = sqlx::query_as(select_database!(
            "WHERE d.workspace_id = $1 AND d.proof_of IS NULL ORDER BY p.created_at DESC, p.id DESC"
        ))
        .bind(scope.id().to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list databases"))?;
        rows.into_iter().map(DatabaseRow::into_database).collect()
    }

    /// Every database of every workspace.
    pub async fn list_databases_for_task(&self) -> Result<Vec<Database>> {
        let rows: Vec<DatabaseRow> = sqlx::query_as(select_database!("ORDER BY d.project_id"))
            .fetch_all(self.readers())
            .await
            .map_err(Error::query("list all databases"))?;
        rows.into_iter().map(DatabaseRow::into_database).collect()
    }

    /// One page of the workspace's databases with their projects, newest first, and how many there are.
    pub async fn page_databases(
        &self,
        scope: &WorkspaceScope,
        paging: Paging,
    ) -> Result<(Vec<(Project, ProjectFacts, Database)>, u64)> {
        let all = self.list_databases(scope).await?;
        let total = all.len() as u64;
        let offset = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
        let page = all.into_iter().skip(offset).take(paging.limit() as usize);
        let mut found = Vec::new();
        for database in page {
            // One that was deleted this moment is left out.
            if let Some((project, facts)) = self.find_project(scope, database.project_id).await? {
                found.push((project, facts, database));
            }
        }
        Ok((found, total))
    }

    /// Changes a database and its project together if nobody changed that since `generation` was read.
    ///
    /// # Errors
    /// `Conflict` when somebody did.
    pub async fn update_database(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        generation: u64,
        changes: &DatabaseChanges,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        write_changes(
            &mut tx,
            scope,
            project_id,
            generation,
            &changes.project,
            now,
        )
        .await?;
        sqlx::query(
            "UPDATE databases SET version = $3, storage_gb = $4, backup_schedule = $5,
                 backup_keep = $6, next_backup_at = $7
             WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(&changes.version)
        .bind(i64::from(changes.storage_gb))
        .bind(&changes.backup_schedule)
        .bind(i64::from(changes.backup_keep))
        .bind(changes.next_backup_at.map(|at| at.as_nanos()))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change a database"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Gives the account another password.
    pub async fn set_database_password(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        password: &Sealed,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE databases SET password = $3, credentials_revision = credentials_revision + 1
             WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(password.as_bytes())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change a database's password"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Opens a database to the outside on a port that it keeps, or gets: the first of these that no database
    /// has. `None` if all are taken.
    pub async fn expose_database(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        ports: RangeInclusive<u16>,
        allow: &[IpRange],
        event: &NewEvent,
    ) -> Result<Option<Port>> {
        let mut tx = self.begin_in(scope).await?;
        let Some(port) = pick_port(&mut tx, project_id, ports).await? else {
            return Ok(None);
        };
        let port = read_port(port)?;
        write_exposure(&mut tx, scope, project_id, Some((port, allow))).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await?;
        Ok(Some(port))
    }

    /// Closes a database to the outside; its port is free for others.
    pub async fn hide_database(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        write_exposure(&mut tx, scope, project_id, None).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes which of its passwords the server has; writes only what is new.
    pub async fn note_applied_revision(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        revision: u64,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE databases SET applied_revision = $3
             WHERE workspace_id = $1 AND project_id = $2 AND applied_revision < $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(to_i64(revision))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a database's password"))?;
        commit(tx).await
    }

    /// Notes how many bytes its data takes.
    pub async fn note_used_bytes(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        bytes: u64,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE databases SET used_bytes = $3 WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(to_i64(bytes))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a database's size"))?;
        commit(tx).await
    }

    /// Moves the time of a database's next backup, if it still is `due`: whoever moves it makes the backup.
    pub async fn move_next_backup(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        due: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<bool> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE databases SET next_backup_at = $4
             WHERE workspace_id = $1 AND project_id = $2 AND next_backup_at = $3",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(due.as_nanos())
        .bind(next.map(|at| at.as_nanos()))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("move a backup's time"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The databases that a deployment's environment names, with the revision of the password that it got.
    pub async fn list_references(
        &self,
        scope: &WorkspaceScope,
        deployment_id: DeploymentId,
    ) -> Result<Vec<(ProjectId, u64)>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT project_id, revision FROM deployment_references
             WHERE workspace_id = $1 AND deployment_id = $2 ORDER BY project_id",
        )
        .bind(scope.id().to_string())
        .bind(deployment_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list what a deployment refers to"))?;
        rows.into_iter()
            .map(|(id, revision)| {
                Ok((
                    row::parse("deployment_references.project_id", &id)?,
                    row::to_u64("deployment_references.revision", revision)?,
                ))
            })
            .collect()
    }

    /// Wants a database's data replaced by a backup.
    ///
    /// # Errors
    /// `Conflict` while that is being done already.
    pub async fn request_restore(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        backup_id: BackupId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "UPDATE databases SET restore_backup = $3, restore_error = NULL, restore_ended_at = NULL
             WHERE workspace_id = $1 AND project_id = $2
               AND (restore_backup IS NULL OR restore_ended_at IS NOT NULL)",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(backup_id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("want a restore"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict(
                "a backup is being restored into the database already",
            ));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes how a restore ended.
    pub async fn finish_restore(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE databases SET restore_error = $3, restore_ended_at = $4
             WHERE workspace_id = $1 AND project_id = $2 AND restore_ended_at IS NULL",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .bind(error)
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note a restore's end"))?;
        commit(tx).await
    }

    /// The databases that a backup is to be restored into, whosever they are.
    pub async fn list_restores_for_task(&self) -> Result<Vec<Database>> {
        let rows: Vec<DatabaseRow> = sqlx::query_as(select_database!(
            "WHERE d.restore_backup IS NOT NULL AND d.restore_ended_at IS NULL ORDER BY d.project_id"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list restores"))?;
        rows.into_iter().map(DatabaseRow::into_database).collect()
    }

    /// The databases that are made for proofs, with the backup that each is of, whosever they are.
    pub async fn list_proofs_for_task(&self) -> Result<Vec<(WorkspaceId, ProjectId, BackupId)>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT d.workspace_id, d.project_id, d.proof_of FROM databases d
             WHERE d.proof_of IS NOT NULL",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list proofs"))?;
        rows.into_iter()
            .map(|(workspace, project, backup)| {
                Ok((
                    row::parse("databases.workspace_id", &workspace)?,
                    row::parse("databases.project_id", &project)?,
                    row::parse("databases.proof_of", &backup)?,
                ))
            })
            .collect()
    }

    /// The databases whose backup is due, whosever they are.
    pub async fn list_due_backups_for_task(&self, now: Timestamp) -> Result<Vec<Database>> {
        let rows: Vec<DatabaseRow> = sqlx::query_as(select_database!(
            "WHERE d.next_backup_at <= $1 ORDER BY d.next_backup_at LIMIT 20"
        ))
        .bind(now.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list due backups"))?;
        rows.into_iter().map(DatabaseRow::into_database).collect()
    }
}

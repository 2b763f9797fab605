//! Backups of databases: asking for them, keeping them, bringing them back.
//!
//! Not here: making and restoring them, which takes long (`tasks/backups.rs`).

use std::io::Read;

use tose_api::database::{
    BackupPolicy, BackupStatus, BackupView, DatabaseType, DatabaseView, RestoreBackup,
};
use tose_api::envelope::{Meta, Paging};
use tose_api::notification::NoticeEvent;
use tose_api::workspace::{Deleted, Role};
use tose_api::{BackupId, ProjectId, WorkspaceId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::database::Database;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::ExposeSecret;
use tose_store::{Backup, NewBackup};

use crate::app::notice::NewNotice;
use crate::app::{Platform, vault_error};
use crate::backup_file::{self, FileKey, KEY_LEN};
use crate::backup_store::FileName;
use crate::mail::Mail;
use crate::secrets::Place;

impl Platform {
    /// Asks for a backup.
    pub(crate) async fn create_backup(&self, access: &Access, slug: &str) -> Result<BackupView> {
        let project = self.find_project(access, slug).await?;
        let new = self.new_backup(
            project.workspace_id,
            project.id,
            access.actor().name.clone(),
        );
        let event = self.event(access, "database.backup", &project.slug);
        match self
            .store
            .create_backup(access.scope(), &new, Some(&event))
            .await
        {
            Err(tose_store::Error::Taken(_)) => {
                return Err(Error::conflict(
                    "backup_in_progress",
                    "a backup of the database is being made already; wait for it",
                ));
            }
            other => other?,
        }
        self.signals.backups();
        let made = self
            .store
            .get_backup(access.scope(), project.id, new.id)
            .await?;
        Ok(view(made))
    }

    /// A backup to be noted, with a key of its own.
    pub(crate) fn new_backup(
        &self,
        workspace_id: WorkspaceId,
        project_id: ProjectId,
        created_by: String,
    ) -> NewBackup {
        let id = BackupId::from_uuid(self.ids.uuid());
        let mut key = [0; KEY_LEN];
        self.ids.fill(&mut key);
        NewBackup {
            id,
            project_id,
            created_by,
            place: self.backups.place(),
            file_key: self.vault.seal(
                place(workspace_id, id),
                &hex::encode(key),
                self.ids.as_ref(),
            ),
            now: self.now(),
        }
    }

    pub(crate) async fn list_backups(
        &self,
        access: &Access,
        slug: &str,
        paging: Paging,
    ) -> Result<(Vec<BackupView>, Meta)> {
        let project = self.find_project(access, slug).await?;
        let (backups, total) = self
            .store
            .list_backups(access.scope(), project.id, paging)
            .await?;
        Ok((backups.into_iter().map(view).collect(), paging.meta(total)))
    }

    pub(crate) async fn get_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<BackupView> {
        Ok(view(self.find_backup(access, slug, id).await?.1))
    }

    pub(crate) async fn delete_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<Deleted> {
        let (project, backup) = self.find_backup(access, slug, id).await?;
        if backup.status == BackupStatus::Running {
            return Err(Error::conflict(
                "backup_in_progress",
                "the backup is being made; delete it when it has ended",
            ));
        }
        self.backups
            .remove(file_name(&backup), backup.place)
            .await
            .map_err(|error| Error::internal("a backup could not be removed", error))?;
        let target = format!("{}/{}", project.slug, backup.id);
        let event = self.event(access, "database.backup_delete", target);
        self.store
            .delete_backup(access.scope(), backup.id, Some(&event))
            .await?;
        Ok(Deleted {
            deleted: backup.id.to_string(),
        })
    }

    /// The dump that is in a backup, with a name for its file.
    pub(crate) async fn open_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<(String, Box<dyn Read + Send>)> {
        let (project, backup) = self.find_good_backup(access, slug, id).await?;
        let event = self.event(
            access,
            "database.backup_download",
            format!("{}/{}", project.slug, backup.id),
        );
        self.store.add_event(access.scope(), &event).await?;
        let kind = self.get_database_of(access.scope(), &project).await?.kind;
        let name = format!("{}-{}.{}", project.slug, backup.id, extension(kind));
        Ok((name, self.read_backup(&backup).await?))
    }

    /// Wants a backup restored into an instance that is made for that, to see that it is whole.
    pub(crate) async fn prove_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<BackupView> {
        let (project, backup) = self.find_good_backup(access, slug, id).await?;
        let target = format!("{}/{}", project.slug, backup.id);
        let event = self.event(access, "database.prove", target);
        self.store
            .request_proof(access.scope(), backup.id, Some(&event))
            .await?;
        self.signals.backups();
        self.get_backup(access, slug, id).await
    }

    /// Wants a database's data replaced by a backup: that of the database itself, or of another one of the
    /// same type.
    pub(crate) async fn restore_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        input: RestoreBackup,
    ) -> Result<DatabaseView> {
        let (source, backup) = self.find_good_backup(access, slug, id).await?;
        let into = match &input.into {
            Some(into) => self.find_project(access, into.as_str()).await,
            None => Ok(source.clone()),
        };
        let into = into.map_err(|error| match error {
            Error::NotFound(_) => {
                Error::invalid_field("into", "names no database of the workspace")
            }
            other => other,
        })?;
        let database = self.get_database_of(access.scope(), &into).await?;
        let kind = self.get_database_of(access.scope(), &source).await?.kind;
        if database.kind != kind {
            let problem = format!(
                "is a {} database, and the backup is one of {}",
                database.kind.as_str(),
                kind.as_str()
            );
            return Err(Error::invalid_field("into", problem));
        }
        if self
            .find_database_replica(access.scope(), into.id)
            .await?
            .is_none()
        {
            return Err(Error::conflict(
                "not_running",
                "the database has to run while a backup is restored into it; start it first",
            ));
        }
        let target = format!("{}/{}", into.slug, backup.id);
        let event = self.event(access, "database.restore", target);
        match self
            .store
            .request_restore(access.scope(), into.id, backup.id, &event)
            .await
        {
            Err(tose_store::Error::Conflict(reason)) => {
                return Err(Error::conflict("restore_in_progress", reason));
            }
            other => other?,
        }
        self.signals.backups();
        self.get_database(access, into.slug.as_str()).await
    }

    async fn find_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<(Project, Backup)> {
        let project = self.find_project(access, slug).await?;
        let id: BackupId = id.parse().map_err(|_| Error::NotFound("backup"))?;
        let backup = self
            .store
            .get_backup(access.scope(), project.id, id)
            .await?;
        Ok((project, backup))
    }

    async fn find_good_backup(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<(Project, Backup)> {
        let (project, backup) = self.find_backup(access, slug, id).await?;
        match backup.status {
            BackupStatus::Succeeded => Ok((project, backup)),
            BackupStatus::Running => Err(Error::conflict(
                "backup_in_progress",
                "the backup is being made; wait until it has succeeded",
            )),
            BackupStatus::Failed => Err(Error::conflict(
                "backup_failed",
                "the backup failed, so there is nothing in it; take another one",
            )),
        }
    }

    /// Tells that something is wrong with a database's backups: its log, and by mail those who can mend it.
    /// A mail that cannot be sent is no reason to stop: the record says it too.
    pub(crate) async fn warn_of_backup(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        text: &str,
    ) -> Result<()> {
        self.tell_project(project_id, text.to_owned()).await;
        let found = self.store.find_project(scope, project_id).await?;
        let Some((project, _)) = found else {
            return Ok(());
        };
        let notice = NewNotice {
            workspace_id: scope.id(),
            project_id: Some(project_id),
            event: NoticeEvent::BackupFailed,
            key: format!("backup/{project_id}/{}", self.now().as_nanos()),
            title: format!(
                "The backups of {}/{} need a look",
                project.workspace, project.slug
            ),
            text: text.to_owned(),
        };
        self.notify(notice).await;
        if !self.mailer.is_on() {
            return Ok(());
        }
        let (workspace, slug) = (&project.workspace, &project.slug);
        let subject = format!("The backups of {workspace}/{slug} need a look");
        let members = self.store.list_members(scope).await?;
        for member in members.iter().filter(|member| member.role >= Role::Admin) {
            let mail = Mail {
                to: &member.email,
                subject: &subject,
                text: format!(
                    "Database {slug} of workspace {workspace}: {text}\n\nYou get the next mail when this happens after a good backup.\n"
                ),
            };
            if let Err(error) = self.mailer.send(mail).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a warning of a backup could not be sent"
                );
            }
        }
        Ok(())
    }

    /// What is told of a database's backups.
    pub(super) async fn backup_policy(
        &self,
        scope: &WorkspaceScope,
        database: &Database,
    ) -> Result<BackupPolicy> {
        let facts = self.store.backup_facts(scope, database.project_id).await?;
        Ok(BackupPolicy {
            schedule: database.backup_schedule.clone(),
            keep: database.backup_keep,
            next_at: database.next_backup_at,
            last_succeeded_at: facts.last_succeeded_at,
            last_error: facts.last_error,
            last_proven_restore_at: facts.last_proven_at,
        })
    }

    /// The key of a backup's file.
    pub(crate) fn open_backup_key(&self, backup: &Backup) -> Result<FileKey> {
        let text = self
            .vault
            .open(place(backup.workspace_id, backup.id), &backup.file_key)
            .map_err(vault_error)?;
        let mut key = [0; KEY_LEN];
        hex::decode_to_slice(text.expose_secret(), &mut key)
            .map_err(|error| Error::internal("a backup's key cannot be used", error))?;
        Ok(FileKey::new(key))
    }

    /// What is in a backup, from its file.
    pub(crate) async fn read_backup(&self, backup: &Backup) -> Result<Box<dyn Read + Send>> {
        let unreadable = "a backup could not be read";
        let key = self.open_backup_key(backup)?;
        let file = self.backups.read(file_name(backup), backup.place).await;
        let file = file.map_err(|error| Error::internal(unreadable, error))?;
        // The first bytes are read, and may have to come from a bucket.
        let opened = tokio::task::spawn_blocking(move || backup_file::reader(&key, file));
        let reader = opened
            .await
            .map_err(|error| Error::internal(unreadable, error))?
            .map_err(|error| Error::internal(unreadable, error))?;
        Ok(Box::new(reader))
    }
}

/// Which file a backup's is.
pub(crate) fn file_name(backup: &Backup) -> FileName {
    FileName {
        project_id: backup.project_id,
        backup_id: backup.id,
    }
}

/// What the files are called that the databases' own tools write.
fn extension(kind: DatabaseType) -> &'static str {
    match kind {
        DatabaseType::Postgresql => "dump",
        DatabaseType::Mysql => "sql",
        DatabaseType::Redis => "rdb",
        DatabaseType::Mongo => "archive",
    }
}

fn place(workspace_id: WorkspaceId, backup_id: BackupId) -> Place<'static> {
    Place::BackupKey {
        workspace_id,
        backup_id,
    }
}

fn view(backup: Backup) -> BackupView {
    BackupView {
        id: backup.id,
        status: backup.status,
        created_by: backup.created_by,
        size_bytes: backup.size_bytes,
        dump_bytes: backup.dump_bytes,
        sha256: backup.sha256,
        error: backup.error,
        created_at: backup.created_at,
        finished_at: backup.finished_at,
        is_being_proven: backup.proof_wanted,
        proof_error: backup.proof_error,
        proven_at: backup.proven_at,
    }
}

//! Proofs of backups: instances that are made to restore one, and go when that is done.
//!
//! Not here: the course of a proof (`tasks/proofs.rs`).

use tose_api::deployment::Trigger;
use tose_api::project::Source;
use tose_api::workspace::Role;
use tose_api::{DomainId, ProjectId, Slug};
use tose_model::access::{Access, Membership};
use tose_model::database::{self, Database};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_store::{Backup, NewDatabase, NewKind, NewProject};

use crate::app::Platform;
use crate::app::database::{admin_place, password_place};
use crate::app::deployment::Recipe;

impl Platform {
    /// Makes and starts an instance like the database that a backup was made of.
    pub(crate) async fn create_proof(
        &self,
        source: &Project,
        database: &Database,
        backup: &Backup,
    ) -> Result<ProjectId> {
        let access = access(source);
        let id = ProjectId::from_uuid(self.ids.uuid());
        let slug = proof_slug(backup)?;
        let new = NewProject {
            id,
            name: format!("proof of {}", backup.id),
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames: self.hostnames(&source.workspace, &slug),
            slug,
            source: Source::Image,
            image: source.image.clone(),
            run: database::run_spec(database.kind, &database.version, source.run.clone()),
            build: None,
            region: source.region.clone(),
            replicas: 1,
            preview: None,
            kind: NewKind::Database(Box::new(NewDatabase {
                kind: database.kind,
                version: database.version.clone(),
                username: database.username.clone(),
                database: database.database.clone(),
                password: self.seal_password(password_place(source.workspace_id, id)),
                admin_password: self.seal_password(admin_place(source.workspace_id, id)),
                storage_gb: database.storage_gb,
                backup_keep: 1,
                proof_of: Some(backup.id),
            })),
            now: self.now(),
        };
        let event = self.event(&access, "database.proof_begin", &new.slug);
        self.store
            .create_project(access.scope(), &new, &event)
            .await?;
        let project = self.find_project(&access, new.slug.as_str()).await?;
        let recipe = Recipe::new(Trigger::Manual);
        self.queue(&access, &project, recipe, "database.proof_start")
            .await?;
        Ok(id)
    }

    /// Removes an instance that proved a backup, or was to.
    pub(crate) async fn delete_proof(&self, proof: &Project) -> Result<()> {
        self.delete_project(&access(proof), proof.slug.as_str())
            .await
            .map(drop)
    }
}

fn access(project: &Project) -> Access {
    Access::for_proof(Membership {
        workspace_id: project.workspace_id,
        workspace: project.workspace.clone(),
        role: Role::Admin,
    })
}

/// A name that nobody else takes: it ends as the backup's id does.
fn proof_slug(backup: &Backup) -> Result<Slug> {
    let id = backup.id.as_uuid().simple().to_string();
    let tail = &id[id.len() - 12..];
    format!("proof-{tail}")
        .parse()
        .map_err(|_| Error::internal("a proof has no name", "a bug"))
}

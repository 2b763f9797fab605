//! Managed databases: configuration and intent.
//!
//! A database is a project underneath, so its replica is brought about as any app's is. What is its own
//! is here: the account, the sizes that its server is told, and what is said of it.

use std::time::Duration;

use tose_api::database::{
    BackupStatus, Connection, CreateDatabase, DatabaseStatus, DatabaseStorage, DatabaseType,
    DatabaseView, RestoreView, UpdateDatabase,
};
use tose_api::deployment::Trigger;
use tose_api::envelope::{Meta, Paging};
use tose_api::project::Source;
use tose_api::workspace::Role;
use tose_api::{Cpu, DomainId, EnvKey, ImageRef, ProjectId, Ram};
use tose_model::access::{Access, Among, WorkspaceScope};
use tose_model::database::{self, Account, Database, Restoration};
use tose_model::driver::{ExecRequest, ObservedReplica, ReplicaState, Scope, TtySize};
use tose_model::error::{Error, Result};
use tose_model::process::{Processes, Scale};
use tose_model::project::{DesiredState, Project, RunSpec};
use tose_model::quota::Load;
use tose_model::schedule::Cron;
use tose_model::secret::{ExposeSecret, SecretString};
use tose_model::slug;
use tose_store::{DatabaseChanges, NewDatabase, NewKind, NewProject, ProjectChanges, ProjectFacts};

use crate::app::deployment::Recipe;
use crate::app::exec::{Running, exec_error};
use crate::app::project::status_facts;
use crate::app::{Platform, check_name, vault_error};
use crate::database_client::{self, ClientError};
use crate::secrets::Place;

const DEFAULT_CPU_MILLI: u32 = 500;
const DEFAULT_RAM_MILLI: u32 = 500;
const DEFAULT_STORAGE_GB: u32 = 10;
const MAX_STORAGE_GB: u32 = 1000;
/// How many backups are kept of a database that says nothing.
const DEFAULT_KEEP: u32 = 7;
const MAX_KEEP: u32 = 365;
/// Random bytes in a password: 192 bits.
const PASSWORD_BYTES: usize = 24;
/// How long a program may take that only asks or changes the account.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);
/// The zone of backup schedules.
const ZONE: &str = "UTC";

impl Platform {
    /// Makes a database and starts it.
    pub(crate) async fn create_database(
        &self,
        access: &Access,
        input: CreateDatabase,
    ) -> Result<DatabaseView> {
        let access = &access.clone().within(Among::Databases);
        let name = check_name(&input.name)?;
        let id = ProjectId::from_uuid(self.ids.uuid());
        let slug = input
            .slug
            .unwrap_or_else(|| slug::from_name(&name, id.as_uuid()));
        let kind = input.kind;
        let version = self.pick_version(kind, input.version)?;
        let image = self.database_image(kind, &version)?;
        let size = size(
            input
                .cpu
                .unwrap_or(Cpu::from_milli(DEFAULT_CPU_MILLI).expect("in range")),
            input
                .ram
                .unwrap_or(Ram::from_milli(DEFAULT_RAM_MILLI).expect("in range")),
        );
        let run = database::run_spec(kind, &version, size);
        self.check_database(kind, &image, &run)?;
        let storage_gb = check_storage(input.storage_gb.unwrap_or(DEFAULT_STORAGE_GB))?;
        let load = Load::of(&run, 1);
        self.check_quota(access.scope(), id, load).await?;
        self.hold_funds(access.scope(), id, load, storage_gb.into())
            .await?;
        let username = database::account_name(kind, &slug);
        let workspace_id = access.scope().id();
        let new = NewProject {
            id,
            name,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames: self.hostnames(access.workspace(), &slug),
            slug,
            source: Source::Image,
            image: Some(image),
            run,
            build: None,
            region: self.config.region.clone(),
            replicas: 1,
            preview: None,
            kind: NewKind::Database(Box::new(NewDatabase {
                kind,
                version,
                database: database::database_name(kind, &username),
                username,
                password: self.seal_password(password_place(workspace_id, id)),
                admin_password: self.seal_password(admin_place(workspace_id, id)),
                storage_gb,
                backup_keep: DEFAULT_KEEP,
                proof_of: None,
            })),
            now: self.now(),
        };
        let event = self.event(access, "database.create", &new.slug);
        self.store
            .create_project(access.scope(), &new, &event)
            .await?;
        let project = self.find_project(access, new.slug.as_str()).await?;
        self.queue(
            access,
            &project,
            Recipe::new(Trigger::Manual),
            "database.provision",
        )
        .await?;
        self.get_database(access, new.slug.as_str()).await
    }

    pub(crate) async fn get_database(&self, access: &Access, slug: &str) -> Result<DatabaseView> {
        let (project, facts) = self.find_project_facts(access, slug).await?;
        let database = self.get_database_of(access.scope(), &project).await?;
        self.database_view(access, project, facts, database).await
    }

    pub(crate) async fn list_databases(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<DatabaseView>, Meta)> {
        let (found, total) = self.store.page_databases(access.scope(), paging).await?;
        let mut views = Vec::with_capacity(found.len());
        for (project, facts, database) in found {
            views.push(self.database_view(access, project, facts, database).await?);
        }
        Ok((views, paging.meta(total)))
    }

    /// Changes what was sent and keeps the rest. Sizes and versions count from the next restart on.
    pub(crate) async fn update_database(
        &self,
        access: &Access,
        slug: &str,
        input: UpdateDatabase,
    ) -> Result<DatabaseView> {
        let project = self.find_project(access, slug).await?;
        let database = self.get_database_of(access.scope(), &project).await?;
        let name = match &input.name {
            Some(name) => check_name(name)?,
            None => project.name.clone(),
        };
        let kind = database.kind;
        let version = match &input.version {
            Some(version) => self.pick_upgrade(&database, version.clone())?,
            None => database.version.clone(),
        };
        let image = self.database_image(kind, &version)?;
        let size = size(
            input.cpu.unwrap_or(project.run.cpu),
            input.ram.unwrap_or(project.run.ram),
        );
        let run = database::run_spec(kind, &version, size);
        self.check_database(kind, &image, &run)?;
        if project.desired == DesiredState::Running {
            let load = Load::of(&run, 1);
            self.check_quota(access.scope(), project.id, load).await?;
            if load.max(Load::of(&project.run, 1)) != Load::of(&project.run, 1) {
                self.hold_funds(access.scope(), project.id, load, 0).await?;
            }
        }
        let of_project = ProjectChanges {
            name,
            source: Source::Image,
            image: Some(image),
            run,
            build: None,
            replicas: 1,
            scale: Scale::new(),
        };
        let changes = self.changed_database(&database, input, version, of_project)?;
        let event = self.event(access, "database.update", &project.slug);
        // What it used up to now is paid for at the old size.
        self.try_meter().await;
        let (id, generation) = (project.id, project.generation);
        self.store
            .update_database(access.scope(), id, generation, &changes, self.now(), &event)
            .await?;
        self.signals.project(id);
        self.get_database(access, project.slug.as_str()).await
    }

    fn changed_database(
        &self,
        database: &Database,
        input: UpdateDatabase,
        version: String,
        project: ProjectChanges,
    ) -> Result<DatabaseChanges> {
        let backup_keep = input.backup_keep.unwrap_or(database.backup_keep);
        if !(1..=MAX_KEEP).contains(&backup_keep) {
            let problem = format!("must be between 1 and {MAX_KEEP}");
            return Err(Error::invalid_field("backup_keep", problem));
        }
        let (backup_schedule, next_backup_at) = match input.backup_schedule {
            None => (database.backup_schedule.clone(), database.next_backup_at),
            Some(None) => (None, None),
            Some(Some(text)) => {
                let next = parse_schedule(&text)?.next_after(self.now());
                (Some(text), next)
            }
        };
        Ok(DatabaseChanges {
            project,
            version,
            storage_gb: check_storage(input.storage_gb.unwrap_or(database.storage_gb))?,
            backup_schedule,
            backup_keep,
            next_backup_at,
        })
    }

    /// Starts a stopped database; one that runs is left alone.
    pub(crate) async fn start_database(&self, access: &Access, slug: &str) -> Result<DatabaseView> {
        let project = self.find_project(access, slug).await?;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        if project.desired == DesiredState::Stopped || current.is_empty() {
            self.queue(
                access,
                &project,
                Recipe::new(Trigger::Start),
                "database.start",
            )
            .await?;
        }
        self.get_database(access, slug).await
    }

    pub(crate) async fn stop_database(&self, access: &Access, slug: &str) -> Result<DatabaseView> {
        self.stop_project(access, slug).await?;
        self.get_database(access, slug).await
    }

    /// Ends its server and starts it again, with the settings of today.
    pub(crate) async fn restart_database(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<DatabaseView> {
        let (project, facts) = self.find_project_facts(access, slug).await?;
        if facts.in_progress {
            return Err(Error::conflict(
                "deployment_in_progress",
                "the database is being started already; wait for it, or stop it first",
            ));
        }
        self.queue(
            access,
            &project,
            Recipe::new(Trigger::Restart),
            "database.restart",
        )
        .await?;
        self.get_database(access, slug).await
    }

    /// Tries a database again that could not be started. Its record stays, and so does its data if there
    /// can be any.
    pub(crate) async fn retry_database(&self, access: &Access, slug: &str) -> Result<DatabaseView> {
        let (project, facts) = self.find_project_facts(access, slug).await?;
        let status = database::status(&status_facts(&project, facts));
        if status != DatabaseStatus::Failed {
            let message = format!(
                "the database is {}; retry is for one that failed",
                status.as_str()
            );
            return Err(Error::conflict("not_failed", message));
        }
        self.queue(
            access,
            &project,
            Recipe::new(Trigger::Manual),
            "database.retry",
        )
        .await?;
        self.get_database(access, slug).await
    }

    /// Gives the account another password, which a running server has when this answers.
    pub(crate) async fn reset_database_password(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<DatabaseView> {
        let project = self.find_project(access, slug).await?;
        let password = self.seal_password(password_place(project.workspace_id, project.id));
        let event = self.event(access, "database.reset_password", &project.slug);
        self.store
            .set_database_password(access.scope(), project.id, &password, &event)
            .await?;
        let database = self.get_database_of(access.scope(), &project).await?;
        if let Some(replica) = self
            .find_database_replica(access.scope(), project.id)
            .await?
            && let Err(error) = self
                .apply_credentials(access.scope(), &database, &replica)
                .await
        {
            // The reconciler tries it again; until then the answer says that it is pending.
            tracing::warn!(project_id = %project.id, error = &error as &dyn std::error::Error, "a database did not take its new password at once");
        }
        self.signals.project(project.id);
        self.get_database(access, slug).await
    }

    /// The replica of a database that runs, if one does.
    pub(crate) async fn find_database_replica(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
    ) -> Result<Option<ObservedReplica>> {
        let found = self.store.find_project(scope, id).await?;
        let is_to_run =
            |(project, _): (Project, ProjectFacts)| project.desired == DesiredState::Running;
        if !found.is_some_and(is_to_run) {
            // One that was stopped may run for some moments more.
            return Ok(None);
        }
        let replicas = self.driver.observe(Scope::Project(id)).await?;
        let running = replicas.into_iter().filter(|replica| {
            replica.state == ReplicaState::Running && replica.key.job_number().is_none()
        });
        // While one version takes over from another, the newer one counts.
        Ok(running.max_by_key(|replica| replica.generation))
    }

    /// Has the server know the account and its newest password, and logs in to see that it does.
    pub(crate) async fn apply_credentials(
        &self,
        scope: &WorkspaceScope,
        database: &Database,
        replica: &ObservedReplica,
    ) -> std::result::Result<(), ClientError> {
        let unusable = |error: Error| ClientError::Failed(error.to_string());
        let account = self.open_account(database).map_err(unusable)?;
        let driver = self.driver.as_ref();
        let ensure = database::ensure_account(database.kind, &account);
        database_client::run(driver, &replica.name, &ensure, CLIENT_TIMEOUT).await?;
        self.log_in(database, &account, replica).await?;
        let (id, revision) = (database.project_id, database.credentials_revision);
        let noted = self.store.note_applied_revision(scope, id, revision).await;
        noted.map_err(|error| unusable(error.into()))
    }

    /// Logs in as apps do.
    pub(crate) async fn log_in(
        &self,
        database: &Database,
        account: &Account,
        replica: &ObservedReplica,
    ) -> std::result::Result<(), ClientError> {
        let ip = replica
            .ip
            .ok_or_else(|| ClientError::Failed("it does not run".to_owned()))?;
        let login = database::login(database.kind, account, ip);
        let driver = self.driver.as_ref();
        database_client::run(driver, &replica.name, &login, CLIENT_TIMEOUT)
            .await
            .map(drop)
    }

    /// Starts the database's own client beside its server, logged in as apps are.
    pub(crate) async fn start_database_client(
        &self,
        access: &Access,
        slug: &str,
        size: TtySize,
    ) -> Result<Running> {
        let project = self.find_project(access, slug).await?;
        let database = self.get_database_of(access.scope(), &project).await?;
        let replica = self
            .find_database_replica(access.scope(), project.id)
            .await?;
        let found = replica.and_then(|replica| Some((replica.ip?, replica.name)));
        let (ip, pod) = found.ok_or_else(|| {
            Error::conflict("not_running", "the database does not run; start it first")
        })?;
        let event = self.event(access, "database.connect", &project.slug);
        self.store.add_event(access.scope(), &event).await?;
        let account = self.open_account(&database)?;
        let request = ExecRequest {
            tty: Some(size),
            ..database::client(database.kind, &account, ip).request
        };
        let session = self.driver.exec(&pod, &request).await.map_err(exec_error)?;
        Ok(Running { pod, session })
    }

    /// What a database has besides its project.
    pub(crate) async fn get_database_of(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
    ) -> Result<Database> {
        let found = self.store.find_database(scope, project.id).await?;
        found.ok_or(Error::NotFound("database"))
    }

    /// Who logs in to a database, with both passwords in plain text.
    pub(crate) fn open_account(&self, database: &Database) -> Result<Account> {
        let (workspace_id, id) = (database.workspace_id, database.project_id);
        let password = self
            .vault
            .open(password_place(workspace_id, id), &database.password)
            .map_err(vault_error)?;
        let admin_password = self
            .vault
            .open(admin_place(workspace_id, id), &database.admin_password)
            .map_err(vault_error)?;
        Account::new(
            &database.username,
            &database.database,
            password,
            admin_password,
        )
        .ok_or_else(|| {
            Error::internal(
                "a database's account cannot be used",
                "its name has odd characters",
            )
        })
    }

    /// The variables that a database's server gets.
    pub(super) async fn database_env(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
    ) -> Result<Vec<(EnvKey, SecretString)>> {
        let database = self.get_database_of(scope, project).await?;
        let account = self.open_account(&database)?;
        Ok(database::env(database.kind, &database.version, &account))
    }

    pub(super) fn seal_password(&self, place: Place<'_>) -> tose_model::secret::Sealed {
        let mut bytes = [0; PASSWORD_BYTES];
        self.ids.fill(&mut bytes);
        self.vault
            .seal(place, &hex::encode(bytes), self.ids.as_ref())
    }

    fn pick_version(&self, kind: DatabaseType, wanted: Option<String>) -> Result<String> {
        let image = self.config.databases.image(kind);
        let version = wanted.unwrap_or_else(|| image.versions[0].clone());
        if image.offers(&version) {
            return Ok(version);
        }
        let problem = format!(
            "there is no {} {version} here; choose one of {}",
            kind.as_str(),
            image.versions.join(", ")
        );
        Err(Error::invalid_field("version", problem))
    }

    /// A version that can go on with the data of the one that there is.
    fn pick_upgrade(&self, database: &Database, wanted: String) -> Result<String> {
        let version = self.pick_version(database.kind, Some(wanted))?;
        if database::is_same_major(database.kind, &database.version, &version) {
            return Ok(version);
        }
        let problem = format!(
            "{version} cannot read the data of {}; make a database of {version}, and restore a backup of this one into it",
            database.version
        );
        Err(Error::invalid_field("version", problem))
    }

    fn database_image(&self, kind: DatabaseType, version: &str) -> Result<ImageRef> {
        self.config
            .databases
            .image(kind)
            .of_version(version)
            .ok_or_else(|| Error::invalid_field("version", "is no version of an image"))
    }

    fn check_database(&self, kind: DatabaseType, image: &ImageRef, run: &RunSpec) -> Result<()> {
        let least = match kind {
            DatabaseType::Redis => 50,
            DatabaseType::Postgresql | DatabaseType::Mysql | DatabaseType::Mongo => 250,
        };
        if run.ram.milli() < least {
            let least = Ram::from_milli(least).expect("in range");
            let problem = format!("must be at least {least} GB for this kind of database");
            return Err(Error::invalid_field("ram", problem));
        }
        self.check_project(Source::Image, Some(image), run, 1, None)
    }

    async fn database_view(
        &self,
        access: &Access,
        project: Project,
        facts: ProjectFacts,
        database: Database,
    ) -> Result<DatabaseView> {
        let status = database::status(&status_facts(&project, facts));
        let error = match status {
            DatabaseStatus::Failed => Some(self.database_error(access, &project).await?),
            _ => None,
        };
        let backups = self.backup_policy(access.scope(), &database).await?;
        Ok(DatabaseView {
            connection: self.connection(access, &project, &database)?,
            expose: self.expose_view(access, &project, &database)?,
            storage: DatabaseStorage {
                limit_gb: database.storage_gb,
                used_bytes: database.used_bytes,
                warning: database
                    .used_bytes
                    .and_then(|used| database::storage_warning(used, database.storage_gb)),
            },
            id: project.id,
            name: project.name,
            slug: project.slug,
            kind: database.kind,
            version: database.version,
            status,
            error,
            cpu: project.run.cpu,
            ram: project.run.ram,
            backups,
            restore: database.restore.map(restore_view),
            created_at: project.created_at,
            updated_at: project.updated_at,
        })
    }

    /// Why it does not run.
    async fn database_error(&self, access: &Access, project: &Project) -> Result<String> {
        let newest = self.find_newest_deployment(access, project.id).await?;
        Ok(newest
            .and_then(|deployment| deployment.error)
            .unwrap_or_else(|| "it does not answer; its log says more".to_owned()))
    }

    fn connection(
        &self,
        access: &Access,
        project: &Project,
        database: &Database,
    ) -> Result<Connection> {
        let port = database::port(database.kind);
        let mut connection = Connection {
            host: project.slug.to_string(),
            port,
            username: database.username.clone(),
            password: None,
            database: database.database.clone(),
            url: None,
            is_pending: database.applied_revision < database.credentials_revision,
        };
        if access.role() >= Role::Admin {
            let account = self.open_account(database)?;
            let url = database::url(database.kind, &account, project.slug.as_str(), port);
            connection.password = Some(account.password().expose_secret().to_owned());
            connection.url = Some(url.expose_secret().to_owned());
        }
        Ok(connection)
    }
}

fn restore_view(restore: Restoration) -> RestoreView {
    RestoreView {
        backup_id: restore.backup_id,
        status: match (restore.ended_at, &restore.error) {
            (None, _) => BackupStatus::Running,
            (Some(_), None) => BackupStatus::Succeeded,
            (Some(_), Some(_)) => BackupStatus::Failed,
        },
        error: restore.error,
        finished_at: restore.ended_at,
    }
}

/// What a database's server runs with, before its kind has a say.
fn size(cpu: Cpu, ram: Ram) -> RunSpec {
    RunSpec {
        port: database::port(DatabaseType::Postgresql),
        cpu,
        ram,
        health_check_path: None,
        start_command: None,
        release_command: None,
        processes: Processes::new(),
        volumes: Vec::new(),
        file: None,
    }
}

fn check_storage(storage_gb: u32) -> Result<u32> {
    if (1..=MAX_STORAGE_GB).contains(&storage_gb) {
        return Ok(storage_gb);
    }
    let problem = format!("must be between 1 and {MAX_STORAGE_GB}");
    Err(Error::invalid_field("storage_gb", problem))
}

/// A backup schedule, as a rule for times.
pub(crate) fn parse_schedule(text: &str) -> Result<Cron> {
    Cron::parse(text, ZONE).map_err(|error| match error {
        Error::Invalid { message, .. } => {
            let problem = message.strip_prefix("cron: ").unwrap_or(&message);
            Error::invalid_field("backup_schedule", problem)
        }
        other => other,
    })
}

pub(super) fn password_place(
    workspace_id: tose_api::WorkspaceId,
    project_id: ProjectId,
) -> Place<'static> {
    Place::DatabasePassword {
        workspace_id,
        project_id,
    }
}

pub(super) fn admin_place(
    workspace_id: tose_api::WorkspaceId,
    project_id: ProjectId,
) -> Place<'static> {
    Place::DatabaseAdminPassword {
        workspace_id,
        project_id,
    }
}

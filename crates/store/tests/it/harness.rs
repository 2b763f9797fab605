//! A fresh store with a workspace, and short ways to make rows.

use std::path::PathBuf;
use std::time::Duration;

use tose_api::database::DatabaseType;
use tose_api::deployment::{DeploymentStatus, Trigger};
use tose_api::domain::DomainStatus;
use tose_api::envelope::Paging;
use tose_api::event::Via;
use tose_api::project::Source;
use tose_api::workspace::Role;
use tose_api::{
    ApiKeyId, Cpu, DeploymentId, DomainId, EventId, InvitationId, ProjectId, Ram, SessionId,
    Timestamp, UserId, WorkspaceId,
};
use tose_model::access::{Actor, WorkspaceScope};
use tose_model::deployment::state::Event;
use tose_model::process::Processes;
use tose_model::project::RunSpec;
use tose_model::secret::Sealed;
use tose_model::{Clock, IdGen};
use tose_store::{
    Bootstrap, Domain, Invitation, NewApiKey, NewDatabase, NewDeployment, NewEvent, NewKind,
    NewProject, NewSession, NewUser, NewWorkspace, Result, Store, StoredSettings, Transition,
};
use tose_testkit::{ManualClock, SeededIds};

const FILE: &str = "tose.db";

pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) ids: SeededIds,
    pub(crate) clock: ManualClock,
    pub(crate) scope: WorkspaceScope,
    dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join(FILE)).await.expect("a store");
        let (ids, clock) = (SeededIds::new(1), ManualClock::new());
        let scope = WorkspaceScope::for_task(WorkspaceId::from_uuid(ids.uuid()));
        let mut lab = Self {
            store,
            ids,
            clock,
            scope,
            dir,
        };
        lab.scope = lab.workspace("demo").await;
        lab
    }

    /// The database's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(FILE)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.now().saturating_add(Duration::from_secs(seconds))
    }

    pub(crate) fn bootstrap(&self, email: &str, slug: &str, hash: u8) -> Bootstrap {
        Bootstrap {
            email: email.to_owned(),
            user_id: UserId::from_uuid(self.ids.uuid()),
            workspace: NewWorkspace {
                id: WorkspaceId::from_uuid(self.ids.uuid()),
                slug: slug.parse().expect("a slug"),
                name: slug.to_owned(),
                now: self.now(),
                credit: None,
            },
            api_key: self.key(hash),
            now: self.now(),
        }
    }

    /// A key without an end, with the hash `[hash; 32]`.
    pub(crate) fn key(&self, hash: u8) -> NewApiKey {
        NewApiKey {
            id: ApiKeyId::from_uuid(self.ids.uuid()),
            name: "key".to_owned(),
            hash: [hash; 32],
            prefix: "tose_sk_abcd…".to_owned(),
            expires_at: None,
        }
    }

    pub(crate) async fn has_key(&self, hash: u8) -> bool {
        let found = self.store.find_key_holder(&[hash; 32], self.now()).await;
        found.expect("read").is_some()
    }

    pub(crate) async fn workspace(&self, slug: &str) -> WorkspaceScope {
        let email = format!("{slug}@example.com");
        let hash = slug.bytes().fold(0u8, u8::wrapping_add);
        let new = self.bootstrap(&email, slug, hash);
        self.store.bootstrap(&new).await.expect("a workspace");
        WorkspaceScope::for_task(new.workspace.id)
    }

    /// Who owns the workspace from its beginning.
    pub(crate) async fn owner(&self, scope: &WorkspaceScope) -> UserId {
        let members = self.store.list_members(scope).await.expect("a list");
        members.first().expect("an owner").user_id
    }

    /// An account whose password has the hash `before`.
    pub(crate) async fn user(&self, email: &str) -> UserId {
        let new = NewUser {
            id: UserId::from_uuid(self.ids.uuid()),
            email: email.parse().expect("an address"),
            name: None,
            password_hash: "before".to_owned(),
            now: self.now(),
        };
        self.store.create_user(&new).await.expect("an account");
        new.id
    }

    /// A fresh account that is a member of the lab's workspace.
    pub(crate) async fn member(&self, email: &str, role: Role) -> UserId {
        let id = self.user(email).await;
        self.store
            .add_member(&self.scope, id, role, &self.event())
            .await
            .expect("a member");
        id
    }

    /// A login for a minute, whose token has the hash `[token; 32]`.
    pub(crate) async fn login(&self, user_id: UserId, token: u8) -> SessionId {
        let new = NewSession {
            id: SessionId::from_uuid(self.ids.uuid()),
            user_id,
            token_hash: [token; 32],
            expires_at: self.in_seconds(60),
            now: self.now(),
        };
        self.store.create_session(&new).await.expect("a login");
        new.id
    }

    pub(crate) async fn is_logged_in(&self, token: u8) -> bool {
        let found = self.store.find_session(&[token; 32], self.now()).await;
        found.expect("read").is_some()
    }

    /// An invitation for an hour, not stored.
    pub(crate) fn invitation(&self, email: &str, role: Role) -> Invitation {
        Invitation {
            id: InvitationId::from_uuid(self.ids.uuid()),
            email: email.parse().expect("an address"),
            role,
            invited_by: "owner@example.com".to_owned(),
            created_at: self.now(),
            expires_at: self.in_seconds(3600),
        }
    }

    /// A claim of a host name for a project, not stored.
    pub(crate) fn domain(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        host: &str,
        status: DomainStatus,
    ) -> Domain {
        Domain {
            id: DomainId::from_uuid(self.ids.uuid()),
            workspace_id: scope.id(),
            project_id,
            hostname: host.parse().expect("a host name"),
            status,
            reason: Some("no record was seen".to_owned()),
            is_default: false,
            created_at: self.now(),
            checked_at: Some(self.now()),
            settings: StoredSettings::default(),
        }
    }

    pub(crate) async fn count_events(&self, scope: &WorkspaceScope) -> u64 {
        let paging = Paging::new(None, None).expect("a page");
        let (_, total) = self.store.list_events(scope, paging).await.expect("a list");
        total
    }

    pub(crate) fn event(&self) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(self.ids.uuid()),
            actor: Actor {
                user_id: None,
                name: "a@example.com".to_owned(),
                via: Via::ApiKey,
                ip: None,
                idempotency: None,
            },
            action: "test",
            target: "x".to_owned(),
            at: self.now(),
        }
    }

    pub(crate) fn run(&self) -> RunSpec {
        RunSpec {
            port: 3000u64.try_into().expect("a port"),
            cpu: Cpu::from_milli(500).expect("in range"),
            ram: Ram::from_milli(500).expect("in range"),
            health_check_path: Some("/healthz".to_owned()),
            start_command: None,
            release_command: None,
            processes: Processes::new(),
            volumes: Vec::new(),
            file: None,
        }
    }

    pub(crate) async fn try_project(
        &self,
        scope: &WorkspaceScope,
        slug: &str,
        hosts: &[&str],
    ) -> Result<ProjectId> {
        let new = self.new_project(slug, hosts);
        self.store
            .create_project(scope, &new, &self.event())
            .await
            .map(|()| new.id)
    }

    fn new_project(&self, slug: &str, hosts: &[&str]) -> NewProject {
        NewProject {
            id: ProjectId::from_uuid(self.ids.uuid()),
            name: slug.to_owned(),
            slug: slug.parse().expect("a slug"),
            source: Source::Image,
            image: Some("app:1".parse().expect("an image")),
            run: self.run(),
            build: None,
            region: "local".parse().expect("a region"),
            replicas: 1,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames: hosts
                .iter()
                .map(|host| host.parse().expect("a host"))
                .collect(),
            preview: None,
            kind: NewKind::App,
            now: self.now(),
        }
    }

    /// A database.
    pub(crate) async fn database(&self, slug: &str) -> ProjectId {
        self.database_of(&self.scope, slug).await
    }

    /// A database of another workspace.
    pub(crate) async fn database_of(&self, scope: &WorkspaceScope, slug: &str) -> ProjectId {
        let new = NewProject {
            kind: NewKind::Database(Box::new(NewDatabase {
                kind: DatabaseType::Redis,
                version: "8".to_owned(),
                username: "default".to_owned(),
                database: "0".to_owned(),
                password: Sealed::from_bytes(vec![1]),
                admin_password: Sealed::from_bytes(vec![2]),
                storage_gb: 1,
                backup_keep: 2,
                proof_of: None,
            })),
            ..self.new_project(slug, &[&format!("{slug}.example.com")])
        };
        let event = self.event();
        let made = self.store.create_project(scope, &new, &event);
        made.await.expect("a database");
        new.id
    }

    pub(crate) async fn project(&self, slug: &str) -> ProjectId {
        let host = format!("{slug}.example.com");
        self.try_project(&self.scope, slug, &[&host])
            .await
            .expect("a project")
    }

    pub(crate) async fn deployment(&self, project_id: ProjectId) -> DeploymentId {
        let new = NewDeployment {
            references: Vec::new(),
            id: DeploymentId::from_uuid(self.ids.uuid()),
            project_id,
            trigger: Trigger::Manual,
            commit: None,
            branch: Some("main".parse().expect("a branch")),
            no_cache: true,
            image: Some("app:1".to_owned()),
            run: self.run(),
            env: Sealed::from_bytes(vec![1, 2, 3]),
            deadline_at: self.now(),
            created_by: "a@example.com".to_owned(),
            delivery: None,
            now: self.now(),
        };
        let event = self.event();
        self.store
            .create_deployment(&self.scope, &new, &event)
            .await
            .expect("a deployment");
        new.id
    }

    pub(crate) async fn step(
        &self,
        id: DeploymentId,
        from: DeploymentStatus,
        event: Event,
    ) -> Result<DeploymentStatus> {
        let with = Transition::default();
        self.store
            .transition_deployment(&self.scope, id, from, event, &with, self.now())
            .await
    }

    /// Takes a waiting deployment all the way to visitors.
    pub(crate) async fn promote(&self, id: DeploymentId) {
        use DeploymentStatus::{Building, Deploying, Queued};
        for (from, event) in [
            (Queued, Event::BuildStarted),
            (Building, Event::ImageReady),
            (Deploying, Event::Promoted),
        ] {
            self.step(id, from, event).await.expect("a step");
        }
    }
}

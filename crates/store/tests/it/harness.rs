//! A fresh store with a workspace, and short ways to make rows.

use tose_api::deployment::{DeploymentStatus, Trigger};
use tose_api::project::Source;
use tose_api::{
    ApiKeyId, Cpu, DeploymentId, DomainId, EventId, ProjectId, Ram, Timestamp, UserId, WorkspaceId,
};
use tose_model::access::WorkspaceScope;
use tose_model::deployment::state::Event;
use tose_model::project::RunSpec;
use tose_model::secret::Sealed;
use tose_model::{Clock, IdGen};
use tose_store::{
    Bootstrap, NewApiKey, NewDeployment, NewEvent, NewProject, NewWorkspace, Result, Store,
    Transition,
};
use tose_testkit::{ManualClock, SeededIds};

pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) ids: SeededIds,
    pub(crate) clock: ManualClock,
    pub(crate) scope: WorkspaceScope,
    _dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("tose.db"))
            .await
            .expect("a store");
        let (ids, clock) = (SeededIds::new(1), ManualClock::new());
        let scope = WorkspaceScope::for_task(WorkspaceId::from_uuid(ids.uuid()));
        let mut lab = Self {
            store,
            ids,
            clock,
            scope,
            _dir: dir,
        };
        lab.scope = lab.workspace("demo").await;
        lab
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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
            },
            api_key: NewApiKey {
                id: ApiKeyId::from_uuid(self.ids.uuid()),
                name: "key".to_owned(),
                hash: [hash; 32],
                prefix: "tose_sk_abcd…".to_owned(),
            },
            now: self.now(),
        }
    }

    pub(crate) async fn workspace(&self, slug: &str) -> WorkspaceScope {
        let email = format!("{slug}@example.com");
        let hash = slug.bytes().fold(0u8, u8::wrapping_add);
        let new = self.bootstrap(&email, slug, hash);
        self.store.bootstrap(&new).await.expect("a workspace");
        WorkspaceScope::for_task(new.workspace.id)
    }

    pub(crate) fn event(&self) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(self.ids.uuid()),
            actor: "a@example.com".to_owned(),
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
        }
    }

    pub(crate) async fn try_project(
        &self,
        scope: &WorkspaceScope,
        slug: &str,
        hosts: &[&str],
    ) -> Result<ProjectId> {
        let new = NewProject {
            id: ProjectId::from_uuid(self.ids.uuid()),
            name: slug.to_owned(),
            slug: slug.parse().expect("a slug"),
            source: Source::Image,
            image: Some("app:1".parse().expect("an image")),
            run: self.run(),
            replicas: 1,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames: hosts
                .iter()
                .map(|host| host.parse().expect("a host"))
                .collect(),
            now: self.now(),
        };
        self.store
            .create_project(scope, &new, &self.event())
            .await
            .map(|()| new.id)
    }

    pub(crate) async fn project(&self, slug: &str) -> ProjectId {
        let host = format!("{slug}.example.com");
        self.try_project(&self.scope, slug, &[&host])
            .await
            .expect("a project")
    }

    pub(crate) async fn deployment(&self, project_id: ProjectId) -> DeploymentId {
        let new = NewDeployment {
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

//! The engine that tests use, if there is one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;

use bollard::Docker;
use futures_util::StreamExt;
use tose_api::{DeploymentId, ProjectId, WorkspaceId};
use tose_driver_docker::{DockerDriver, Options};
use tose_model::IdGen;
use tose_model::driver::{
    BuildRequest, Driver, DriverResult, EngineStep, InstallationId, LayerCache, ReplicaKey,
    ReplicaName, ReplicaSpec, Scope,
};
use tose_testkit::SeededIds;
use tose_testkit::context::context;

/// Has `sh`, `sleep` and `python3`.
pub(crate) const BASE_IMAGE: &str = "tose-fixture/probe:1";
const SOCKET: &str = "/var/run/docker.sock";

/// Whether to test against an engine; says so when not.
pub(crate) fn is_there() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting"
    )]
    let is_required = std::env::var("TOSE_TEST_ENGINE").is_ok_and(|value| value == "required");
    if is_required || Path::new(SOCKET).exists() {
        return true;
    }
    // Not through the macros, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no Docker Engine at {SOCKET}");
    false
}

/// A number that no other run has.
pub(crate) fn nonce() -> u64 {
    RandomState::new().hash_one(0) >> 8
}

pub(crate) fn connect(installation: InstallationId) -> DockerDriver {
    DockerDriver::connect(Options::new(installation)).expect("the default address is one")
}

/// A driver with an installation of its own, and a project in it. Whoever makes one ends with
/// [`Site::clean_up`].
pub(crate) struct Site {
    pub(crate) driver: DockerDriver,
    /// The engine without the driver, to look at what the driver did.
    pub(crate) docker: Docker,
    pub(crate) installation: String,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) project_id: ProjectId,
    pub(crate) deployment_id: DeploymentId,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let ids = SeededIds::new(nonce());
        let mut bytes = [0; 4];
        ids.fill(&mut bytes);
        let installation = format!("{:08x}", u32::from_be_bytes(bytes));
        let id = InstallationId::parse(&installation).expect("8 hex digits");
        let site = Self {
            driver: connect(id),
            docker: Docker::connect_with_unix_defaults().expect("there is a socket"),
            installation,
            workspace_id: WorkspaceId::from_uuid(ids.uuid()),
            project_id: ProjectId::from_uuid(ids.uuid()),
            deployment_id: DeploymentId::from_uuid(ids.uuid()),
        };
        site.driver
            .apply(&site.ensure_network())
            .await
            .expect("a network");
        site
    }

    fn ensure_network(&self) -> EngineStep {
        let workspace = "acme".parse().expect("a slug");
        EngineStep::EnsureNetwork {
            workspace_id: self.workspace_id,
            workspace,
        }
    }

    pub(crate) fn spec(&self) -> ReplicaSpec {
        let key = ReplicaKey {
            project_id: self.project_id,
            deployment_id: self.deployment_id,
            index: 0,
        };
        ReplicaSpec {
            name: ReplicaName::new(&"web".parse().expect("a slug"), &key),
            key,
            generation: 1,
            known_generation: 1,
            workspace_id: self.workspace_id,
            workspace: "acme".parse().expect("a slug"),
            project: "web".parse().expect("a slug"),
            image: self.driver.built_image(self.project_id, self.deployment_id),
            command: None,
            env: Vec::new(),
            port: "8080".parse().expect("a port"),
            cpu: "0.5".parse().expect("a quantity"),
            ram: "0.125".parse().expect("a quantity"),
            volumes: Vec::new(),
        }
    }

    pub(crate) fn container_name(&self) -> String {
        format!("tose-{}-{}", self.installation, self.spec().name)
    }

    pub(crate) fn request(&self, dockerfile: &str) -> BuildRequest {
        BuildRequest {
            secrets: None,
            disk_bytes: 1 << 30,
            project_id: self.project_id,
            deployment_id: self.deployment_id,
            workspace_id: self.workspace_id,
            context: context(&[("Dockerfile", dockerfile)]),
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            args: BTreeMap::new(),
            // A build whose cached layer another test removes would fail.
            no_cache: true,
            cache: LayerCache::Project,
            memory_bytes: 512 << 20,
            cpu: "1".parse().expect("a quantity"),
        }
    }

    /// Builds; the lines, and how it ended.
    pub(crate) async fn build(&self, request: BuildRequest) -> (Vec<String>, DriverResult<()>) {
        let mut stream = self
            .driver
            .build(request)
            .await
            .expect("the engine answers");
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await {
            match line {
                Ok(line) => lines.push(line),
                Err(error) => return (lines, Err(error)),
            }
        }
        (lines, Ok(()))
    }

    /// Builds an image from what comes after `FROM`, and starts it.
    pub(crate) async fn start(&self, steps: &str) -> DriverResult<ReplicaSpec> {
        let request = self.request(&format!("FROM {BASE_IMAGE}\n{steps}\n"));
        self.build(request).await.1?;
        let spec = self.spec();
        self.driver
            .apply(&EngineStep::StartReplica(Box::new(spec.clone())))
            .await?;
        Ok(spec)
    }

    /// What the replica prints until it ends.
    pub(crate) async fn output(&self, name: &ReplicaName) -> Vec<String> {
        let lines = self
            .driver
            .logs(name, None)
            .await
            .expect("there is such a replica");
        let texts = lines.map(|line| line.expect("a line").text);
        texts
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .collect()
            .await
    }

    pub(crate) async fn clean_up(&self) {
        for replica in self
            .driver
            .observe(Scope::Installation)
            .await
            .expect("observe")
        {
            let step = EngineStep::RemoveReplica { name: replica.name };
            self.driver.apply(&step).await.expect("remove a replica");
        }
        for project_id in self.driver.list_volumes().await.expect("list volumes") {
            let step = EngineStep::RemoveVolumes { project_id };
            self.driver.apply(&step).await.expect("remove volumes");
        }
        for workspace_id in self.driver.list_networks().await.expect("list networks") {
            let step = EngineStep::RemoveNetwork { workspace_id };
            self.driver.apply(&step).await.expect("remove a network");
        }
        let (project_id, deployment_id) = (self.project_id, self.deployment_id);
        let step = EngineStep::RemoveImage {
            project_id,
            deployment_id,
        };
        self.driver.apply(&step).await.expect("remove an image");
    }
}

/// Runs a test on a site of its own, if there is an engine, and cleans up also when it fails.
pub(crate) async fn on_site(test: impl AsyncFnOnce(&Site)) {
    use futures_util::FutureExt;
    if !is_there() {
        return;
    }
    let site = Site::new().await;
    let outcome = std::panic::AssertUnwindSafe(test(&site))
        .catch_unwind()
        .await;
    site.clean_up().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

//! Names and labels: how an object says whose it is.
//!
//! Invariant: a container, network or volume is ours only when its name follows from its labels.
//! Labels alone are no proof: an app's own Dockerfile can set any label, and a container of its
//! build then has it; the names of such containers are the engine's choice.

use std::collections::HashMap;

use tose_api::{DeploymentId, ProjectId, Slug, WorkspaceId};
use tose_model::driver::{InstallationId, ReplicaKey, ReplicaName, ReplicaSpec, Scope};

pub(crate) const INSTALLATION: &str = "tose.installation";
pub(crate) const WORKSPACE: &str = "tose.workspace";
pub(crate) const PROJECT: &str = "tose.project";
const WORKSPACE_SLUG: &str = "tose.workspace.slug";
const PROJECT_SLUG: &str = "tose.project.slug";
const DEPLOYMENT: &str = "tose.deployment";
const GENERATION: &str = "tose.generation";
const REPLICA: &str = "tose.replica";
const NAME: &str = "tose.name";
const VOLUME: &str = "tose.volume";

/// What the engine's lists are filtered by.
pub(crate) type Filters = HashMap<String, Vec<String>>;

/// Who a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: ReplicaName,
    pub(crate) key: ReplicaKey,
    pub(crate) generation: u64,
    pub(crate) workspace_id: WorkspaceId,
}

/// The names and labels of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    installation: InstallationId,
}

impl Labels {
    pub(crate) fn new(installation: InstallationId) -> Self {
        Self { installation }
    }

    pub(crate) fn installation(&self) -> &str {
        self.installation.as_str()
    }

    pub(crate) fn container_name(&self, name: &ReplicaName) -> String {
        format!("tose-{}-{name}", self.installation())
    }

    pub(crate) fn network_name(&self, workspace_id: WorkspaceId) -> String {
        let id = workspace_id.as_uuid().simple().to_string();
        format!("tose-{}-{}", self.installation(), &id[20..])
    }

    pub(crate) fn volume_name(&self, project_id: ProjectId, volume: &Slug) -> String {
        let project = project_id.as_uuid().simple();
        format!("tose-{}-{project}-{volume}", self.installation())
    }

    /// Where the images of a project are; the tag is the deployment's id.
    pub(crate) fn repository(&self, project_id: ProjectId) -> String {
        format!(
            "tose-{}/{}",
            self.installation(),
            project_id.as_uuid().simple()
        )
    }

    pub(crate) fn image(&self, project_id: ProjectId, deployment_id: DeploymentId) -> String {
        format!(
            "{}:{}",
            self.repository(project_id),
            deployment_id.as_uuid().simple()
        )
    }

    /// Whether `image` is named like one that is built here: no registry has it.
    pub(crate) fn is_built_here(&self, image: &str) -> bool {
        image
            .strip_prefix("tose-")
            .is_some_and(|rest| rest.starts_with(self.installation()))
    }

    pub(crate) fn of_replica(&self, spec: &ReplicaSpec) -> HashMap<String, String> {
        self.with([
            (WORKSPACE, spec.workspace_id.to_string()),
            (WORKSPACE_SLUG, spec.workspace.to_string()),
            (PROJECT, spec.key.project_id.to_string()),
            (PROJECT_SLUG, spec.project.to_string()),
            (DEPLOYMENT, spec.key.deployment_id.to_string()),
            (GENERATION, spec.generation.to_string()),
            (REPLICA, spec.key.index.to_string()),
            (NAME, spec.name.to_string()),
        ])
    }

    pub(crate) fn of_network(
        &self,
        workspace_id: WorkspaceId,
        workspace: &Slug,
    ) -> HashMap<String, String> {
        self.with([
            (WORKSPACE, workspace_id.to_string()),
            (WORKSPACE_SLUG, workspace.to_string()),
        ])
    }

    pub(crate) fn of_volume(&self, spec: &ReplicaSpec, volume: &Slug) -> HashMap<String, String> {
        self.with([
            (WORKSPACE, spec.workspace_id.to_string()),
            (WORKSPACE_SLUG, spec.workspace.to_string()),
            (PROJECT, spec.key.project_id.to_string()),
            (PROJECT_SLUG, spec.project.to_string()),
            (VOLUME, volume.to_string()),
        ])
    }

    fn with<const N: usize>(&self, labels: [(&str, String); N]) -> HashMap<String, String> {
        let ours = (INSTALLATION, self.installation().to_owned());
        let all = std::iter::once(ours).chain(labels);
        all.map(|(label, value)| (label.to_owned(), value))
            .collect()
    }

    /// Filters for what belongs to `scope`.
    pub(crate) fn filters(&self, scope: Scope) -> Filters {
        let mut labels = vec![format!("{INSTALLATION}={}", self.installation())];
        if let Scope::Project(project_id) = scope {
            labels.push(format!("{PROJECT}={project_id}"));
        }
        Filters::from([("label".to_owned(), labels)])
    }

    /// Who the container is that the engine calls `container_name`; `None` when it is not ours.
    pub(crate) fn identify(
        &self,
        container_name: &str,
        labels: &HashMap<String, String>,
    ) -> Option<Identity> {
        let get = |label: &str| labels.get(label).map(String::as_str);
        let name = ReplicaName::from_label(get(NAME)?);
        if get(INSTALLATION)? != self.installation()
            || container_name.trim_start_matches('/') != self.container_name(&name)
        {
            return None;
        }
        Some(Identity {
            name,
            key: ReplicaKey {
                project_id: get(PROJECT)?.parse().ok()?,
                deployment_id: get(DEPLOYMENT)?.parse().ok()?,
                index: get(REPLICA)?.parse().ok()?,
            },
            generation: get(GENERATION)?.parse().ok()?,
            workspace_id: get(WORKSPACE)?.parse().ok()?,
        })
    }

    /// Whose network this is, if it is one of ours.
    pub(crate) fn workspace_of(
        &self,
        network_name: &str,
        labels: &HashMap<String, String>,
    ) -> Option<WorkspaceId> {
        let workspace_id = labels.get(WORKSPACE)?.parse().ok()?;
        let is_ours = labels.get(INSTALLATION)? == self.installation()
            && network_name == self.network_name(workspace_id);
        is_ours.then_some(workspace_id)
    }

    /// Whose volume this is and how they call it, if it is one of ours.
    pub(crate) fn volume_of(
        &self,
        volume_name: &str,
        labels: &HashMap<String, String>,
    ) -> Option<(ProjectId, Slug)> {
        let project_id = labels.get(PROJECT)?.parse().ok()?;
        let volume = labels.get(VOLUME)?.parse().ok()?;
        let is_ours = labels.get(INSTALLATION)? == self.installation()
            && volume_name == self.volume_name(project_id, &volume);
        is_ours.then_some((project_id, volume))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::new(InstallationId::parse("0123abcd").expect("an id"))
    }

    fn spec() -> ReplicaSpec {
        let key = ReplicaKey {
            project_id: "0190a0a0-0000-7000-8000-000000000001"
                .parse()
                .expect("an id"),
            deployment_id: "0190a0a0-0000-7000-8000-0000000000d1"
                .parse()
                .expect("an id"),
            index: 2,
        };
        let project: Slug = "web".parse().expect("a slug");
        ReplicaSpec {
            name: ReplicaName::new(&project, &key),
            key,
            generation: 7,
            known_generation: 7,
            workspace_id: "0190a0a0-0000-7000-8000-0000000000aa"
                .parse()
                .expect("an id"),
            workspace: "acme".parse().expect("a slug"),
            project,
            image: "app:1".to_owned(),
            command: None,
            env: Vec::new(),
            port: "8080".parse().expect("a port"),
            cpu: "0.5".parse().expect("a quantity"),
            ram: "0.5".parse().expect("a quantity"),
            volumes: Vec::new(),
        }
    }

    #[test]
    fn a_container_is_known_again_by_its_name_and_labels() {
        let (labels, spec) = (labels(), spec());
        let name = labels.container_name(&spec.name);
        assert_eq!(name, "tose-0123abcd-web-0000000000d1-2");
        let identity = labels.identify(&format!("/{name}"), &labels.of_replica(&spec));
        let identity = identity.expect("ours");
        assert_eq!((identity.key, identity.generation), (spec.key, 7));
    }

    #[test]
    fn labels_alone_make_no_container_ours() {
        let (labels, spec) = (labels(), spec());
        let forged = labels.of_replica(&spec);
        assert_eq!(labels.identify("/boring_kepler", &forged), None);

        let other = Labels::new(InstallationId::parse("ffffffff").expect("an id"));
        let name = labels.container_name(&spec.name);
        assert_eq!(other.identify(&name, &forged), None);
    }

    #[test]
    fn names_of_networks_and_images_follow_from_ids() {
        let (labels, spec) = (labels(), spec());
        assert_eq!(
            labels.network_name(spec.workspace_id),
            "tose-0123abcd-0000000000aa"
        );
        let image = labels.image(spec.key.project_id, spec.key.deployment_id);
        let expected =
            "tose-0123abcd/0190a0a0000070008000000000000001:0190a0a00000700080000000000000d1";
        assert_eq!(image, expected);
        assert!(labels.is_built_here(&image));
        let volume: Slug = "data".parse().expect("a slug");
        let name = labels.volume_name(spec.key.project_id, &volume);
        assert_eq!(name, "tose-0123abcd-0190a0a0000070008000000000000001-data");
        let marks = labels.of_volume(&spec, &volume);
        assert_eq!(
            labels.volume_of(&name, &marks),
            Some((spec.key.project_id, volume))
        );
        assert_eq!(labels.volume_of("data", &marks), None);
        assert!(!labels.is_built_here("nginx:1.27"));
    }
}

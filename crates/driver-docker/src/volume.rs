//! Volumes: what outlives the replicas of a project.
//!
//! Guarantees: a volume is removed by [`DockerDriver::remove_volumes`] and by nothing else; one that
//! has the name and is not ours is neither mounted nor removed.

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};
use tose_api::{ProjectId, Slug};
use tose_model::driver::{DriverResult, ReplicaSpec, Scope};

use crate::DockerDriver;
use crate::error::{has_status, refused};

impl DockerDriver {
    /// Makes the volumes that the replica mounts and that are not there yet.
    pub(crate) async fn ensure_volumes(&self, spec: &ReplicaSpec) -> DriverResult<()> {
        let docker = self.engine.docker().await?;
        for mount in &spec.volumes {
            let operation = || format!("make volume {} of project {}", mount.name, spec.project);
            let request = VolumeCreateRequest {
                name: Some(self.labels.volume_name(spec.key.project_id, &mount.name)),
                driver: Some("local".to_owned()),
                labels: Some(self.labels.of_volume(spec, &mount.name)),
                ..VolumeCreateRequest::default()
            };
            // The engine answers with the volume that is there, if there is one.
            let volume = self.engine.within(docker.create_volume(request)).await;
            let volume = volume.map_err(|error| self.engine.failed(operation(), error))?;
            if self
                .labels
                .volume_of(&volume.name, &volume.labels)
                .is_none()
            {
                return Err(refused(
                    operation(),
                    "a volume that is not ours has its name",
                ));
            }
        }
        Ok(())
    }

    pub(crate) async fn remove_volumes(&self, project_id: ProjectId) -> DriverResult<()> {
        let docker = self.engine.docker().await?;
        for (engine_name, _, name) in self.list_our_volumes(Scope::Project(project_id)).await? {
            let call = docker.remove_volume(&engine_name, None::<RemoveVolumeOptions>);
            match self.engine.within(call).await {
                Ok(()) => {}
                Err(error) if has_status(&error, 404) => {}
                Err(error) => {
                    let operation = format!("remove volume {name} of project {project_id}");
                    return Err(self.engine.failed(operation, error));
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn list_projects_with_volumes(&self) -> DriverResult<Vec<ProjectId>> {
        let ours = self.list_our_volumes(Scope::Installation).await?;
        let mut projects: Vec<_> = ours
            .into_iter()
            .map(|(_, project_id, _)| project_id)
            .collect();
        projects.sort_unstable();
        projects.dedup();
        Ok(projects)
    }

    /// The engine's name, the project and the name of each volume of ours in `scope`.
    async fn list_our_volumes(&self, scope: Scope) -> DriverResult<Vec<(String, ProjectId, Slug)>> {
        let docker = self.engine.docker().await?;
        let filters = self.labels.filters(scope);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = self.engine.within(docker.list_volumes(Some(options))).await;
        let listed = listed.map_err(|error| self.engine.failed("list the volumes", error))?;
        let ours = listed.volumes.unwrap_or_default().into_iter();
        let ours = ours.filter_map(|volume| {
            let (project_id, name) = self.labels.volume_of(&volume.name, &volume.labels)?;
            Some((volume.name, project_id, name))
        });
        Ok(ours.collect())
    }
}

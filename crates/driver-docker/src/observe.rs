//! What there is: replicas as the engine shows them.
//!
//! Guarantees: an answer is complete or an error. A container that goes between the list and the
//! closer look is left out, as if it had gone before.

use std::net::IpAddr;

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use tose_model::driver::{DriverResult, ObservedReplica, ReplicaName, ReplicaState, Scope};
use tose_model::quota::Load;

use crate::DockerDriver;
use crate::error::{has_status, refused};
use crate::labels::Identity;

/// How many containers are looked at at once.
const LOOKS: usize = 16;

/// A container of ours.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    /// The engine's id: unlike the name it never comes to mean another container.
    pub(crate) id: String,
    pub(crate) identity: Identity,
    /// The image's reference that it was made with.
    pub(crate) image: String,
}

/// A container of ours with everything the engine knows about it.
pub(crate) struct Inspected {
    pub(crate) container: Container,
    pub(crate) details: ContainerInspectResponse,
}

impl Inspected {
    pub(crate) fn state(&self) -> ContainerState {
        self.details.state.clone().unwrap_or_default()
    }

    /// The process that the container's others descend from, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.state()
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0)
    }
}

impl DockerDriver {
    pub(crate) async fn observe_replicas(
        &self,
        scope: Scope,
    ) -> DriverResult<Vec<ObservedReplica>> {
        let containers = self.list_containers(scope).await?;
        let looks = containers
            .into_iter()
            .map(|container| self.inspect(container.id));
        let found: Vec<Option<Inspected>> =
            stream::iter(looks).buffered(LOOKS).try_collect().await?;
        let mut replicas: Vec<_> = found
            .iter()
            .flatten()
            .map(|inspected| self.observed(inspected))
            .collect();
        replicas.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(replicas)
    }

    /// The containers of ours in `scope`, whatever their state.
    pub(crate) async fn list_containers(&self, scope: Scope) -> DriverResult<Vec<Container>> {
        let docker = self.engine.docker().await?;
        let filters = self.labels.filters(scope);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = self
            .engine
            .within(docker.list_containers(Some(options)))
            .await;
        let listed = listed.map_err(|error| self.engine.failed("list the replicas", error))?;
        let ours = listed.into_iter().filter_map(|summary| {
            let labels = summary.labels.unwrap_or_default();
            let names = summary.names.unwrap_or_default();
            let identity = names
                .iter()
                .find_map(|name| self.labels.identify(name, &labels))?;
            Some(Container {
                id: summary.id?,
                identity,
                image: summary.image.unwrap_or_default(),
            })
        });
        Ok(ours.collect())
    }

    /// The replica's container; `None` when there is none. One that has the name and is not ours
    /// is an error.
    pub(crate) async fn find(&self, name: &ReplicaName) -> DriverResult<Option<Inspected>> {
        let container_name = self.labels.container_name(name);
        let Some(details) = self.look_at(&container_name).await? else {
            return Ok(None);
        };
        match self.recognize(details) {
            Some(inspected) => Ok(Some(inspected)),
            None => {
                let reason = "a container that is not ours has its name";
                Err(refused(format!("reach replica {name}"), reason))
            }
        }
    }

    /// What the engine knows of a container, if it is still there and ours.
    pub(crate) async fn inspect(&self, id: String) -> DriverResult<Option<Inspected>> {
        let details = self.look_at(&id).await?;
        Ok(details.and_then(|details| self.recognize(details)))
    }

    async fn look_at(&self, container: &str) -> DriverResult<Option<ContainerInspectResponse>> {
        let docker = self.engine.docker().await?;
        let call = docker.inspect_container(container, None::<InspectContainerOptions>);
        match self.engine.within(call).await {
            Ok(details) => Ok(Some(details)),
            Err(error) if has_status(&error, 404) => Ok(None),
            Err(error) => Err(self
                .engine
                .failed(format!("look at container {container}"), error)),
        }
    }

    fn recognize(&self, details: ContainerInspectResponse) -> Option<Inspected> {
        let config = details.config.as_ref()?;
        let labels = config.labels.as_ref()?;
        let container = Container {
            id: details.id.clone()?,
            identity: self.labels.identify(details.name.as_deref()?, labels)?,
            image: config.image.clone().unwrap_or_default(),
        };
        Some(Inspected { container, details })
    }

    fn observed(&self, inspected: &Inspected) -> ObservedReplica {
        let Identity {
            name,
            key,
            generation,
            workspace_id,
        } = inspected.container.identity.clone();
        let state = replica_state(&inspected.state());
        let network = self.labels.network_name(workspace_id);
        ObservedReplica {
            name,
            key,
            workspace_id,
            generation,
            state,
            ip: match state {
                ReplicaState::Running => address_on(&inspected.details, &network),
                _ => None,
            },
            // The engine writes the year 1 for "never", which is no time here.
            started_at: inspected
                .state()
                .started_at
                .and_then(|time| time.parse().ok()),
            ended_at: inspected
                .state()
                .finished_at
                .and_then(|time| time.parse().ok()),
            load: load(&inspected.details),
            restarts: inspected
                .details
                .restart_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
        }
    }
}

/// What a container was given, as `spec` asked for it.
fn load(details: &ContainerInspectResponse) -> Load {
    let given = |number: Option<i64>| number.and_then(|given| u64::try_from(given).ok());
    let host = details.host_config.as_ref();
    let nano_cpus = given(host.and_then(|host| host.nano_cpus)).unwrap_or(0);
    let memory = given(host.and_then(|host| host.memory)).unwrap_or(0);
    Load {
        cpu_milli: nano_cpus / 1_000_000,
        // Bytes were rounded down from thousandths of a GB.
        ram_milli: memory.saturating_mul(1000).div_ceil(1 << 30),
    }
}

fn address_on(details: &ContainerInspectResponse, network: &str) -> Option<IpAddr> {
    let networks = details.network_settings.as_ref()?.networks.as_ref()?;
    networks.get(network)?.ip_address.as_deref()?.parse().ok()
}

fn replica_state(state: &ContainerState) -> ReplicaState {
    let exit_code = state.exit_code.unwrap_or(0);
    let out_of_memory = state.oom_killed.unwrap_or(false);
    let running = state.running.unwrap_or(false);
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ReplicaState::Created,
        Some(ContainerStateStatusEnum::RESTARTING) => ReplicaState::Restarting {
            exit_code,
            out_of_memory,
        },
        Some(
            ContainerStateStatusEnum::RUNNING
            | ContainerStateStatusEnum::PAUSED
            | ContainerStateStatusEnum::STOPPING,
        ) => ReplicaState::Running,
        None | Some(ContainerStateStatusEnum::EMPTY) if running => ReplicaState::Running,
        None
        | Some(
            ContainerStateStatusEnum::EMPTY
            | ContainerStateStatusEnum::REMOVING
            | ContainerStateStatusEnum::EXITED
            | ContainerStateStatusEnum::DEAD,
        ) => ReplicaState::Exited {
            exit_code,
            out_of_memory,
        },
    }
}

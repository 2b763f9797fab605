//! The one function that says what a container may do.
//!
//! Invariant: no container of this platform is made from any other spec. It publishes no port,
//! mounts nothing of the host but the project's own volumes, and cannot gain a privilege that it
//! does not start with.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use tose_model::driver::ReplicaSpec;
use tose_model::secret::ExposeSecret;

use crate::image::with_tag;
use crate::labels::Labels;

/// The least memory that the engine gives a container.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// The least processor time that the engine gives a container: a hundredth of a core.
const MIN_NANO_CPUS: u64 = 10_000_000;
const PIDS: i64 = 256;
/// Open files a process may have: the wish first, then what is tried on an engine that may not give
/// that much, as one inside another container may not.
pub(crate) const OPEN_FILES: [i64; 4] = [65_536, 16_384, 4_096, 1_024];
const SHARED_MEMORY_BYTES: i64 = 64 << 20;
/// The longest host name that Linux takes in one label.
const MAX_HOSTNAME: usize = 63;

/// What a container may do beyond computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// No capability at all, for images that start as another user than root.
    Restricted,
    /// The few capabilities without which stock images that start as root do not work. Root inside
    /// is root outside until the engine maps user ids, so this is the least that is useful and the
    /// most that is given.
    Compat,
}

impl Profile {
    fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Restricted => &[],
            Self::Compat => &[
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "SETUID",
                "SETGID",
                "KILL",
                "NET_BIND_SERVICE",
            ],
        }
    }
}

/// What the engine's machine can give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Its cores.
    pub(crate) cpus: u32,
    /// The most open files that it was seen to give, see [`OPEN_FILES`].
    pub(crate) open_files: i64,
}

/// The container for a replica. `cpus` is how many processors the machine has: the engine refuses
/// a limit above it.
pub(crate) fn container_spec(
    labels: &Labels,
    profile: Profile,
    machine: Machine,
    spec: &ReplicaSpec,
) -> ContainerCreateBody {
    let network = labels.network_name(spec.workspace_id);
    let alias = EndpointSettings {
        // Whoever asks for the project is to reach its replicas only.
        aliases: spec.key.is_web().then(|| vec![spec.project.to_string()]),
        ..EndpointSettings::default()
    };
    let env = spec
        .env
        .iter()
        .map(|(key, value)| format!("{key}={}", value.expose_secret()));
    let mounts = spec.volumes.iter().map(|volume| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(labels.volume_name(spec.key.project_id, &volume.name)),
        target: Some(volume.path.clone()),
        read_only: Some(false),
        ..Mount::default()
    });
    ContainerCreateBody {
        // With its tag: a bare name could be the beginning of some image's id.
        image: Some(with_tag(&spec.image)),
        // With an entrypoint of its own, a container gets nothing of the image's command.
        entrypoint: spec.command.clone(),
        hostname: Some(hostname(spec.name.as_str())),
        env: Some(env.collect()),
        labels: Some(labels.of_replica(spec)),
        host_config: Some(HostConfig {
            mounts: Some(mounts.collect()),
            ..host_config(profile, machine, spec, network.clone())
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network, alias)])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(
    profile: Profile,
    machine: Machine,
    spec: &ReplicaSpec,
    network: String,
) -> HostConfig {
    let memory = signed(spec.ram.bytes().max(MIN_MEMORY_BYTES));
    let most = u64::from(machine.cpus) * 1_000_000_000;
    let nano_cpus = (u64::from(spec.cpu.milli()) * 1_000_000).clamp(MIN_NANO_CPUS, most);
    let capabilities = profile.capabilities().iter().map(|name| (*name).to_owned());
    HostConfig {
        network_mode: Some(network),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(capabilities.collect()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        publish_all_ports: Some(false),
        init: Some(true),
        pids_limit: Some(PIDS),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(signed(nano_cpus)),
        shm_size: Some(SHARED_MEMORY_BYTES),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".to_owned()),
            soft: Some(machine.open_files),
            hard: Some(machine.open_files),
        }]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "10m".to_owned()),
                ("max-file".to_owned(), "3".to_owned()),
            ])),
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(match spec.key.job_number() {
                Some(_) => RestartPolicyNameEnum::NO,
                None => RestartPolicyNameEnum::ON_FAILURE,
            }),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

fn hostname(name: &str) -> String {
    let end = name.len().min(MAX_HOSTNAME);
    name.get(..end)
        .unwrap_or(name)
        .trim_end_matches('-')
        .to_owned()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tose_api::{EnvKey, Slug};
    use tose_model::driver::{InstallationId, ReplicaKey, ReplicaName, VolumeMount};

    use super::*;

    fn replica(cpu: &str, ram: &str) -> ReplicaSpec {
        let key = ReplicaKey {
            project_id: "0190a0a0-0000-7000-8000-000000000001"
                .parse()
                .expect("an id"),
            deployment_id: "0190a0a0-0000-7000-8000-0000000000d1"
                .parse()
                .expect("an id"),
            index: 0,
        };
        let project: Slug = "web".parse().expect("a slug");
        ReplicaSpec {
            name: ReplicaName::new(&project, &key),
            key,
            generation: 1,
            known_generation: 1,
            workspace_id: "0190a0a0-0000-7000-8000-0000000000aa"
                .parse()
                .expect("an id"),
            workspace: "acme".parse().expect("a slug"),
            project,
            image: "app:1".to_owned(),
            command: None,
            env: vec![("PORT".parse::<EnvKey>().expect("a key"), "8080".into())],
            port: "8080".parse().expect("a port"),
            cpu: cpu.parse().expect("a quantity"),
            ram: ram.parse().expect("a quantity"),
            volumes: Vec::new(),
        }
    }

    fn host_config_of(replica: &ReplicaSpec) -> HostConfig {
        let labels = Labels::new(InstallationId::parse("0123abcd").expect("an id"));
        container_spec(
            &labels,
            Profile::Compat,
            Machine {
                cpus: 2,
                open_files: OPEN_FILES[0],
            },
            replica,
        )
        .host_config
        .expect("always there")
    }

    #[test]
    fn nothing_of_the_host_comes_in_and_nothing_is_published() {
        let host = host_config_of(&replica("0.5", "0.5"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        let added = host.cap_add.expect("a list");
        assert!(
            !added
                .iter()
                .any(|name| name.contains("RAW") || name.contains("ADMIN")),
            "{added:?}"
        );
        assert_eq!(
            (host.binds, host.mounts, host.devices, host.port_bindings),
            (None, Some(Vec::new()), None, None)
        );
        assert_eq!(
            (host.pid_mode, host.ipc_mode, host.privileged),
            (None, None, Some(false))
        );
    }

    #[test]
    fn volumes_of_the_project_are_all_that_is_mounted() {
        let mut replica = replica("0.5", "0.5");
        replica.volumes.push(VolumeMount {
            name: "data".parse().expect("a slug"),
            path: "/var/lib/data".to_owned(),
        });
        let mounts = host_config_of(&replica).mounts.expect("a list");
        let expected = Mount {
            typ: Some(MountType::VOLUME),
            source: Some("tose-0123abcd-0190a0a0000070008000000000000001-data".to_owned()),
            target: Some("/var/lib/data".to_owned()),
            read_only: Some(false),
            ..Mount::default()
        };
        assert_eq!(mounts, [expected]);
    }

    #[test]
    fn limits_are_what_was_asked_for_within_what_the_engine_takes() {
        for (cpu, ram, nano_cpus, memory) in [
            ("0.5", "0.5", 500_000_000, 512 << 20),
            ("64", "1", 2_000_000_000, 1 << 30),
            ("0.001", "0.001", 10_000_000, 6 << 20),
        ] {
            let host = host_config_of(&replica(cpu, ram));
            assert_eq!(host.nano_cpus, Some(nano_cpus), "{cpu} cores");
            assert_eq!(
                (host.memory, host.memory_swap),
                (Some(memory), Some(memory)),
                "{ram} GB"
            );
        }
    }

    #[test]
    fn a_host_name_fits_one_label() {
        assert_eq!(hostname("web-0000000000d1-0"), "web-0000000000d1-0");
        let long = hostname(&format!("{}-000000000000-1000000000", "a".repeat(40)));
        assert_eq!(long.len(), 63);
    }
}

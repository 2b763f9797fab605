//! Replicas: how one starts, is asked to end, and goes.
//!
//! Guarantees: a step that was applied, or whose answer was lost, is applied again without harm;
//! whoever does not know the newest generation that exists is refused.
//! Assumptions: steps of one project come one at a time.

use std::sync::atomic::Ordering::Relaxed;

use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use tose_model::driver::{DriverError, DriverResult, ReplicaName, ReplicaSpec, Scope};

use crate::DockerDriver;
use crate::error::{answer, has_status, refused};
use crate::observe::Container;
use crate::spec::{Machine, OPEN_FILES, container_spec};

/// What asks a process to end where its image names no other signal.
const DEFAULT_STOP_SIGNAL: &str = "SIGTERM";

impl DockerDriver {
    pub(crate) async fn start_replica(&self, spec: &ReplicaSpec) -> DriverResult<()> {
        let existing = self
            .list_containers(Scope::Project(spec.key.project_id))
            .await?;
        let generations = existing.iter().map(|found| found.identity.generation);
        spec.check_fence(generations)?;
        let same = existing
            .into_iter()
            .find(|container| container.identity.name == spec.name);
        let mut is_kept = false;
        let mut id = match same {
            Some(container) if container.identity.generation == spec.generation => {
                is_kept = true;
                container.id
            }
            Some(older) => {
                self.remove_container(&older).await?;
                self.create_container(spec).await?
            }
            None => self.create_container(spec).await?,
        };
        loop {
            let asked = self.open_files.load(Relaxed);
            match self.start_container(&id, spec).await {
                // It was made for a network that is gone; there may be another one by now.
                Err(DriverError::NotFound(_)) if is_kept => is_kept = false,
                Err(error) if is_over_open_files(&error) && asked + 1 < OPEN_FILES.len() => {
                    self.step_down_open_files(asked);
                }
                outcome => return outcome,
            }
            self.remove_replica(&spec.name).await?;
            id = self.create_container(spec).await?;
        }
    }

    fn step_down_open_files(&self, asked: usize) {
        let lower = asked + 1;
        // Two that find out at once step down once.
        let _ = self
            .open_files
            .compare_exchange(asked, lower, Relaxed, Relaxed);
        tracing::warn!(
            open_files = OPEN_FILES[lower],
            "the engine may not give replicas as many open files as they should have"
        );
    }

    /// Makes the replica's container, or finds the one that a lost answer was about.
    async fn create_container(&self, spec: &ReplicaSpec) -> DriverResult<String> {
        self.ensure_volumes(spec).await?;
        let session = self.engine.session().await?;
        let machine = Machine {
            cpus: session.cpus,
            open_files: OPEN_FILES[self.open_files.load(Relaxed)],
        };
        let body = container_spec(&self.labels, self.profile, machine, spec);
        let name = self.labels.container_name(&spec.name);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let docker = self.engine.docker().await?;
        match self
            .engine
            .within(docker.create_container(Some(options), body))
            .await
        {
            Ok(created) => Ok(created.id),
            Err(error) if has_status(&error, 409) => self.adopt(spec, error).await,
            Err(error) => Err(self.start_failed(spec, error)),
        }
    }

    async fn adopt(&self, spec: &ReplicaSpec, conflict: Error) -> DriverResult<String> {
        let Some(inspected) = self.find(&spec.name).await? else {
            return Err(self.start_failed(spec, conflict));
        };
        let Container { id, identity, .. } = inspected.container;
        if identity.generation == spec.generation && identity.key == spec.key {
            return Ok(id);
        }
        let reason = "another replica has its name";
        Err(refused(format!("start replica {}", spec.name), reason))
    }

    async fn start_container(&self, id: &str, spec: &ReplicaSpec) -> DriverResult<()> {
        let docker = self.engine.docker().await?;
        let call = docker.start_container(id, None::<StartContainerOptions>);
        let started = self.engine.within(call).await;
        started.map_err(|error| self.start_failed(spec, error))
    }

    fn start_failed(&self, spec: &ReplicaSpec, error: Error) -> DriverError {
        if let Some((status, message)) = answer(&error) {
            if status == 404 && message.contains("No such image") {
                return DriverError::ImageUnavailable {
                    image: spec.image.clone(),
                    reason: "it is not on this machine".to_owned(),
                };
            }
            if status == 404 && message.contains("network") {
                let network = format!("the network of workspace {}", spec.workspace);
                return DriverError::NotFound(network);
            }
            if let Some(reason) = mendable_reason(message) {
                return DriverError::CannotStart(reason);
            }
        }
        self.engine
            .failed(format!("start replica {}", spec.name), error)
    }

    /// Asks the replica's process to end. The signal is the image's own stop signal, because the
    /// engine takes only that one for a wish that it stay ended, and any other for a crash.
    pub(crate) async fn terminate_replica(&self, name: &ReplicaName) -> DriverResult<()> {
        let Some(inspected) = self.find(name).await? else {
            return Ok(());
        };
        let config = inspected.details.config.as_ref();
        let signal = config.and_then(|config| config.stop_signal.as_deref());
        let signal = signal
            .filter(|signal| !signal.is_empty())
            .unwrap_or(DEFAULT_STOP_SIGNAL);
        let options = KillContainerOptionsBuilder::default()
            .signal(signal)
            .build();
        let docker = self.engine.docker().await?;
        let call = docker.kill_container(&inspected.container.id, Some(options));
        match self.engine.within(call).await {
            Ok(()) => Ok(()),
            // It went, or it had ended.
            Err(error) if has_status(&error, 404) || has_status(&error, 409) => Ok(()),
            Err(error) => Err(self.engine.failed(format!("end replica {name}"), error)),
        }
    }

    pub(crate) async fn remove_replica(&self, name: &ReplicaName) -> DriverResult<()> {
        if let Some(inspected) = self.find(name).await? {
            self.remove_container(&inspected.container).await?;
        }
        self.samples.forget(name);
        Ok(())
    }

    async fn remove_container(&self, container: &Container) -> DriverResult<()> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let docker = self.engine.docker().await?;
        let call = docker.remove_container(&container.id, Some(options));
        match self.engine.within(call).await {
            Ok(()) => Ok(()),
            // It went, or it is going.
            Err(error) if has_status(&error, 404) || has_status(&error, 409) => Ok(()),
            Err(error) => {
                let operation = format!("remove replica {}", container.identity.name);
                Err(self.engine.failed(operation, error))
            }
        }
    }
}

/// Whether a start failed because the engine's own limit of open files is lower than the replica's.
fn is_over_open_files(error: &DriverError) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("setting rlimit type 7") {
            return true;
        }
        source = error.source();
    }
    false
}

/// What the app's author has to mend, when the engine's message is about that.
fn mendable_reason(message: &str) -> Option<String> {
    let quoted = message
        .split("exec: \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let command = quoted.map_or_else(
        || "its command".to_owned(),
        |command| format!("`{command}`"),
    );
    let user = message
        .split("unable to find user ")
        .nth(1)
        .and_then(|rest| rest.split(':').next());
    if let Some(user) = user {
        return Some(format!("the image has no user `{user}`"));
    }
    if message.contains("No command specified") {
        return Some("the image names no command to run: add a CMD to its Dockerfile".to_owned());
    }
    if message.contains("executable file not found")
        || message.contains("no such file or directory") && quoted.is_some()
    {
        return Some(format!("{command} is not in the image"));
    }
    if message.contains("exec format error") {
        return Some(format!(
            "{command} is made for another kind of machine, or lacks a #! line"
        ));
    }
    if message.contains("is not directory") {
        return Some("a volume's path is a file in the image: choose another one".to_owned());
    }
    if message.contains("invalid mount config") || message.contains("cannot be mounted") {
        return Some("a volume cannot be mounted at its path: choose another one".to_owned());
    }
    if message.contains("chdir to cwd") || message.contains("working directory") {
        return Some("the image's working directory cannot be entered".to_owned());
    }
    if message.contains("permission denied") && message.contains("OCI runtime") {
        return Some(format!(
            "{command} may not be executed: make it executable in the image"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_author_can_mend_is_said_plainly() {
        let runtime = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
        let cases = [
            (
                "exec: \"serve\": executable file not found in $PATH: unknown",
                "`serve` is not in the image",
            ),
            (
                "exec: \"/run.sh\": permission denied: unknown",
                "`/run.sh` may not be executed: make it executable in the image",
            ),
            (
                "exec: \"/app\": stat /app: no such file or directory: unknown",
                "`/app` is not in the image",
            ),
            (
                "exec /app: exec format error: unknown",
                "its command is made for another kind of machine, or lacks a #! line",
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(
                mendable_reason(&format!("{runtime}{message}")).as_deref(),
                Some(expected)
            );
        }
        let user = "unable to find user app: no matching entries in passwd file";
        assert_eq!(
            mendable_reason(user).as_deref(),
            Some("the image has no user `app`")
        );
        assert_eq!(mendable_reason("no space left on device"), None);
    }
}

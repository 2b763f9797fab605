//! Commands that run beside a replica's process.
//!
//! Guarantees: a command has the container's own rights and limits, never more; only commands in
//! containers of ours are looked at or resized.
//! Caveat: the engine cannot end a command, so one that ignores the end of its input goes on.

use std::time::Duration;

use bollard::Docker;
use bollard::models::{ExecConfig, ExecInspectResponse};
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::{StreamExt, stream};
use tose_model::driver::{
    DriverError, DriverResult, ExecId, ExecRequest, ExecSession, ReplicaName, TtySize,
};
use tose_model::secret::ExposeSecret;

use crate::DockerDriver;
use crate::error::has_status;
use crate::hijack::{Form, Input, Output};

/// How long a command's end may come after that of its output.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How often one looks whether it has come.
const END_PERIOD: Duration = Duration::from_millis(10);

impl DockerDriver {
    pub(crate) async fn run_command(
        &self,
        name: &ReplicaName,
        request: &ExecRequest,
    ) -> DriverResult<ExecSession> {
        let gone = || DriverError::NotFound(format!("replica {name}"));
        let inspected = self.find(name).await?.ok_or_else(gone)?;
        let has_tty = request.tty.is_some();
        let env = request
            .env
            .iter()
            .map(|(key, value)| format!("{key}={}", value.expose_secret()));
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(has_tty),
            cmd: Some(request.command.clone()),
            env: Some(env.collect()),
            privileged: Some(false),
            ..ExecConfig::default()
        };
        let failed = |error| {
            if has_status(&error, 404) {
                return gone();
            }
            if has_status(&error, 409) {
                return DriverError::CannotStart(format!("replica {name} does not run"));
            }
            self.engine
                .failed(format!("run a command in replica {name}"), error)
        };
        let docker = self.engine.docker().await?;
        let created = docker.create_exec(&inspected.container.id, config);
        let id = self.engine.within(created).await.map_err(failed)?.id;
        let body = format!(r#"{{"Detach":false,"Tty":{has_tty}}}"#);
        let target = format!("/exec/{id}/start");
        let (wire, received) = self.engine.upgrade(&target, &body).await?.map_err(failed)?;
        let (reading, writing) = tokio::io::split(wire);
        let form = if has_tty {
            Form::Terminal
        } else {
            Form::Frames
        };
        let mut output = Output::new(reading, received, form);
        if let Some(size) = request.tty {
            self.resize_at_start(&docker, &id, size, &mut output).await;
        }
        let output = stream::unfold(Some((output, docker, id.clone())), |state| async {
            let (mut output, docker, id) = state?;
            match output.next().await {
                Some(Ok(piece)) => Some((Ok(piece), Some((output, docker, id)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => {
                    wait_for_end(&docker, &id).await;
                    None
                }
            }
        });
        Ok(ExecSession {
            id: ExecId::new(&id),
            output: output.boxed(),
            input: Box::pin(Input::new(writing, form)),
        })
    }

    /// The engine answers only once the command runs, which one that cannot start never does: its
    /// output's end comes first then. A terminal of another size is no reason to give up.
    async fn resize_at_start(&self, docker: &Docker, id: &str, size: TtySize, output: &mut Output) {
        let call = self.engine.within(resize(docker, id, size));
        tokio::pin!(call);
        let resized = tokio::select! {
            resized = &mut call => resized,
            received = output.fill() => match received {
                Ok(0) | Err(_) => return,
                // It runs, or it could not be started and that is what it says.
                Ok(_) => match self.exit_code(docker, id).await {
                    Some(_) => return,
                    None => call.await,
                },
            },
        };
        if let Err(error) = resized {
            tracing::debug!(%error, "a terminal keeps its first size");
        }
    }

    async fn exit_code(&self, docker: &Docker, id: &str) -> Option<i64> {
        let details = self.engine.within(docker.inspect_exec(id)).await.ok()?;
        ended(&details)
    }

    pub(crate) async fn resize_terminal(&self, id: &ExecId, size: TtySize) -> DriverResult<()> {
        if self.find_exit_code(id).await?.is_some() {
            return Ok(());
        }
        let docker = self.engine.docker().await?;
        let Err(error) = self.engine.within(resize(&docker, id.as_str(), size)).await else {
            return Ok(());
        };
        match self.find_exit_code(id).await? {
            Some(_) => Ok(()),
            None => Err(self.engine.failed("resize a terminal", error)),
        }
    }

    pub(crate) async fn find_exit_code(&self, id: &ExecId) -> DriverResult<Option<i64>> {
        let gone = || DriverError::NotFound("the command".to_owned());
        // It becomes a part of a path.
        if !id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(gone());
        }
        let docker = self.engine.docker().await?;
        let details = match self.engine.within(docker.inspect_exec(id.as_str())).await {
            Ok(details) => details,
            Err(error) if has_status(&error, 404) => return Err(gone()),
            Err(error) => return Err(self.engine.failed("look at a command", error)),
        };
        let container_id = details.container_id.clone().ok_or_else(gone)?;
        self.inspect(container_id).await?.ok_or_else(gone)?;
        Ok(ended(&details))
    }
}

async fn resize(docker: &Docker, id: &str, size: TtySize) -> Result<(), bollard::errors::Error> {
    let options = ResizeExecOptionsBuilder::default()
        .w(i32::from(size.columns))
        .h(i32::from(size.rows))
        .build();
    docker.resize_exec(id, options).await
}

/// The exit code of a command that ended.
fn ended(details: &ExecInspectResponse) -> Option<i64> {
    match details.running {
        Some(true) => None,
        _ => details.exit_code,
    }
}

/// The engine ends the output before it knows the exit code.
async fn wait_for_end(docker: &Docker, id: &str) {
    let asked = async {
        let mut period = tokio::time::interval(END_PERIOD);
        loop {
            period.tick().await;
            match docker.inspect_exec(id).await {
                Ok(details) if ended(&details).is_none() => {}
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(END_LIMIT, asked).await;
}
